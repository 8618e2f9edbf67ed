//! Ablation tables from made-up runs: the arithmetic, what counts, and every rendering.

use serde_json::{Map, Value, json};

use super::ablation::{Ablation, Options, ablation};
use super::runs::Listed;
use super::table::Format;
use crate::config::experiment::{self, Overrides};
use crate::grid::expand;
use crate::journal::event::{Better, Number};
use crate::store::{ExperimentRecord, Member, RunRow, State, Summary};

const TEXT: &str = r#"
name = "negatives"
question = "How many?"
[grid]
objective.m = [512, 4096]
seed = [0, 1, 2]
[[variant]]
name = "full softmax"
set = { objective.kind = "nonparametric" }
[[reference]]
where = { objective.m = 4096 }
metric = "knn_top1"
value = 80.4
source = "Wu et al. 2018, Table 1"
status = "verified"
[[reference]]
where = { objective.kind = "nonparametric" }
metric = "knn_top1"
value = 80.8
source = "memory"
status = "recalled"
"#;

/// An experiment whose runs are all finished, with these k-NN accuracies in their order.
fn lab(text: &str, knn: &[f64]) -> (ExperimentRecord, Vec<RunRow>) {
    let experiment = experiment::parse("x.toml", text, &Overrides::default()).unwrap();
    let planned = expand(&experiment).unwrap();
    let metric = |last: f64| Summary {
        last: Number(last),
        last_step: 100,
        best: Some(last + 1.0),
        best_step: Some(90),
        unit: "%".into(),
        better: Better::Higher,
    };
    let run = |i: usize| {
        let (spec, varied) = (&planned[i].spec, planned[i].varied.clone());
        RunRow {
            experiments: vec![experiment.name.clone()],
            state: State::Finished,
            attempt: 1,
            metrics: [("knn_top1".to_owned(), metric(knn[i]))].into(),
            queued_at: i as i64,
            ..RunRow::queued(&format!("run-{i}"), spec.seed, varied, json!(spec))
        }
    };
    let runs: Vec<RunRow> = (0..planned.len()).map(run).collect();
    let member = |(i, run): (usize, &RunRow)| Member {
        run: run.id.clone(),
        varied: run.varied.clone(),
        variant: planned[i].variant.clone(),
        ordinal: i as u64,
    };
    let record = ExperimentRecord {
        name: experiment.name.clone(),
        question: experiment.question.clone(),
        text: text.to_owned(),
        factors: experiment.factors.clone(),
        references: experiment.references.clone(),
        members: runs.iter().enumerate().map(member).collect(),
    };
    (record, runs)
}

fn negatives() -> (ExperimentRecord, Vec<RunRow>) {
    lab(TEXT, &[60.0, 62.0, 64.0, 70.0, 70.0, 70.3, 71.0, 73.0, 75.0])
}

