//! What people ask of active runs and of workers.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::records::{InHand, Request, Requested, WorkerRow};
use super::transition::Found;
use super::{Durability, Result, Store, StoreError, unjson};
use crate::journal::process::Identity;

impl Store {
    /// Asks the worker of an active run to pause or cancel it, and says which of the two stands: a cancel outranks a pause. Safe
    /// to repeat.
    ///
    /// # Errors
    /// [`StoreError::NothingToStop`] when no process works on the run: then a transition settles it at once.
    pub async fn request(&self, id: &str, request: Request, at: i64, by: &str) -> Result<Request> {
        let mut tx = self.begin(Durability::Power).await?;
        let found = Found::by_id(&mut tx, id).await?;
        if !found.state.is_active() {
            let (run, request) = (id.to_owned(), request.as_str());
            return Err(StoreError::NothingToStop { run, state: found.state, request });
        }
        let query = sqlx::query(
            "INSERT INTO request (run, request, at, by) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET request = excluded.request, at = excluded.at, by = excluded.by
               WHERE request = 'pause' AND excluded.request = 'cancel'",
        );
        let query = query.bind(found.key).bind(request.as_str()).bind(at).bind(by);
        query.execute(&mut *tx).await?;
        let query = sqlx::query_scalar("SELECT request FROM request WHERE run = ?").bind(found.key);
        let standing: String = query.fetch_one(&mut *tx).await?;
        tx.commit().await?;
        named(&standing)
    }

    /// Everything that is asked for and not settled yet, oldest first.
    pub async fn requests(&self) -> Result<Vec<Requested>> {
        let rows = sqlx::query(
            // CROSS: from the few requests to their runs; the planner would go through all runs, which it thinks as few.
            "SELECT run.id, request.request, request.at, request.by FROM request CROSS JOIN run ON run.key = request.run
              ORDER BY request.at, run.key",
        );
        let rows = rows.fetch_all(&self.0.readers).await?;
        rows.iter().map(requested).collect()
    }

    /// What is asked of one run.
    pub async fn request_of(&self, id: &str) -> Result<Option<Requested>> {
        let row = sqlx::query(
            "SELECT run.id, request.request, request.at, request.by FROM request JOIN run ON run.key = request.run
              WHERE run.id = ?",
        );
        let row = row.bind(id).fetch_optional(&self.0.readers).await?;
        row.as_ref().map(requested).transpose()
    }

    /// A worker says hello, or says it again.
    pub async fn register_worker(&self, worker: &WorkerRow) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let query = sqlx::query(
            "INSERT OR REPLACE INTO worker (slot, device, boot_id, pid, start_ticks, since, draining)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        );
        let query = query.bind(&worker.slot).bind(&worker.device).bind(&worker.process.boot_id);
        let query = query.bind(worker.process.pid).bind(worker.process.start_ticks as i64);
        query.bind(worker.since).bind(worker.draining).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// A worker leaves, or was found gone.
    pub async fn forget_worker(&self, slot: &str) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        sqlx::query("DELETE FROM worker WHERE slot = ?").bind(slot).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Asks the worker of `slot`, or all of them, to leave after the run at hand.
    pub async fn drain(&self, slot: Option<&str>) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let query = sqlx::query("UPDATE worker SET draining = 1 WHERE slot = coalesce(?, slot)");
        query.bind(slot).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Workers that said hello and not goodbye, by slot.
    pub async fn workers(&self) -> Result<Vec<WorkerRow>> {
        let rows = sqlx::query(
            "SELECT slot, device, boot_id, pid, start_ticks, since, draining FROM worker ORDER BY slot",
        );
        let rows = rows.fetch_all(&self.0.readers).await?;
        rows.iter().map(worker).collect()
    }

    /// The runs that the worker of `slot` works on: at most one on this machine.
    pub async fn runs_in(&self, slot: &str) -> Result<Vec<InHand>> {
        let rows = sqlx::query(
            "SELECT id, state, run.attempt, host, figures
               FROM run LEFT JOIN attempt ON attempt.run = run.key AND attempt.attempt = run.attempt
              WHERE run.slot = ? AND state IN ('starting', 'running', 'stopping') ORDER BY run.key",
        );
        let rows = rows.bind(slot).fetch_all(&self.0.readers).await?;
        rows.iter().map(in_hand).collect()
    }
}

fn in_hand(row: &SqliteRow) -> Result<InHand> {
    let figures: Option<&str> = row.try_get(4)?;
    Ok(InHand {
        id: row.try_get(0)?,
        state: super::browse::state(row.try_get(1)?)?,
        attempt: row.try_get(2)?,
        host: row.try_get(3)?,
        figures: figures.map(|text| unjson("figures of a node", text)).transpose()?,
    })
}

fn requested(row: &SqliteRow) -> Result<Requested> {
    let request = named(row.try_get(1)?)?;
    Ok(Requested { id: row.try_get(0)?, request, at: row.try_get(2)?, by: row.try_get(3)? })
}

fn named(request: &str) -> Result<Request> {
    match request {
        "pause" => Ok(Request::Pause),
        "cancel" => Ok(Request::Cancel),
        other => Err(StoreError::Nonsense { what: "a request", found: other.to_owned() }),
    }
}

fn worker(row: &SqliteRow) -> Result<WorkerRow> {
    let process = Identity {
        boot_id: row.try_get(2)?,
        pid: row.try_get(3)?,
        start_ticks: row.try_get::<i64, _>(4)?.cast_unsigned(),
    };
    Ok(WorkerRow {
        slot: row.try_get(0)?,
        device: row.try_get(1)?,
        process,
        since: row.try_get(5)?,
        draining: row.try_get(6)?,
    })
}
