//! Trainers as child processes of this worker, each leading its own session and process group.
//!
//! Every process of a run carries the run's directory in its environment ([`MARK`]). That mark, read through a pidfd
//! that was opened first, is how a trainer is found again after its worker died; helpers that left the group are found
//! at a cancel by it or by their parents (see [`family`](super::family)). A process number alone is never trusted,
//! because numbers are reused.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group,
    pidfd_send_signal, waitid,
};

use super::family::{family, reap_orphans};
use super::{Ask, Ending, Found, LaunchError, Launcher, Order, Trainer};
use crate::journal::process::{Identity, boot_id};
use crate::lab::RunDir;
use crate::queue::locks::is_held;
use crate::queue::this_program;

/// Environment variable that marks every process of a run with its directory.
pub const MARK: &str = "INSTDISC_LAB_RUN";

/// Environment variable that names another trainer than the one beside this program.
pub const TRAINER: &str = "INSTDISC_TRAIN";

/// How long the kernel may take to remove a killed process.
const REMOVAL: Duration = Duration::from_secs(5);

/// Starts `trainer` on this machine.
#[derive(Clone, Debug)]
pub struct Local {
    trainer: PathBuf,
}

impl Local {
    /// The trainer that `INSTDISC_TRAIN` names, else `instdisc-train` beside this program.
    pub fn find() -> io::Result<Self> {
        if let Some(named) = std::env::var_os(TRAINER) {
            return Ok(Self { trainer: named.into() });
        }
        Ok(Self { trainer: std::env::current_exe()?.with_file_name("instdisc-train") })
    }

    /// Where the trainer is.
    pub fn trainer(&self) -> &Path {
        &self.trainer
    }
}

/// Between two looks at a running trainer: journal, requests, process.
const PACE: Duration = Duration::from_millis(150);

impl Local {
    fn start_one(&self, order: &Order) -> Result<Box<dyn Trainer>, LaunchError> {
        let path = self.trainer.clone();
        let is_name = path.components().count() == 1;
        if !is_name && !path.exists() {
            return Err(LaunchError::Missing { path });
        }
        let dir = canonical(&order.dir);
        let child = this_program().and_then(|me| {
            let mut command = Command::new(me);
            command.arg0("instdisc-lab").arg("launch").arg(&path).arg(&dir);
            command.args(["--attempt", &order.attempt.to_string(), "--device", &order.device]);
            if 1 < order.share {
                command.args(["--share", &order.share.to_string()]);
            }
            if order.fresh {
                command.arg("--fresh");
            }
            // Files, not pipes: output survives the worker, and a full pipe can never block the trainer.
            command.stdin(Stdio::null());
            command.stdout(append(order.dir.stdout())?).stderr(append(order.dir.stderr())?);
            command.env(MARK, &dir).spawn()
        });
        let child = child.map_err(|why| LaunchError::Start { path, why })?;
        let leader = Identity::of(child.id()).ok();
        let starved = starved();
        let child = Some(child);
        Ok(Box::new(Started { dir, leader, child, starved, ending: None, is_cleared: false }))
    }
}

impl Launcher for Local {
    /// A slot is one place on one device.
    fn room(&self) -> usize {
        1
    }

    fn pace(&self) -> Duration {
        PACE
    }

    fn start(&self, orders: &[Order]) -> Vec<Result<Box<dyn Trainer>, LaunchError>> {
        orders.iter().map(|order| self.start_one(order)).collect()
    }

    fn trainer(&self) -> Option<&Path> {
        Some(&self.trainer)
    }

    fn adopt(&self, dir: &RunDir, _attempt: u32, known: Option<&Identity>) -> io::Result<Found> {
        let dir = canonical(dir);
        // A worker that died right after starting it could not note it. Its helpers are younger.
        let eldest = || -> io::Result<Option<Identity>> {
            let family = family(&dir)?;
            let known = family.iter().filter_map(|it| Identity::of(it.number()).ok());
            Ok(known.min_by_key(|process| process.start_ticks))
        };
        let leader = known.cloned().map_or_else(eldest, |known| Ok(Some(known)))?;
        let (child, starved, ending) = (None, None, None);
        let mut adopted = Started { dir, leader, child, starved, ending, is_cleared: false };
        if adopted.lives()? {
            return Ok(Found::AtWork(Box::new(adopted)));
        }
        adopted.clear()?;
        let restarted = known.is_some_and(|known| boot_id().is_ok_and(|now| now != known.boot_id));
        Ok(Found::Ended(if restarted { Ending::Restarted } else { Ending::Unseen }))
    }
}

