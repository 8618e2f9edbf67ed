//! The one seam to other machines: start a trainer, find one again, signal it, learn how it ended.
//!
//! On this machine a trainer is a child process ([`local`]); on a cluster it would be a job. A launcher knows run
//! directories and processes, and nothing of the run log: what an ending means is decided by `settle`.

pub mod family;
pub mod local;

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::journal::process::Identity;
use crate::lab::RunDir;

/// What a launcher needs to know of an attempt.
#[derive(Clone, Debug)]
pub struct Order {
    pub dir: RunDir,
    /// Counts from 1.
    pub attempt: u32,
    /// `cpu` or `cuda:<i>`.
    pub device: String,
    /// Trainers that may be at work on this machine at once, this one among them.
    pub share: u32,
    /// Ignore the run's checkpoints.
    pub fresh: bool,
}

/// What can be asked of a trainer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Write a checkpoint and exit: to the trainer alone, so that its helpers live until it has written.
    Checkpoint,
    /// The same, to every process of the run.
    Terminate,
    /// End now: to every process of the run, wherever it hides.
    Kill,
}

/// How a trainer's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    /// Killed by this signal.
    Signalled(i32),
    /// Killed by the kernel, which had no memory left.
    OutOfMemory,
    /// The machine was started anew since.
    Restarted,
    /// It was adopted: only its own parent could have read its exit status.
    Unseen,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "the trainer exited with {code}"),
            Ending::Signalled(signal) => {
                write!(f, "the trainer was killed by signal {signal}")?;
                named(*signal).map_or(Ok(()), |name| write!(f, " ({name})"))
            }
            Ending::OutOfMemory => {
                f.write_str("the kernel had no memory left and killed the trainer")
            }
            Ending::Restarted => f.write_str("the machine was started anew under the trainer"),
            Ending::Unseen => f.write_str("the trainer is gone"),
        }
    }
}

/// The signals that people and kernels end processes with.
fn named(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "HUP",
        4 => "ILL",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return None,
    })
}

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("no trainer at {path}: build it (`make build`) or name it in INSTDISC_TRAIN")]
    Missing { path: PathBuf },
    #[error("cannot start {}: {why}", .path.display())]
    Start { path: PathBuf, why: io::Error },
}

/// Starts trainers and finds those that outlived their worker.
pub trait Launcher {
    fn start(&self, order: &Order) -> Result<Box<dyn Trainer>, LaunchError>;

    /// The trainer that still works on `dir`, started by a worker that is gone; `known` is its process, if that worker
    /// lived to note it. None when there is no trainer; then no process of the run is left either.
    fn adopt(&self, dir: &RunDir, known: Option<&Identity>)
    -> io::Result<Option<Box<dyn Trainer>>>;
}

/// One started trainer.
pub trait Trainer {
    /// A trainer that is already gone is no error.
    fn ask(&mut self, ask: Ask) -> io::Result<()>;

    /// Its process, where that is known.
    fn identity(&self) -> Option<Identity>;

    /// How it ended; none while it lives. Once it has ended, no process of the run is left.
    fn ending(&mut self) -> io::Result<Option<Ending>>;
}
