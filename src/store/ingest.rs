//! From the journal into the run log, exactly once.
//!
//! What a batch says and how far it reaches are one transaction, so whatever dies, the next reader goes on where the
//! last commit stopped. Ingesting does not decide what becomes of a run: it notes how an attempt ended, and the queue
//! settles it.

use super::apply::{self, Target};
use super::points;
use super::records::Ending;
use super::{Durability, Result, Store, StoreError};
use crate::journal::event::{Event, Line, MOST_ATTEMPTS, Start};
use crate::journal::reader::{Batch, MOST_STARTS, Position, ReadError, Reader};
use crate::lab::RunDir;

/// What ingesting brought to light.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ingested {
    /// Lines read, garbled ones included.
    pub lines: u64,
    /// Measurements written.
    pub points: u64,
    /// The newest `start`, with its attempt and time.
    pub start: Option<(u32, i64, Start)>,
    /// The newest `end`, with its attempt.
    pub end: Option<(u32, Ending)>,
    /// Warnings, and lines that are no events.
    pub warnings: u64,
}

/// Brings run `id` up to date with its journal: everything that stands there in whole lines.
///
/// # Errors
/// When the journal cannot be read or has become shorter, or the run log cannot be written. What was committed before
/// stays.
pub async fn catch_up(store: &Store, id: &str, dir: &RunDir) -> Result<Ingested> {
    let mut all = Ingested::default();
    let mut reader = store.reader(id, dir, store.journal_position(id).await?).await;
    let mut read = reader.next_batch();
    while let Some(batch) = read? {
        let written;
        (written, (reader, read)) = tokio::join!(store.ingest(id, &batch), read_on(reader, &batch));
        match written {
            Ok(some) => all = all.and(some),
            // Somebody else ingests the same run: go on where they are.
            Err(StoreError::OutOfPlace { .. }) => {
                reader = Reader::new(dir.journal(), store.journal_position(id).await?);
                read = reader.next_batch();
            }
            Err(error) => return Err(error),
        }
    }
    store.remember(id, &reader).await;
    Ok(all)
}

/// Brings several runs up to date, each as [`catch_up`] does. What is new goes in together, so that a worker which follows a
/// thousand runs asks little more of the run log than one which follows one. No run may be named twice.
///
/// # Errors
/// When the run log cannot be read or written: what was committed before stays. A journal that cannot be read is its
/// run's trouble alone.
pub async fn catch_up_all(
    store: &Store,
    runs: &[(&str, &RunDir)],
) -> Result<Vec<Result<Ingested>>> {
    let ids: Vec<&str> = runs.iter().map(|(id, _)| *id).collect();
    let mut done: Vec<Result<Ingested>> = Vec::with_capacity(runs.len());
    let (mut round, mut load) = (Vec::new(), Load::default());
    for (at, position) in store.journal_positions(&ids).await?.into_iter().enumerate() {
        let (id, dir) = runs[at];
        let Some(from) = position else {
            done.push(Err(StoreError::unknown_run(id)));
            continue;
        };
        // Closed again at once: on a network disk only a file that is opened anew is sure to show what others wrote, and
        // a thousand open ones are more than a process may have.
        let mut reader = store.reader(id, dir, from).await;
        let read = reader.next_batch();
        store.remember(id, &reader).await;
        done.push(Ok(Ingested::default()));
        match read {
            Ok(Some(batch)) => {
                load.add(&batch);
                round.push(News { at, batch, has_more: reader.has_more() });
            }
            Ok(None) => {}
            Err(why) => done[at] = Err(why.into()),
        }
        if load.is_enough() {
            take_in(store, runs, std::mem::take(&mut round), &mut done).await?;
            load = Load::default();
        }
    }
    take_in(store, runs, round, &mut done).await?;
    Ok(done)
}

/// What one transaction has to do: somebody else may be waiting to write.
#[derive(Default)]
struct Load {
    /// Of journals.
    bytes: u64,
    /// Starts of runs that may have measured something before, all of which is looked over then.
    resumed: usize,
}

impl Load {
    fn add(&mut self, batch: &Batch) {
        self.bytes += batch.to.bytes - batch.from.bytes;
        let resumes = |line: &&Line| 1 < line.attempt && matches!(line.event, Event::Start(_));
        self.resumed += batch.lines.iter().filter(resumes).count();
    }

    fn is_enough(&self) -> bool {
        const TOGETHER: u64 = 1 << 20;
        TOGETHER <= self.bytes || MOST_STARTS <= self.resumed
    }
}

/// What one of many journals has to say.
struct News {
    /// Whose it is, as a place in the list.
    at: usize,
    batch: Batch,
    has_more: bool,
}

