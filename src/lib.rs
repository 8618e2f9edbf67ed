//! instdisc-lab: queue a grid of instance-discrimination runs, watch them train, read off the ablation table.
//!
//! # The flow
//!
//! ```text
//! experiments/*.toml -> config -> grid -> queue (SQLite) -> worker -> instdisc-train -> events.jsonl -> ingest -> SQLite -> tui, cli
//!                                             ^                                                                      |
//!                                             '----------------------- requests: queue, pause, cancel, retry --------'
//! ```
//!
//! # The rooms, in reading order
//!
//! [`config`] says what a run is; [`grid`] turns an experiment into runs; [`filter`] picks runs; [`lab`] knows where things lie on disk,
//! [`settings`] what may stand in its `lab.toml`, [`files`] how a file is replaced whole.
//! [`store`] is the run log and the only room with SQL; [`journal`] is how a run tells its story, and the only
//! thing that the trainer and the workbench share; [`queue`] decides what runs next and what became of it, on this machine
//! or on a cluster ([`queue::slurm`]).
//! [`machine`] is what the system tells of processors, memory and GPUs;
//! [`data`] yields images and labels as bytes; [`search`] finds nearest neighbours over unit rows;
//! [`saved`] reads what a run left behind without libtorch;
//! [`engine`] is instance discrimination as algebra and the only room with tensors; what CUDA has beyond tch's bindings is in
//! [`engine::cuda`].
//! [`report`] renders tables; [`tui`] looks and asks; [`cli`] has one file a subcommand.
//!
//! # Invariants
//!
//! - Tensors only under `engine/` and in the trainer; SQL only under `store/`; ratatui only under `tui/`.
//! - `engine` and `store` never meet; `config` and the event vocabulary do no I/O.
//! - Slurm's commands are called in `queue/slurm/client.rs` alone; compute nodes never open the run log.
//! - A run's state changes only through `store::Store::transition`.
//! - One seed feeds all randomness through [`random`], and the order of samples is a pure function of
//!   (seed, epoch, position).
//! - `instdisc-lab` has no libtorch in its dynamic section.
//!
//! What the sources themselves can show of these is a test in `tests/walls.rs`, the last one in `tests/linking.rs`.
//!
//! What must hold in a lab on disk, whatever was killed or filled up, is in [`queue::audit`]; the tests in `tests/faults/`
//! put the faults into the real processes and end with it.

pub mod config;
pub mod files;
pub mod filter;
pub mod grid;
pub mod lab;
pub mod random;
pub mod settings;

pub mod journal;
pub mod store;

pub mod machine;
pub mod queue;

pub mod data;
pub mod saved;
pub mod search;

#[cfg(feature = "engine")]
pub mod engine;

pub mod report;

pub mod cli;
pub mod tui;
