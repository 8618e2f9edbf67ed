//! Trainers as child processes of this worker, each leading its own process group.
//!
//! Every process of a run carries the run's directory in its environment ([`MARK`]). That mark, read through a pidfd
//! that was opened first, is how a trainer is found again after its worker died and how helpers that left the group
//! are found at a cancel; a process number alone is never trusted, because numbers are reused.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpgid, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};

use super::{Ask, Ending, LaunchError, Launcher, Order, Trainer};
use crate::journal::process::Identity;
use crate::lab::RunDir;

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
}

impl Launcher for Local {
    fn start(&self, order: &Order) -> Result<Box<dyn Trainer>, LaunchError> {
        let dir = canonical(&order.dir);
        let mut command = Command::new(&self.trainer);
        command.arg(&dir).args(["--attempt", &order.attempt.to_string()]);
        command.args(["--device", &order.device]);
        if order.fresh {
            command.arg("--fresh");
        }
        // Files, not pipes: output survives the worker, and a full pipe can never block the trainer.
        command.stdin(Stdio::null());
        command.stdout(append(order.dir.stdout())?).stderr(append(order.dir.stderr())?);
        command.env(MARK, &dir).process_group(0);
        let path = self.trainer.clone();
        let child = command.spawn().map_err(|why| match why.kind() {
            io::ErrorKind::NotFound => LaunchError::Missing { path },
            _ => LaunchError::Start { path, why },
        })?;
        Ok(Box::new(Started { dir, child: Some(child), ending: None }))
    }

    fn adopt(&self, dir: &RunDir) -> io::Result<Option<Box<dyn Trainer>>> {
        let adopted = Started { dir: canonical(dir), child: None, ending: None };
        let lives = adopted.lives()?;
        Ok(lives.then(|| Box::new(adopted) as Box<dyn Trainer>))
    }
}

struct Started {
    /// Canonical, as in [`MARK`].
    dir: PathBuf,
    /// Absent when adopted, and once reaped.
    child: Option<Child>,
    ending: Option<Ending>,
}

impl Trainer for Started {
    fn ask(&mut self, ask: Ask) -> io::Result<()> {
        let signal = if ask == Ask::Kill { Signal::KILL } else { Signal::TERM };
        // Until it is reaped, a child's number cannot be reused, so its group can be signalled as a whole: that also
        // reaches helpers that cleared their environment.
        let group = self.child.as_ref().and_then(|child| Pid::from_raw(child.id().cast_signed()));
        if let (Some(group), true) = (group, ask != Ask::Checkpoint) {
            ignore_gone(kill_process_group(group, signal))?;
        }
        for process in marked(&self.dir)? {
            let leads = getpgid(Some(process.pid)).is_ok_and(|its| its == process.pid);
            let in_group = getpgid(Some(process.pid)).ok() == group && group.is_some();
            let reach = if ask == Ask::Checkpoint { leads } else { !in_group };
            if reach {
                ignore_gone(pidfd_send_signal(&process.fd, signal))?;
            }
        }
        Ok(())
    }

    fn identity(&self) -> Option<Identity> {
        Identity::of(self.child.as_ref()?.id()).ok()
    }

    fn ending(&mut self) -> io::Result<Option<Ending>> {
        if self.ending.is_none() {
            let ending = match &mut self.child {
                Some(child) => exit_of(child)?,
                None => (!self.lives()?).then_some(Ending::Unseen),
            };
            if ending.is_some() {
                self.clear()?;
                self.ending = ending;
            }
        }
        Ok(self.ending)
    }
}

impl Started {
    /// The lock is the strongest sign: the kernel drops it on any death. Before the trainer has taken it, its mark.
    fn lives(&self) -> io::Result<bool> {
        Ok(lock_is_held(&self.dir)? || marked(&self.dir)?.iter().any(Marked::leads))
    }

    /// Kills what the trainer left behind, waits until it is gone, and reaps the trainer.
    fn clear(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + REMOVAL;
        self.ask(Ask::Kill)?;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        while !marked(&self.dir)?.is_empty() && Instant::now() < deadline {
            self.ask(Ask::Kill)?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
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

/// A process of a run. The descriptor pins the process, so a signal through it can never hit a later one.
struct Marked {
    pid: Pid,
    fd: OwnedFd,
}

impl Marked {
    fn leads(&self) -> bool {
        getpgid(Some(self.pid)).is_ok_and(|group| group == self.pid)
    }
}

/// Every living process that carries the mark of `dir`.
fn marked(dir: &Path) -> io::Result<Vec<Marked>> {
    let wanted = [MARK.as_bytes(), b"=", dir.as_os_str().as_bytes()].concat();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        // The descriptor first: what is read afterwards is about this process or, if it died meanwhile, a signal
        // through the descriptor goes nowhere.
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        // Unreadable: another user's. Empty: a zombie's.
        let Ok(environ) = std::fs::read(entry.path().join("environ")) else { continue };
        if environ.split(|&byte| byte == 0).any(|variable| variable == wanted) {
            found.push(Marked { pid, fd });
        }
    }
    Ok(found)
}

/// Whether a trainer holds the run. The look takes the lock shared for an instant, which trainers wait out.
fn lock_is_held(dir: &Path) -> io::Result<bool> {
    let file = match File::open(RunDir::new(dir).lock()) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(why) => return Err(why),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(why)) => Err(why),
    }
}

fn append(path: PathBuf) -> Result<File, LaunchError> {
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened.map_err(|why| LaunchError::Log { path, why })
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
