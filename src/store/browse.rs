//! Lists: runs and experiments, in a handful of queries however many there are.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::TryStreamExt as _;
use futures_util::future::try_join;
use serde_json::{Map, Value};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::model::{Launch, Progress, Resume, RunId, RunRow, State, Summary};
use super::points::value_of;
use super::records::{ExperimentRecord, Member};
use super::spec::SpecJson;
use super::{Result, Store, StoreError, unjson};
use crate::config::keys::nearest;
use crate::journal::event::{Better, Number};

impl Store {
    /// Every run, archived ones included, in the order they were first queued.
    pub async fn runs(&self) -> Result<Vec<RunRow>> {
        let (mut view, mut beside) = self.views().await?;
        rows(&mut view, beside.as_deref_mut(), (i64::MIN, i64::MAX)).await
    }

    /// Those of `ids` that there are, in the order they were first queued.
    pub async fn runs_among(&self, ids: &HashSet<&RunId>) -> Result<Vec<RunRow>> {
        let mut view = self.view().await?;
        let query = sqlx::query_scalar(
            "SELECT key FROM run WHERE id IN (SELECT value FROM json_each(?)) ORDER BY key",
        );
        let keys: Vec<i64> =
            query.bind(serde_json::json!(ids).to_string()).fetch_all(&mut *view).await?;
        let mut found = Vec::with_capacity(keys.len());
        // Runs of one grid have keys that follow one another.
        for near in keys.chunk_by(|before, after| after - before <= APART) {
            let (Some(&first), Some(&last)) = (near.first(), near.last()) else { continue };
            let rows = rows(&mut view, None, (first, last)).await?;
            found.extend(rows.into_iter().filter(|run| ids.contains(&run.id)));
        }
        Ok(found)
    }

    /// One run by its whole id.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    pub async fn run(&self, id: &str) -> Result<RunRow> {
        let mut view = self.view().await?;
        let key = super::key_of(&mut view, id).await?;
        let found = rows(&mut view, None, (key, key)).await?.pop();
        found.ok_or_else(|| StoreError::unknown_run(id))
    }

    /// The run that a person means: its whole id, or a beginning (as [`is_beginning`](super::is_beginning) has it) that fits
    /// no other.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::AmbiguousRun`].
    pub async fn resolve(&self, text: &str) -> Result<RunId> {
        let query = sqlx::query_as(
            "SELECT id, count(*) OVER () FROM run
              WHERE id = ?1 OR (substr(id, 1, length(?1)) = ?1 AND substr(id, length(?1) + 1, 1) <> '.'
                                AND (instr(?1, '.') = 0 OR substr(?1, -1) = '.'))
              ORDER BY id <> ?1, key LIMIT 9",
        );
        let rows: Vec<(String, u32)> = query.bind(text).fetch_all(&self.0.readers).await?;
        let all = rows.first().map_or(0, |(_, all)| *all as usize);
        let matches: Vec<String> = rows.into_iter().map(|(id, _)| id).collect();
        match matches.as_slice() {
            _ if text.is_empty() => Err(StoreError::unknown_run("\"\"")),
            [] => {
                let near = self.nearest_to(text).await?;
                Err(StoreError::UnknownRun { text: text.to_owned(), near })
            }
            [exact, ..] if exact == text => Ok(exact.clone()),
            [only] => Ok(only.clone()),
            _ => {
                let others = all - matches.len();
                Err(StoreError::AmbiguousRun { text: text.to_owned(), matches, others })
            }
        }
    }

    /// The run whose id, or whose beginning of that length, a mistyped one most likely meant.
    async fn nearest_to(&self, text: &str) -> Result<Option<RunId>> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM run ORDER BY key DESC")
            .fetch_all(&self.0.readers)
            .await?;
        let length = text.chars().count();
        let beginning = |id: &str| id.chars().take(length).collect::<String>();
        let beginnings: Vec<String> = ids.iter().map(|id| beginning(id)).collect();
        let near = nearest(text, ids.iter().chain(&beginnings).map(String::as_str));
        Ok(near.and_then(|near| ids.iter().find(|id| id.starts_with(near)).cloned()))
    }

    /// The newest run with this specification, if any.
    pub async fn by_fingerprint(&self, fingerprint: &str) -> Result<Option<(RunId, State)>> {
        let query = sqlx::query(
            "SELECT id, state FROM run WHERE fingerprint = ? ORDER BY key DESC LIMIT 1",
        );
        let row = query.bind(fingerprint).fetch_optional(&self.0.readers).await?;
        row.map(|row| Ok((row.try_get(0)?, state(row.try_get(1)?)?))).transpose()
    }

    /// Every experiment, in the order they were first queued.
    pub async fn experiments(&self) -> Result<Vec<ExperimentRecord>> {
        experiments(&mut *self.view().await?, None).await
    }

    /// One experiment by its name.
    pub async fn experiment(&self, name: &str) -> Result<Option<ExperimentRecord>> {
        Ok(experiments(&mut *self.view().await?, Some(name)).await?.pop())
    }
}

