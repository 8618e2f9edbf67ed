//! What each event does to the run log, within the transaction of its batch.

use std::sync::LazyLock;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, Row};

use super::bulk::{Bulk, Columns};
use super::declare::{declare, too_many};
use super::ingest::Ingested;
use super::pending::Pending;
use super::points::{self, columns_of};
use super::records::Ending;
use super::{Result, StoreError, json, warnings};
use crate::journal::event::{
    Checkpoint, End, EndState, Eval, Event, Figures, Line, MetricInfo, Start, Warn,
};
use crate::journal::reader::{Batch, Garbled, Position};

/// The run that a batch is written to.
pub(super) struct Target {
    run: i64,
    /// The newest attempt that has said anything; older ones are no longer believed.
    attempt: u32,
    /// Time of the last event. Dates a garbled line, which has no time of its own.
    at: i64,
    epoch: f64,
    step: u64,
    sec: f64,
    /// Where the batch ends.
    to: Position,
    pending: Pending,
    /// Whether its attempt has been told that it has too many metrics, as far as this batch knows.
    told_too_many: bool,
    done: Ingested,
}

impl Target {
    /// The runs that batches are written to, each with its id and where its batch begins.
    pub(super) async fn find(
        tx: &mut SqliteConnection,
        news: &[(&str, &Batch)],
    ) -> Result<Vec<Result<Self>>> {
        let ids: Vec<&str> = news.iter().map(|(id, _)| *id).collect();
        let query = sqlx::query(
            "SELECT run.key, epoch, step, sec, journal_bytes, coalesce(heard_at, queued_at),
                    coalesce((SELECT max(attempt) FROM attempt WHERE attempt.run = run.key AND resumed_step IS NOT NULL), 0),
                    (SELECT count(*) FROM summary WHERE summary.run = run.key)
               FROM json_each(?) AS asked LEFT JOIN run ON run.id = asked.value ORDER BY asked.key",
        );
        let rows = query.bind(json(&ids)?).fetch_all(tx).await?;
        Ok(rows.iter().zip(news).map(|(row, (id, batch))| Self::found(row, id, batch)).collect())
    }

    fn found(row: &SqliteRow, id: &str, batch: &Batch) -> Result<Self> {
        let run: Option<i64> = row.try_get(0)?;
        let run = run.ok_or_else(|| StoreError::unknown_run(id))?;
        let (expected, found): (u64, u64) = (row.try_get(4)?, batch.from.bytes);
        if expected != found {
            return Err(StoreError::OutOfPlace { run: id.to_owned(), expected, found });
        }
        Ok(Self {
            run,
            attempt: row.try_get(6)?,
            at: row.try_get(5)?,
            epoch: row.try_get(1)?,
            step: row.try_get(2)?,
            sec: row.try_get(3)?,
            pending: Pending::beside(row.try_get::<u32, _>(7)? as usize),
            told_too_many: false,
            to: batch.to,
            done: Ingested { lines: batch.to.lines - batch.from.lines, ..Ingested::default() },
        })
    }

    /// Takes in all that a batch says; its measurements wait for [`save`].
    pub(super) async fn read(&mut self, tx: &mut SqliteConnection, batch: &Batch) -> Result<()> {
        let mut garbled = batch.garbled.iter().peekable();
        for (i, line) in batch.lines.iter().enumerate() {
            while let Some(bad) = garbled.next_if(|bad| bad.after <= i) {
                self.garbled(tx, bad).await?;
            }
            self.line(tx, line).await?;
        }
        for bad in garbled {
            self.garbled(tx, bad).await?;
        }
        Ok(())
    }

    async fn line(&mut self, tx: &mut SqliteConnection, line: &Line) -> Result<()> {
        if line.attempt < self.attempt {
            return Ok(());
        }
        self.at = line.at;
        match &line.event {
            Event::Start(start) => self.start(tx, line, start).await,
            Event::Point(point) => {
                if self.pending.asks_which(point) {
                    self.pending.learn(points::metrics_of(tx, self.run).await?);
                }
                if let Some(first) = self.pending.push(point) {
                    self.too_many(tx, line, point.step, first).await?;
                }
                if self.step <= point.step {
                    (self.epoch, self.step, self.sec) = (point.epoch, point.step, point.sec);
                }
                Ok(())
            }
            Event::Checkpoint(checkpoint) => self.checkpoint(tx, line, checkpoint).await,
            Event::Eval(eval) => self.evaluation(tx, line, eval).await,
            Event::Warn(warn) => {
                self.done.warnings += 1;
                warnings::note(tx, self.run, line.attempt, line.at, warn).await
            }
            Event::Declare(new) => self.declare(tx, line, &new.metrics).await,
            Event::Figures(figures) => self.figures(tx, line.attempt, figures).await,
            Event::End(end) => self.end(tx, line, end).await,
            Event::Unknown => Ok(()),
        }
    }

    /// The latest only: how busy a node was an hour ago says nothing about the run.
    async fn figures(
        &self,
        tx: &mut SqliteConnection,
        attempt: u32,
        figures: &Figures,
    ) -> Result<()> {
        let query = sqlx::query("UPDATE attempt SET figures = ? WHERE run = ? AND attempt = ?");
        query.bind(json(figures)?).bind(self.run).bind(attempt).execute(tx).await?;
        Ok(())
    }

