//! Measurements and their summaries: written in bulk, in the transaction of their journal position.

use std::sync::LazyLock;

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, Row};

use super::Result;
use super::records::CurvePoint;
use crate::journal::event::{Better, MetricInfo, Point};

/// Rows of one INSERT, each size prepared once. Every statement passes to SQLite's thread and back, so a bulk load goes in by
/// the largest, whose seven columns are below SQLite's 32766 variables; what is left over takes one of each size at most.
const ROWS: [usize; 11] = [1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1];

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

/// Measurements that wait to be written, by metric.
#[derive(Default)]
pub(super) struct Pending(Vec<(String, Vec<CurvePoint>)>);

impl Pending {
    pub(super) fn push(&mut self, point: &Point) {
        for (at, (name, value)) in point.m.iter().enumerate() {
            let point =
                CurvePoint { step: point.step, epoch: point.epoch, sec: point.sec, value: value.0 };
            // One line has the metrics of the line before it, in the same order.
            let here = match self.0.get(at) {
                Some((known, _)) if known == name => Some(at),
                _ => self.0.iter().position(|(known, _)| known == name),
            };
            match here {
                Some(here) => self.0[here].1.push(point),
                None => self.0.push((name.clone(), vec![point])),
            }
        }
    }

    /// Writes everything and brings the summaries up to date. Returns how many measurements there were.
    pub(super) async fn write(&mut self, tx: &mut SqliteConnection, run: i64) -> Result<u64> {
        let mut count = 0;
        let mut all = std::mem::take(&mut self.0);
        // In the order of the names, so that the same journal always makes the same run log.
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, points) in all {
            count += points.len() as u64;
            let points = in_order(points);
            let (metric, known) = Metric::summarised(tx, &name, run).await?;
            insert(tx, run, metric.key, &points).await?;
            summarise(tx, run, &metric, known, &points).await?;
        }
        Ok(count)
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
struct Metric {
    key: i64,
    better: Better,
}

/// What the summary of a run and a metric says.
struct Known {
    n: i64,
    last_step: u64,
    best: Option<(f64, u64)>,
}

impl Metric {
    /// A metric by its name, and its summary of `run` where there is one: in one question, as a worker asks it for every
    /// point of every run.
    async fn summarised(
        tx: &mut SqliteConnection,
        name: &str,
        run: i64,
    ) -> Result<(Self, Option<Known>)> {
        let query = sqlx::query(
            "SELECT key, better, n, last_step, best, best_step
               FROM metric LEFT JOIN summary ON summary.metric = metric.key AND summary.run = ?
              WHERE name = ?",
        );
        let Some(row) = query.bind(run).bind(name).fetch_optional(&mut *tx).await? else {
            return Ok((Self::named(tx, name).await?, None));
        };
        let metric = Self { key: row.try_get(0)?, better: super::browse::better(row.try_get(1)?)? };
        let Some(n) = row.try_get(2)? else { return Ok((metric, None)) };
        let best: (Option<f64>, Option<u64>) = (row.try_get(4)?, row.try_get(5)?);
        let known = Known { n, last_step: row.try_get(3)?, best: best.0.zip(best.1) };
        Ok((metric, Some(known)))
    }

