//! What an ended trainer left in its run's directory beside the journal: last words, or no room for any.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::launcher::is_scarce;
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

/// Notes before `attempt` starts where in `stderr.log` its words will begin, for whoever adopts it; says where that is. Best
/// effort: on a disk that is full it has to start all the same.
pub(super) fn note_start(dir: &RunDir, attempt: u32) -> u64 {
    let said = std::fs::metadata(dir.stderr()).map_or(0, |file| file.len());
    let _ = std::fs::write(dir.stderr_from(), format!("{attempt} {said}\n"));
    said
}

/// Where the words of `attempt` begin, if that was noted: by the worker that started it, or by its job on a node.
///
/// # Errors
/// When this process is out of what it takes to read it. Any other trouble may stay, and a run has to be settled without.
pub(super) fn noted_start(dir: &RunDir, attempt: u32) -> io::Result<Option<u64>> {
    match std::fs::read_to_string(dir.stderr_from()) {
        Err(why) if is_scarce(&why) => Err(why),
        Err(_) => Ok(None),
        Ok(text) => {
            let noted = text.trim_end().split_once(' ');
            let of_it = noted.filter(|(number, _)| number.parse() == Ok(attempt));
            Ok(of_it.and_then(|(_, said)| said.parse().ok()))
        }
    }
}

/// The last line of `stderr.log` beyond byte `said`, if any; none where that cannot be read.
///
/// # Errors
/// When this process is out of what it takes to read it. Any other trouble may stay, and a run has to be settled without.
pub(super) fn last_words(dir: &RunDir, said: u64) -> io::Result<Option<String>> {
    match tail(dir, said) {
        Err(why) if is_scarce(&why) => Err(why),
        Err(_) => Ok(None),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let mut lines = text.lines().rev().map(str::trim);
            Ok(lines.find(|line| !line.is_empty()).map(str::to_owned))
        }
    }
}

fn tail(dir: &RunDir, said: u64) -> io::Result<Vec<u8>> {
    const TAIL: u64 = 4096;
    let mut file = std::fs::File::open(dir.stderr())?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(said.max(len.saturating_sub(TAIL))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_those_of_this_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        assert_eq!(last_words(&run, 0).unwrap(), None);
        std::fs::write(run.stderr(), "old\nnew\n\n").unwrap();
        assert_eq!(last_words(&run, 4).unwrap().as_deref(), Some("new"));
        assert_eq!(last_words(&run, 9).unwrap(), None);
        assert_eq!(noted_start(&run, 2).unwrap(), None);
        assert_eq!(note_start(&run, 2), 9);
        assert_eq!((noted_start(&run, 2).unwrap(), noted_start(&run, 3).unwrap()), (Some(9), None));
    }
}
