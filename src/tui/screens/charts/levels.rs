//! Levels that a curve is held against: chance, ln n, the paper's value, the baseline.

use crate::config::Status;
use crate::journal::metric::split;
use crate::report::ablation::fits;
use crate::store::model::RunRow;
use crate::tui::app::{App, Axis, last};
use crate::tui::widgets::level::Level;

/// What is worth knowing of `metric` for these runs; a level on which they do not agree is left out.
pub fn levels(app: &App, metric: &str, rows: &[&RunRow]) -> Vec<Level> {
    let mut levels = Vec::new();
    if let Some(y) = agreed(rows, |row| chance(metric, row)) {
        levels.push(Level::new(y, "chance"));
    }
    for reference in papers(app, metric, rows) {
        levels.push(reference);
    }
    let baseline = app.baseline().filter(|base| rows.iter().any(|row| row.id != base.id));
    if let Some(y) = baseline.map(|base| last(base, metric)).filter(|y| y.is_finite()) {
        levels.push(Level::new(y, "baseline"));
    }
    levels
}

fn agreed(rows: &[&RunRow], of: impl Fn(&RunRow) -> Option<f64>) -> Option<f64> {
    let first = of(rows.first()?)?;
    rows.iter().all(|row| of(row) == Some(first)).then_some(first)
}

/// What guessing gives: 100 / classes for k-NN; for a loss, where features tell nothing apart.
///
/// Noise-contrastive estimation with m negatives (Wu et al. 2018, equation 6): ln(1 + m) + m ln(1 + 1/m), every sample
/// counted as data with odds 1 : m. The softmax over n instances: ln n.
pub fn chance(metric: &str, row: &RunRow) -> Option<f64> {
    if metric.starts_with("knn_top1") {
        return n_classes(row).map(|n| 100.0 / n as f64);
    }
    let objective = row.spec.get("objective")?;
    let lambda = objective.get("lambda").and_then(|x| x.as_f64()).unwrap_or(0.0);
    if metric != "loss/instance" && !(metric == "loss" && lambda == 0.0) {
        return None;
    }
    match objective.get("kind")?.as_str()? {
        "nce" => {
            let m = objective.get("m")?.as_f64()?;
            Some(m.ln_1p() + m * (1.0 / m).ln_1p())
        }
        "nonparametric" => n_instances(row).map(f64::ln),
        _ => None,
    }
}

fn n_classes(row: &RunRow) -> Option<usize> {
    let data = row.spec.get("data")?;
    if let Some(classes) = data.get("classes").and_then(|classes| classes.as_array()) {
        return Some(classes.len().max(1));
    }
    matches!(data.get("dataset")?.as_str()?, "shapes" | "cifar10").then_some(10)
}

/// Training instances, where the data set is one whose size is known; classes that are left out are not.
fn n_instances(row: &RunRow) -> Option<f64> {
    let data = row.spec.get("data")?;
    let all = match data.get("dataset")?.as_str()? {
        "cifar10" => 50_000,
        "shapes" => 10_000,
        _ => return None,
    };
    let whole = data.get("classes").is_none_or(|classes| classes.is_null());
    let fraction = data.get("fraction").and_then(|x| x.as_f64()).unwrap_or(1.0);
    whole.then(|| (f64::from(all) * fraction).round())
}

/// Published values that stand beside the shown runs, each once; along epochs with the way there, where that is known.
fn papers(app: &App, metric: &str, rows: &[&RunRow]) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    for experiment in &app.records {
        let members = rows.iter().filter(|row| row.experiments.contains(&experiment.name));
        let members: Vec<&RunRow> = members.copied().collect();
        for reference in &experiment.references {
            let stands = members.iter().any(|row| fits(reference, &[row]));
            let is_new = levels.iter().all(|level| level.y != reference.value);
            if split(&reference.metric).0 != metric || !stands || !is_new {
                continue;
            }
            let status = match reference.status {
                Status::Verified => String::new(),
                other => format!(" ({})", other.words()),
            };
            // Of other data it is no level to reach.
            let on = reference.on.as_ref().map(|on| format!(" on {on}")).unwrap_or_default();
            let name = format!("paper{on}{status}");
            let curve = match app.view().axis {
                Axis::Epoch => reference.curve.clone(),
                _ => Vec::new(),
            };
            levels.push(Level { curve, ..Level::new(reference.value, name) });
        }
    }
    levels
}
