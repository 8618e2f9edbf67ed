//! What is known of one run: its curves, its history, its attempts, checkpoints, evaluations and warnings.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::browse::state;
use super::model::RunId;
use super::points::value_of;
use super::records::{
    Attempt, CheckpointRow, CurvePoint, Ending, EvaluationRow, StateChange, WarningRow,
};
use super::{Result, Store, StoreError, json, key_of, unjson};
use crate::journal::event::{EndState, Number};
use crate::journal::process::Identity;
use crate::journal::reader::Position;

impl Store {
    /// One metric of one run, by step; with `after_step`, only what came later: a screen reads a curve once and then
    /// only its growth. Empty for a metric that the run does not have. A resumed attempt takes points back, so read
    /// from the start again when the run's attempt has changed.
    pub async fn curve(
        &self,
        id: &str,
        metric: &str,
        after_step: Option<u64>,
    ) -> Result<Vec<CurvePoint>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query(
            "SELECT step, epoch, sec, value, flag FROM point
              WHERE run = ? AND metric = (SELECT key FROM metric WHERE name = ?) AND ? < step ORDER BY step",
        );
        let after = after_step.map_or(-1, |step| i64::try_from(step).unwrap_or(i64::MAX));
        let rows = query.bind(key).bind(metric).bind(after).fetch_all(&mut *view).await?;
        rows.iter().map(point).collect()
    }

    /// Names of the metrics that a run has points of.
    pub async fn metrics(&self, id: &str) -> Result<Vec<String>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query_scalar(
            "SELECT name FROM summary JOIN metric ON metric.key = summary.metric WHERE run = ? ORDER BY name",
        );
        Ok(query.bind(key).fetch_all(&mut *view).await?)
    }

    /// Every change of state, oldest first.
    pub async fn history(&self, id: &str) -> Result<Vec<StateChange>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query(
            "SELECT at, attempt, from_state, to_state, reason, by FROM state_change WHERE run = ? ORDER BY key",
        );
        let rows = query.bind(key).fetch_all(&mut *view).await?;
        rows.iter().map(change).collect()
    }

    /// Every start of a trainer, oldest first.
    pub async fn attempts(&self, id: &str) -> Result<Vec<Attempt>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query(
            "SELECT attempt, slot, device, claimed_at, boot_id, pid, start_ticks, started_at, resumed_step, threads,
                    precision, resume, ended_at, end_state, end_step, end_reason, host, job, figures
               FROM attempt WHERE run = ? ORDER BY attempt",
        );
        let rows = query.bind(key).fetch_all(&mut *view).await?;
        rows.iter().map(attempt).collect()
    }

    /// The newest attempt whose `start` has been read.
    pub async fn last_start(&self, id: &str) -> Result<Option<u32>> {
        let query = sqlx::query_scalar(
            "SELECT max(attempt) FROM attempt
              WHERE run = (SELECT key FROM run WHERE id = ?) AND started_at IS NOT NULL",
        );
        Ok(query.bind(id).fetch_one(&self.0.readers).await?)
    }

    /// [`Self::last_start`] of every run that is starting on `slot`, where there is one: a worker asks it for thousands that
    /// wait for their cluster.
    pub async fn starts(&self, slot: &str) -> Result<HashMap<RunId, u32>> {
        let query = sqlx::query_as(
            "SELECT run.id, max(attempt.attempt) FROM run JOIN attempt ON attempt.run = run.key
              WHERE run.slot = ? AND state IN ('starting', 'running', 'stopping') -- as the index has it
                AND state = 'starting' AND 0 < journal_bytes
                AND attempt.started_at IS NOT NULL GROUP BY run.key",
        );
        let rows: Vec<(RunId, u32)> = query.bind(slot).fetch_all(&self.0.readers).await?;
        Ok(rows.into_iter().collect())
    }

    /// How an attempt ended, if the journal, as far as it is ingested, says so.
    pub async fn ending(&self, id: &str, number: u32) -> Result<Option<Ending>> {
        let attempts = self.attempts(id).await?;
        Ok(attempts
            .into_iter()
            .find(|attempt| attempt.attempt == number)
            .and_then(|attempt| attempt.ending))
    }

    /// Checkpoints that count, by step. The older files may be gone: only the last two are kept.
    pub async fn checkpoints(&self, id: &str) -> Result<Vec<CheckpointRow>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query(
            "SELECT step, attempt, at, file, hash FROM checkpoint WHERE run = ? ORDER BY step",
        );
        let rows = query.bind(key).fetch_all(&mut *view).await?;
        rows.iter().map(checkpoint).collect()
    }

    /// Evaluations with their settings, by metric and step.
    pub async fn evaluations(&self, id: &str) -> Result<Vec<EvaluationRow>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query(
            "SELECT metric, step, attempt, at, value, flag, settings FROM evaluation WHERE run = ? ORDER BY metric, step",
        );
        let rows = query.bind(key).fetch_all(&mut *view).await?;
        rows.iter().map(evaluation).collect()
    }

    /// Warnings of all attempts, oldest first.
    pub async fn warnings(&self, id: &str) -> Result<Vec<WarningRow>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query(
            "SELECT attempt, step, at, code, message FROM warning WHERE run = ? ORDER BY key",
        );
        let rows = query.bind(key).fetch_all(&mut *view).await?;
        rows.iter().map(warning).collect()
    }

    /// How much of the run's journal is in here.
    pub async fn journal_position(&self, id: &str) -> Result<Position> {
        let position = self.journal_positions(&[id]).await?.into_iter().next().flatten();
        position.ok_or_else(|| StoreError::unknown_run(id))
    }

    /// How much of each run's journal is in here; `None` for a run that there is not.
    pub(super) async fn journal_positions(&self, ids: &[&str]) -> Result<Vec<Option<Position>>> {
        let query = sqlx::query_as(
            "SELECT journal_bytes, journal_lines
               FROM json_each(?) AS asked LEFT JOIN run ON run.id = asked.value ORDER BY asked.key",
        );
        let query = query.bind(json(&ids)?);
        // A worker asks this at every look: a connection from the pool would have to go back there, by a task of its own.
        let rows: Vec<(Option<u64>, Option<u64>)> =
            query.fetch_all(&mut *self.0.watcher.lock().await).await?;
        let position = |(bytes, lines): (Option<u64>, Option<u64>)| {
            bytes.zip(lines).map(|(bytes, lines)| Position { bytes, lines })
        };
        Ok(rows.into_iter().map(position).collect())
    }
}

