//! The arithmetic, and what counts.

use serde_json::{Value, json};

use super::super::ablation::{Options, Row, ablation};
use super::super::table::Format;
use super::{negatives, table};
use crate::journal::event::{Better, Number};
use crate::store::{Member, RunRow, State};

#[test]
fn json_has_the_fixed_form() {
    let json = table(&Options::default()).json();
    assert_eq!(json["experiment"], "negatives");
    assert_eq!(json["metric"], "knn_top1.last");
    assert_eq!(json["factors"], json!(["objective.m", "objective.kind"]));
    let first = json!({
        "factors": {"objective.m": 512, "objective.kind": "nce"},
        "variant": null,
        "n": 3,
        "n_planned": 3,
        "mean": 62.0,
        "std": 2.0,
        "delta": 0.0,
        "delta_std": null,
        "delta_n": null,
        "baseline": true,
        "runs": ["run-0", "run-1", "run-2"],
        "differs": {},
        "reference": null,
    });
    assert_eq!(json["rows"][0], first);
    let last = json!({
        "factors": {"objective.kind": "nonparametric"},
        "variant": "full softmax",
        "n": 2,
        "n_planned": 3,
        "mean": 72.0,
        "std": 2.0_f64.sqrt(),
        "delta": 10.0,
        // Seeds 0 and 1: 71 − 60 and 73 − 62.
        "delta_std": 0.0,
        "delta_n": 2,
        "baseline": false,
        "runs": ["run-6", "run-7", "run-8"],
        "differs": {},
        "reference": {"value": 80.8, "source": "memory", "status": "recalled"},
    });
    assert_eq!(json["rows"][2], last);
}

#[test]
fn one_seed_has_no_deviation_and_none_has_no_mean() {
    let (record, mut runs) = negatives();
    for run in &mut runs[1..6] {
        run.state = State::Queued;
    }
    runs[0].metrics.get_mut("knn_top1").unwrap().last = Number(f64::NAN);
    let json = ablation(&record, &runs, "knn_top1.last", &Options::default()).unwrap().json();
    assert_eq!(json["rows"][0]["mean"], "NaN");
    assert_eq!(json["rows"][0]["std"], Value::Null);
    assert_eq!(json["rows"][1]["mean"], Value::Null);
    assert_eq!((&json["rows"][1]["n"], &json["rows"][1]["n_planned"]), (&json!(0), &json!(3)));
    let interim = Options { interim: true, ..Options::default() };
    let best = ablation(&record, &runs, "knn_top1.best", &interim).unwrap();
    assert_eq!((best.rows[1].n, best.rows[1].mean.unwrap().round()), (3, 71.0));
}

#[test]
fn equal_rows_are_best_together_and_none_where_all_are_equal() {
    let (record, mut runs) = negatives();
    let mut best = |means: [f64; 3]| {
        for (i, run) in runs.iter_mut().enumerate() {
            run.metrics.get_mut("knn_top1").unwrap().last = Number(means[i / 3]);
        }
        let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
        (table.best(), table.render(Format::Md).matches("**").count() / 2)
    };
    assert_eq!(best([60.0, 70.0, 70.0]), (vec![1, 2], 2));
    assert_eq!(best([70.0, 60.0, f64::NAN]), (vec![0], 1));
    assert_eq!(best([70.0, 70.0, 70.0]), (vec![], 0));
}

#[test]
fn a_given_run_names_the_baseline() {
    let options = Options { baseline: Some("run-4".into()), ..Options::default() };
    let deltas: Vec<i64> =
        table(&options).rows.iter().map(|row| row.delta.unwrap().round() as i64).collect();
    assert_eq!(deltas, [-8, 0, 2]);
}

#[test]
fn runs_that_differ_in_more_than_the_factors_are_not_averaged() {
    let (record, mut runs) = negatives();
    for run in &mut runs[..3] {
        run.spec.set("train.epochs", json!(20));
    }
    runs[0].spec.set("objective.m", json!(4096));
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    assert_eq!(table.factors, ["objective.m", "objective.kind", "train.epochs"]);
    // Those that the file asks for come first.
    assert_eq!(table.rows.iter().map(|row| row.n).collect::<Vec<_>>(), [3, 3, 1, 2]);
}

#[test]
fn the_latest_of_equal_runs_counts_and_archived_ones_do_not() {
    let (mut record, mut runs) = negatives();
    let mut again = runs[0].clone();
    (again.id, again.queued_at) = ("run-0.2".into(), 99);
    again.metrics.get_mut("knn_top1").unwrap().last = Number(66.0);
    runs.push(again);
    record.members.push(Member { run: "run-0.2".into(), ordinal: 9, ..record.members[0].clone() });
    runs[1].archived = true;
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    assert_eq!((table.rows[0].n, table.rows[0].n_planned, table.rows[0].mean), (2, 2, Some(65.0)));
}