/// Writes `round`, and what may stand behind it run by run.
async fn take_in(
    store: &Store,
    runs: &[(&str, &RunDir)],
    round: Vec<News>,
    done: &mut [Result<Ingested>],
) -> Result<()> {
    let news: Vec<(&str, &Batch)> = round.iter().map(|it| (runs[it.at].0, &it.batch)).collect();
    let written = store.ingest_all(&news).await?;
    for (News { at, has_more, .. }, written) in round.iter().zip(written) {
        let (id, dir) = runs[*at];
        done[*at] = match written {
            Ok(some) if !has_more => Ok(some),
            Ok(some) => catch_up(store, id, dir).await.map(|more| some.and(more)),
            // Somebody else ingests the same run: go on where they are.
            Err(StoreError::OutOfPlace { .. }) => catch_up(store, id, dir).await,
            Err(error) => Err(error),
        };
    }
    Ok(())
}

/// What stands after `batch`, read while that is written: beside a long one on a thread of its own. After a short one
/// comes the journal's end, which is not worth a thread.
async fn read_on(
    mut reader: Reader,
    batch: &Batch,
) -> (Reader, std::result::Result<Option<Batch>, ReadError>) {
    const LONG: usize = 500;
    let next = move || {
        let read = reader.next_batch();
        (reader, read)
    };
    if batch.lines.len() < LONG {
        return next();
    }
    let read = tokio::task::spawn_blocking(next).await;
    read.unwrap_or_else(|gone| std::panic::resume_unwind(gone.into_panic()))
}

impl Store {
    /// A reader of the journal of `id` that goes on at `from`.
    async fn reader(&self, id: &str, dir: &RunDir, from: Position) -> Reader {
        let unended = self.0.unended.lock().await.get(id).copied();
        let unended = unended.filter(|(at, _)| *at == from.bytes).map_or(0, |(_, bytes)| bytes);
        Reader::new(dir.journal(), from).beyond(unended)
    }

    /// What the next [`Self::reader`] need not look at again.
    async fn remember(&self, id: &str, reader: &Reader) {
        let mut known = self.0.unended.lock().await;
        match reader.unended() {
            0 => known.remove(id),
            bytes => known.insert(id.to_owned(), (reader.position().bytes, bytes)),
        };
    }

    /// Writes what `batch` says and how far it reaches, both or neither.
    ///
    /// # Errors
    /// [`StoreError::OutOfPlace`] when the batch does not begin where the last one ended.
    pub async fn ingest(&self, id: &str, batch: &Batch) -> Result<Ingested> {
        let done = self.ingest_all(&[(id, batch)]).await?.pop();
        done.unwrap_or_else(|| Err(StoreError::unknown_run(id)))
    }

    /// [`Self::ingest`] for batches of several runs, in one transaction. One that is out of place keeps no other waiting.
    async fn ingest_all(&self, news: &[(&str, &Batch)]) -> Result<Vec<Result<Ingested>>> {
        if news.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin(Durability::Process).await?;
        let mut targets = Vec::with_capacity(news.len());
        let mut refused = Vec::new();
        for (found, (_, batch)) in Target::find(&mut tx, news).await?.into_iter().zip(news) {
            match found {
                Ok(mut target) => {
                    target.read(&mut tx, batch).await?;
                    targets.push(target);
                    refused.push(None);
                }
                Err(why) => refused.push(Some(why)),
            }
        }
        let mut written = apply::save(&mut tx, targets).await?.into_iter();
        tx.commit().await?;
        let outcome = |refused: Option<StoreError>| match refused {
            Some(why) => Err(why),
            None => Ok(written.next().unwrap_or_default()),
        };
        Ok(refused.into_iter().map(outcome).collect())
    }

