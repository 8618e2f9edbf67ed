//! States against processes: who holds `run.lock`, and whether somebody works on what is said to be at work.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{Problem, WORK};
use crate::lab::Home;
use crate::queue::desk::{QueueError, file_error};
use crate::queue::locks::is_held;
use crate::queue::slots::{SLURM, Slot, is_free};
use crate::store::{Custody, Store};

/// Which processes hold which lock file for themselves.
pub(super) type Holders = BTreeMap<PathBuf, BTreeSet<u32>>;

/// Every holder of a `run.lock` under `runs`. The kernel never lets two hold one file, but a file that was deleted and
/// made again is two: hence by name, as `/proc` tells it, and not by inode.
pub(super) fn holders(runs: &Path) -> Holders {
    let mut holders = Holders::new();
    let Ok(runs) = runs.canonicalize() else { return holders };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // Other people's processes cannot be looked into, and cannot hold a lock in a private folder.
        for open in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(file) = fs::read_link(open.path()) else { continue };
            let name = file.to_string_lossy();
            let path = Path::new(name.strip_suffix(" (deleted)").unwrap_or(&name));
            if !path.starts_with(&runs) || path.file_name() != Some("run.lock".as_ref()) {
                continue;
            }
            let info = process.path().join("fdinfo").join(open.file_name());
            // `lock:\t1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`
            let info = fs::read_to_string(info).unwrap_or_default();
            if info.lines().any(|line| line.starts_with("lock:") && line.contains(" WRITE ")) {
                holders.entry(path.to_owned()).or_default().insert(pid);
            }
        }
    }
    holders
}

pub(super) async fn check(
    home: &Home,
    store: &Store,
    run: &Custody,
    holders: &Holders,
    found: &mut Vec<Problem>,
) -> Result<(), QueueError> {
    let lock = home.run(&run.id).lock();
    let what = "processes";
    let theirs = lock.canonicalize().ok().and_then(|lock| holders.get(&lock));
    if let Some(pids) = theirs.filter(|pids| 1 < pids.len()) {
        let words = format!("processes {pids:?} all hold run.lock");
        let cure = "cancel the run: that ends every process of it; then `retry`";
        found.push(Problem::flaw(what, &run.id, words, cure));
    }
    let held = is_held(&lock).map_err(file_error(&lock))?;
    if !run.state.is_active() {
        if held {
            let words = format!("is {}, but a trainer holds run.lock", run.state);
            found.push(Problem::flaw(what, &run.id, words, WORK));
        }
        return Ok(());
    }
    let slot = run.slot.as_deref().and_then(Slot::parse);
    if slot.as_ref().is_some_and(|slot| slot.device == SLURM) {
        // Its processes are a cluster's.
        return Ok(());
    }
    let worked = match &slot {
        Some(slot) => !is_free(home, slot).map_err(file_error(slot.lock(home)))?,
        None => false,
    };
    let attempts = store.attempts(&run.id).await?;
    let process = attempts.last().and_then(|attempt| attempt.process.as_ref());
    let lives = held || process.is_some_and(|process| process.is_alive());
    if !worked && !lives {
        let words = format!("is {}, but no process works on it", run.state);
        found.push(Problem::flaw(what, &run.id, words, WORK));
    }
    Ok(())
}
