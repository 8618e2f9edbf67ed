//! Curves in a few strokes, for tables: a handful of index seeks a run, however long the curve is.

use sqlx::Row;

use super::points::value_of;
use super::{Result, Store};
use crate::store::model::RunId;

/// Strokes of a sketch.
pub const STROKES: usize = 10;

/// Points that are averaged to one stroke.
const POINTS: i64 = 16;

/// A curve's course in [`STROKES`] strokes over the steps it has so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    pub run: RunId,
    /// Mean of up to 16 points from each tenth of the curve on; NaN where there are none, or one is not finite.
    pub strokes: Vec<f64>,
    /// Mean of the latest 16 points.
    pub recent: f64,
    /// Newest step when this was drawn.
    pub last_step: u64,
}

impl Store {
    /// Sketches of one metric for these runs; runs without it are left out.
    pub async fn sketches(&self, metric: &str, runs: &[RunId]) -> Result<Vec<Sketch>> {
        let mut view = self.view().await?;
        let mut found = Vec::with_capacity(runs.len());
        for id in runs {
            let ends = sqlx::query(
                "SELECT summary.run, summary.metric, summary.last_step,
                        (SELECT min(step) FROM point WHERE point.run = summary.run AND point.metric = summary.metric)
                   FROM summary JOIN metric ON metric.key = summary.metric JOIN run ON run.key = summary.run
                  WHERE run.id = ? AND metric.name = ?",
            );
            let Some(row) = ends.bind(id).bind(metric).fetch_optional(&mut *view).await? else {
                continue;
            };
            let (run, metric, last): (i64, i64, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let first: i64 = row.try_get::<Option<i64>, _>(3)?.unwrap_or(last);
            let mut strokes = Vec::with_capacity(STROKES);
            for stroke in 0..STROKES as i64 {
                let from = first + (last - first) * stroke / STROKES as i64;
                let to = first + (last - first) * (stroke + 1) / STROKES as i64;
                let query = sqlx::query(
                    "SELECT value, flag FROM point WHERE run = ? AND metric = ? AND step BETWEEN ? AND ?
                      ORDER BY step LIMIT ?",
                );
                let query = query.bind(run).bind(metric).bind(from).bind(to).bind(POINTS);
                strokes.push(mean(&query.fetch_all(&mut *view).await?)?);
            }
            let query = sqlx::query(
                "SELECT value, flag FROM point WHERE run = ? AND metric = ? ORDER BY step DESC LIMIT ?",
            );
            let recent = query.bind(run).bind(metric).bind(POINTS).fetch_all(&mut *view).await?;
            found.push(Sketch {
                run: id.clone(),
                strokes,
                recent: mean(&recent)?,
                last_step: last.cast_unsigned(),
            });
        }
        Ok(found)
    }
}

fn mean(rows: &[sqlx::sqlite::SqliteRow]) -> Result<f64> {
    let mut sum = 0.0;
    for row in rows {
        sum += value_of(row.try_get(0)?, row.try_get(1)?);
    }
    Ok(sum / rows.len() as f64)
}
