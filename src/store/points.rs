//! Measurements and their summaries: written in bulk, in the transaction of their journal position.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row};

use super::bulk::{Bulk, Columns};
use super::pending::Pending;
use super::records::CurvePoint;
use super::{Result, json};
use crate::journal::event::Better;

/// A number as two columns: SQLite stores a NaN as NULL and −0 as 0, and a person's `avg(value)` is to pass over
/// infinities.
pub(super) fn columns_of(value: f64) -> (Option<f64>, i64) {
    match value {
        x if x.is_nan() => (None, 1),
        f64::INFINITY => (None, 2),
        f64::NEG_INFINITY => (None, 3),
        x if x == 0.0 && x.is_sign_negative() => (Some(0.0), 4),
        x => (Some(x), 0),
    }
}

/// The number that two columns mean.
pub(super) fn value_of(value: Option<f64>, flag: i64) -> f64 {
    match (value, flag) {
        (_, 2) => f64::INFINITY,
        (_, 3) => f64::NEG_INFINITY,
        (Some(_), 4) => -0.0,
        (Some(x), _) => x,
        (None, _) => f64::NAN,
    }
}

/// Measurements of one run and metric, in step order.
struct Series {
    run: i64,
    metric: Metric,
    points: Vec<CurvePoint>,
}

/// Writes what waits, by the runs' keys, and brings the summaries up to date. In a number of statements that depends on
/// how many measurements there are, not on how many runs: a worker may follow a thousand.
pub(super) async fn write(tx: &mut SqliteConnection, news: Vec<(i64, Pending)>) -> Result<()> {
    let news: Vec<_> = news.into_iter().map(|(run, new)| (run, new.into_series())).collect();
    let names: BTreeSet<&str> =
        news.iter().flat_map(|(_, series)| series).map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let metrics = Metric::named(tx, &names).await?;
    let mut all = Vec::new();
    for (run, series) in news {
        for (name, points) in series {
            let Some(&metric) = metrics.get(&name) else { continue };
            all.push(Series { run, metric, points: in_order(points) });
        }
    }
    // As the table is ordered.
    all.sort_unstable_by_key(|series| (series.run, series.metric.key));
    let known = known(tx, &all).await?;
    let mut rows = Vec::with_capacity(all.iter().map(|series| series.points.len()).sum());
    for Series { run, metric, points } in &all {
        rows.extend(points.iter().map(|&point| (*run, metric.key, point)));
    }
    POINTS.write(tx, &rows).await?;
    let mut summaries = Vec::with_capacity(all.len());
    for Series { run, metric, points } in &all {
        let known = known.get(&(*run, metric.key));
        match Summary::extended(known, metric.better, points) {
            Some(summary) => summaries.push((*run, metric.key, summary)),
            None => recompute(tx, *run, metric.key, metric.better).await?,
        }
    }
    SUMMARIES.write(tx, &summaries).await
}

static POINTS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT OR REPLACE INTO point (run, metric, step, epoch, sec, value, flag) VALUES",
        7,
        "",
    )
});

impl Columns for (i64, i64, CurvePoint) {
    fn add_to(&self, arguments: &mut SqliteArguments) -> std::result::Result<(), BoxDynError> {
        let (run, metric, point) = self;
        let (value, flag) = columns_of(point.value);
        arguments.add(run)?;
        arguments.add(metric)?;
        arguments.add(point.step.cast_signed())?;
        arguments.add(point.epoch)?;
        arguments.add(point.sec)?;
        arguments.add(value)?;
        arguments.add(flag)
    }
}

static SUMMARIES: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        "INSERT OR REPLACE INTO summary (run, metric, n, last, last_flag, last_step, best, best_step) VALUES",
        8,
        "",
    )
});

impl Columns for (i64, i64, Summary) {
    fn add_to(&self, arguments: &mut SqliteArguments) -> std::result::Result<(), BoxDynError> {
        let (run, metric, summary) = self;
        let (value, flag) = columns_of(summary.last);
        arguments.add(run)?;
        arguments.add(metric)?;
        arguments.add(summary.n)?;
        arguments.add(value)?;
        arguments.add(flag)?;
        arguments.add(summary.last_step.cast_signed())?;
        arguments.add(summary.best.map(|(best, _)| best))?;
        arguments.add(summary.best.map(|(_, step)| step.cast_signed()))
    }
}

/// By step. Of two measurements at one step the later counts, here as in the table.
fn in_order(mut points: Vec<CurvePoint>) -> Vec<CurvePoint> {
    if points.is_sorted_by(|a, b| a.step < b.step) {
        return points;
    }
    points.reverse();
    points.sort_by_key(|point| point.step);
    points.dedup_by_key(|point| point.step);
    points
}

