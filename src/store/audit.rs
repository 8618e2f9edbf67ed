//! What the run log says that can be held against run directories and processes. Reads only.

use sqlx::Row;

use super::browse::state;
use super::model::{RunId, State};
use super::records::Membership;
use super::{Result, Store, key_of, unjson};
use crate::journal::event::MOST_ATTEMPTS;
use crate::journal::reader::Position;

/// Who has a run in hand, as far as the run log knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custody {
    pub id: RunId,
    pub state: State,
    /// Starts so far.
    pub attempt: u32,
    /// The next start ignores checkpoints.
    pub fresh: bool,
    /// While active.
    pub slot: Option<String>,
}

/// How much of one metric of one run there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub metric: String,
    pub points: u64,
    pub last_step: u64,
    /// What the summary beside the points says of the two; absent where it says nothing.
    pub summary: Option<(u64, u64)>,
}

/// How many runs an experiment asks for, and how many places of its grid have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    pub experiment: String,
    pub planned: u64,
    /// Taken away since, by `rm`.
    pub removed: u64,
    /// Different places of the grid that have a run.
    pub filled: u64,
}

impl Store {
    /// Every run, in the order they were first queued.
    pub async fn custody(&self) -> Result<Vec<Custody>> {
        let rows = sqlx::query("SELECT id, state, attempt, fresh, slot FROM run ORDER BY key");
        let rows = rows.fetch_all(&self.0.readers).await?;
        let custody = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Custody {
                id: row.try_get(0)?,
                state: state(row.try_get(1)?)?,
                attempt: row.try_get(2)?,
                fresh: row.try_get(3)?,
                slot: row.try_get(4)?,
            })
        };
        rows.iter().map(custody).collect()
    }

    /// Runs of which the run log has numbers that no journal could have told it: an earlier program believed more than can
    /// be read back. Everything else that is asked about them may fail.
    pub async fn misread(&self) -> Result<Vec<RunId>> {
        let query = sqlx::query_scalar(
            "SELECT id FROM run
              WHERE step < 0 OR steps < 0 OR ?1 < attempt
                 OR EXISTS (SELECT 1 FROM attempt WHERE attempt.run = run.key
                               AND (resumed_step < 0 OR end_step < 0 OR ?1 < attempt.attempt))
                 OR EXISTS (SELECT 1 FROM checkpoint WHERE checkpoint.run = run.key AND step < 0)
                 OR EXISTS (SELECT 1 FROM evaluation WHERE evaluation.run = run.key AND step < 0)
                 OR EXISTS (SELECT 1 FROM warning WHERE warning.run = run.key AND step < 0)
                 -- By metric, as points are ordered.
                 OR EXISTS (SELECT 1 FROM summary WHERE summary.run = run.key
                               AND (last_step < 0 OR best_step < 0
                                    OR EXISTS (SELECT 1 FROM point WHERE point.run = summary.run
                                                  AND point.metric = summary.metric AND point.step < 0)))
              ORDER BY key",
        );
        Ok(query.bind(MOST_ATTEMPTS).fetch_all(&self.0.readers).await?)
    }

    /// How far the journal of `id` is in the run log, and what came of it: one moment, whoever ingests meanwhile.
    pub async fn tallies(&self, id: &str) -> Result<(Position, Vec<Tally>)> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query("SELECT journal_bytes, journal_lines FROM run WHERE key = ?");
        let row = query.bind(key).fetch_one(&mut *view).await?;
        let position = Position { bytes: row.try_get(0)?, lines: row.try_get(1)? };
        let query = sqlx::query(
            "SELECT name, p.points, p.top, n, last_step
               FROM (SELECT metric, count(*) AS points, max(step) AS top FROM point WHERE run = ?1 GROUP BY metric) AS p
               JOIN metric ON metric.key = p.metric
               LEFT JOIN summary ON summary.run = ?1 AND summary.metric = p.metric ORDER BY name",
        );
        let rows = query.bind(key).fetch_all(&mut *view).await?;
        let tally = |row: &sqlx::sqlite::SqliteRow| {
            let summary: (Option<u64>, Option<u64>) = (row.try_get(3)?, row.try_get(4)?);
            Ok(Tally {
                metric: row.try_get(0)?,
                points: row.try_get(1)?,
                last_step: row.try_get(2)?,
                summary: summary.0.zip(summary.1),
            })
        };
        Ok((position, rows.iter().map(tally).collect::<Result<_>>()?))
    }

    /// What `id` is to each experiment that asks for it, by name.
    pub async fn memberships(&self, id: &str) -> Result<Vec<Membership>> {
        let mut view = self.view().await?;
        let key = key_of(&mut view, id).await?;
        let query = sqlx::query(
            "SELECT name, question, ordinal, variant, varied, factors, refs, text
               FROM run_experiment JOIN experiment ON experiment.key = run_experiment.experiment
              WHERE run = ? ORDER BY name",
        );
        let rows = query.bind(key).fetch_all(&mut *view).await?;
        let membership = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Membership {
                name: row.try_get(0)?,
                question: row.try_get(1)?,
                ordinal: row.try_get(2)?,
                variant: row.try_get(3)?,
                varied: unjson("what varies", row.try_get(4)?)?,
                factors: unjson("factors", row.try_get(5)?)?,
                references: unjson("references", row.try_get(6)?)?,
                text: row.try_get(7)?,
                planned: 0,
            })
        };
        rows.iter().map(membership).collect()
    }

    /// Every experiment whose size is known; a run log that was not migrated yet knows none.
    pub async fn grids(&self) -> Result<Vec<Grid>> {
        let known = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('experiment') WHERE name = 'planned')",
        );
        let known: bool = known.fetch_one(&self.0.readers).await?;
        if !known {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT name, planned, removed, (SELECT count(DISTINCT ordinal) FROM run_experiment
                                              WHERE run_experiment.experiment = experiment.key AND ordinal < planned)
               FROM experiment WHERE 0 < planned ORDER BY key",
        );
        let rows = rows.fetch_all(&self.0.readers).await?;
        let grid = |row: &sqlx::sqlite::SqliteRow| {
            Ok(Grid {
                experiment: row.try_get(0)?,
                planned: row.try_get(1)?,
                removed: row.try_get(2)?,
                filled: row.try_get(3)?,
            })
        };
        rows.iter().map(grid).collect()
    }
}
