//! From the journal into the run log, exactly once.
//!
//! What a batch says and how far it reaches are one transaction, so whatever dies, the next reader goes on where the
//! last commit stopped. Ingesting does not decide what becomes of a run: it notes how an attempt ended, and the queue
//! settles it.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::model::Ending;
use super::points::{self, Pending, columns_of};
use super::{Durability, Result, Store, StoreError, json};
use crate::journal::event::{Checkpoint, End, EndState, Eval, Event, Line, Start, Warn};
use crate::journal::reader::{Batch, Garbled, Position, Reader};
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
    let mut reader = Reader::new(dir.journal(), store.journal_position(id).await?);
    while let Some(batch) = reader.next_batch()? {
        match store.ingest(id, &batch).await {
            Ok(some) => all.add(some),
            // Somebody else ingests the same run: go on where they are.
            Err(StoreError::OutOfPlace { .. }) => {
                reader = Reader::new(dir.journal(), store.journal_position(id).await?);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

impl Store {
    /// Writes what `batch` says and how far it reaches, both or neither.
    ///
    /// # Errors
    /// [`StoreError::OutOfPlace`] when the batch does not begin where the last one ended.
    pub async fn ingest(&self, id: &str, batch: &Batch) -> Result<Ingested> {
        let mut tx = self.begin(Durability::Process).await?;
        let mut target = Target::find(&mut tx, id, batch.from).await?;
        let mut done = Ingested { lines: batch.to.lines - batch.from.lines, ..Ingested::default() };
        let mut garbled = batch.garbled.iter().peekable();
        for (i, line) in batch.lines.iter().enumerate() {
            while let Some(bad) = garbled.next_if(|bad| bad.after <= i) {
                target.garbled(&mut tx, bad, &mut done).await?;
            }
            target.line(&mut tx, line, &mut done).await?;
        }
        for bad in garbled {
            target.garbled(&mut tx, bad, &mut done).await?;
        }
        target.flush(&mut tx, &mut done).await?;
        target.save(&mut tx, batch.to).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Forgets all that the journal of `id` said, so that it can be read again from its beginning.
    pub async fn forget_journal(&self, id: &str) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let key = super::key_of(&mut tx, id).await?;
        points::void(&mut tx, key, None).await?;
        sqlx::query("DELETE FROM warning WHERE run = ?").bind(key).execute(&mut *tx).await?;
        let query = sqlx::query(
            "UPDATE attempt SET started_at = NULL, resumed_step = NULL, ended_at = NULL, end_state = NULL,
               end_step = NULL, end_reason = NULL WHERE run = ?",
        );
        query.bind(key).execute(&mut *tx).await?;
        let query = sqlx::query(
            "UPDATE run SET epoch = 0, step = 0, sec = 0, journal_bytes = 0, journal_lines = 0, heard_at = NULL
              WHERE key = ?",
        );
        query.bind(key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

/// The run that a batch is written to.
struct Target {
    run: i64,
    /// The newest attempt that has said anything; older ones are no longer believed.
    attempt: u32,
    /// Time of the last event. Dates a garbled line, which has no time of its own.
    at: i64,
    epoch: f64,
    step: u64,
    sec: f64,
    pending: Pending,
}

impl Target {
    async fn find(tx: &mut SqliteConnection, id: &str, from: Position) -> Result<Self> {
        let query = sqlx::query(
            "SELECT key, epoch, step, sec, journal_bytes, coalesce(heard_at, queued_at),
                    coalesce((SELECT max(attempt) FROM attempt WHERE attempt.run = run.key AND resumed_step IS NOT NULL), 0)
               FROM run WHERE id = ?",
        );
        let row = query.bind(id).fetch_optional(tx).await?;
        let row = row.ok_or_else(|| StoreError::UnknownRun { text: id.to_owned() })?;
        let expected: u64 = row.try_get(4)?;
        if expected != from.bytes {
            return Err(StoreError::OutOfPlace { run: id.to_owned(), expected, found: from.bytes });
        }
        Ok(Self {
            run: row.try_get(0)?,
            attempt: row.try_get(6)?,
            at: row.try_get(5)?,
            epoch: row.try_get(1)?,
            step: row.try_get(2)?,
            sec: row.try_get(3)?,
            pending: Pending::default(),
        })
    }

    async fn line(
        &mut self,
        tx: &mut SqliteConnection,
        line: &Line,
        done: &mut Ingested,
    ) -> Result<()> {
        if line.attempt < self.attempt {
            return Ok(());
        }
        self.at = line.at;
        match &line.event {
            Event::Start(start) => self.start(tx, line, start, done).await,
            Event::Point(point) => {
                self.pending.push(point);
                if self.step <= point.step {
                    (self.epoch, self.step, self.sec) = (point.epoch, point.step, point.sec);
                }
                Ok(())
            }
            Event::Checkpoint(checkpoint) => self.checkpoint(tx, line, checkpoint).await,
            Event::Eval(eval) => self.evaluation(tx, line, eval).await,
            Event::Warn(warn) => {
                done.warnings += 1;
                self.warning(tx, line.attempt, line.at, warn).await
            }
            Event::End(end) => self.end(tx, line, end, done).await,
            Event::Unknown => Ok(()),
        }
    }

    /// A new attempt begins at a checkpoint, or at nothing: what earlier ones measured beyond it is void.
    async fn start(
        &mut self,
        tx: &mut SqliteConnection,
        line: &Line,
        start: &Start,
        done: &mut Ingested,
    ) -> Result<()> {
        self.flush(tx, done).await?;
        self.attempt = line.attempt;
        points::declare(tx, &start.metrics).await?;
        points::void(tx, self.run, (0 < start.resumed_step).then_some(start.resumed_step)).await?;
        let query = sqlx::query_as(
            "SELECT epoch, sec FROM point WHERE run = ? AND step = (SELECT max(step) FROM point WHERE run = ?1)",
        );
        let left: Option<(f64, f64)> = query.bind(self.run).fetch_optional(&mut *tx).await?;
        (self.epoch, self.sec) = left.unwrap_or_default();
        self.step = start.resumed_step;
        let query = sqlx::query(
            "UPDATE run SET steps = ?, epochs = ?, fresh = CASE WHEN ? THEN 0 ELSE fresh END WHERE key = ?",
        );
        let query =
            query.bind(start.steps.cast_signed()).bind(start.epochs).bind(start.resumed_step == 0);
        query.bind(self.run).execute(&mut *tx).await?;
        let query = sqlx::query(
            "INSERT INTO attempt (run, attempt, device, boot_id, pid, start_ticks, started_at, resumed_step, threads,
                                  precision, resume)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET device = excluded.device, boot_id = excluded.boot_id, pid = excluded.pid,
               start_ticks = excluded.start_ticks, started_at = excluded.started_at,
               resumed_step = excluded.resumed_step, threads = excluded.threads, precision = excluded.precision,
               resume = excluded.resume",
        );
        let query =
            query.bind(self.run).bind(line.attempt).bind(&start.device).bind(&start.boot_id);
        let query = query.bind(start.pid).bind(start.start_ticks.cast_signed()).bind(line.at);
        let query = query.bind(start.resumed_step.cast_signed()).bind(start.threads);
        query.bind(&start.precision).bind(&start.resume).execute(tx).await?;
        done.start = Some((line.attempt, line.at, start.clone()));
        Ok(())
    }

    async fn checkpoint(
        &self,
        tx: &mut SqliteConnection,
        line: &Line,
        new: &Checkpoint,
    ) -> Result<()> {
        let query = sqlx::query(
            "INSERT OR REPLACE INTO checkpoint (run, step, attempt, at, file, hash) VALUES (?, ?, ?, ?, ?, ?)",
        );
        let query =
            query.bind(self.run).bind(new.step.cast_signed()).bind(line.attempt).bind(line.at);
        query.bind(&new.file).bind(&new.hash).execute(tx).await?;
        Ok(())
    }

    async fn evaluation(&self, tx: &mut SqliteConnection, line: &Line, new: &Eval) -> Result<()> {
        let (value, flag) = columns_of(new.value.0);
        let query = sqlx::query(
            "INSERT OR REPLACE INTO evaluation (run, metric, step, attempt, at, value, flag, settings)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        );
        let query =
            query.bind(self.run).bind(&new.metric).bind(new.step.cast_signed()).bind(line.attempt);
        let query = query.bind(line.at).bind(value).bind(flag).bind(json(&new.settings)?);
        query.execute(tx).await?;
        Ok(())
    }

    async fn warning(
        &self,
        tx: &mut SqliteConnection,
        attempt: u32,
        at: i64,
        new: &Warn,
    ) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO warning (run, attempt, step, at, code, message) VALUES (?, ?, ?, ?, ?, ?)",
        );
        let query = query.bind(self.run).bind(attempt).bind(new.step.cast_signed()).bind(at);
        query.bind(&new.code).bind(&new.message).execute(tx).await?;
        Ok(())
    }

    async fn garbled(
        &self,
        tx: &mut SqliteConnection,
        bad: &Garbled,
        done: &mut Ingested,
    ) -> Result<()> {
        done.warnings += 1;
        let message = format!(
            "line {} of events.jsonl, at byte {}, is no event: {}",
            bad.line, bad.at, bad.why
        );
        let warn = Warn { step: self.step, code: "garbled_journal".into(), message };
        self.warning(tx, self.attempt, self.at, &warn).await
    }

    async fn end(
        &mut self,
        tx: &mut SqliteConnection,
        line: &Line,
        end: &End,
        done: &mut Ingested,
    ) -> Result<()> {
        let state = match end.state {
            EndState::Finished => "finished",
            EndState::Stopped => "stopped",
            EndState::Failed => "failed",
        };
        let query = sqlx::query(
            "INSERT INTO attempt (run, attempt, ended_at, end_state, end_step, end_reason) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET ended_at = excluded.ended_at, end_state = excluded.end_state,
               end_step = excluded.end_step, end_reason = excluded.end_reason",
        );
        let query = query.bind(self.run).bind(line.attempt).bind(line.at).bind(state);
        query.bind(end.step.cast_signed()).bind(&end.reason).execute(tx).await?;
        let ending =
            Ending { at: line.at, state: end.state, step: end.step, reason: end.reason.clone() };
        done.end = Some((line.attempt, ending));
        Ok(())
    }

    async fn flush(&mut self, tx: &mut SqliteConnection, done: &mut Ingested) -> Result<()> {
        done.points += self.pending.write(tx, self.run).await?;
        Ok(())
    }

    async fn save(&self, tx: &mut SqliteConnection, to: Position) -> Result<()> {
        let query = sqlx::query(
            "UPDATE run SET epoch = ?, step = ?, sec = ?, journal_bytes = ?, journal_lines = ?, heard_at = ?
              WHERE key = ?",
        );
        let query = query.bind(self.epoch).bind(self.step.cast_signed()).bind(self.sec);
        let query = query
            .bind(to.bytes.cast_signed())
            .bind(to.lines.cast_signed())
            .bind(self.at)
            .bind(self.run);
        query.execute(tx).await?;
        Ok(())
    }
}

impl Ingested {
    fn add(&mut self, more: Ingested) {
        self.lines += more.lines;
        self.points += more.points;
        self.warnings += more.warnings;
        self.start = more.start.or(self.start.take());
        self.end = more.end.or(self.end.take());
    }
}
