//! Labs to measure with: runs and journals made by the real store and the real writer.

use std::collections::BTreeMap;

use instdisc_lab::journal::event::{Better, Event, MetricInfo, Number, Point, Start};
use instdisc_lab::journal::writer::{Writer, system_clock};
use instdisc_lab::lab::{Home, RunDir};
use instdisc_lab::store::{Launch, NewRun, Store, StoreError, Submission, catch_up};
use serde_json::json;

/// What a run writes at one step.
pub const NAMES: [&str; 8] = [
    "images_per_second",
    "loss",
    "loss/instance",
    "loss/proximal",
    "lr",
    "z",
    "grad_norm",
    "knn_top1",
];

/// Queues `n` runs that differ in λ and seed; their ids.
pub async fn enqueue(store: &Store, home: &Home, n: u64) -> Vec<String> {
    enqueue_for(store, home, n, None).await
}

/// As [`enqueue`], for a cluster where `launch` says so.
pub async fn enqueue_for(
    store: &Store,
    home: &Home,
    n: u64,
    launch: Option<Launch>,
) -> Vec<String> {
    let run = |i: u64| NewRun {
        fingerprint: format!("{i:08x}"),
        spec: json!({
            "data": {"dataset": "cifar10", "fraction": 1.0, "subset_seed": 0},
            "model": {"backbone": "resnet18", "dim": 128, "width": 1.0, "head_init": "default",
                      "head_norm": "none"},
            "objective": {"kind": "nce", "m": 4096, "tau": 0.07, "lambda": i % 7 * 10, "lambda_from": 0,
                          "bank_momentum": 0.5, "bank_init": "random", "z": "frozen", "z_batches": 1,
                          "own_slot": "keep"},
            "augment": {"crop_min": 0.2, "jitter": 0.4, "grayscale": 0.2, "flip": true, "rotation": 0.0},
            "train": {"epochs": 200, "batch_size": 128, "lr": 0.03, "lr_drops": [0.6, 0.8], "momentum": 0.9,
                      "weight_decay": 5e-4, "precision": "auto", "threads": 0, "checkpoint_every": 1},
            "eval": {"knn_k": 200, "knn_tau": 0.07, "every": 5},
            "seed": i,
        }),
        varied: serde_json::from_value(json!({"objective.lambda": i % 7 * 10})).unwrap(),
        variant: None,
    };
    let submission = Submission {
        name: "bench".into(),
        question: String::new(),
        text: String::new(),
        factors: vec!["objective.lambda".into()],
        references: Vec::new(),
        runs: (0..n).map(run).collect(),
        left_out: Default::default(),
        priority: None,
        launch,
        again: false,
        at: 0,
        by: "bench".into(),
    };
    let made =
        store.enqueue(&submission, |_, _, _| Ok::<(), StoreError>(()), || Ok(())).await.unwrap();
    let ids: Vec<String> = made.into_iter().map(|run| run.id).collect();
    for id in &ids {
        std::fs::create_dir_all(home.run(id).path()).unwrap();
    }
    ids
}

/// A lab of `n` runs, each with `steps` points of every one of [`NAMES`] in its journal and in the run log.
pub async fn filled(home: &Home, n: u64, steps: u64) -> (Store, Vec<String>) {
    let store = Store::open(home).await.unwrap();
    let ids = enqueue(&store, home, n).await;
    for id in &ids {
        let run = home.run(id);
        write(&run, 0..steps);
        catch_up(&store, id, &run).await.unwrap();
    }
    (store, ids)
}

/// Journals `steps` of a run, from its start record on.
pub fn write(run: &RunDir, steps: std::ops::Range<u64>) {
    let writer = Writer::open(run, 1, system_clock()).unwrap();
    if steps.start == 0 {
        writer.write(start(steps.end)).unwrap();
    }
    for step in steps {
        writer.write(point(step, &NAMES)).unwrap();
    }
    // Dropped, it leaves the lines to the system: a thousand syncs would be what is measured.
    drop(writer);
}

/// A point that looks like training: a loss that falls, noisily.
pub fn point(step: u64, names: &[&str]) -> Event {
    let m: BTreeMap<String, Number> = names
        .iter()
        .enumerate()
        .map(|(i, name)| ((*name).to_owned(), Number(value(step, i as u64))))
        .collect();
    Event::Point(Point { step, epoch: step as f64 / 390.0, sec: step as f64 * 0.05, m })
}

pub fn value(step: u64, which: u64) -> f64 {
    let noise = (step * 2_654_435_761 + which * 40_503) % 1009;
    9.7 / (1.0 + step as f64 * 1e-4 * (which + 1) as f64) + noise as f64 * 1e-3
}

pub fn start(steps: u64) -> Event {
    let info = |name: &&str| MetricInfo {
        name: (*name).to_owned(),
        unit: String::new(),
        better: Better::Lower,
    };
    Event::Start(Start {
        pid: 1,
        boot_id: String::new(),
        start_ticks: 1,
        device: "cpu".into(),
        threads: 2,
        precision: "fp32".into(),
        resumed_step: 0,
        steps,
        epochs: 200,
        resume: "exact".into(),
        host: None,
        job: None,
        metrics: NAMES.iter().map(info).collect(),
    })
}
