//! The processes of a run, wherever they hide.
//!
//! Three things give one away: the run's directory in its environment, a parent that is one, or, once the parents are
//! dead, that it fell to us. A trainer adopts what its helpers leave behind and a worker what the trainer leaves
//! behind (`PR_SET_CHILD_SUBREAPER`), so neither a double fork nor a new session nor an empty environment hides a
//! process for as long as one of the two lives.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, WaitOptions, child_subreaper, pidfd_open, set_child_subreaper, waitpid,
};

use super::local::MARK;
use super::may_pass;
use crate::journal::process::Stat;

/// A process of a run. The descriptor pins the process, so a signal through it can never hit a later one.
pub(super) struct Member {
    pub pid: Pid,
    pub fd: OwnedFd,
}

impl Member {
    pub fn number(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }
}

/// A process as it was found.
struct Found {
    pid: Pid,
    /// In ticks since the boot: with the number never the same again.
    began: u64,
    parent: Option<Pid>,
    marked: bool,
}

/// From now on orphans among the descendants of this process are its children. Survives exec, and is not passed on to
/// children.
pub fn adopt_orphans() {
    // Refused by no kernel that has pidfds; without it only a process that hides on purpose escapes.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
}

/// Every living process of the run in `dir`, ourselves apart. A descriptor is held for each of those alone: a machine may
/// have more processes than one of them may have descriptors.
pub(super) fn family(dir: &Path) -> io::Result<Vec<Member>> {
    let wanted = [MARK.as_bytes(), b"=", dir.as_os_str().as_bytes()].concat();
    let found = living(&wanted)?;
    let me = rustix::process::getpid();
    let adopts = child_subreaper().is_ok_and(|reaper| reaper.is_some());
    let mut known: BTreeSet<i32> = BTreeSet::new();
    let number = |pid: Pid| pid.as_raw_nonzero().get();
    loop {
        let before = known.len();
        for process in &found {
            let by_parent = process.parent.is_some_and(|parent| known.contains(&number(parent)));
            // A worker starts nothing but its trainer: any other child of it was an orphan.
            let fell_to_us = adopts && process.parent == Some(me);
            if process.pid != me && (process.marked || by_parent || fell_to_us) {
                known.insert(number(process.pid));
            }
        }
        if known.len() == before {
            break;
        }
    }
    let members = found.iter().filter(|process| known.contains(&number(process.pid)));
    members.filter_map(|process| pinned(process).transpose()).collect()
}

/// The process by a descriptor, if it still lives. What is read once the descriptor is held is about the process behind it
/// or, if that has died, a signal through the descriptor goes nowhere.
fn pinned(found: &Found) -> io::Result<Option<Member>> {
    let fd = match pidfd_open(found.pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        // A process that cannot be held must not be taken for one that is gone.
        Err(why @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => return Err(why.into()),
        Err(_) => return Ok(None),
    };
    let same = stat(&place(found.pid))?.is_some_and(|stat| stat.start_ticks == found.began);
    Ok(same.then_some(Member { pid: found.pid, fd }))
}

/// Takes note of the deaths of orphans that fell to us. The trainer's own is for its launcher to look at first.
pub(super) fn reap_orphans() {
    while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
}

fn living(wanted: &[u8]) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        found.extend(look(pid, wanted)?);
    }
    Ok(found)
}

fn look(pid: Pid, wanted: &[u8]) -> io::Result<Option<Found>> {
    let place = place(pid);
    let Some(stat) = stat(&place)? else { return Ok(None) };
    // Unreadable: another user's.
    let environ = read(&place.join("environ"))?.unwrap_or_default();
    let marked = environ.split(|&byte| byte == 0).any(|variable| variable == wanted);
    Ok(Some(Found { pid, began: stat.start_ticks, parent: Pid::from_raw(stat.parent), marked }))
}

/// A file of a process, nothing where that has gone meanwhile or is another user's. One that nobody can read for want of
/// descriptors must not be taken for gone.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(why) if may_pass(&why) => Err(why),
        bytes => Ok(bytes.ok()),
    }
}

fn place(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.as_raw_nonzero().to_string())
}

/// Nothing for a zombie.
fn stat(process: &Path) -> io::Result<Option<Stat>> {
    let text = read(&process.join("stat"))?;
    let stat = text.and_then(|text| Stat::parse(&String::from_utf8_lossy(&text)));
    Ok(stat.filter(|stat| !stat.is_dead()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_number_and_when_it_began() {
        let me = rustix::process::getpid();
        let found = look(me, b"NO=variable").unwrap().unwrap();
        let own = crate::journal::process::Identity::current().unwrap();
        assert_eq!((found.began, found.marked), (own.start_ticks, false));
        assert_eq!(found.parent, rustix::process::getppid());
        assert_eq!(pinned(&found).unwrap().unwrap().pid, me);
        let earlier = Found { began: found.began - 1, ..found };
        assert!(pinned(&earlier).unwrap().is_none(), "the number was another's");
    }
}
