//! Lists of runs: the fixed JSON of `runs --format json`, and the table that people read.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::shown;
use super::table::Table;
use crate::journal::event::Number;
use crate::store::RunRow;

/// Milliseconds since 1970 as RFC 3339, UTC.
pub fn time(ms: i64) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// One run in the fixed form.
pub fn json(run: &RunRow) -> Value {
    let mut value = json!(run);
    for (key, ms) in [
        ("queued_at", Some(run.queued_at)),
        ("started_at", run.started_at),
        ("ended_at", run.ended_at),
    ] {
        value[key] = json!(ms.map(time));
    }
    value
}

/// What told the runs of its experiments apart: `lambda=10 m=512`.
pub fn varied(run: &RunRow) -> String {
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let pairs =
        run.varied.iter().map(|(key, value)| format!("{}={}", short(key), shown(Some(value))));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Runs for people, one a line.
pub fn table(runs: &[RunRow]) -> Table {
    let names =
        ["run", "state", "varied", "seed", "epoch", "loss", "knn_top1", "best", "tags", "why"];
    let mut table = Table::new(names).right(&["seed", "epoch", "loss", "knn_top1", "best"]);
    for run in runs {
        let last = |name: &str| run.metrics.get(name).map(|metric| metric.last);
        let best = run.metrics.get("knn_top1").and_then(|metric| metric.best);
        let finished = run.state == crate::store::State::Finished;
        let why = run.warning.clone().or_else(|| run.reason.clone().filter(|_| !finished));
        table.push([
            run.id.clone(),
            run.state.to_string(),
            varied(run),
            run.seed.to_string(),
            epochs(run),
            last("loss").map_or_else(String::new, |Number(x)| format!("{x:.4}")),
            last("knn_top1").map_or_else(String::new, |Number(x)| format!("{x:.1}")),
            best.map_or_else(String::new, |x| format!("{x:.1}")),
            run.tags.join(" "),
            why.map_or_else(String::new, |why| brief(&why)),
        ]);
    }
    table
}

/// `12/200`; before the first start only what the specification asks for is known.
fn epochs(run: &RunRow) -> String {
    let asked = run.spec.pointer("/train/epochs").and_then(Value::as_u64).unwrap_or_default();
    format!("{}/{asked}", run.progress.epoch.floor())
}

fn brief(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
