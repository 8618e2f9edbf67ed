//! Measurements and their summaries: written in bulk, in the transaction of their journal position.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe, Row};

use super::Result;
use super::records::CurvePoint;
use crate::journal::event::{Better, MetricInfo, Point};

/// Rows of one INSERT; with seven columns far below SQLite's 32766 variables, and beyond which nothing is gained.
const ROWS: usize = 256;

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
pub(super) struct Pending(BTreeMap<String, Vec<CurvePoint>>);

impl Pending {
    pub(super) fn push(&mut self, point: &Point) {
        for (name, value) in &point.m {
            let point =
                CurvePoint { step: point.step, epoch: point.epoch, sec: point.sec, value: value.0 };
            match self.0.get_mut(name) {
                Some(points) => points.push(point),
                None => drop(self.0.insert(name.clone(), vec![point])),
            }
        }
    }

    /// Writes everything and brings the summaries up to date. Returns how many measurements there were.
    pub(super) async fn write(&mut self, tx: &mut SqliteConnection, run: i64) -> Result<u64> {
        let mut count = 0;
        for (name, mut points) in std::mem::take(&mut self.0) {
            count += points.len() as u64;
            // Of two measurements at one step the later counts, here as in the table.
            points.sort_by_key(|point| point.step);
            let mut kept: Vec<CurvePoint> = Vec::with_capacity(points.len());
            for point in points {
                match kept.last_mut() {
                    Some(last) if last.step == point.step => *last = point,
                    _ => kept.push(point),
                }
            }
            let metric = Metric::named(tx, &name).await?;
            insert(tx, run, metric.key, &kept).await?;
            summarise(tx, run, &metric, &kept).await?;
        }
        Ok(count)
    }
}

/// An entry of the dictionary of names.
struct Metric {
    key: i64,
    better: Better,
}

impl Metric {
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

/// One statement for a full chunk, another for what is left over: both prepared once.
async fn insert(
    tx: &mut SqliteConnection,
    run: i64,
    metric: i64,
    points: &[CurvePoint],
) -> Result<()> {
    for chunk in points.chunks(ROWS) {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(7 * chunk.len(), 0);
        let mut bind = || -> std::result::Result<(), sqlx::error::BoxDynError> {
            for point in chunk {
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
        bind().map_err(sqlx::Error::Encode)?;
        let query = match chunk.len() {
            ROWS => sqlx::query_with(AssertSqlSafe(FULL.as_str()), arguments),
            rows => {
                sqlx::query_with(AssertSqlSafe(insert_statement(rows)), arguments).persistent(false)
            }
        };
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// The statement for a full chunk.
static FULL: LazyLock<String> = LazyLock::new(|| insert_statement(ROWS));

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

/// Brings the summary of one metric up to date after `new`, in step order, was written.
async fn summarise(
    tx: &mut SqliteConnection,
    run: i64,
    metric: &Metric,
    new: &[CurvePoint],
) -> Result<()> {
    let (Some(first), Some(last)) = (new.first(), new.last()) else { return Ok(()) };
    let query = sqlx::query(
        "SELECT last_step, best, best_step, n FROM summary WHERE run = ? AND metric = ?",
    );
    let row = query.bind(run).bind(metric.key).fetch_optional(&mut *tx).await?;
    let mut best = None;
    let mut n = new.len() as i64;
    if let Some(row) = row {
        // Something was overwritten, so what is known of the best may be about a measurement that is gone.
        if first.step <= row.try_get::<u64, _>(0)? {
            return recompute(tx, run, metric.key, metric.better).await;
        }
        let known: (Option<f64>, Option<u64>) = (row.try_get(1)?, row.try_get(2)?);
        best = known.0.zip(known.1);
        n += row.try_get::<i64, _>(3)?;
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