/// An entry of the dictionary of names.
#[derive(Clone, Copy)]
pub(super) struct Metric {
    pub key: i64,
    pub better: Better,
}

impl Metric {
    /// Those of `names`; what is not known yet comes in, in the order of the names, so that the same journal always makes
    /// the same run log.
    pub(super) async fn named(
        tx: &mut SqliteConnection,
        names: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Metric>> {
        let mut found = Self::known(tx, names).await?;
        let new: Vec<&str> =
            names.iter().copied().filter(|name| !found.contains_key(*name)).collect();
        if !new.is_empty() {
            let query =
                "INSERT INTO metric (name) SELECT value FROM json_each(?) ORDER BY json_each.key";
            sqlx::query(query).bind(json(&new)?).execute(&mut *tx).await?;
            found.append(&mut Self::known(tx, &new.into_iter().collect()).await?);
        }
        Ok(found)
    }

    async fn known(
        tx: &mut SqliteConnection,
        names: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Metric>> {
        let query = sqlx::query(
            "SELECT name, key, better FROM metric WHERE name IN (SELECT value FROM json_each(?))",
        );
        let rows = query.bind(json(names)?).fetch_all(tx).await?;
        let entry = |row: &SqliteRow| {
            let better = super::browse::better(row.try_get(2)?)?;
            Ok((row.try_get(0)?, Metric { key: row.try_get(1)?, better }))
        };
        rows.iter().map(entry).collect()
    }
}

/// What is said of a run and a metric, as far as its points go.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Summary {
    n: i64,
    last: f64,
    last_step: u64,
    /// The best finite value in the metric's direction, and the first step that reached it.
    best: Option<(f64, u64)>,
}

impl Summary {
    /// `known` after `new`, in step order, was written behind it. `None` where there is nothing to say, or where something
    /// was overwritten: what is known of the best may be about a measurement that is gone.
    fn extended(known: Option<&Known>, better: Better, new: &[CurvePoint]) -> Option<Self> {
        let (first, last) = (new.first()?, new.last()?);
        let mut best = None;
        let mut n = new.len() as i64;
        if let Some(known) = known {
            if first.step <= known.last_step {
                return None;
            }
            best = known.best;
            n += known.n;
        }
        for point in new.iter().filter(|point| point.value.is_finite()) {
            let is_better = match (better, best) {
                (Better::Neither, _) => false,
                (_, None) => true,
                (Better::Lower, Some((value, _))) => point.value < value,
                (Better::Higher, Some((value, _))) => value < point.value,
            };
            if is_better {
                best = Some((point.value, point.step));
            }
        }
        Some(Self { n, last: last.value, last_step: last.step, best })
    }
}

/// What the summary of a run and a metric says before.
struct Known {
    n: i64,
    last_step: u64,
    best: Option<(f64, u64)>,
}

/// What is known of the runs of `all`, by run and metric.
async fn known(tx: &mut SqliteConnection, all: &[Series]) -> Result<HashMap<(i64, i64), Known>> {
    let runs: BTreeSet<i64> = all.iter().map(|series| series.run).collect();
    let query = sqlx::query(
        "SELECT run, metric, n, last_step, best, best_step FROM summary
          WHERE run IN (SELECT value FROM json_each(?))",
    );
    let mut known = HashMap::new();
    for row in query.bind(json(&runs)?).fetch_all(tx).await? {
        let best: (Option<f64>, Option<u64>) = (row.try_get(4)?, row.try_get(5)?);
        let said =
            Known { n: row.try_get(2)?, last_step: row.try_get(3)?, best: best.0.zip(best.1) };
        known.insert((row.try_get(0)?, row.try_get(1)?), said);
    }
    Ok(known)
}

/// How many metrics a run has.
pub(super) async fn count_metrics(tx: &mut SqliteConnection, run: i64) -> Result<usize> {
    let query = sqlx::query_scalar("SELECT count(*) FROM summary WHERE run = ?").bind(run);
    let n: i64 = query.fetch_one(tx).await?;
    Ok(usize::try_from(n).unwrap_or_default())
}

/// Which metrics a run has.
pub(super) async fn metrics_of(tx: &mut SqliteConnection, run: i64) -> Result<HashSet<String>> {
    let query = sqlx::query_scalar(
        "SELECT name FROM summary JOIN metric ON metric.key = summary.metric WHERE run = ?",
    );
    let names: Vec<String> = query.bind(run).fetch_all(tx).await?;
    Ok(names.into_iter().collect())
}

/// Takes back every measurement after `step`, or all of them, and summarises what is left.
pub(super) async fn void(tx: &mut SqliteConnection, run: i64, after: Option<u64>) -> Result<()> {
    let Some(after) = after.map(u64::cast_signed) else {
        for table in ["point", "summary", "evaluation", "checkpoint"] {
            let sql = format!("DELETE FROM {table} WHERE run = ?");
            sqlx::query(AssertSqlSafe(sql)).bind(run).execute(&mut *tx).await?;
        }
        return Ok(());
    };
    for table in ["evaluation", "checkpoint"] {
        let sql = format!("DELETE FROM {table} WHERE run = ? AND ? < step");
        sqlx::query(AssertSqlSafe(sql)).bind(run).bind(after).execute(&mut *tx).await?;
    }
    let query = sqlx::query(
        "SELECT metric, n, best_step, better FROM summary JOIN metric ON metric.key = summary.metric
          WHERE run = ? AND ? < last_step",
    );
    for row in query.bind(run).bind(after).fetch_all(&mut *tx).await? {
        let (metric, n, best_step): (i64, i64, Option<i64>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // By metric, as points are ordered: a run may have half a million of them before `after`.
        let query = sqlx::query("DELETE FROM point WHERE run = ? AND metric = ? AND ? < step");
        let gone =
            query.bind(run).bind(metric).bind(after).execute(&mut *tx).await?.rows_affected();
        if best_step.is_some_and(|best| after < best) {
            let better = super::browse::better(row.try_get(3)?)?;
            recompute(tx, run, metric, better).await?;
        } else {
            shorten(tx, run, metric, n - gone.cast_signed()).await?;
        }
    }
    Ok(())
}

/// Brings the summary of one metric up to date whose last points are gone, but not its best: `n` are left.
async fn shorten(tx: &mut SqliteConnection, run: i64, metric: i64, n: i64) -> Result<()> {
    if n <= 0 {
        let query = sqlx::query("DELETE FROM summary WHERE run = ? AND metric = ?");
        query.bind(run).bind(metric).execute(tx).await?;
        return Ok(());
    }
    let query = sqlx::query(
        "UPDATE summary SET n = ?3, (last, last_flag, last_step) =
           (SELECT value, flag, step FROM point WHERE run = ?1 AND metric = ?2 ORDER BY step DESC LIMIT 1)
          WHERE run = ?1 AND metric = ?2",
    );
    query.bind(run).bind(metric).bind(n).execute(tx).await?;
    Ok(())
}

/// Where a run was at the newest step that it has a measurement of: epoch and active seconds.
pub(super) async fn newest(tx: &mut SqliteConnection, run: i64) -> Result<Option<(f64, f64)>> {
    let query = sqlx::query_as(
        "SELECT epoch, sec
           FROM (SELECT run, metric, last_step FROM summary WHERE run = ? ORDER BY last_step DESC, metric LIMIT 1) AS s
           JOIN point ON point.run = s.run AND point.metric = s.metric AND point.step = s.last_step",
    );
    Ok(query.bind(run).fetch_optional(tx).await?)
}

/// Makes the summary of one metric anew from its points; there is none where there are none.
pub(super) async fn recompute(
    tx: &mut SqliteConnection,
    run: i64,
    metric: i64,
    better: Better,
) -> Result<()> {
    let query = sqlx::query("DELETE FROM summary WHERE run = ? AND metric = ?");
    query.bind(run).bind(metric).execute(&mut *tx).await?;
    // A bare column beside max() or min() is of the row that has it (sqlite.org/lang_select.html#bareagg), but of any
    // such row; the first step that reached the best is wanted.
    let query = sqlx::query(
        "INSERT INTO summary (run, metric, n, last, last_flag, last_step, best, best_step)
         SELECT ?1, ?2, (SELECT count(*) FROM point WHERE run = ?1 AND metric = ?2), value, flag, step, best, best_step
           FROM (SELECT value, flag, step FROM point WHERE run = ?1 AND metric = ?2 ORDER BY step DESC LIMIT 1)
           LEFT JOIN (SELECT value AS best, step AS best_step FROM point
                       WHERE run = ?1 AND metric = ?2 AND value IS NOT NULL AND ?3 <> 0
                       ORDER BY value * ?3, step LIMIT 1)",
    );
    let sign = match better {
        Better::Lower => 1,
        Better::Higher => -1,
        Better::Neither => 0,
    };
    query.bind(run).bind(metric).bind(sign).execute(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_measurements_at_a_step_the_later_counts() {
        let points = |all: &[(u64, f64)]| -> Vec<CurvePoint> {
            let point = |&(step, value)| CurvePoint { step, epoch: 0.0, sec: 0.0, value };
            all.iter().map(point).collect()
        };
        let rising = points(&[(1, 0.1), (2, 0.2), (5, 0.5)]);
        assert_eq!(in_order(rising.clone()), rising);
        let mixed = points(&[(5, 0.1), (1, 0.1), (5, 0.5), (2, 0.2)]);
        assert_eq!(in_order(mixed), rising);
    }
}