    /// Forgets all that the journal of `id` said, so that it can be read again from its beginning.
    pub async fn forget_journal(&self, id: &str) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let key = super::key_of(&mut tx, id).await?;
        points::void(&mut tx, key, None).await?;
        sqlx::query("DELETE FROM warning WHERE run = ?").bind(key).execute(&mut *tx).await?;
        // Starts that nobody but the journal tells of, and those that can be none.
        let query = sqlx::query(
            "DELETE FROM attempt WHERE run = ? AND (claimed_at IS NULL OR ? < attempt)",
        );
        query.bind(key).bind(MOST_ATTEMPTS).execute(&mut *tx).await?;
        let query = sqlx::query(
            "UPDATE attempt SET started_at = NULL, resumed_step = NULL, ended_at = NULL, end_state = NULL,
               end_step = NULL, end_reason = NULL WHERE run = ?",
        );
        query.bind(key).execute(&mut *tx).await?;
        let query = sqlx::query(
            "UPDATE run SET epoch = 0, epochs = 0, step = 0, steps = 0, sec = 0, journal_bytes = 0, journal_lines = 0,
               heard_at = NULL, attempt = CASE WHEN attempt <= ? THEN attempt ELSE
                 coalesce((SELECT max(attempt.attempt) FROM attempt WHERE attempt.run = run.key), 0) END
              WHERE key = ?",
        );
        query.bind(MOST_ATTEMPTS).bind(key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

impl Ingested {
    fn and(self, more: Ingested) -> Self {
        Self {
            lines: self.lines + more.lines,
            points: self.points + more.points,
            warnings: self.warnings + more.warnings,
            start: more.start.or(self.start),
            end: more.end.or(self.end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::event::{Number, Point, VERSION};
    use crate::lab::Home;
    use crate::store::{NewRun, Submission};

    async fn lab(dir: &std::path::Path) -> (Store, RunDir, &'static str) {
        let home = Home::new(dir);
        let store = Store::open(&home).await.unwrap();
        let run = NewRun {
            fingerprint: "00000000".into(),
            spec: serde_json::json!({}),
            varied: serde_json::Map::new(),
            variant: None,
        };
        let submission = Submission {
            name: "x".into(),
            question: String::new(),
            text: String::new(),
            factors: Vec::new(),
            references: Vec::new(),
            runs: vec![run],
            left_out: Default::default(),
            priority: None,
            launch: None,
            again: false,
            at: 0,
            by: "test".into(),
        };
        store.enqueue(&submission, |_, _, _| Ok::<(), StoreError>(()), || Ok(())).await.unwrap();
        let dir = home.run("x-00000000");
        std::fs::create_dir_all(dir.path()).unwrap();
        (store, dir, "x-00000000")
    }

    fn journal(steps: u64) -> Vec<u8> {
        let mut text = Vec::new();
        for step in 0..steps {
            let m = [("loss".to_owned(), Number(step as f64 + 0.5))].into();
            let event = Event::Point(Point { step, epoch: 0.0, sec: 0.0, m });
            let line = Line { v: VERSION, event, attempt: 1, seq: step, at: 1 };
            serde_json::to_writer(&mut text, &line).unwrap();
            text.push(b'\n');
        }
        text
    }

    #[test]
    fn runs_that_go_on_are_taken_in_by_the_few_and_those_that_begin_by_the_many() {
        let started = |attempt: u32| {
            let text = format!(
                r#"{{"v":1,"t":"start","pid":1,"boot_id":"","start_ticks":1,"device":"cpu","threads":1,"precision":"fp32",
                "resumed_step":9,"steps":99,"epochs":9,"resume":"exact","metrics":[],"attempt":{attempt},"seq":0,"at":1}}"#
            );
            let to = Position { bytes: 300, lines: 1 };
            Batch { to, lines: vec![serde_json::from_str(&text).unwrap()], ..Batch::default() }
        };
        let rounds = |attempt: u32, n: usize| {
            let mut load = Load::default();
            let added = (0..n).take_while(|_| {
                let goes_on = !load.is_enough();
                load.add(&started(attempt));
                goes_on
            });
            added.count()
        };
        assert_eq!(rounds(2, 1000), MOST_STARTS);
        assert_eq!(rounds(1, 1000), 1000);
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_ingest_goes_on_once_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let (store, run, id) = lab(dir.path()).await;
        std::fs::write(run.journal(), journal(20_000)).unwrap();
        let writer = store.0.writer.as_ref().unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(writer).await.unwrap();
        let limit = |pages: i64| sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(limit(pages + 20)).execute(writer).await.unwrap();
        let error = catch_up(&store, id, &run).await.unwrap_err();
        assert!(matches!(error, StoreError::DiskFull), "{error}");
        assert_eq!(store.journal_position(id).await.unwrap().bytes, 0, "both or neither");
        assert!(store.curve(id, "loss", None).await.unwrap().is_empty());
        sqlx::query(limit(1 << 30)).execute(writer).await.unwrap();
        assert_eq!(catch_up(&store, id, &run).await.unwrap().points, 20_000);
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn every_call_may_move_to_another_thread() {
        fn movable<T: Send>(future: T) -> T {
            future
        }
        let dir = tempfile::tempdir().unwrap();
        let (store, run, id) = lab(dir.path()).await;
        movable(catch_up(&store, id, &run)).await.unwrap();
        movable(store.runs()).await.unwrap();
        movable(store.experiments()).await.unwrap();
        movable(store.data_version()).await.unwrap();
        movable(store.curve(id, "loss", None)).await.unwrap();
    }
}