struct Started {
    /// Canonical, as in [`MARK`].
    dir: PathBuf,
    /// The trainer itself, as opposed to its helpers.
    leader: Option<Identity>,
    /// Absent when adopted, and once reaped.
    child: Option<Child>,
    /// Processes that the kernel had killed for want of memory when it was started.
    starved: Option<u64>,
    ending: Option<Ending>,
    /// Whether what it left behind is gone.
    is_cleared: bool,
}

impl Trainer for Started {
    fn ask(&mut self, ask: Ask) -> io::Result<()> {
        let signal = if ask == Ask::Kill { Signal::KILL } else { Signal::TERM };
        // Until it is reaped, a child's number cannot be reused, so it and its group can be signalled by number: that
        // also reaches helpers that cleared their environment.
        let child = self.child.as_ref().and_then(|child| Pid::from_raw(child.id().cast_signed()));
        let mut group = None;
        if let Some(child) = child {
            if ask != Ask::Checkpoint && kill_process_group(child, signal).is_ok() {
                group = Some(child);
            } else {
                // To the trainer alone, or before it leads a group.
                ignore_gone(kill_process(child, signal))?;
            }
        }
        for process in family(&self.dir)? {
            let leads = self.leader.as_ref().is_some_and(|leader| leader.pid == process.number());
            let reached = child == Some(process.pid)
                || (group.is_some() && getpgid(Some(process.pid)).ok() == group);
            if (leads || ask != Ask::Checkpoint) && !reached {
                ignore_gone(pidfd_send_signal(&process.fd, signal))?;
            }
        }
        Ok(())
    }

    fn identity(&self) -> Option<Identity> {
        self.leader.clone()
    }

    fn ending(&mut self, _attempt: u32) -> io::Result<Option<Ending>> {
        // Kept where clearing fails: once the child is reaped, nobody could learn it again.
        if self.ending.is_none() {
            self.ending = match &mut self.child {
                Some(child) => match exit_of(child)? {
                    Some(Ending::Signalled(KILL)) if self.starved < starved() => {
                        Some(Ending::OutOfMemory)
                    }
                    ending => ending,
                },
                None => (!self.lives()?).then_some(Ending::Unseen),
            };
        }
        if self.ending.is_some() && !self.is_cleared {
            self.clear()?;
            self.is_cleared = true;
        }
        Ok(self.ending)
    }
}

impl Started {
    /// The lock is the strongest sign: the kernel drops it on any death. The trainer takes it soon after its start.
    fn lives(&self) -> io::Result<bool> {
        let leads = self.leader.as_ref().is_some_and(Identity::is_alive);
        Ok(leads || lock_is_held(&self.dir)?)
    }

    /// Kills what the trainer left behind, waits until it is gone, and reaps the trainer.
    fn clear(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + REMOVAL;
        self.ask(Ask::Kill)?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        reap_orphans();
        while !family(&self.dir)?.is_empty() && Instant::now() < deadline {
            self.ask(Ask::Kill)?;
            std::thread::sleep(Duration::from_millis(5));
            reap_orphans();
        }
        Ok(())
    }
}

/// The signal that the kernel ends a process with when memory is short.
const KILL: i32 = 9;

/// How many processes the kernel has killed so far for want of memory: in this process's control group where it has
/// one of its own (memory.events, cgroup-v2), else on the whole machine.
fn starved() -> Option<u64> {
    let number = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        line.trim().parse().ok()
    };
    let group = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = group.lines().find_map(|line| line.strip_prefix("0::/"));
    let events = group.map(|group| Path::new("/sys/fs/cgroup").join(group).join("memory.events"));
    let events = events.and_then(|path| std::fs::read_to_string(path).ok());
    let here = events.as_deref().and_then(number);
    here.or_else(|| number(&std::fs::read_to_string("/proc/vmstat").ok()?))
}

/// Looks without reaping, so that the child's process number stays taken until its group has been cleared.
fn exit_of(child: &Child) -> io::Result<Option<Ending>> {
    let Some(pid) = Pid::from_raw(child.id().cast_signed()) else { return Ok(None) };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let Some(status) = waitid(WaitId::Pid(pid), look)? else { return Ok(None) };
    Ok(Some(match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, Some(signal)) => Ending::Signalled(signal),
        (None, None) => Ending::Unseen,
    }))
}

/// Whether a trainer holds the run.
fn lock_is_held(dir: &Path) -> io::Result<bool> {
    is_held(&RunDir::new(dir).lock())
}

fn append(path: PathBuf) -> io::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display())))
}

/// One spelling of the directory, whichever way the home was named.
fn canonical(dir: &RunDir) -> PathBuf {
    dir.path().canonicalize().unwrap_or_else(|_| dir.path().to_owned())
}

fn ignore_gone(done: rustix::io::Result<()>) -> io::Result<()> {
    match done {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => other.map_err(io::Error::from),
    }
}
