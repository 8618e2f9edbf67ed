//! What a column of the run table shows, how it is called, and how runs compare by it.

use std::cmp::Ordering;

use serde_json::Value;

use crate::config::keys;
use crate::journal::event::Better;
use crate::report::ablation::setting;
use crate::store::model::{RunRow, State};
use crate::tui::figures;

/// A column of the run table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    State,
    Run,
    /// Stands for every factor in which the shown runs differ.
    Factors,
    /// One key of the specification.
    Factor(String),
    Progress,
    /// Time to go.
    Left,
    /// A sketch of a metric's curve.
    Curve(String),
    Last(String),
    Best(String),
    /// Mean of the metric's latest points.
    Recent(String),
    /// Last value minus the baseline's.
    Delta(String),
    /// Active seconds.
    Time,
    Queued,
    Tags,
    Note,
    Device,
    Attempt,
    Experiments,
}

impl Column {
    /// Columns of a lab whose person has chosen none.
    pub fn usual() -> Vec<Column> {
        let metric = |name: &str| name.to_owned();
        vec![
            Column::State,
            Column::Run,
            Column::Factors,
            Column::Progress,
            Column::Left,
            Column::Curve(metric("loss")),
            Column::Last(metric("loss")),
            Column::Last(metric("knn_top1")),
            Column::Best(metric("knn_top1")),
            Column::Time,
            Column::Tags,
        ]
    }

    /// Every column that these runs could have, the usual ones first.
    pub fn possible(rows: &[RunRow]) -> Vec<Column> {
        let mut all = Column::usual();
        all.extend([
            Column::Queued,
            Column::Note,
            Column::Device,
            Column::Attempt,
            Column::Experiments,
        ]);
        let mut metrics: Vec<&String> = rows.iter().flat_map(|row| row.metrics.keys()).collect();
        metrics.sort_unstable();
        metrics.dedup();
        for name in metrics {
            type Make = fn(String) -> Column;
            let kinds: [Make; 5] =
                [Column::Last, Column::Best, Column::Recent, Column::Delta, Column::Curve];
            all.extend(kinds.map(|make| make(name.clone())));
        }
        let mut factors: Vec<&String> = rows.iter().flat_map(|row| row.varied.keys()).collect();
        factors.sort_unstable();
        all.extend(factors.into_iter().map(|key| Column::Factor(key.clone())));
        let mut seen: Vec<Column> = Vec::new();
        for column in all {
            if !seen.contains(&column) {
                seen.push(column);
            }
        }
        seen
    }

    /// The name by which a person and a file call it: `loss.last`, `objective.lambda`, `tags`.
    pub fn name(&self) -> String {
        match self {
            Column::State => "state".into(),
            Column::Run => "run".into(),
            Column::Factors => "factors".into(),
            Column::Factor(key) => key.clone(),
            Column::Progress => "progress".into(),
            Column::Left => "left".into(),
            Column::Curve(metric) => format!("{metric}.curve"),
            Column::Last(metric) => format!("{metric}.last"),
            Column::Best(metric) => format!("{metric}.best"),
            Column::Recent(metric) => format!("{metric}.recent"),
            Column::Delta(metric) => format!("{metric}.delta"),
            Column::Time => "time".into(),
            Column::Queued => "queued".into(),
            Column::Tags => "tags".into(),
            Column::Note => "note".into(),
            Column::Device => "device".into(),
            Column::Attempt => "attempt".into(),
            Column::Experiments => "experiments".into(),
        }
    }

    /// Reads back what [`Column::name`] writes; a bare metric means its last value, a bare key's last part the key.
    pub fn parse(name: &str, rows: &[RunRow]) -> Option<Column> {
        let plain = Column::possible(&[]).into_iter().find(|column| column.name() == name);
        if plain.is_some() {
            return plain;
        }
        let is_metric = |name: &str| rows.iter().any(|row| row.metrics.contains_key(name));
        if let Some((metric, kind)) = name.rsplit_once('.') {
            let metric = metric.to_owned();
            match kind {
                "curve" => return Some(Column::Curve(metric)),
                "last" => return Some(Column::Last(metric)),
                "best" => return Some(Column::Best(metric)),
                "recent" => return Some(Column::Recent(metric)),
                "delta" => return Some(Column::Delta(metric)),
                _ => {}
            }
        }
        if is_metric(name) {
            return Some(Column::Last(name.to_owned()));
        }
        let leaf = |key: &&keys::Key| key.name == name || key.name.rsplit('.').next() == Some(name);
        keys::KEYS.iter().find(leaf).map(|key| Column::Factor(key.name.to_owned()))
    }

    /// What stands over it.
    pub fn title(&self) -> String {
        match self {
            Column::Factor(key) => short(key),
            Column::Factors => "factors".into(),
            Column::Last(metric) => brief(metric).into(),
            Column::Best(metric) if metric == "knn_top1" => "best".into(),
            Column::Best(metric) => format!("best {}", brief(metric)),
            Column::Recent(metric) => format!("~{}", brief(metric)),
            Column::Delta(metric) => format!("Δ {}", brief(metric)),
            Column::Curve(metric) => brief(metric).into(),
            other => other.name(),
        }
    }

