//! Tables from made-up runs.

mod ablation;
mod lists;
mod settings;
mod written;

use serde_json::json;

use super::ablation::{Ablation, Options, ablation};
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