fn table(options: &Options) -> Ablation {
    let (record, mut runs) = negatives();
    runs[8].state = State::Running;
    ablation(&record, &runs, "knn_top1", options).unwrap()
}

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
fn people_read_it_aligned_with_sources_below() {
    insta::assert_snapshot!(table(&Options::default()).render(Format::Table), @r#"
       M  KIND           KNN_TOP1 (%)    N         Δ            PAPER
     512  nce              62.0 ± 2.0    3  baseline
    4096  nce              70.1 ± 0.2    3      +8.1             80.4
       –  nonparametric    72.0 ± 1.4  2/3     +10.0  80.8 (recalled)
    paper: Wu et al. 2018, Table 1 (verified)
    paper: memory (recalled)
    "#);
    insta::assert_snapshot!(table(&Options::default()).render(Format::Md), @r#"
    |    m | kind          |   knn_top1 (%) |   n |        Δ |           paper |
    | ---: | ------------- | -------------: | --: | -------: | --------------: |
    |  512 | nce           |     62.0 ± 2.0 |   3 | baseline |                 |
    | 4096 | nce           |     70.1 ± 0.2 |   3 |     +8.1 |            80.4 |
    |    – | nonparametric | **72.0 ± 1.4** | 2/3 |    +10.0 | 80.8 (recalled) |

    paper: Wu et al. 2018, Table 1 (verified)  
    paper: memory (recalled)
    "#);
    insta::assert_snapshot!(table(&Options::default()).render(Format::Tex), @r#"
    \begin{tabular}{rlrrrr}
    \toprule
    m & kind & knn\_top1 (\%) & n & $\Delta$ & paper \\
    \midrule
    512 & nce & 62.0 $\pm$ 2.0 & 3 & baseline &  \\
    4096 & nce & 70.1 $\pm$ 0.2 & 3 & +8.1 & 80.4 \\
    -- & nonparametric & \textbf{72.0 $\pm$ 1.4} & 2/3 & +10.0 & 80.8 (recalled) \\
    \bottomrule
    \end{tabular}
    % paper: Wu et al. 2018, Table 1 (verified)
    % paper: memory (recalled)
    "#);
    insta::assert_snapshot!(table(&Options::default()).render(Format::Csv).replace("\r\n", "\n"), @r#"
    objective.m,objective.kind,n,n_planned,mean,std,delta,reference,status,source,differs
    512,nce,3,3,62,2,0,,,,
    4096,nce,3,3,70.10000000000001,0.1732050807568861,8.100000000000009,80.4,verified,"Wu et al. 2018, Table 1",
    ,nonparametric,2,3,72,1.4142135623730951,10,80.8,recalled,memory,
    "#);
}

#[test]
fn a_second_factor_can_go_across() {
    let text =
        "name = 'x'\n[grid]\nobjective.m = [1, 10]\nobjective.tau = [0.07, 0.1]\nseed = [0, 1]";
    let (record, runs) = lab(text, &[1.0, 3.0, 2.0, 4.0, 3.0, 5.0, 4.0, 6.0]);
    let options = Options { cols: Some("tau".into()), ..Options::default() };
    let crossed = ablation(&record, &runs, "knn_top1", &options).unwrap();
    insta::assert_snapshot!(crossed.render(Format::Table), @r#"
     M     TAU = 0.07      TAU = 0.1
     1  2.0 ± 1.4 (2)  3.0 ± 1.4 (2)
    10  4.0 ± 1.4 (2)  5.0 ± 1.4 (2)
    "#);
    let cell = |row: usize| {
        let (y, x) = crossed.place(row).unwrap();
        crossed.table().rows()[y][x].clone()
    };
    assert_eq!([cell(1), cell(2)], ["3.0 ± 1.4 (2)", "4.0 ± 1.4 (2)"]);
    // Rows alone: what is not named is averaged over.
    let options = Options { rows: vec!["m".into()], ..Options::default() };
    let rows = ablation(&record, &runs, "knn_top1", &options).unwrap().rows;
    assert_eq!((rows.len(), rows[0].n, rows[0].mean), (2, 4, Some(2.5)));
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
        assert_eq!(suffix, "knn_top1.lst: found .lst, allowed: .last, .best");
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

/// A size may take other values of what the file varies: its rows stay together, in their order.
#[test]
fn other_values_of_a_factor_are_no_other_setting() {
    let (record, mut runs) = two_sizes();
    // Those with m = 512 of the smaller size.
    for run in &mut runs[9..12] {
        run.spec.set("objective.m", json!(64));
    }
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let rows = table.rows.iter().map(|row| (row.factors.get("objective.m").cloned(), row.setting));
    let m = |m: u64, setting| (Some(json!(m)), setting);
    let small = [m(64, Some(0)), m(4096, Some(0)), (None, Some(0))];
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [&[m(512, None), m(4096, None), (None, None)][..], &small].concat()
    );
}

/// The runs of a file and those of its smaller size, as they lie in a run log when both were queued.
fn two_sizes() -> (ExperimentRecord, Vec<RunRow>) {
    let text = format!("{TEXT}[size.cpu]\ndata.fraction = 0.1\nobjective.z_batches = 2\n");
    let (mut record, mut runs) =
        lab(&text, &[60.0, 62.0, 64.0, 70.0, 70.0, 70.3, 71.0, 73.0, 75.0]);
    let full = record.members.clone();
    for (member, mut run) in full.into_iter().zip(runs.clone()) {
        run.id = format!("{}-small", run.id);
        run.spec.set("data.fraction", json!(0.1));
        // Means nothing under the softmax, and tells it not apart from the rest of its size.
        if run.spec["objective"]["kind"] == "nce" {
            run.spec.set("objective.z_batches", json!(2));
        }
        record.members.push(Member { run: run.id.clone(), ..member });
        runs.push(run);
    }
    record.members.sort_by_key(|member| member.ordinal);
    (record, runs)
}

#[test]
fn a_published_value_beside_another_size_is_marked_and_sizes_stand_apart() {
    let (record, runs) = two_sizes();
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    insta::assert_snapshot!(table.render(Format::Table), @r#"
       M  KIND           FRACTION  Z_BATCHES  KNN_TOP1 (%)  N         Δ             PAPER
     512  nce                   1          1    62.0 ± 2.0  3  baseline
    4096  nce                   1          1    70.1 ± 0.2  3      +8.1              80.4
       –  nonparametric         1          –    73.0 ± 2.0  3     +11.0   80.8 (recalled)
     512  nce                 0.1          2    62.0 ± 2.0  3       0.0
    4096  nce                 0.1          2    70.1 ± 0.2  3      +8.1             80.4†
       –  nonparametric       0.1          –    73.0 ± 2.0  3     +11.0  80.8† (recalled)
    † published at another setting; here: data.fraction = 0.1, objective.z_batches = 2
    paper: Wu et al. 2018, Table 1 (verified)
    paper: memory (recalled)
    "#);
    let tex = table.render(Format::Tex);
    assert!(tex.contains("& 80.4$\\dagger$ \\\\\n"), "{tex}");
    assert!(
        tex.contains("\\par{\\footnotesize $\\dagger$ published at another setting; here: data.fraction = 0.1"),
        "{tex}"
    );
    assert!(table.render(Format::Md).contains("\n\n† published at another setting; here: "));
    let csv = table.render(Format::Csv);
    let last: Vec<&str> = csv.lines().map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(last[..2], ["differs", ""]);
    assert_eq!(last[4], "data.fraction=0.1 objective.z_batches=2");
    let json = table.json();
    let differs = json!({"data.fraction": 0.1, "objective.z_batches": 2});
    assert_eq!((&json["rows"][0]["differs"], &json["rows"][3]["differs"]), (&json!({}), &differs));
    let cols = Options { cols: Some("m".into()), ..Options::default() };
    let across = ablation(&record, &runs, "knn_top1", &cols).unwrap().render(Format::Table);
    assert!(across.contains("[paper 80.4]") && across.contains("[paper 80.4†]"), "{across}");
}

#[test]
fn a_reference_that_names_its_setting_is_held_against_it() {
    let (mut record, runs) = two_sizes();
    record.references[0].where_.insert("data.fraction".into(), json!(0.1));
    record.references[0].where_.insert("objective.z_batches".into(), json!(2));
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let marks: Vec<Option<String>> = table.rows.iter().map(|row| table.mark(row)).collect();
    assert_eq!(marks, [None, None, None, None, None, Some("†".into())]);
}

#[test]
fn another_setting_gets_another_mark() {
    let (record, mut runs) = two_sizes();
    for run in &mut runs[..6] {
        run.spec.set("objective.tau", json!(0.5));
    }
    let table = ablation(&record, &runs, "knn_top1", &Options::default()).unwrap();
    let caveats = table.caveats();
    assert_eq!(caveats.len(), 2, "{caveats:?}");
    assert!(caveats[0].starts_with('†') && caveats[0].ends_with("objective.tau = 0.5"));
    assert!(caveats[1].starts_with('‡') && caveats[1].contains("data.fraction = 0.1"));
    // Read again from a file that cannot be read any more, nothing is claimed.
    let lost = ExperimentRecord { text: "?".into(), ..record };
    assert!(ablation(&lost, &runs, "knn_top1", &Options::default()).unwrap().caveats().is_empty());
}

#[test]
fn a_list_of_runs_is_written_as_each_of_them_reads() {
    let (_, runs) = negatives();
    let written = |runs: &[RunRow]| {
        let mut out = Vec::new();
        super::runs::write_json(runs, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let each: Vec<Value> = runs.iter().map(super::runs::json).collect();
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
fn a_row_of_runs_reads_as_the_fixed_json() {
    let (_, runs) = negatives();
    let run = super::runs::json(&runs[3]);
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