fn point(row: &SqliteRow) -> Result<CurvePoint> {
    Ok(CurvePoint {
        step: row.try_get(0)?,
        epoch: row.try_get(1)?,
        sec: row.try_get(2)?,
        value: value_of(row.try_get(3)?, row.try_get(4)?),
    })
}

fn change(row: &SqliteRow) -> Result<StateChange> {
    Ok(StateChange {
        at: row.try_get(0)?,
        attempt: row.try_get(1)?,
        from: row.try_get::<Option<&str>, _>(2)?.map(state).transpose()?,
        to: state(row.try_get(3)?)?,
        reason: row.try_get(4)?,
        by: row.try_get(5)?,
    })
}

fn attempt(row: &SqliteRow) -> Result<Attempt> {
    let process = match (row.try_get(4)?, row.try_get(5)?, row.try_get::<Option<i64>, _>(6)?) {
        (Some(boot_id), Some(pid), Some(ticks)) => {
            Some(Identity { boot_id, pid, start_ticks: ticks.cast_unsigned() })
        }
        _ => None,
    };
    let ending = match row.try_get::<Option<&str>, _>(13)? {
        None => None,
        Some(text) => Some(Ending {
            at: row.try_get(12)?,
            state: end_state(text)?,
            step: row.try_get(14)?,
            reason: row.try_get(15)?,
        }),
    };
    Ok(Attempt {
        attempt: row.try_get(0)?,
        slot: row.try_get(1)?,
        device: row.try_get(2)?,
        claimed_at: row.try_get(3)?,
        process,
        started_at: row.try_get(7)?,
        resumed_step: row.try_get(8)?,
        threads: row.try_get(9)?,
        precision: row.try_get(10)?,
        resume: row.try_get(11)?,
        host: row.try_get(16)?,
        job: row.try_get(17)?,
        figures: row
            .try_get::<Option<&str>, _>(18)?
            .map(|text| unjson("figures of a node", text))
            .transpose()?,
        ending,
    })
}

fn end_state(text: &str) -> Result<EndState> {
    match text {
        "finished" => Ok(EndState::Finished),
        "stopped" => Ok(EndState::Stopped),
        "failed" => Ok(EndState::Failed),
        other => Err(StoreError::Nonsense { what: "an end", found: other.to_owned() }),
    }
}

fn checkpoint(row: &SqliteRow) -> Result<CheckpointRow> {
    Ok(CheckpointRow {
        step: row.try_get(0)?,
        attempt: row.try_get(1)?,
        at: row.try_get(2)?,
        file: row.try_get(3)?,
        hash: row.try_get(4)?,
    })
}

fn evaluation(row: &SqliteRow) -> Result<EvaluationRow> {
    Ok(EvaluationRow {
        metric: row.try_get(0)?,
        step: row.try_get(1)?,
        attempt: row.try_get(2)?,
        at: row.try_get(3)?,
        value: Number(value_of(row.try_get(4)?, row.try_get(5)?)),
        settings: unjson("settings of an evaluation", row.try_get(6)?)?,
    })
}

fn warning(row: &SqliteRow) -> Result<WarningRow> {
    Ok(WarningRow {
        attempt: row.try_get(0)?,
        step: row.try_get(1)?,
        at: row.try_get(2)?,
        code: row.try_get(3)?,
        message: row.try_get(4)?,
    })
}