    async fn named(tx: &mut SqliteConnection, name: &str) -> Result<Self> {
        let row = sqlx::query("SELECT key, better FROM metric WHERE name = ?").bind(name);
        if let Some(row) = row.fetch_optional(&mut *tx).await? {
            return Ok(Self {
                key: row.try_get(0)?,
                better: super::browse::better(row.try_get(1)?)?,
            });
        }
        let key =
            sqlx::query_scalar("INSERT INTO metric (name) VALUES (?) RETURNING key").bind(name);
        Ok(Self { key: key.fetch_one(tx).await?, better: Better::Neither })
    }
}

/// Notes what metrics mean. Where a direction is new, every best in it is looked for again.
pub(super) async fn declare(tx: &mut SqliteConnection, metrics: &[MetricInfo]) -> Result<()> {
    for info in metrics {
        let metric = Metric::named(tx, &info.name).await?;
        let better = match info.better {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "neither",
        };
        let query = sqlx::query("UPDATE metric SET unit = ?, better = ? WHERE key = ?");
        query.bind(&info.unit).bind(better).bind(metric.key).execute(&mut *tx).await?;
        if metric.better != info.better {
            let runs =
                sqlx::query_scalar("SELECT run FROM summary WHERE metric = ?").bind(metric.key);
            let runs: Vec<i64> = runs.fetch_all(&mut *tx).await?;
            for run in runs {
                recompute(tx, run, metric.key, info.better).await?;
            }
        }
    }
    Ok(())
}

/// Takes back every measurement after `step`, or all of them, and summarises what is left.
pub(super) async fn void(tx: &mut SqliteConnection, run: i64, after: Option<u64>) -> Result<()> {
    let after = after.map_or(-1, u64::cast_signed);
    for table in ["point", "evaluation", "checkpoint"] {
        let sql = format!("DELETE FROM {table} WHERE run = ? AND ? < step");
        sqlx::query(AssertSqlSafe(sql)).bind(run).bind(after).execute(&mut *tx).await?;
    }
    let query = sqlx::query(
        "SELECT metric, better FROM summary JOIN metric ON metric.key = summary.metric WHERE run = ? AND ? < last_step",
    );
    for row in query.bind(run).bind(after).fetch_all(&mut *tx).await? {
        let better = super::browse::better(row.try_get(1)?)?;
        recompute(tx, run, row.try_get(0)?, better).await?;
    }
    Ok(())
}

/// In as few statements as there are chunks of the sizes that are prepared. SQLite is at work on a thread of its own: what it
/// gets next is put together meanwhile.
async fn insert(
    tx: &mut SqliteConnection,
    run: i64,
    metric: i64,
    mut points: &[CurvePoint],
) -> Result<()> {
    let mut next = || {
        let size = ROWS.iter().position(|&rows| rows <= points.len())?;
        let (chunk, rest) = points.split_at(ROWS[size]);
        points = rest;
        let statement = AssertSqlSafe(STATEMENTS[size].as_str());
        Some(arguments(run, metric, chunk).map(|rows| sqlx::query_with(statement, rows)))
    };
    let mut query = next();
    while let Some(rows) = query {
        let written;
        (written, query) = tokio::join!(rows?.execute(&mut *tx), async { next() });
        written?;
    }
    Ok(())
}

/// What the statement for so many rows takes.
fn arguments(run: i64, metric: i64, points: &[CurvePoint]) -> sqlx::Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(7 * points.len(), 0);
    let mut add = || -> std::result::Result<(), sqlx::error::BoxDynError> {
        for point in points {
            let (value, flag) = columns_of(point.value);
            arguments.add(run)?;
            arguments.add(metric)?;
            arguments.add(point.step.cast_signed())?;
            arguments.add(point.epoch)?;
            arguments.add(point.sec)?;
            arguments.add(value)?;
            arguments.add(flag)?;
        }
        Ok(())
    };
    add().map_err(sqlx::Error::Encode)?;
    Ok(arguments)
}

/// One for each of [`ROWS`].
static STATEMENTS: LazyLock<[String; ROWS.len()]> = LazyLock::new(|| ROWS.map(insert_statement));

/// Every variable stands as a bare `?`: SQLite keeps a list of the names of numbered ones, which sqlx has it search from
/// its beginning for each value that it binds.
fn insert_statement(rows: usize) -> String {
    let mut sql = String::with_capacity(100 + 16 * rows);
    sql.push_str(
        "INSERT OR REPLACE INTO point (run, metric, step, epoch, sec, value, flag) VALUES ",
    );
    for row in 0..rows {
        sql.push_str(if row == 0 { "(?,?,?,?,?,?,?)" } else { ",(?,?,?,?,?,?,?)" });
    }
    sql
}

/// Brings the summary of one metric, which was `known`, up to date after `new`, in step order, was written.
async fn summarise(
    tx: &mut SqliteConnection,
    run: i64,
    metric: &Metric,
    known: Option<Known>,
    new: &[CurvePoint],
) -> Result<()> {
    let (Some(first), Some(last)) = (new.first(), new.last()) else { return Ok(()) };
    let mut best = None;
    let mut n = new.len() as i64;
    if let Some(known) = known {
        // Something was overwritten, so what is known of the best may be about a measurement that is gone.
        if first.step <= known.last_step {
            return recompute(tx, run, metric.key, metric.better).await;
        }
        best = known.best;
        n += known.n;
    }
    for point in new.iter().filter(|point| point.value.is_finite()) {
        let is_better = match (metric.better, best) {
            (Better::Neither, _) => false,
            (_, None) => true,
            (Better::Lower, Some((value, _))) => point.value < value,
            (Better::Higher, Some((value, _))) => value < point.value,
        };
        if is_better {
            best = Some((point.value, point.step));
        }
    }
    let (value, flag) = columns_of(last.value);
    let query = sqlx::query(
        "INSERT OR REPLACE INTO summary (run, metric, n, last, last_flag, last_step, best, best_step)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let query = query
        .bind(run)
        .bind(metric.key)
        .bind(n)
        .bind(value)
        .bind(flag)
        .bind(last.step.cast_signed());
    let query = query.bind(best.map(|best| best.0)).bind(best.map(|best| best.1.cast_signed()));
    query.execute(tx).await?;
    Ok(())
}

/// Makes the summary of one metric anew from its points; there is none where there are none.
async fn recompute(tx: &mut SqliteConnection, run: i64, metric: i64, better: Better) -> Result<()> {
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

    #[test]
    fn every_number_of_rows_is_made_of_prepared_statements() {
        assert_eq!(ROWS.last(), Some(&1));
        assert!(ROWS.is_sorted_by(|a, b| a > b));
        for (rows, statement) in ROWS.iter().zip(STATEMENTS.iter()) {
            assert_eq!(statement.matches('?').count(), 7 * rows);
        }
    }
}
