//! The processes of a run, wherever they hide.
//!
//! Three things give one away: the run's directory in its environment, a parent that is one, or, once the parents are
//! dead, that it fell to us. A trainer adopts what its helpers leave behind and a worker what the trainer leaves
//! behind (`PR_SET_CHILD_SUBREAPER`), so neither a double fork nor a new session nor an empty environment hides a
//! process for as long as one of the two lives.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, io};

use rustix::process::{
    Pid, PidfdFlags, WaitOptions, child_subreaper, pidfd_open, set_child_subreaper, waitpid,
};

use super::local::MARK;

/// A process of a run. The descriptor pins the process, so a signal through it can never hit a later one.
pub(super) struct Member {
    pub pid: Pid,
    pub fd: OwnedFd,
    parent: Option<Pid>,
    marked: bool,
}

impl Member {
    pub fn number(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }
}

/// From now on orphans among the descendants of this process are its children. Survives exec, and is not passed on to
/// children.
pub fn adopt_orphans() {
    // Refused by no kernel that has pidfds; without it only a process that hides on purpose escapes.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
}

/// Every living process of the run in `dir`, ourselves apart.
pub(super) fn family(dir: &Path) -> io::Result<Vec<Member>> {
    let mut all = living(dir)?;
    let me = rustix::process::getpid();
    let adopts = child_subreaper().is_ok_and(|reaper| reaper.is_some());
    let mut known: BTreeSet<i32> = BTreeSet::new();
    let number = |pid: Pid| pid.as_raw_nonzero().get();
    loop {
        let before = known.len();
        for member in &all {
            let by_parent = member.parent.is_some_and(|parent| known.contains(&number(parent)));
            // A worker starts nothing but its trainer: any other child of it was an orphan.
            let fell_to_us = adopts && member.parent == Some(me);
            if member.pid != me && (member.marked || by_parent || fell_to_us) {
                known.insert(number(member.pid));
            }
        }
        if known.len() == before {
            break;
        }
    }
    all.retain(|member| known.contains(&number(member.pid)));
    Ok(all)
}

/// Takes note of the deaths of orphans that fell to us. The trainer's own is for its launcher to look at first.
pub(super) fn reap_orphans() {
    while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
}

fn living(dir: &Path) -> io::Result<Vec<Member>> {
    let wanted = [MARK.as_bytes(), b"=", dir.as_os_str().as_bytes()].concat();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        // The descriptor first: what is read afterwards is about this process or, if it died meanwhile, a signal
        // through the descriptor goes nowhere.
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let Some(parent) = parent_of(&entry.path()) else { continue };
        // Unreadable: another user's.
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        let marked = environ.split(|&byte| byte == 0).any(|variable| variable == wanted);
        found.push(Member { pid, fd, parent: Pid::from_raw(parent), marked });
    }
    Ok(found)
}

/// Field 4 of `stat`, behind a name that may hold anything; nothing for a zombie.
fn parent_of(process: &Path) -> Option<i32> {
    let stat = fs::read(process.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(parent)
}
