//! Which run goes next and what became of it: one file a verb.
//!
//! Owns workers, slots and the processes of trainers. Knows nothing of tensors or screens, and writes no SQL.
//!
//! A run is worked on by the worker that holds its slot's lock and by nobody else; a trainer outlives its worker and
//! is adopted by the next one on that slot. Everything here can be killed at any instant: what was begun is either
//! not done at all or found and finished by the next worker.

// What people ask for.
pub mod audit;
mod desk;
mod edit;
mod enqueue;
mod rebuild;
mod remains;
mod remove;
mod requeue;
mod retell;
mod stop;

// Who does it.
mod attend;
mod ensure;
pub mod launcher;
mod listen;
mod recover;
mod settle;
pub mod worker;

// Where it is kept.
pub mod leftovers;
pub mod locks;
pub mod meta;
mod settings;
pub mod slots;

// Elsewhere.
pub mod slurm;

pub use attend::is_lost_for_good;
pub use desk::{Answer, Desk, QueueError};
pub use enqueue::{Fate, Manner, Plan, Queued, Root};
pub use ensure::{Duty, ensure_workers};
pub use rebuild::{Rebuilt, rebuild};
pub use remove::in_trash;
pub use settings::{SettingsError, Where, Workers, judge};
pub use slots::Slot;

/// This program, also when its file has been replaced since it was started: the kernel keeps the one that runs.
fn this_program() -> std::io::Result<std::path::PathBuf> {
    let running = std::path::PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}