/// A state column as the type.
pub(super) fn state(text: &str) -> Result<State> {
    text.parse().map_err(|found| StoreError::Nonsense { what: "a state", found })
}

pub(super) fn better(text: &str) -> Result<Better> {
    match text {
        "lower" => Ok(Better::Lower),
        "higher" => Ok(Better::Higher),
        "neither" => Ok(Better::Neither),
        other => Err(StoreError::Nonsense { what: "a direction", found: other.to_owned() }),
    }
}

/// Keys that are no further apart are asked for together: a few rows too many cost less than six queries.
const APART: i64 = 16;

/// The runs with `keys`, from the first to the last: six queries, put together here. Summaries are most of the rows, so a second view of the
/// same moment, where there is one, reads them meanwhile.
async fn rows(
    view: &mut SqliteConnection,
    beside: Option<&mut SqliteConnection>,
    keys: (i64, i64),
) -> Result<Vec<RunRow>> {
    let (mut found, summaries) = match beside {
        Some(beside) => try_join(described(view, keys), summaries(beside, keys)).await?,
        None => (described(view, keys).await?, summaries(view, keys).await?),
    };
    for (key, metrics) in summaries {
        if let Some(run) = found.run(key) {
            run.metrics = metrics;
        }
    }
    Ok(found.runs)
}

/// Runs with all but their metrics.
async fn described(view: &mut SqliteConnection, keys: (i64, i64)) -> Result<Found> {
    let mut found = Found::default();
    let query = "SELECT key, id, state, attempt, device, epoch, epochs, step, steps, sec, spec, queued_at, started_at, ended_at,
                reason, note, priority, pinned, archived, launch,
                (SELECT message FROM warning WHERE warning.run = run.key AND warning.attempt = run.attempt
                  ORDER BY warning.key DESC LIMIT 1)
           FROM run WHERE key BETWEEN ? AND ? ORDER BY key";
    each(view, query, keys, |row| found.push(row.try_get(0)?, bare(row)?)).await?;
    let query = "SELECT run, name, varied
           FROM run_experiment JOIN experiment ON experiment.key = run_experiment.experiment
          WHERE run BETWEEN ? AND ? ORDER BY experiment.key";
    let take = |row: &SqliteRow| {
        let Some(run) = found.run(row.try_get(0)?) else { return Ok(()) };
        run.experiments.push(row.try_get(1)?);
        let varied: Map<String, Value> = unjson("varied factors", row.try_get(2)?)?;
        run.varied.extend(varied);
        Ok(())
    };
    each(view, query, keys, take).await?;
    let query = "SELECT run, tag FROM tag WHERE run BETWEEN ? AND ? ORDER BY tag";
    let take = |row: &SqliteRow| {
        let Some(run) = found.run(row.try_get(0)?) else { return Ok(()) };
        run.tags.push(row.try_get(1)?);
        Ok(())
    };
    each(view, query, keys, take).await?;
    let query = "SELECT run, resumed_step, started_at,
                coalesce((SELECT sec FROM point
                           WHERE point.run = attempt.run AND step <= resumed_step
                             AND point.metric = (SELECT key FROM metric WHERE name = 'loss')
                           ORDER BY step DESC LIMIT 1), 0.0)
           FROM attempt
          WHERE 1 < attempt AND 0 < resumed_step AND started_at IS NOT NULL AND run BETWEEN ? AND ? ORDER BY run, attempt";
    let take = |row: &SqliteRow| {
        let Some(run) = found.run(row.try_get(0)?) else { return Ok(()) };
        let resume = Resume { step: row.try_get(1)?, at: row.try_get(2)?, sec: row.try_get(3)? };
        run.resumes.push(resume);
        Ok(())
    };
    each(view, query, keys, take).await?;
    Ok(found)
}

/// What is known of each run's metrics, by the run's key.
async fn summaries(
    view: &mut SqliteConnection,
    keys: (i64, i64),
) -> Result<Vec<(i64, BTreeMap<String, Summary>)>> {
    // Names and units are few and summaries many: joined here, no text is copied for each of them.
    let mut metrics: HashMap<i64, (String, String, Better)> = HashMap::new();
    let query = sqlx::query("SELECT key, name, unit, better FROM metric");
    for row in query.fetch_all(&mut *view).await? {
        metrics
            .insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?, better(row.try_get(3)?)?));
    }
    let mut found: Vec<(i64, BTreeMap<String, Summary>)> = Vec::new();
    let query = "SELECT run, metric, last, last_flag, last_step, best, best_step
           FROM summary WHERE run BETWEEN ? AND ? ORDER BY run";
    let take = |row: &SqliteRow| {
        let Some((name, unit, better)) = metrics.get(&row.try_get(1)?) else { return Ok(()) };
        let key = row.try_get(0)?;
        if found.last().is_none_or(|(last, _)| *last != key) {
            found.push((key, BTreeMap::new()));
        }
        if let Some((_, of_run)) = found.last_mut() {
            of_run.insert(name.clone(), summary(row, unit, *better)?);
        }
        Ok(())
    };
    each(view, query, keys, take).await?;
    Ok(found)
}

