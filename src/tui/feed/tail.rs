//! The last lines of a log file, without reading the rest.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::tui::figures::printable;

/// Bytes a line may have, on average, before fewer lines are kept.
const LINE: i64 = 400;

/// Lines of a tail.
const LINES: usize = 40;

/// The last lines, printable and not empty; none where there is no such file.
pub fn read(path: &Path) -> Vec<String> {
    last_lines(path, LINES)
}

/// As [`read`], up to `most` of them.
pub fn last_lines(path: &Path, most: usize) -> Vec<String> {
    let bytes = last_bytes(path, LINE * most as i64).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.split('\n').map(printable).filter(|line| !line.trim().is_empty());
    let lines: Vec<String> = lines.collect();
    lines[lines.len().saturating_sub(most)..].to_vec()
}

fn last_bytes(path: &Path, most: i64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
    if len > most {
        file.seek(SeekFrom::End(-most))?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if len > most {
        // The first line is cut.
        let from = bytes.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        bytes.drain(..from);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_last_lines_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stderr.log");
        assert_eq!(read(&path), Vec::<String>::new());
        let mut text: String = (0..5000).map(|i| format!("step {i:05} of many\n")).collect();
        text.push_str("\u{1b}[31merror: no space left\u{1b}[0m\n\n");
        std::fs::write(&path, text).unwrap();
        let lines = read(&path);
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[LINES - 1], "error: no space left");
        assert_eq!(lines[LINES - 2], "step 04999 of many");
    }
}
