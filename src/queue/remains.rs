//! What an ended trainer left in its run's directory beside the journal: last words, or no room for any.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::lab::RunDir;

/// Why a run failed of which nothing is left, where there is no room for anything.
pub(super) const FULL: &str = "the trainer could write neither its journal nor an error";

/// Whether there is no room for as much as an end record. Tried, as a quota may be used up on a disk that has room.
pub(super) fn is_full(dir: &RunDir) -> bool {
    const ROOM: usize = 64 << 10;
    let path = dir.path().join(".room.tmp");
    // A network disk may notice as late as that.
    let tried = std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(&[0; ROOM]).and_then(|()| file.sync_all()));
    let _ = std::fs::remove_file(&path);
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    tried.is_err_and(|why| full.contains(&why.kind()))
}

/// The last line of `stderr.log` beyond byte `said`, if any.
pub(super) fn last_words(dir: &RunDir, said: u64) -> Option<String> {
    const TAIL: u64 = 4096;
    let mut file = std::fs::File::open(dir.stderr()).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(said.max(len.saturating_sub(TAIL)))).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_those_of_this_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        assert_eq!(last_words(&run, 0), None);
        std::fs::write(run.stderr(), "old\nnew\n\n").unwrap();
        assert_eq!(last_words(&run, 4).as_deref(), Some("new"));
        assert_eq!(last_words(&run, 9), None);
    }
}
