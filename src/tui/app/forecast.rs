//! When waiting runs will start and end, from the measured pace of runs like them. Pure arithmetic over rows.
//!
//! A run's steps and seconds a step come from runs of the same cost: data set, network, batch size, objective and number
//! of negatives. Where there is none, nothing is predicted; a wrong number would be worse.

use serde_json::Value;

use crate::config::keys;
use crate::store::model::{RunId, RunRow, State};

/// What decides how long a step takes, and how many there are in an epoch.
const COST: [&str; 10] = [
    "data.dataset",
    "data.fraction",
    "data.held_out",
    "model.backbone",
    "model.width",
    "model.dim",
    "objective.kind",
    "objective.m",
    "train.batch_size",
    "train.precision",
];

/// A run with its place in time, in seconds from now.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    pub run: RunId,
    pub start: f64,
    pub end: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Runs at work and waiting runs whose place is known, in their order.
    pub runs: Vec<Predicted>,
    /// Seconds until the last of them ends; absent while any is unknown.
    pub done: Option<f64>,
    /// Waiting runs that nothing is known of.
    pub unknown: usize,
}

impl Forecast {
    pub fn of(&self, id: &str) -> Option<&Predicted> {
        self.runs.iter().find(|predicted| predicted.run == id)
    }
}

/// Waiting runs in the order in which workers take them. `rows` are in the store's order, which breaks ties.
pub fn waiting(rows: &[RunRow]) -> Vec<&RunRow> {
    let mut waiting: Vec<&RunRow> = rows.iter().filter(|row| row.state == State::Queued).collect();
    waiting.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.queued_at));
    waiting
}

/// Seconds that a run will take from its beginning.
fn duration(row: &RunRow, rows: &[RunRow]) -> Option<f64> {
    expected(&row.spec, rows)
}

/// Seconds that a run with this specification will take.
pub fn expected(spec: &Value, rows: &[RunRow]) -> Option<f64> {
    let cost = |spec: &Value| COST.map(|key| keys::value(spec, key).cloned());
    let wanted = cost(spec);
    let mut paces: Vec<f64> = Vec::new();
    for known in
        rows.iter().filter(|known| known.progress.epoch >= 0.5 && cost(&known.spec) == wanted)
    {
        // Seconds an epoch: steps and evaluations alike.
        paces.push(known.progress.sec / known.progress.epoch);
    }
    let mean = paces.iter().sum::<f64>() / paces.len() as f64;
    let epochs = keys::value(spec, "train.epochs").and_then(Value::as_f64)?;
    Some(mean * epochs).filter(|seconds| seconds.is_finite())
}

/// Seconds to go of a run at work.
fn remaining(row: &RunRow, rows: &[RunRow]) -> Option<f64> {
    let measured = super::column::time_left(row);
    measured.or_else(|| Some((duration(row, rows)? - row.progress.sec).max(0.0)))
}

/// Places the waiting runs on `slots` workers, each taking the next one when it is free.
pub fn forecast(rows: &[RunRow], slots: usize) -> Forecast {
    let mut forecast = Forecast::default();
    let mut free: Vec<f64> = Vec::new();
    for row in rows.iter().filter(|row| row.state.is_active()) {
        // When a cluster has room is for the cluster to say.
        let with_slurm = row.launch.is_some() && row.state == State::Starting;
        match remaining(row, rows).filter(|_| !with_slurm) {
            Some(end) => {
                free.push(end);
                forecast.runs.push(Predicted { run: row.id.clone(), start: 0.0, end });
            }
            None => {
                forecast.unknown += 1;
                free.push(f64::INFINITY);
            }
        }
    }
    free.resize(free.len().max(slots), 0.0);
    for row in waiting(rows) {
        let next = (0..free.len()).min_by(|&a, &b| free[a].total_cmp(&free[b]));
        let (Some(slot), Some(seconds)) = (next, duration(row, rows)) else {
            forecast.unknown += 1;
            continue;
        };
        let start = free[slot];
        if !start.is_finite() {
            forecast.unknown += 1;
            continue;
        }
        free[slot] = start + seconds;
        forecast.runs.push(Predicted { run: row.id.clone(), start, end: free[slot] });
    }
    let last = forecast.runs.iter().map(|predicted| predicted.end).reduce(f64::max);
    forecast.done = last.filter(|_| forecast.unknown == 0);
    forecast
}

