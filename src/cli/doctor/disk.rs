//! Room on the disk: what is free, and what the runs that wait will take.

use std::fs;
use std::path::Path;

use super::Finding;
use crate::lab::Home;
use crate::store::{State, Store};

const GIB: f64 = (1u64 << 30) as f64;
const MIB: f64 = (1u64 << 20) as f64;

/// `folder` is the nearest one to the home that exists.
pub(super) async fn look(home: &Home, folder: &Path) -> Finding {
    let what = "disk";
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        return Finding::warn(what, "its free space is not told", "");
    };
    let free = disk.f_bavail as f64 * disk.f_frsize as f64;
    let needed = needed(home).await.unwrap_or_default();
    space(free, needed, size(&home.trash()), folder)
}

/// How many runs are still to train, and bytes that they will take by what finished ones have: journal, logs and two
/// checkpoints. Nothing is known before the first one has finished.
async fn needed(home: &Home) -> Option<(usize, f64)> {
    let runs = Store::open_readonly(home).await.ok()?.runs().await.ok()?;
    let finished = runs.iter().filter(|run| run.state == State::Finished);
    let sizes: Vec<u64> = finished.map(|run| size(home.run(&run.id).path())).collect();
    let waiting = runs.iter().filter(|run| run.state == State::Queued || run.state.is_active());
    let largest = sizes.into_iter().max()?;
    let n = waiting.count();
    Some((n, n as f64 * largest as f64))
}

/// Bytes of all files below; what cannot be read counts as nothing.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => size(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
        _ => 0,
    };
    entries.map(of).sum()
}

/// A ResNet-18 checkpoint is 90 MB with its momentum; a run keeps two.
fn space(free: f64, (n_waiting, needed): (usize, f64), trash: u64, folder: &Path) -> Finding {
    let mut found = format!("{:.1} GiB free at {}", free / GIB, folder.display());
    if 0 < n_waiting {
        found.push_str(&format!("; {n_waiting} run(s) to come take up to {:.0} MiB", needed / MIB));
    }
    let mut cure = "free some space, or choose another home with --home".to_owned();
    if 0 < trash {
        let share = trash as f64 / MIB;
        found.push_str(&format!("; {share:.0} MiB in the trash"));
        cure.push_str("; `rm --forever` empties the trash");
    }
    let left = (free - needed) / GIB;
    match left {
        _ if left < 0.2 => Finding::missing("disk", found, cure),
        _ if left < 2.0 => Finding::warn("disk", found, cure),
        _ => Finding::ok("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn little_space_warns_and_none_is_a_fault() {
        let state = |free: f64| space(free * GIB, (0, 0.0), 0, Path::new("/x")).state;
        assert_eq!([state(0.1), state(1.0), state(2.0)], [State::Missing, State::Warn, State::Ok]);
    }

    #[test]
    fn what_is_to_come_counts_as_taken() {
        let finding = space(10.0 * GIB, (100, 9.9 * GIB), 3 << 20, Path::new("/x"));
        assert_eq!(finding.state, State::Missing);
        assert!(
            finding.found.contains("100 run(s) to come take up to 10138 MiB; 3 MiB in the trash")
        );
        assert!(finding.cure.contains("rm --forever"));
    }
}
