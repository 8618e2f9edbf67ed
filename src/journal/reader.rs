//! Reading a journal, from wherever the last reader stopped.
//!
//! Yields whole lines only: a torn last line waits until it is whole, or until the next attempt cuts it off. A line
//! that is no event is named and passed over; events of a later version are passed over in silence. The file is read
//! in bounded pieces, however large it is. A journal only ever grows beyond its last whole line, so one that has become
//! shorter than what was already read was tampered with, and that is an error: nothing is thrown away for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::event::{Event, Line, Number, Point, VERSION};
use super::pieces::{LONGEST, PIECE, Whole, still_torn, whole_lines};

/// Starts of one batch: for each, whoever takes it in looks over all that was measured before.
pub const MOST_STARTS: usize = 8;

/// A place between two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes before it.
    pub bytes: u64,
    /// Lines before it.
    pub lines: u64,
}

/// What stands in the journal between two places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub from: Position,
    pub to: Position,
    /// In order; events of a later version left out.
    pub lines: Vec<Line>,
    pub garbled: Vec<Garbled>,
}

/// Lines in a row that are no events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbled {
    /// The first of them, from 1.
    pub line: u64,
    /// How many they are.
    pub lines: u64,
    /// Where the first begins, in bytes.
    pub at: u64,
    /// What is wrong with the first.
    pub why: String,
    /// How many events of the batch stand before them.
    pub after: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {}: {why}", .path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error(
        "{} has become shorter: {len} bytes, of which {read} were read before; put the file back, or rebuild the run \
         with `instdisc-lab doctor --repair`",
        .path.display()
    )]
    Shrunk { path: PathBuf, len: u64, read: u64 },
    #[error(
        "{} is another file than before: no line ends at byte {read}, up to which it was read; put the file back, or \
         rebuild the run with `instdisc-lab doctor --repair`",
        .path.display()
    )]
    Replaced { path: PathBuf, read: u64 },
}

/// A journal and how far it was read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// Absent until the trainer has made the file.
    file: Option<File>,
    at: Position,
    /// Bytes from here on are not looked at.
    end: u64,
    /// Whether there was more at the last look than is read at a time.
    has_more: bool,
    /// So many bytes from `at` on were looked over for a line end, and have none.
    unended: u64,
    /// As large as what was once read at a time, and never cleared: only its first bytes mean anything.
    buffer: Vec<u8>,
}

impl Reader {
    /// A reader that goes on at `from`. The file need not exist yet.
    pub fn new(path: impl Into<PathBuf>, from: Position) -> Self {
        Self {
            path: path.into(),
            file: None,
            at: from,
            end: u64::MAX,
            has_more: false,
            unended: 0,
            buffer: Vec::new(),
        }
    }

    /// Takes the word of an earlier reader at the same place for it that no line ends in the next so many bytes.
    #[must_use]
    pub fn beyond(self, unended: u64) -> Self {
        Self { unended, ..self }
    }

    /// How many bytes from here on are the beginning of one long line, as far as anybody looked; 0 unless they are worth
    /// remembering.
    pub fn unended(&self) -> u64 {
        self.unended
    }

