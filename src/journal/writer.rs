//! The trainer's end of the journal.
//!
//! `write` only hands an event over: it never waits for a disk, unless the disk is so far behind that memory would
//! grow without bound. A thread of its own turns events into lines and appends them, at least every half second. The
//! caller holds `run.lock`, so there is one writer; lines of earlier attempts are never touched, but for a torn last
//! one, which is cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use super::event::{End, Event, Line, VERSION};
use super::flusher::{Flusher, Shared, Sink, WAITING, fault};
use crate::lab::RunDir;

/// How far from its end the last line of a journal is looked for: longer than any line that a trainer writes.
const TAIL: u64 = 1 << 20;

/// Milliseconds since 1970 UTC, from wherever.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| chrono::Utc::now().timestamp_millis())
}

/// Why lines do not reach the disk. They are kept, and the next flush tries again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot write {}: {why}", .path.display())]
pub struct WriteError {
    pub path: PathBuf,
    pub kind: io::ErrorKind,
    pub why: String,
}

/// An open journal. Dropped, it flushes what it holds; only [`Writer::finish`] and [`Writer::sync`] say whether that
/// worked.
pub struct Writer {
    shared: Arc<Shared>,
    attempt: u32,
    clock: Clock,
    flusher: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the journal of `dir` for one attempt and cuts off a torn last line. The caller holds `run.lock`.
    ///
    /// # Errors
    /// When the file cannot be made, read or cut.
    pub fn open(dir: &RunDir, attempt: u32, clock: Clock) -> Result<Self, WriteError> {
        let path = dir.journal();
        let file = open_whole(&path).map_err(|error| fault(&path, &error))?;
        Self::on(path, file, attempt, clock)
    }

    /// Opens the journal of `dir` to go on with its newest attempt, after that has ended: for what is measured later.
    /// The caller holds `run.lock`.
    ///
    /// # Errors
    /// When the file cannot be read or cut, or holds no line yet.
    pub fn append(dir: &RunDir, clock: Clock) -> Result<Self, WriteError> {
        let path = dir.journal();
        let open = || {
            let mut file = open_whole(&path)?;
            let last = last_line(&mut file)?;
            Ok((file, last))
        };
        let (file, last) = open().map_err(|error: io::Error| fault(&path, &error))?;
        let writer = Self::on(path, file, last.attempt, clock)?;
        writer.shared.lock().seq = last.seq + 1;
        Ok(writer)
    }

    /// A writer whose lines go to `file`.
    pub(super) fn on<F: Sink + Send + 'static>(
        path: PathBuf,
        file: F,
        attempt: u32,
        clock: Clock,
    ) -> Result<Self, WriteError> {
        let shared = Arc::new(Shared::new(path));
        let theirs = Flusher::new(Arc::clone(&shared), file);
        let flusher = std::thread::Builder::new().name("journal".into()).spawn(|| theirs.run());
        let flusher = flusher.map_err(|error| fault(&shared.path, &error))?;
        Ok(Self { shared, attempt, clock, flusher: Some(flusher) })
    }

    /// Hands `event` over, stamped with this moment.
    ///
    /// # Errors
    /// When earlier lines do not reach the disk. This one is kept with them as long as there is room.
    pub fn write(&self, event: Event) -> Result<(), WriteError> {
        let at = (self.clock)();
        let mut state = self.shared.lock();
        while WAITING <= state.waiting.len() {
            if let Some(fault) = &state.fault {
                return Err(fault.clone());
            }
            self.shared.wake.notify_one();
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let seq = state.seq;
        state.seq += 1;
        state.waiting.push(Line { v: VERSION, event, attempt: self.attempt, seq, at });
        // Waking the flusher costs more than all of the above, so it comes by itself, and early only when there is much.
        if state.waiting.len() == WAITING / 2 {
            self.shared.wake.notify_one();
        }
        state.fault.clone().map_or(Ok(()), Err)
    }

    /// Returns once everything written so far is on the disk for good.
    ///
    /// # Errors
    /// When it is not.
    pub fn sync(&self) -> Result<(), WriteError> {
        let mut state = self.shared.lock();
        state.asked += 1;
        // A fault of an earlier flush is stale by the time this one has tried again.
        state.fault = None;
        let mine = state.asked;
        self.shared.wake.notify_one();
        loop {
            if mine <= state.synced {
                return Ok(());
            }
            if let Some(fault) = &state.fault {
                return Err(fault.clone());
            }
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes the last line of the attempt and returns once all of it is on the disk.
    ///
    /// # Errors
    /// When it is not.
    pub fn finish(self, end: End) -> Result<(), WriteError> {
        // What went wrong before does not matter if it works out in the end.
        let _ = self.write(Event::End(end));
        self.sync()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(flusher) = self.flusher.take() {
            let _ = flusher.join();
        }
    }
}

/// Opens the journal for appending, its torn last line cut off.
fn open_whole(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    if is_new {
        // The name, too, has to survive a power cut.
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
    }
    let len = file.metadata()?.len();
    let whole = end_of_last_line(&mut file, len)?;
    if whole < len {
        file.set_len(whole)?;
    }
    Ok(file)
}

/// The last line that is one; lines that are not are passed over.
fn last_line(file: &mut File) -> io::Result<Line> {
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let lines = tail.rsplit(|&byte| byte == b'\n');
    let last = lines.filter(|line| !line.is_empty()).find_map(|l| serde_json::from_slice(l).ok());
    last.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no attempt is recorded in it"))
}

/// Bytes up to and with the last line end, searched from the back.
fn end_of_last_line(file: &mut File, len: u64) -> io::Result<u64> {
    let mut buffer = [0; 4096];
    let mut end = len;
    while 0 < end {
        let begin = end.saturating_sub(buffer.len() as u64);
        let piece = &mut buffer[..(end - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(piece)?;
        if let Some(newline) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(begin + newline as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}
