//! The one seam to other machines: start trainers, find them again, signal them, learn how they ended.
//!
//! On this machine a trainer is a child process ([`local`]), on a cluster it is a job ([`slurm`]). A launcher knows run
//! directories, processes and jobs, and nothing of the run log: what an ending means is decided by `settle`.

pub mod devices;
pub mod family;
pub mod local;
mod over;
pub mod slurm;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::journal::process::Identity;
use crate::lab::RunDir;
use crate::store::Launch;

/// What a launcher needs to know of an attempt.
#[derive(Clone, Debug)]
pub struct Order {
    pub dir: RunDir,
    /// Counts from 1.
    pub attempt: u32,
    /// `cpu` or `cuda:<i>`; for a cluster to say there.
    pub device: String,
    /// Trainers that may be at work on this machine at once, this one among them.
    pub share: u32,
    /// Ignore the run's checkpoints.
    pub fresh: bool,
    /// What is asked of a cluster for this run.
    pub launch: Launch,
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
    /// A cluster's node failed or was taken away.
    NodeLost,
    /// A cluster ended it at its time limit.
    TimeLimit,
    /// Somebody ended it on the cluster, not here.
    Revoked,
    /// It missed the deadline that the cluster was given for it.
    Deadline,
    /// Its job ended before it could so much as write into the run's directory.
    NeverBegan,
    /// It ended, and the cluster starts it anew by itself, or has.
    Requeued,
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
            Ending::NodeLost => f.write_str("the cluster took its node away"),
            Ending::TimeLimit => f.write_str("the cluster ended it at its time limit"),
            Ending::Revoked => f.write_str("somebody cancelled it on the cluster"),
            Ending::Deadline => f.write_str("its deadline on the cluster passed"),
            Ending::NeverBegan => f.write_str(
                "its job ended before it could write into the run's directory: can the nodes see it?",
            ),
            Ending::Requeued => f.write_str("the cluster starts it anew"),
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
    /// The cluster refuses what is asked of it.
    #[error("cluster: {0}")]
    Refused(String),
}

/// Whether trouble with processes and their files may pass by itself: the machine or this process is out of something, or a
/// disk does not answer. It says nothing of the trainer that was looked at.
pub fn may_pass(why: &io::Error) -> bool {
    is_scarce(why) || is_among(why, &[Errno::IO, Errno::TIMEDOUT, Errno::STALE])
}

/// Whether the machine or this process is out of something that others give back. A disk that does not answer may never do.
pub fn is_scarce(why: &io::Error) -> bool {
    let scarce =
        [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::AGAIN, Errno::INTR];
    is_among(why, &scarce)
}

fn is_among(why: &io::Error, known: &[Errno]) -> bool {
    why.raw_os_error().is_some_and(|code| known.contains(&Errno::from_raw_os_error(code)))
}

/// What became of a trainer that an earlier worker started.
pub enum Found {
    AtWork(Box<dyn Trainer>),
    /// No process of the run is left, nor a job.
    Ended(Ending),
}

/// Starts trainers and finds those that outlived their worker.
pub trait Launcher {
    /// How many runs a worker may have in hand with it.
    fn room(&self) -> usize;

    /// Between two looks at what is in hand.
    fn pace(&self) -> Duration;

    /// Starts them, together where that is cheaper. One answer for each, in their order.
    fn start(&self, orders: &[Order]) -> Vec<Result<Box<dyn Trainer>, LaunchError>>;

    /// The trainer of `attempt` at the run in `dir`, started by a worker that is gone; `known` is its process, if that
    /// worker lived to note it.
    fn adopt(&self, dir: &RunDir, attempt: u32, known: Option<&Identity>) -> io::Result<Found>;

    /// The trainer that is started on this machine, which knows its devices; none where that is for others to know.
    fn trainer(&self) -> Option<&Path> {
        None
    }

    /// Whether something that was to be started is still on its way, so that a worker should not leave yet.
    fn is_starting(&self) -> bool {
        false
    }

    /// What keeps the launcher from its work at present, for people.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// One started trainer.
pub trait Trainer {
    /// A trainer that is already gone is no error.
    fn ask(&mut self, ask: Ask) -> io::Result<()>;

    /// Its process, where that is known.
    fn identity(&self) -> Option<Identity>;

    /// How `attempt` ended; none while it lives. Once it has ended, no process of the run is left, unless it was
    /// [`Requeued`](Ending::Requeued).
    fn ending(&mut self, attempt: u32) -> io::Result<Option<Ending>>;

    /// How it stands, where that is more than its journal could say: what its job waits for.
    fn standing(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose words a broken disk keeps must be settled without them; a want of descriptors ends.
    #[test]
    fn what_may_pass_and_what_will_are_two_things() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        let judged = |errno| (may_pass(&error(errno)), is_scarce(&error(errno)));
        assert_eq!(judged(Errno::MFILE), (true, true));
        assert_eq!([Errno::IO, Errno::STALE].map(judged), [(true, false); 2]);
        assert_eq!(judged(Errno::NOENT), (false, false));
    }
}
