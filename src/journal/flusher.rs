//! The thread behind a [`Writer`](super::writer::Writer): turns events into lines and brings them to the disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::Line;
use super::writer::WriteError;

/// How long a line waits at most; half of what is promised.
const FLUSH: Duration = Duration::from_millis(250);
/// Events that may wait for the disk (a few tens of megabytes at worst).
pub(super) const WAITING: usize = 1 << 16;

/// What a writer and its flusher share.
pub(super) struct Shared {
    pub(super) path: PathBuf,
    pub(super) state: Mutex<State>,
    /// The flusher sleeps here.
    pub(super) wake: Condvar,
    /// Those who wait for the flusher sleep here.
    pub(super) done: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) waiting: Vec<Line>,
    /// Number of the next line.
    pub(super) seq: u64,
    /// Syncs asked for, and done.
    pub(super) asked: u64,
    pub(super) synced: u64,
    pub(super) fault: Option<WriteError>,
    pub(super) closing: bool,
}

impl Shared {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            state: Mutex::new(State::default()),
            wake: Condvar::new(),
            done: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it; and a journal is worth more than a poisoned flag.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that owns the file.
pub(super) struct Flusher<F> {
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
pub(super) trait Sink: Write {
    fn sync(&mut self) -> io::Result<()>;
}

impl Sink for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

impl<F: Sink> Flusher<F> {
    pub(super) fn new(shared: Arc<Shared>, file: F) -> Self {
        Self { shared, file, taken: Vec::new(), text: Vec::new(), written: 0, broken: None }
    }

    pub(super) fn run(mut self) {
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

pub(super) fn fault(path: &Path, error: &io::Error) -> WriteError {
    WriteError { path: path.to_path_buf(), kind: error.kind(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::journal::event::{Event, Warn};
    use crate::journal::writer::Writer;

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

    fn on(disk: &Arc<Mutex<Disk>>) -> Writer {
        Writer::on("events.jsonl".into(), Faulty(Arc::clone(disk)), 1, Arc::new(|| 0)).unwrap()
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
        let writer = on(&disk);
        (0..20).for_each(|step| writer.write(event(step)).unwrap());
        writer.sync().unwrap();
        assert_eq!(steps(&disk), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_disk_is_said_and_nothing_is_lost_once_there_is_room() {
        let answers = [Ok(5), Err(io::ErrorKind::StorageFull)].into();
        let disk = Arc::new(Mutex::new(Disk { answers, ..Disk::default() }));
        let writer = on(&disk);
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
        let writer = on(&disk);
        let refused =
            (0..3 * WAITING as u64).filter(|&step| writer.write(event(step)).is_err()).count();
        assert!(WAITING <= refused, "{refused}");
        assert!(steps(&disk).is_empty());
        disk.lock().unwrap().full = false;
        writer.sync().unwrap();
        let kept = steps(&disk);
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "out of order");
    }

    #[test]
    fn a_failed_sync_is_never_forgotten() {
        let disk = Arc::new(Mutex::new(Disk { sync_fails: true, ..Disk::default() }));
        let writer = on(&disk);
        writer.write(event(0)).unwrap();
        assert!(writer.sync().is_err());
        disk.lock().unwrap().sync_fails = false;
        assert!(writer.sync().is_err(), "the kernel reports a lost page once");
    }
}