    /// A reader of the first `end` bytes alone: what somebody else has read so far.
    pub fn up_to(path: impl Into<PathBuf>, end: u64) -> Self {
        Self { end, ..Self::new(path, Position::default()) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next batch begins.
    pub fn position(&self) -> Position {
        self.at
    }

    /// Whether the last batch may have left whole lines unread that stood there by then.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// The next whole lines, about a megabyte of them; `None` when there are no more for now.
    ///
    /// # Errors
    /// When the file cannot be read, or is shorter than what was read before.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, ReadError> {
        let failed = |why| ReadError::Io { path: self.path.clone(), why };
        let mut is_new = false;
        let file = match self.file.take() {
            Some(file) => file,
            None => match File::open(&self.path) {
                Ok(file) => {
                    is_new = true;
                    file
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && self.at.bytes == 0 => {
                    return Ok(None);
                }
                Err(error) => return Err(failed(error)),
            },
        };
        let len = file.metadata().map_err(failed)?.len();
        if len < self.at.bytes {
            return Err(ReadError::Shrunk { path: self.path.clone(), len, read: self.at.bytes });
        }
        // One that was cut and has grown again would be read from the middle of a line.
        let mut last = [b'\n'];
        if is_new && 0 < self.at.bytes {
            file.read_exact_at(&mut last, self.at.bytes - 1).map_err(failed)?;
        }
        if last != [b'\n'] {
            return Err(ReadError::Replaced { path: self.path.clone(), read: self.at.bytes });
        }
        let end = self.end.min(len);
        self.has_more = PIECE as u64 + self.at.bytes < end;
        let at = self.at.bytes;
        let torn = still_torn(&file, at, self.unended, end, &mut self.buffer).map_err(failed)?;
        let whole = match torn {
            Some(looked) => Whole::Torn(looked),
            None => whole_lines(&file, at, end, &mut self.buffer).map_err(failed)?,
        };
        self.file = Some(file);
        self.unended = 0;
        let batch = match whole {
            Whole::Torn(looked) => {
                self.unended = if PIECE as u64 <= looked { looked } else { 0 };
                return Ok(None);
            }
            Whole::Lines(end) => {
                let batch = parse(self.at, &self.buffer[..end]);
                self.has_more |= batch.to.bytes < self.at.bytes + end as u64;
                batch
            }
            Whole::TooLong(bytes) => {
                let why = format!("longer than {LONGEST} bytes");
                let (line, at) = (self.at.lines + 1, self.at.bytes);
                let garbled = Garbled { line, lines: 1, at, why, after: 0 };
                let to = Position { bytes: self.at.bytes + bytes, lines: self.at.lines + 1 };
                Batch { from: self.at, to, lines: Vec::new(), garbled: vec![garbled] }
            }
        };
        self.at = batch.to;
        Ok(Some(batch))
    }
}

/// The events in `bytes`, which end with a line end, up to the first start too many.
fn parse(from: Position, bytes: &[u8]) -> Batch {
    let mut batch = Batch { from, to: from, ..Batch::default() };
    let mut starts = 0;
    for text in bytes.split_inclusive(|&byte| byte == b'\n') {
        match line(text.strip_suffix(b"\n").unwrap_or(text)) {
            Ok(Some(line)) => {
                starts += usize::from(matches!(line.event, Event::Start(_)));
                if MOST_STARTS < starts {
                    break;
                }
                batch.lines.push(line);
            }
            Ok(None) => {}
            Err(why) => batch.garble(why),
        }
        batch.to.bytes += text.len() as u64;
        batch.to.lines += 1;
    }
    batch
}

impl Batch {
    /// The line behind those read so far is no event.
    fn garble(&mut self, why: String) {
        let line = self.to.lines + 1;
        match self.garbled.last_mut().filter(|last| last.line + last.lines == line) {
            Some(last) => last.lines += 1,
            None => {
                let (at, after) = (self.to.bytes, self.lines.len());
                self.garbled.push(Garbled { line, lines: 1, at, why, after });
            }
        }
    }
}

/// How our own writer begins a point: nearly every line of a journal.
const POINT: &[u8] = br#"{"v":1,"t":"point","#;

/// A point line field by field. That an event's name decides its shape makes serde keep every line in between; here it
/// need not.
#[derive(serde::Deserialize)]
struct PointLine {
    v: u32,
    step: u64,
    epoch: f64,
    sec: f64,
    m: BTreeMap<String, Number>,
    attempt: u32,
    seq: u64,
    at: i64,
}

/// A point as our own writer puts it; `None` for anything else, also for what only looks like one.
fn plain_point(text: &[u8]) -> Option<Line> {
    if !text.starts_with(POINT) {
        return None;
    }
    if let Some(line) = super::point::line(text) {
        return Some(line);
    }
    let PointLine { v, step, epoch, sec, m, attempt, seq, at } =
        serde_json::from_slice(text).ok()?;
    (v == VERSION).then_some(Line {
        v,
        event: Event::Point(Point { step, epoch, sec, m }),
        attempt,
        seq,
        at,
    })
}

/// One line; `None` for one of a later version, or of an event not known here.
fn line(text: &[u8]) -> Result<Option<Line>, String> {
    match plain_point(text).map_or_else(|| serde_json::from_slice::<Line>(text), Ok) {
        Ok(Line { event: Event::Unknown, .. }) => Ok(None),
        Ok(line) if VERSION < line.v => Ok(None),
        Ok(line) => match line.flaw() {
            Some(flaw) => Err(flaw.to_owned()),
            None => Ok(Some(line)),
        },
        Err(error) => {
            // Fields of a later version may have other shapes; that is not our reader's fault.
            #[derive(serde::Deserialize)]
            struct Version {
                v: u32,
            }
            match serde_json::from_slice::<Version>(text) {
                Ok(Version { v }) if VERSION < v => Ok(None),
                _ => Err(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_reads_what_the_writer_writes_and_nothing_else() {
        let m = [("loss", 0.1), ("z", f64::NAN), ("lr", f64::INFINITY), ("n", -0.0)];
        let m = m.map(|(name, value)| (name.to_owned(), Number(value))).into();
        let event = Event::Point(Point { step: 7, epoch: 0.5, sec: 1e-3, m });
        let line = Line { v: VERSION, event, attempt: 2, seq: 9, at: -5 };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(plain_point(text.as_bytes()).as_ref(), Some(&line));
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
        let doubled = text.replace("\"seq\":9", "\"seq\":9,\"seq\":8");
        for other in
            ["", "{}", &text[..text.len() - 1], &text.replace("\"v\":1", "\"v\":2"), &doubled]
        {
            assert_eq!(plain_point(other.as_bytes()), None, "{other}");
        }
    }
}
