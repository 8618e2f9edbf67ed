//! Lists of runs.

use serde_json::{Map, Value, json};

use super::super::exact;
use super::super::runs::{self, Listed};
use super::super::table::Format;
use super::negatives;
use crate::journal::event::Number;
use crate::store::{RunRow, State};

#[test]
fn a_list_of_runs_is_written_as_each_of_them_reads() {
    let (_, runs) = negatives();
    let written = |runs: &[RunRow]| {
        let mut out = Vec::new();
        runs::write_json(runs, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let each: Vec<Value> = runs.iter().map(runs::json).collect();
    assert_eq!(serde_json::from_str::<Value>(&written(&runs)).unwrap(), json!(each));
    // Whole pieces and broken ones, of which each core makes its own.
    for n in [0, 1, 63, 64, 65, 1000] {
        let many: Vec<RunRow> = runs.iter().cycle().take(n).cloned().collect();
        let listed: Vec<Listed> = many.iter().map(Listed::from).collect();
        let expected = serde_json::to_string_pretty(&listed).unwrap() + "\n";
        assert_eq!(written(&many), expected, "{n} runs");
    }
}

#[test]
fn infinities_are_the_same_words_in_csv_and_json() {
    let (_, runs) = negatives();
    let mut run = runs[0].clone();
    let mut infinite = run.metrics["knn_top1"].clone();
    infinite.last = Number(f64::NEG_INFINITY);
    infinite.best = Some(f64::INFINITY);
    run.metrics.insert("knn_top1".to_owned(), infinite);
    let csv = runs::table(&[run.clone()], true).render(Format::Csv);
    assert!(csv.contains(",-Infinity,Infinity,"), "{csv}");
    assert_eq!(runs::json(&run)["metrics"]["knn_top1"]["last"], "-Infinity");
    assert_eq!([exact(f64::NAN), exact(0.1)], ["NaN", "0.1"]);
}

#[test]
fn a_row_of_runs_reads_as_the_fixed_json() {
    let (_, runs) = negatives();
    let run = runs::json(&runs[3]);
    let keys: Vec<&String> = run.as_object().unwrap().keys().collect();
    let fixed = [
        "id",
        "experiments",
        "state",
        "attempt",
        "device",
        "progress",
        "seed",
        "tags",
        "varied",
        "spec",
        "metrics",
        "queued_at",
        "started_at",
        "ended_at",
        "reason",
    ];
    assert!(fixed.iter().all(|key| keys.iter().any(|found| found == key)), "{keys:?}");
    assert_eq!(run["queued_at"], "1970-01-01T00:00:00.003Z");
    assert_eq!(run["started_at"], Value::Null);
    let metric: &Map<String, Value> = run["metrics"]["knn_top1"].as_object().unwrap();
    assert!(
        ["last", "best", "best_step", "unit", "better"].iter().all(|key| metric.contains_key(*key))
    );
}

/// The untrained net is only evaluated.
#[test]
fn a_finished_run_without_a_step_had_no_epoch_to_go() {
    let (_, mut runs) = negatives();
    let run = &mut runs[0];
    (run.started_at, run.progress.epochs) = (Some(0), 10);
    let epochs = |run: &RunRow| runs::table(std::slice::from_ref(run), false).rows()[0][4].clone();
    assert_eq!((run.state, epochs(run)), (State::Finished, "0/0".into()));
    assert_eq!(runs::json(run)["progress"]["epochs"], 10);
    run.state = State::Running;
    assert_eq!(epochs(run), "0/10");
}
