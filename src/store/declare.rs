//! What metrics mean: the same for all runs, hence said once.

use std::collections::{BTreeSet, HashMap};

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::pending::MOST_METRICS;
use super::points::{Metric, recompute};
use super::{Result, json};
use crate::journal::event::{Better, MetricInfo};

/// Notes what metrics mean, where nobody has said so before, and looks for every best in a direction that is new. Returns
/// what is to be told about a declaration that does not agree with an earlier one, or names more than a run may have: the
/// best of every other run is not for this one to decide.
pub(super) async fn declare(
    tx: &mut SqliteConnection,
    metrics: &[MetricInfo],
) -> Result<Option<(&'static str, String)>> {
    let metrics = &metrics[..metrics.len().min(MOST_METRICS + 1)];
    let (metrics, beyond) = metrics.split_at(metrics.len().min(MOST_METRICS));
    let mut known = known(tx, metrics).await?;
    let mut contradicted = Vec::new();
    for info in metrics.iter().filter(|info| says_something(&info.unit, info.better)) {
        let Some((key, unit, better)) = known.get_mut(&info.name) else { continue };
        if says_something(unit, *better) {
            if (unit.as_str(), *better) != (info.unit.as_str(), info.better) {
                contradicted.push(format!(
                    "{} is said to be {}, and is {} since a run said so first",
                    info.name,
                    words(&info.unit, info.better),
                    words(unit, *better)
                ));
            }
            continue;
        }
        (*unit, *better) = (info.unit.clone(), info.better);
        let query = sqlx::query("UPDATE metric SET unit = ?, better = ? WHERE key = ?");
        query.bind(&info.unit).bind(text(info.better)).bind(*key).execute(&mut *tx).await?;
        if info.better != Better::Neither {
            let runs = sqlx::query_scalar("SELECT run FROM summary WHERE metric = ?").bind(*key);
            let runs: Vec<i64> = runs.fetch_all(&mut *tx).await?;
            for run in runs {
                recompute(tx, run, *key, info.better).await?;
            }
        }
    }
    Ok(match (contradicted.first(), beyond.first()) {
        (Some(first), _) => {
            let more = match contradicted.len() - 1 {
                0 => String::new(),
                n => format!(" ({n} more like it)"),
            };
            Some(("contradicted_metric", format!("{first}{more}")))
        }
        (None, Some(first)) => Some(("too_many_metrics", too_many(&first.name))),
        (None, None) => None,
    })
}

/// Key, unit and direction of each metric as it is known so far.
async fn known(
    tx: &mut SqliteConnection,
    metrics: &[MetricInfo],
) -> Result<HashMap<String, (i64, String, Better)>> {
    let names: BTreeSet<&str> = metrics.iter().map(|info| info.name.as_str()).collect();
    Metric::named(tx, &names).await?;
    let query = sqlx::query(
        "SELECT name, key, unit, better FROM metric WHERE name IN (SELECT value FROM json_each(?))",
    );
    let rows = query.bind(json(&names)?).fetch_all(tx).await?;
    let entry = |row: &SqliteRow| {
        let better = super::browse::better(row.try_get(3)?)?;
        Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?, better)))
    };
    rows.iter().map(entry).collect()
}

/// What is told when a run has more metrics than it may.
pub(super) fn too_many(first: &str) -> String {
    format!("a run may have {MOST_METRICS} metrics: {first} and others are left out")
}

/// A name that only came with a point has neither unit nor direction, as one that is declared with neither.
fn says_something(unit: &str, better: Better) -> bool {
    !unit.is_empty() || better != Better::Neither
}

fn text(better: Better) -> &'static str {
    match better {
        Better::Lower => "lower",
        Better::Higher => "higher",
        Better::Neither => "neither",
    }
}

/// `better lower, in nats`.
fn words(unit: &str, better: Better) -> String {
    let unit = if unit.is_empty() { "no unit" } else { unit };
    format!("better {}, in {unit}", text(better))
}
