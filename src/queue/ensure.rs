//! Makes sure that somebody works: starts a detached worker for each slot that has none.
//!
//! A detached worker leaves when the queue is empty, so there is a race to lose: a run queued while the worker is on
//! its way out. Both sides look twice. Who queues commits first and looks at the slot afterwards; a worker that finds
//! nothing lets its slot go first and looks at the queue once more (see `worker`). One that only brings a run to its end
//! would not look: for it a note is left beside the slot, before the slot is looked at a second time.
//!
//! The worker must outlive the terminal it was started from. It calls `setsid` itself as its first act
//! (`worker --detached`): as a fresh child it leads no group yet, so the call succeeds, and no code has to run
//! between fork and exec, where only async-signal-safe code may.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use super::slots::{self, Slot};
use super::this_program;
use crate::lab::Home;

/// The flag of `worker` that makes it leave its starter's session.
pub const DETACHED: &str = "--detached";

/// What a started worker is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Work until the queue is empty.
    UntilEmpty,
    /// Only bring to an end what is active on the slot: asked for when a pause or cancel finds nobody to relay it.
    AdoptOnly,
}

/// Starts a worker for each of `slots` that is free; says for which. Trainers on `slots` share the machine's cores.
pub fn ensure_workers(home: &Home, slots: &[Slot], duty: Duty) -> io::Result<Vec<Slot>> {
    let mut started = Vec::new();
    for slot in slots {
        if ensure_worker(home, slot, slots.len(), duty)? {
            started.push(slot.clone());
        }
    }
    Ok(started)
}

/// As [`ensure_workers`] of one slot, whose trainer shares the machine with those of `share` slots; whether one was started.
///
/// # Errors
/// As there.
pub fn ensure_worker(home: &Home, slot: &Slot, share: usize, duty: Duty) -> io::Result<bool> {
    let mut free = slots::is_free(home, slot)?;
    if !free && duty == Duty::UntilEmpty {
        slots::want(home, slot)?;
        free = slots::is_free(home, slot)?;
    }
    if free {
        start(home, slot, share, duty)?;
    }
    Ok(free)
}

fn start(home: &Home, slot: &Slot, share: usize, duty: Duty) -> io::Result<()> {
    std::fs::create_dir_all(home.slots())?;
    let log = OpenOptions::new().create(true).append(true).open(slot.log(home))?;
    let mut command = Command::new(this_program()?);
    command.arg0("instdisc-lab").arg("--home").arg(absolute(home)?);
    command.args(["worker", DETACHED, "--slot", &slot.to_string(), "--share", &share.to_string()]);
    command.arg(match duty {
        Duty::UntilEmpty => "--until-empty",
        Duty::AdoptOnly => "--adopt-only",
    });
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let mut child = command.spawn()?;
    // A screen that stays open would otherwise collect zombies.
    std::thread::spawn(move || child.wait());
    Ok(())
}

fn absolute(home: &Home) -> io::Result<std::path::PathBuf> {
    std::path::absolute(home.root())
}