/// Takes rows as they come: all of them at once would be most of what a large lab takes in memory.
async fn each(
    view: &mut SqliteConnection,
    query: &'static str,
    (first, last): (i64, i64),
    mut take: impl FnMut(&SqliteRow) -> Result<()>,
) -> Result<()> {
    let mut rows = sqlx::query(query).bind(first).bind(last).fetch(view);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}

/// Runs by their keys, which rise.
#[derive(Default)]
struct Found {
    keys: Vec<i64>,
    runs: Vec<RunRow>,
    /// The one that was asked for last: most lists tell of one run after the other.
    last: usize,
}

impl Found {
    fn push(&mut self, key: i64, run: RunRow) -> Result<()> {
        self.keys.push(key);
        self.runs.push(run);
        Ok(())
    }

    fn run(&mut self, key: i64) -> Option<&mut RunRow> {
        if self.keys.get(self.last) != Some(&key) {
            self.last = self.keys.binary_search(&key).ok()?;
        }
        self.runs.get_mut(self.last)
    }
}

/// A run without what other tables say about it.
fn bare(row: &SqliteRow) -> Result<RunRow> {
    let spec = SpecJson::new(row.try_get(10)?);
    let progress = Progress {
        epoch: row.try_get(5)?,
        epochs: row.try_get(6)?,
        step: row.try_get(7)?,
        steps: row.try_get(8)?,
        sec: row.try_get(9)?,
    };
    Ok(RunRow {
        id: row.try_get(1)?,
        experiments: Vec::new(),
        state: state(row.try_get(2)?)?,
        attempt: row.try_get(3)?,
        device: row.try_get(4)?,
        progress,
        seed: spec.seed(),
        tags: Vec::new(),
        varied: Map::new(),
        spec,
        metrics: Default::default(),
        queued_at: row.try_get(11)?,
        started_at: row.try_get(12)?,
        ended_at: row.try_get(13)?,
        reason: row.try_get(14)?,
        note: row.try_get(15)?,
        priority: row.try_get(16)?,
        pinned: row.try_get(17)?,
        archived: row.try_get(18)?,
        launch: launch(row.try_get(19)?)?,
        warning: row.try_get(20)?,
        resumes: Vec::new(),
    })
}

/// A launch column as the type.
pub(super) fn launch(text: Option<&str>) -> Result<Option<Launch>> {
    text.map(|text| unjson("what is asked of a cluster", text)).transpose()
}

fn summary(row: &SqliteRow, unit: &str, better: Better) -> Result<Summary> {
    Ok(Summary {
        last: Number(value_of(row.try_get(2)?, row.try_get(3)?)),
        last_step: row.try_get(4)?,
        best: row.try_get(5)?,
        best_step: row.try_get(6)?,
        unit: unit.to_owned(),
        better,
    })
}

async fn experiments(
    view: &mut SqliteConnection,
    name: Option<&str>,
) -> Result<Vec<ExperimentRecord>> {
    let mut place = HashMap::new();
    let mut found = Vec::new();
    let query = sqlx::query(
        "SELECT key, name, question, text, factors, refs FROM experiment WHERE ?1 IS NULL OR name = ?1 ORDER BY key",
    );
    for row in query.bind(name).fetch_all(&mut *view).await? {
        place.insert(row.try_get::<i64, _>(0)?, found.len());
        found.push(ExperimentRecord {
            name: row.try_get(1)?,
            question: row.try_get(2)?,
            text: row.try_get(3)?,
            factors: unjson("factors", row.try_get(4)?)?,
            references: unjson("references", row.try_get(5)?)?,
            members: Vec::new(),
        });
    }
    let query = sqlx::query(
        "SELECT run_experiment.experiment, run.id, varied, variant, ordinal FROM run_experiment
           JOIN run ON run.key = run_experiment.run JOIN experiment ON experiment.key = run_experiment.experiment
          WHERE ?1 IS NULL OR experiment.name = ?1 ORDER BY ordinal, run.key",
    );
    for row in query.bind(name).fetch_all(&mut *view).await? {
        let Some(&at) = place.get(&row.try_get(0)?) else { continue };
        found[at].members.push(Member {
            run: row.try_get(1)?,
            varied: unjson("varied factors", row.try_get(2)?)?,
            variant: row.try_get(3)?,
            ordinal: row.try_get(4)?,
        });
    }
    Ok(found)
}