    /// Whether the largest come first when a person first sorts by it.
    pub fn best_first(&self, rows: &[RunRow]) -> bool {
        match self {
            Column::Last(metric)
            | Column::Best(metric)
            | Column::Recent(metric)
            | Column::Delta(metric)
            | Column::Curve(metric) => {
                let known = rows.iter().find_map(|row| row.metrics.get(metric));
                known.is_none_or(|summary| summary.better != Better::Lower)
            }
            Column::Progress | Column::Queued => true,
            _ => false,
        }
    }
}

/// A factor's name in a table head: the last part of its key, the Greek letter where the field writes one.
pub fn short(key: &str) -> String {
    match key.rsplit('.').next().unwrap_or(key) {
        "lambda" => "λ".into(),
        "tau" => "τ".into(),
        last => last.into(),
    }
}

/// A metric's name where there is little room.
fn brief(metric: &str) -> &str {
    match metric {
        "knn_top1" => "k-NN",
        "knn_top1_bank" => "k-NN bank",
        "knn_top1_held_out" => "k-NN held",
        "knn_top1_selected" => "k-NN sel.",
        "knn_top1/pooled" => "k-NN pool",
        "images_per_second" => "img/s",
        other => other,
    }
}

/// A run's value of a key, where it means something.
pub fn factor(row: &RunRow, key: &str) -> Option<Value> {
    if key == "seed" {
        return Some(Value::from(row.seed));
    }
    row.varied.get(key).cloned().or_else(|| setting(row, key))
}

/// A factor as a cell; a dash where it means nothing for the run.
pub fn written(row: &RunRow, key: &str) -> String {
    factor(row, key).map_or("–".into(), |value| figures::setting(&value))
}

/// Done share in [0, 1]; the untrained net has no step to go, and is done when its run has finished.
pub fn share(row: &RunRow) -> f64 {
    match row.progress.steps {
        0 => f64::from(u8::from(row.state == State::Finished)),
        steps => (row.progress.step as f64 / steps as f64).clamp(0.0, 1.0),
    }
}

/// Seconds to go at the pace so far; nothing where nothing runs.
pub fn time_left(row: &RunRow) -> Option<f64> {
    let progress = &row.progress;
    let known = row.state.is_active() && progress.step > 0 && progress.steps >= progress.step;
    known.then(|| progress.sec / progress.step as f64 * (progress.steps - progress.step) as f64)
}

/// Last value of a metric; NaN where there is none.
pub fn last(row: &RunRow, metric: &str) -> f64 {
    row.metrics.get(metric).map_or(f64::NAN, |summary| summary.last.0)
}

/// Best value of a metric; NaN where there is none.
pub fn best(row: &RunRow, metric: &str) -> f64 {
    row.metrics.get(metric).and_then(|summary| summary.best).unwrap_or(f64::NAN)
}

/// The order of two runs; those without a value come last, whichever way the others go. `recent` knows what the row
/// does not.
pub fn compare(
    column: &Column,
    descending: bool,
    a: &RunRow,
    b: &RunRow,
    recent: &dyn Fn(&RunRow, &str) -> f64,
) -> Ordering {
    let directed = |order: Ordering| if descending { order.reverse() } else { order };
    let by = |value: &dyn Fn(&RunRow) -> f64| numbers(descending, value(a), value(b));
    match column {
        Column::State => directed(a.state.cmp(&b.state)),
        Column::Run | Column::Factors => directed(a.id.cmp(&b.id)),
        Column::Factor(key) => values(descending, &factor(a, key), &factor(b, key)),
        Column::Progress => by(&share),
        Column::Left => by(&|row| time_left(row).unwrap_or(f64::NAN)),
        Column::Last(metric) | Column::Delta(metric) => by(&|row| last(row, metric)),
        Column::Best(metric) => by(&|row| best(row, metric)),
        Column::Recent(metric) | Column::Curve(metric) => by(&|row| recent(row, metric)),
        Column::Time => by(&|row| row.progress.sec),
        Column::Queued => directed(a.queued_at.cmp(&b.queued_at)),
        Column::Tags => directed(a.tags.cmp(&b.tags)),
        Column::Note => directed(a.note.cmp(&b.note)),
        Column::Device => directed(a.device.cmp(&b.device)),
        Column::Attempt => directed(a.attempt.cmp(&b.attempt)),
        Column::Experiments => directed(a.experiments.cmp(&b.experiments)),
    }
}

fn numbers(descending: bool, a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => b.total_cmp(&a),
        (false, false) => a.total_cmp(&b),
        (a_nan, b_nan) => a_nan.cmp(&b_nan),
    }
}

/// The order of two settings: numbers as numbers, the rest as text, what means nothing for a run last.
pub fn values(descending: bool, a: &Option<Value>, b: &Option<Value>) -> Ordering {
    let directed = |order: Ordering| if descending { order.reverse() } else { order };
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            numbers(descending, a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN))
        }
        (Some(a), Some(b)) => directed(a.to_string().cmp(&b.to_string())),
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}