#[test]
fn what_cannot_be_tabulated_is_said_with_what_can() {
    let (record, runs) = negatives();
    let wrong = |metric: &str, options: Options| {
        ablation(&record, &runs, metric, &options).unwrap_err().to_string()
    };
    assert_eq!(
        wrong("knn_topl", Options::default()),
        "no run of negatives has the metric knn_topl: found knn_topl, allowed: knn_top1"
    );
    assert_eq!(
        wrong("knn_top1", Options { cols: Some("tau".into()), ..Options::default() }),
        "negatives does not vary tau: found tau, allowed: objective.m, objective.kind, seed"
    );
    assert_eq!(
        wrong("knn_top1", Options { baseline: Some("x".into()), ..Options::default() }),
        "x is no run of negatives"
    );
    let queued: Vec<RunRow> = runs
        .iter()
        .map(|run| RunRow { metrics: Default::default(), state: State::Queued, ..run.clone() })
        .collect();
    let early = |metric: &str| ablation(&record, &queued, metric, &Options::default());
    assert_eq!(early("anything").unwrap().rows.len(), 3);
    // Also before the first point: a suffix that there is not, and a slip.
    for runs in [&runs, &queued] {
        let suffix = ablation(&record, runs, "knn_top1.lst", &Options::default());
        let suffix = suffix.unwrap_err().to_string();
        assert_eq!(suffix, "--metric knn_top1.lst: found .lst, allowed: .last, .best, .reach=X");
        let level = ablation(&record, runs, "knn_top1.reach=x", &Options::default());
        assert_eq!(
            level.unwrap_err().to_string(),
            "--metric knn_top1.reach=x: found \"x\", allowed: a number, as in knn_top1.reach=60"
        );
    }
    assert!(early("knn_topp1").unwrap_err().to_string().contains("allowed: loss, loss/instance"));
    // A class or a share may have a point in its name.
    assert!(early("finetune_top1/labels=0.2").is_ok());
}

#[test]
fn a_metric_has_unit_and_direction_before_its_first_point() {
    let (record, mut runs) = negatives();
    for run in &mut runs {
        run.metrics.clear();
    }
    let of = |metric: &str| {
        let table = ablation(&record, &runs, metric, &Options::default()).unwrap();
        (table.unit.clone(), table.better, table.table().columns()[2].name.clone())
    };
    assert_eq!(of("knn_top1"), ("%".into(), Better::Higher, "knn_top1 (%)".into()));
    assert_eq!(of("loss.best"), ("nats".into(), Better::Lower, "loss.best (nats)".into()));
    assert_eq!(of("lr"), ("1".into(), Better::Neither, "lr".into()));
    assert_eq!(of("anything"), (String::new(), Better::Neither, "anything".into()));
}

#[test]
fn seeds_are_rows_or_columns_where_they_are_asked_for() {
    let (record, runs) = negatives();
    let options = Options { cols: Some("seed".into()), ..Options::default() };
    let across = ablation(&record, &runs, "knn_top1", &options).unwrap();
    let across = across.table();
    let names: Vec<&str> = across.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["m", "kind", "seed = 0", "seed = 1", "seed = 2"]);
    assert_eq!(across.rows()[0], ["512", "nce", "60.0", "62.0", "64.0"]);
    let options = Options { rows: vec!["seed".into()], ..Options::default() };
    let rows = ablation(&record, &runs, "knn_top1", &options).unwrap().rows;
    assert_eq!((rows.len(), rows[1].n, &rows[1].factors["seed"]), (3, 3, &json!(1)));
}

/// Seeds 0, 1 and 2 of the first row have 60, 62 and 64.
#[test]
fn seeds_are_compared_with_themselves() {
    let (record, mut runs) = negatives();
    let pairs = |runs: &[RunRow], options: Options| {
        let table = ablation(&record, runs, "knn_top1", &options).unwrap();
        let of = |row: &Row| row.paired.map(|it| (it.n, it.std, it.is_whole));
        (table.rows.iter().map(of).collect::<Vec<_>>(), table)
    };
    for (run, knn) in runs.iter_mut().zip([60.0, 62.0, 64.0, 61.0, 65.0, 66.0, 61.0, 63.0, 65.0]) {
        run.metrics.get_mut("knn_top1").unwrap().last = Number(knn);
    }
    // 1, 3 and 2 are 2 ± 1; 1, 1 and 1 are 1 ± 0.
    let (found, table) = pairs(&runs, Options::default());
    assert_eq!(found, [None, Some((3, Some(1.0), true)), Some((3, Some(0.0), true))]);
    assert_eq!((table.rows[1].delta, table.rows[2].delta), (Some(2.0), Some(1.0)));
    let cells: Vec<String> = table.table().rows().iter().map(|row| row[4].clone()).collect();
    assert_eq!(cells, ["baseline", "+2.0 ± 1.0", "+1.0 ± 0.0"]);
    // Without seed 0 there: means of 65.5 and 62, pairs 3 and 2. Without two of them there is nothing to scatter.
    runs[3].state = State::Running;
    runs[6].state = State::Running;
    runs[7].state = State::Running;
    let (found, table) = pairs(&runs, Options::default());
    assert_eq!(found, [None, Some((2, Some(0.5_f64.sqrt()), false)), Some((1, None, false))]);
    assert_eq!((table.rows[1].delta, table.rows[2].delta), (Some(3.5), Some(3.0)));
    let cells: Vec<String> = table.table().rows().iter().map(|row| row[4].clone()).collect();
    assert_eq!(cells, ["baseline", "+3.5 ± 0.7 (2 pairs)", "+3.0"]);
    let csv = table.render(Format::Csv);
    assert!(csv.lines().next().unwrap().ends_with(",differs,delta_std,delta_n"), "{csv}");
    assert!(csv.lines().nth(2).unwrap().ends_with(",0.7071067811865476,2"), "{csv}");
    assert!(table.render(Format::Tex).contains("+3.5 $\\pm$ 0.7 (2 pairs)"));
    // Rows that are the seeds themselves have none in common.
    let rows = Options { rows: vec!["seed".into()], ..Options::default() };
    assert!(pairs(&runs, rows).0.iter().all(Option::is_none));
}
