//! A run's state, and the only code that changes it.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::browse::{launch as parse_launch, state as parse_state};
use super::model::{IllegalTransition, RunId, State};
use super::records::{Change, Claim};
use super::{Durability, Result, Store, StoreError};
use crate::journal::event::MOST_ATTEMPTS;
use crate::journal::process::Identity;

impl Store {
    /// Changes the state of run `id`, which the caller believes to be `from`, and notes it in the history.
    ///
    /// # Errors
    /// [`StoreError::Illegal`] for a change that the state machine does not have; [`StoreError::Changed`] when
    /// somebody was quicker.
    pub async fn transition(&self, id: &str, from: State, to: State, change: Change) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let found = Found::by_id(&mut tx, id).await?;
        transition(&mut tx, id, &found, from, to, &change, Line::Last).await?;
        Ok(tx.commit().await?)
    }

    /// As [`Store::transition`], but only while `attempt` is the current one: what is known of an older attempt says
    /// nothing about the run any more.
    ///
    /// # Errors
    /// Also [`StoreError::OldAttempt`].
    pub async fn settle(
        &self,
        id: &str,
        attempt: u32,
        from: State,
        to: State,
        change: Change,
    ) -> Result<()> {
        self.settle_through(id, attempt, from, &[(to, change)]).await
    }

    /// As [`Store::settle`], through several states at once: nobody ever finds the run in one of those between.
    ///
    /// # Errors
    /// As [`Store::settle`].
    pub async fn settle_through(
        &self,
        id: &str,
        attempt: u32,
        from: State,
        steps: &[(State, Change)],
    ) -> Result<()> {
        self.walk(id, attempt, from, steps, None).await
    }

    /// Puts a run back into the queue; with `fresh`, its next start ignores checkpoints.
    ///
    /// # Errors
    /// As [`Store::transition`].
    pub async fn requeue(&self, id: &str, from: State, fresh: bool, change: Change) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let found = Found::by_id(&mut tx, id).await?;
        transition(&mut tx, id, &found, from, State::Queued, &change, Line::Last).await?;
        let query = sqlx::query("UPDATE run SET fresh = max(fresh, ?) WHERE key = ?");
        query.bind(fresh).bind(found.key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// The next start of a run that waits ignores checkpoints.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when it waits no longer.
    pub async fn freshen(&self, id: &str) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let Found { key, state: found, .. } = Found::by_id(&mut tx, id).await?;
        if found != State::Queued {
            return Err(StoreError::Changed { run: id.to_owned(), expected: State::Queued, found });
        }
        sqlx::query("UPDATE run SET fresh = 1 WHERE key = ?").bind(key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Takes the next run of this machine from the queue for the worker of `slot`: the highest priority, then the one
    /// that waits longest. Two workers never get the same.
    ///
    /// # Errors
    /// As any change.
    pub async fn claim(&self, slot: &str, device: &str, now: i64) -> Result<Option<Claim>> {
        let mut tx = self.begin(Durability::Power).await?;
        let claim = claim(&mut tx, slot, Some(device), now).await?;
        tx.commit().await?;
        Ok(claim)
    }

    /// Takes up to `most` runs that are meant for a cluster, in the order of [`Store::claim`], all at once.
    ///
    /// # Errors
    /// As any change.
    pub async fn claim_launched(&self, slot: &str, most: usize, now: i64) -> Result<Vec<Claim>> {
        let query =
            "SELECT EXISTS (SELECT 1 FROM run WHERE state = 'queued' AND launch IS NOT NULL)";
        // Asked several times a second: a look is cheaper than a change.
        let waiting: bool = sqlx::query_scalar(query).fetch_one(&self.0.readers).await?;
        let mut claims = Vec::new();
        if !waiting {
            return Ok(claims);
        }
        let mut tx = self.begin(Durability::Power).await?;
        while claims.len() < most {
            let Some(claim) = claim(&mut tx, slot, None, now).await? else { break };
            claims.push(claim);
        }
        tx.commit().await?;
        Ok(claims)
    }

    /// A cluster starts a run anew by itself, under attempt `next`: what became of `attempt` is noted, and the run is
    /// `starting` again, still in the hands of its slot. One change, so that nobody else ever finds it in the queue.
    ///
    /// # Errors
    /// As [`Store::settle`].
    pub async fn begin_anew(
        &self,
        id: &str,
        attempt: u32,
        from: State,
        steps: &[(State, Change)],
        next: u32,
        slot: &str,
    ) -> Result<()> {
        self.walk(id, attempt, from, steps, Some((next, slot))).await
    }

    /// From state to state in one change; where one is `Starting`, as the attempt and for the slot of `anew`.
    async fn walk(
        &self,
        id: &str,
        attempt: u32,
        from: State,
        steps: &[(State, Change)],
        anew: Option<(u32, &str)>,
    ) -> Result<()> {
        // That a run has begun, its journal says as well: after a power cut it is found again from there, and a thousand
        // runs that begin together do not wait for the disk a thousand times.
        let durability = match steps.last() {
            Some((State::Running, _)) => Durability::Process,
            _ => Durability::Power,
        };
        let mut tx = self.begin(durability).await?;
        let mut found = Found::current(&mut tx, id, attempt).await?;
        unless_asked_to_stop(&mut tx, id, &found, from, steps).await?;
        let mut from = from;
        for (to, change) in steps {
            if let (State::Starting, Some((next, slot))) = (to, anew) {
                found.attempt = next;
                let query = sqlx::query("UPDATE run SET attempt = ?, slot = ? WHERE key = ?");
                query.bind(next).bind(slot).bind(found.key).execute(&mut *tx).await?;
                let query = sqlx::query(
                    "INSERT INTO attempt (run, attempt, slot, claimed_at) VALUES (?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET slot = excluded.slot, claimed_at = excluded.claimed_at",
                );
                let query = query.bind(found.key).bind(next).bind(slot).bind(change.at);
                query.execute(&mut *tx).await?;
            }
            transition(&mut tx, id, &found, from, *to, change, Line::Kept).await?;
            from = *to;
            found.state = from;
        }
        Ok(tx.commit().await?)
    }

    /// Says, beside their states, how active runs stand where the scheduler knows more than the journal. Not part of the
    /// history. Old attempts are passed over.
    ///
    /// # Errors
    /// As any change.
    pub async fn note_standing(&self, runs: &[(RunId, u32, Option<String>)]) -> Result<()> {
        if runs.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin(Durability::Process).await?;
        for (id, attempt, words) in runs {
            let query = sqlx::query(
                "UPDATE run SET reason = ? WHERE id = ? AND attempt = ? AND state IN ('starting', 'running', 'stopping')",
            );
            query.bind(words).bind(id).bind(attempt).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Notes which process the trainer of an attempt is, so that whoever comes next finds it.
    ///
    /// # Errors
    /// [`StoreError::OldAttempt`] when the attempt is no longer the current one.
    pub async fn spawned(&self, id: &str, attempt: u32, process: &Identity) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let found = Found::current(&mut tx, id, attempt).await?;
        let query = sqlx::query(
            "UPDATE attempt SET boot_id = ?, pid = ?, start_ticks = ? WHERE run = ? AND attempt = ?",
        );
        let query = query.bind(&process.boot_id).bind(process.pid).bind(process.start_ticks as i64);
        query.bind(found.key).bind(attempt).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Hands a run over to the worker of another slot, which found its trainer alive.
    ///
    /// # Errors
    /// [`StoreError::OldAttempt`] when the attempt is no longer the current one.
    pub async fn adopt(&self, id: &str, attempt: u32, slot: &str) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let query = sqlx::query("UPDATE run SET slot = ? WHERE id = ? AND attempt = ?");
        let changed = query.bind(slot).bind(id).bind(attempt).execute(&mut *tx).await?;
        if changed.rows_affected() == 0 {
            let current = Found::by_id(&mut tx, id).await?.attempt;
            return Err(StoreError::OldAttempt { run: id.to_owned(), given: attempt, current });
        }
        let query = sqlx::query(
            "UPDATE attempt SET slot = ? WHERE attempt = ? AND run = (SELECT key FROM run WHERE id = ?)",
        );
        query.bind(slot).bind(attempt).bind(id).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

/// A run as the open transaction sees it.
pub(super) struct Found {
    pub key: i64,
    pub state: State,
    pub attempt: u32,
}

impl Found {
    pub(super) async fn by_id(tx: &mut SqliteConnection, id: &str) -> Result<Self> {
        let row = sqlx::query("SELECT key, state, attempt FROM run WHERE id = ?").bind(id);
        let row = row.fetch_optional(tx).await?;
        let row = row.ok_or_else(|| StoreError::unknown_run(id))?;
        Ok(Self {
            key: row.try_get(0)?,
            state: parse_state(row.try_get(1)?)?,
            attempt: row.try_get(2)?,
        })
    }

    /// As [`Found::by_id`], where `attempt` is the current one.
    async fn current(tx: &mut SqliteConnection, id: &str, attempt: u32) -> Result<Self> {
        let found = Self::by_id(tx, id).await?;
        if found.attempt != attempt {
            let (run, current) = (id.to_owned(), found.attempt);
            return Err(StoreError::OldAttempt { run, given: attempt, current });
        }
        Ok(found)
    }
}

/// The next run in line: of this machine with a `device`, of a cluster without, which says itself where a run lands. One
/// that no number is left for keeps those behind it waiting no longer.
async fn claim(
    tx: &mut SqliteConnection,
    slot: &str,
    device: Option<&str>,
    now: i64,
) -> Result<Option<Claim>> {
    loop {
        let next = sqlx::query(
            "SELECT key, id, max(attempt, coalesce((SELECT max(attempt.attempt) FROM attempt WHERE attempt.run = run.key), 0)),
                    fresh, launch
               FROM run
              WHERE state = 'queued' AND (launch IS NULL) = ? ORDER BY priority DESC, queued_at, key LIMIT 1",
        );
        let next = next.bind(device.is_some());
        let Some(row) = next.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let (key, id, last): (i64, RunId, u32) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let Some(attempt) = last.checked_add(1).filter(|next| *next <= MOST_ATTEMPTS) else {
            let reason = format!(
                "no attempt can follow attempt {last}: `queue FILE --again` runs the same under a new id"
            );
            let change = Change { at: now, reason: Some(reason), by: slot.to_owned() };
            let found = Found { key, state: State::Queued, attempt: last };
            transition(tx, &id, &found, State::Queued, State::Cancelled, &change, Line::Last)
                .await?;
            continue;
        };
        let launch = parse_launch(row.try_get(4)?)?;
        let claim = Claim { id, attempt, fresh: row.try_get(3)?, launch };
        let found = Found { key, state: State::Queued, attempt };
        let query = sqlx::query("UPDATE run SET attempt = ?, slot = ?, device = ? WHERE key = ?");
        let query = query.bind(attempt).bind(slot).bind(device).bind(key);
        query.execute(&mut *tx).await?;
        let query = sqlx::query(
            "INSERT INTO attempt (run, attempt, slot, device, claimed_at) VALUES (?, ?, ?, ?, ?)",
        );
        let query = query.bind(key).bind(attempt).bind(slot).bind(device).bind(now);
        query.execute(&mut *tx).await?;
        let change = Change { at: now, reason: None, by: slot.to_owned() };
        transition(tx, &claim.id, &found, State::Queued, State::Starting, &change, Line::Kept)
            .await?;
        return Ok(Some(claim));
    }
}

/// A run that is to go on although somebody has asked for its end meanwhile has changed under the hands of its worker.
async fn unless_asked_to_stop(
    tx: &mut SqliteConnection,
    id: &str,
    found: &Found,
    from: State,
    steps: &[(State, Change)],
) -> Result<()> {
    let goes_on = steps.last().is_some_and(|(to, _)| matches!(to, State::Queued | State::Starting));
    if !goes_on || from == State::Stopping {
        return Ok(());
    }
    let asked = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM request WHERE run = ?)");
    let asked: bool = asked.bind(found.key).fetch_one(tx).await?;
    let changed = || StoreError::Changed { run: id.to_owned(), expected: from, found: found.state };
    if asked { Err(changed()) } else { Ok(()) }
}

/// Where a run that is queued again stands among those of its priority.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Behind those that wait: somebody queued it again.
    Last,
    /// Where it stood: it was lost or cut short, and has waited longest.
    Kept,
}

/// The one place that writes a run's state.
async fn transition(
    tx: &mut SqliteConnection,
    id: &str,
    found: &Found,
    from: State,
    to: State,
    change: &Change,
    line: Line,
) -> Result<()> {
    if found.state != from {
        return Err(StoreError::Changed { run: id.to_owned(), expected: from, found: found.state });
    }
    if !from.may_become(to) {
        return Err(IllegalTransition { run: id.to_owned(), from, to }.into());
    }
    let is_over = matches!(to, State::Finished | State::Failed | State::Cancelled | State::Lost);
    let query = sqlx::query(
        "UPDATE run SET state = ?1, reason = ?2,
           queued_at = CASE WHEN ?1 = 'queued' AND ?7 THEN ?3 ELSE queued_at END,
           started_at = CASE WHEN ?1 = 'running' THEN coalesce(started_at, ?3) ELSE started_at END,
           ended_at = CASE WHEN ?4 THEN ?3 END,
           slot = CASE WHEN ?5 THEN slot END
         WHERE key = ?6",
    );
    let query = query.bind(to.as_str()).bind(&change.reason).bind(change.at).bind(is_over);
    let query = query.bind(to.is_active()).bind(found.key).bind(line == Line::Last);
    query.execute(&mut *tx).await?;
    if !to.is_active() {
        sqlx::query("DELETE FROM request WHERE run = ?").bind(found.key).execute(&mut *tx).await?;
    }
    record(tx, found.key, found.attempt, Some(from), to, change).await
}

/// One more line of the history.
pub(super) async fn record(
    tx: &mut SqliteConnection,
    run: i64,
    attempt: u32,
    from: Option<State>,
    to: State,
    change: &Change,
) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO state_change (run, at, attempt, from_state, to_state, reason, by) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    let query = query.bind(run).bind(change.at).bind(attempt).bind(from.map(State::as_str));
    query.bind(to.as_str()).bind(&change.reason).bind(&change.by).execute(tx).await?;
    Ok(())
}