    /// A new attempt begins at a checkpoint, or at nothing: what earlier ones measured beyond it is void.
    async fn start(&mut self, tx: &mut SqliteConnection, line: &Line, start: &Start) -> Result<()> {
        save_points(tx, [&mut *self]).await?;
        self.attempt = line.attempt;
        points::void(tx, self.run, (0 < start.resumed_step).then_some(start.resumed_step)).await?;
        self.pending = Pending::beside(points::count_metrics(tx, self.run).await?);
        self.told_too_many = false;
        (self.epoch, self.sec) = points::newest(tx, self.run).await?.unwrap_or_default();
        self.step = start.resumed_step;
        self.declare(tx, line, &start.metrics).await?;
        let query = sqlx::query(
            "UPDATE run SET device = ?, steps = ?, epochs = ?, fresh = CASE WHEN ? THEN 0 ELSE fresh END WHERE key = ?",
        );
        let query = query
            .bind(&start.device)
            .bind(start.steps.cast_signed())
            .bind(start.epochs)
            .bind(start.resumed_step == 0);
        query.bind(self.run).execute(&mut *tx).await?;
        let query = sqlx::query(
            "INSERT INTO attempt (run, attempt, device, boot_id, pid, start_ticks, started_at, resumed_step, threads,
                                  precision, resume, host, job)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET device = excluded.device, boot_id = excluded.boot_id, pid = excluded.pid,
               start_ticks = excluded.start_ticks, started_at = excluded.started_at,
               resumed_step = excluded.resumed_step, threads = excluded.threads, precision = excluded.precision,
               resume = excluded.resume, host = excluded.host, job = excluded.job",
        );
        let query =
            query.bind(self.run).bind(line.attempt).bind(&start.device).bind(&start.boot_id);
        let query = query.bind(start.pid).bind(start.start_ticks.cast_signed()).bind(line.at);
        let query = query.bind(start.resumed_step.cast_signed()).bind(start.threads);
        let query = query.bind(&start.precision).bind(&start.resume);
        query.bind(&start.host).bind(&start.job).execute(tx).await?;
        self.done.start = Some((line.attempt, line.at, start.clone()));
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

    /// What metrics mean, as far as it is for this run to say.
    async fn declare(
        &mut self,
        tx: &mut SqliteConnection,
        line: &Line,
        metrics: &[MetricInfo],
    ) -> Result<()> {
        let Some((code, message)) = declare(tx, metrics).await? else { return Ok(()) };
        self.done.warnings += 1;
        let warn = Warn { step: self.step, code: code.into(), message };
        warnings::note(tx, self.run, line.attempt, line.at, &warn).await
    }

    /// Tells once an attempt that `first` is a metric too many.
    async fn too_many(
        &mut self,
        tx: &mut SqliteConnection,
        line: &Line,
        step: u64,
        first: &str,
    ) -> Result<()> {
        const CODE: &str = "too_many_metrics";
        if self.told_too_many {
            return Ok(());
        }
        self.told_too_many = true;
        let told = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM warning WHERE run = ? AND attempt = ? AND code = ?)",
        );
        let told = told.bind(self.run).bind(line.attempt).bind(CODE).fetch_one(&mut *tx).await?;
        if told {
            return Ok(());
        }
        self.done.warnings += 1;
        let warn = Warn { step, code: CODE.into(), message: too_many(first) };
        warnings::note(tx, self.run, line.attempt, line.at, &warn).await
    }

    async fn garbled(&mut self, tx: &mut SqliteConnection, bad: &Garbled) -> Result<()> {
        self.done.warnings += bad.lines;
        warnings::note_garbled(tx, self.run, self.attempt, self.at, self.step, bad).await
    }

    async fn end(&mut self, tx: &mut SqliteConnection, line: &Line, end: &End) -> Result<()> {
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
        self.done.end = Some((line.attempt, ending));
        Ok(())
    }
}

/// Writes the measurements of all `targets` and how far their journals are read, and what that comes to for each.
pub(super) async fn save(
    tx: &mut SqliteConnection,
    mut targets: Vec<Target>,
) -> Result<Vec<Ingested>> {
    save_points(tx, &mut targets).await?;
    PROGRESS.write(tx, &targets).await?;
    Ok(targets.into_iter().map(|target| target.done).collect())
}

async fn save_points(
    tx: &mut SqliteConnection,
    targets: impl IntoIterator<Item = &mut Target>,
) -> Result<()> {
    let taken = |target: &mut Target| {
        target.done.points += target.pending.len();
        (target.run, std::mem::take(&mut target.pending))
    };
    points::write(tx, targets.into_iter().map(taken).collect()).await
}

static PROGRESS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "UPDATE run SET epoch = now.column2, step = now.column3, sec = now.column4, journal_bytes = now.column5,
                        journal_lines = now.column6, heard_at = now.column7 FROM (VALUES",
        7,
        ") AS now WHERE run.key = now.column1",
    )
});

impl Columns for Target {
    fn add_to(&self, arguments: &mut SqliteArguments) -> std::result::Result<(), BoxDynError> {
        arguments.add(self.run)?;
        arguments.add(self.epoch)?;
        arguments.add(self.step.cast_signed())?;
        arguments.add(self.sec)?;
        arguments.add(self.to.bytes.cast_signed())?;
        arguments.add(self.to.lines.cast_signed())?;
        arguments.add(self.at)
    }
}