/// Priorities that put the waiting runs into the order `wanted`, for those that need another; nobody's falls.
pub fn priorities(wanted: &[&RunRow]) -> Vec<(RunId, i64)> {
    let mut changed = Vec::new();
    let mut least: Option<(i64, i64)> = None;
    for row in wanted.iter().rev() {
        let needed = match least {
            // Equal priorities go by the time they were queued.
            Some((below, queued)) if row.queued_at < queued => below,
            Some((below, _)) => below.saturating_add(1),
            None => i64::MIN,
        };
        let priority = row.priority.max(needed);
        if priority != row.priority {
            changed.push((row.id.clone(), priority));
        }
        least = Some((priority, row.queued_at));
    }
    changed.reverse();
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(id: &str, state: State, queued_at: i64, epochs: u32, epoch: f64, sec: f64) -> RunRow {
        serde_json::from_value(json!({
            "id": id, "experiments": [], "state": state, "attempt": 1, "device": "cpu",
            "progress": {"epoch": epoch, "epochs": epochs, "step": (epoch * 10.0) as u64, "steps": epochs * 10, "sec": sec},
            "seed": 0, "tags": [], "varied": {}, "spec": {"train": {"epochs": epochs, "batch_size": 8}},
            "metrics": {}, "queued_at": queued_at, "started_at": null, "ended_at": null, "reason": null, "note": "",
            "priority": 0, "pinned": false, "archived": false, "warning": null,
        }))
        .unwrap()
    }

    #[test]
    fn waiting_runs_are_placed_behind_those_at_work() {
        let rows = [
            row("done", State::Finished, 1, 10, 10.0, 100.0),
            row("here", State::Running, 2, 10, 4.0, 40.0),
            row("next", State::Queued, 3, 10, 0.0, 0.0),
            row("last", State::Queued, 4, 20, 0.0, 0.0),
        ];
        let one = forecast(&rows, 1);
        let places: Vec<(&str, f64, f64)> =
            one.runs.iter().map(|p| (p.run.as_str(), p.start, p.end)).collect();
        assert_eq!(places, [("here", 0.0, 60.0), ("next", 60.0, 160.0), ("last", 160.0, 360.0)]);
        assert_eq!((one.done, forecast(&rows, 2).done), (Some(360.0), Some(260.0)));
        // Nothing is made up for a run unlike all others.
        let mut rows = rows;
        rows[3].spec.set("train.batch_size", json!(256));
        let part = forecast(&rows, 1);
        assert_eq!((part.done, part.unknown), (None, 1));
    }

    #[test]
    fn an_order_becomes_the_least_change_of_priorities() {
        let rows: Vec<RunRow> =
            (0..4).map(|i| row(&format!("r{i}"), State::Queued, i, 1, 0.0, 0.0)).collect();
        let order = |at: [usize; 4]| priorities(&at.map(|i| &rows[i]));
        assert_eq!(order([0, 1, 2, 3]), []);
        assert_eq!(order([0, 1, 3, 2]), [("r0".into(), 1), ("r1".into(), 1), ("r3".into(), 1)]);
        assert_eq!(order([3, 0, 1, 2]), [("r3".into(), 1)]);
        // Applied, they give that order.
        let mut applied = rows.clone();
        for (id, priority) in order([2, 0, 3, 1]) {
            applied.iter_mut().find(|row| row.id == id).unwrap().priority = priority;
        }
        let ids: Vec<&str> = waiting(&applied).iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["r2", "r0", "r3", "r1"]);
        // Above the highest there is nothing.
        applied[1].priority = i64::MAX;
        assert_eq!(priorities(&[&applied[0], &applied[1]]), [("r0".into(), i64::MAX)]);
    }
}
