//! The trainer's end of the journal.
//!
//! `write` only hands an event over: it never waits for a disk, unless the disk is so far behind that memory would
//! grow without bound. A thread of its own turns events into lines and appends them, at least every half second. The
//! caller holds `run.lock`, so there is one writer; lines of earlier attempts are never touched, but for a torn last
//! one, which is cut off.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::event::{End, Event, Line, VERSION};
use crate::lab::RunDir;

/// Milliseconds since 1970 UTC, from wherever.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| chrono::Utc::now().timestamp_millis())
}

/// How long a line waits at most; half of what is promised.
const FLUSH: Duration = Duration::from_millis(250);
/// Events that may wait for the disk (a few tens of megabytes at worst).
const WAITING: usize = 1 << 16;

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

struct Shared {
    path: PathBuf,
    state: Mutex<State>,
    /// The flusher sleeps here.
    wake: Condvar,
    /// Those who wait for the flusher sleep here.
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Line>,
    /// Number of the next line.
    seq: u64,
    /// Syncs asked for, and done.
    asked: u64,
    synced: u64,
    fault: Option<WriteError>,
    closing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it; and a journal is worth more than a poisoned flag.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Opens the journal of `dir` for one attempt and cuts off a torn last line. The caller holds `run.lock`.
    ///
    /// # Errors
    /// When the file cannot be made, read or cut.
    pub fn open(dir: &RunDir, attempt: u32, clock: Clock) -> Result<Self, WriteError> {
        let path = dir.journal();
        let failed = |error| fault(&path, &error);
        let file = open_whole(&path).map_err(failed)?;
        let shared = Arc::new(Shared {
            path: path.clone(),
            state: Mutex::new(State::default()),
            wake: Condvar::new(),
            done: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let flusher = std::thread::Builder::new().name("journal".into());
        let flusher = flusher.spawn(move || Flusher::new(theirs, file).run()).map_err(failed)?;
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

/// The thread that owns the file.
struct Flusher<F> {
    shared: Arc<Shared>,
    file: F,
    taken: Vec<Line>,
    /// Lines as text; what lies before `written` is in the file.
    text: Vec<u8>,
    written: usize,
    /// A sync that failed may have thrown pages away, and the next one would not say so: nothing is promised any more.
    broken: Option<WriteError>,
}

/// What the flusher writes to; tests hand it one that fails.
trait Sink: Write {
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl<F: Sink> Flusher<F> {
    fn new(shared: Arc<Shared>, file: F) -> Self {
        Self { shared, file, taken: Vec::new(), text: Vec::new(), written: 0, broken: None }
    }

    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            let much = state.synced < state.asked || WAITING / 2 <= state.waiting.len();
            if !state.closing && (!much || state.fault.is_some()) {
                let slept = shared.wake.wait_timeout(state, FLUSH);
                state = slept.unwrap_or_else(PoisonError::into_inner).0;
            }
            // Lines that the disk did not take yet go first; those that wait meanwhile have a round of their own.
            let retrying = !self.text.is_empty();
            if !retrying {
                std::mem::swap(&mut self.taken, &mut state.waiting);
            }
            let (asked, closing) = (state.asked, state.closing);
            let sync = !retrying && state.synced < asked;
            drop(state);
            let result = self.flush(sync);
            state = shared.lock();
            state.fault = result.err();
            if sync && state.fault.is_none() {
                state.synced = asked;
            }
            shared.done.notify_all();
            if closing && (state.fault.is_some() || state.waiting.is_empty()) {
                return;
            }
        }
    }

    fn flush(&mut self, sync: bool) -> Result<(), WriteError> {
        let path = &self.shared.path;
        for line in self.taken.drain(..) {
            serde_json::to_writer(&mut self.text, &line)
                .map_err(|error| fault(path, &error.into()))?;
            self.text.push(b'\n');
        }
        while self.written < self.text.len() {
            match self.file.write(&self.text[self.written..]) {
                Ok(0) => return Err(fault(path, &io::ErrorKind::WriteZero.into())),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(fault(path, &error)),
            }
        }
        self.text.clear();
        self.written = 0;
        if sync && self.broken.is_none() {
            self.broken = self.file.sync().err().map(|error| fault(path, &error));
        }
        self.broken.clone().map_or(Ok(()), Err)
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

fn fault(path: &Path, error: &io::Error) -> WriteError {
    WriteError { path: path.to_path_buf(), kind: error.kind(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Weak;

    use super::*;
    use crate::journal::event::Warn;

    /// What a disk does next: takes at most so many bytes, or refuses.
    #[derive(Default)]
    struct Disk {
        file: Vec<u8>,
        answers: VecDeque<Result<usize, io::ErrorKind>>,
        full: bool,
        sync_fails: bool,
    }

    struct Faulty(Arc<Mutex<Disk>>);

    impl Write for Faulty {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            if disk.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let n = disk.answers.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            disk.file.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Faulty {
        fn sync(&mut self) -> io::Result<()> {
            if self.0.lock().unwrap().sync_fails { Err(io::Error::other("lost")) } else { Ok(()) }
        }
    }

    fn on(disk: &Arc<Mutex<Disk>>) -> (Writer, Weak<Shared>) {
        let shared = Arc::new(Shared {
            path: "events.jsonl".into(),
            state: Mutex::new(State::default()),
            wake: Condvar::new(),
            done: Condvar::new(),
        });
        let (theirs, file) = (Arc::clone(&shared), Faulty(Arc::clone(disk)));
        let flusher = std::thread::spawn(move || Flusher::new(theirs, file).run());
        let weak = Arc::downgrade(&shared);
        (Writer { shared, attempt: 1, clock: Arc::new(|| 0), flusher: Some(flusher) }, weak)
    }

    fn event(step: u64) -> Event {
        Event::Warn(Warn { step, code: "x".into(), message: String::new() })
    }

    fn steps(disk: &Mutex<Disk>) -> Vec<u64> {
        let text = String::from_utf8(disk.lock().unwrap().file.clone()).unwrap();
        let line = |text: &str| match serde_json::from_str::<Line>(text).unwrap().event {
            Event::Warn(warn) => warn.step,
            other => panic!("{other:?}"),
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn a_disk_that_takes_bytes_in_crumbs_gets_every_line_once() {
        let answers =
            [Ok(1), Err(io::ErrorKind::Interrupted), Ok(7), Ok(3)].into_iter().cycle().take(200);
        let disk = Arc::new(Mutex::new(Disk { answers: answers.collect(), ..Disk::default() }));
        let (writer, _) = on(&disk);
        (0..20).for_each(|step| writer.write(event(step)).unwrap());
        writer.sync().unwrap();
        assert_eq!(steps(&disk), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_disk_is_said_and_nothing_is_lost_once_there_is_room() {
        let answers = [Ok(5), Err(io::ErrorKind::StorageFull)].into();
        let disk = Arc::new(Mutex::new(Disk { answers, ..Disk::default() }));
        let (writer, _) = on(&disk);
        (0..3).for_each(|step| writer.write(event(step)).unwrap());
        assert_eq!(writer.sync().unwrap_err().kind, io::ErrorKind::StorageFull);
        // The next call hears of it too, unless the disk has meanwhile taken the lines.
        let _ = writer.write(event(3));
        writer.sync().unwrap();
        writer.write(event(4)).unwrap();
        writer.sync().unwrap();
        assert_eq!(steps(&disk), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn memory_is_bounded_while_the_disk_is_full() {
        let disk = Arc::new(Mutex::new(Disk { full: true, ..Disk::default() }));
        let (writer, shared) = on(&disk);
        let refused =
            (0..4 * WAITING as u64).filter(|&step| writer.write(event(step)).is_err()).count();
        assert!(2 * WAITING <= refused, "{refused}");
        assert!(shared.upgrade().unwrap().lock().waiting.len() <= WAITING);
        disk.lock().unwrap().full = false;
        writer.sync().unwrap();
        let kept = steps(&disk);
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
    }

    #[test]
    fn a_failed_sync_is_never_forgotten() {
        let disk = Arc::new(Mutex::new(Disk { sync_fails: true, ..Disk::default() }));
        let (writer, _) = on(&disk);
        writer.write(event(0)).unwrap();
        assert!(writer.sync().is_err());
        disk.lock().unwrap().sync_fails = false;
        assert!(writer.sync().is_err(), "the kernel reports a lost page once");
    }
}
