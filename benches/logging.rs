//! What logging costs, end to end: in the training loop, from the journal into SQLite, and back out onto a screen.
//!
//! `cargo bench --no-default-features --bench logging`. Beside it, for scale: TensorBoard's writer takes 28,000 points/s
//! and W&B offline 9,400 on the machine of the design's section 8.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use instdisc_lab::journal::event::{Better, Event, MetricInfo, Number, Point, Start};
use instdisc_lab::journal::reader::{Position, Reader};
use instdisc_lab::journal::writer::{Writer, system_clock};
use instdisc_lab::lab::{Home, RunDir};
use instdisc_lab::store::{NewRun, Store, StoreError, Submission, catch_up};
use serde_json::json;

const STEPS: u64 = 100_000;
const NAMES: [&str; 8] = [
    "images_per_second",
    "loss",
    "loss/instance",
    "loss/proximal",
    "lr",
    "z",
    "grad_norm",
    "knn_top1",
];

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    runtime.block_on(async {
        let store = Store::open(&home).await.unwrap();
        let ids = enqueue(&store, &home).await;
        let run = home.run(&ids[0]);
        write(&run);
        ingest(&store, &ids[0], &run).await;
        follow(&store, &ids[1], &home.run(&ids[1])).await;
        browse(&store, &ids).await;
    });
}

async fn enqueue(store: &Store, home: &Home) -> Vec<String> {
    let run = |seed: u64| NewRun {
        fingerprint: format!("{seed:08x}"),
        spec: json!({
            "data": {"dataset": "cifar10", "fraction": 1.0, "subset_seed": 0},
            "objective": {"kind": "nce", "m": 4096, "tau": 0.07, "lambda": seed},
            "train": {"epochs": 200, "batch_size": 128, "lr": 0.03},
            "seed": seed,
        }),
        varied: serde_json::from_value(json!({"objective.lambda": seed})).unwrap(),
        variant: None,
    };
    let submission = Submission {
        name: "bench".into(),
        question: String::new(),
        text: String::new(),
        factors: Vec::new(),
        references: Vec::new(),
        runs: (0..1000).map(run).collect(),
        priority: 0,
        again: false,
        at: 0,
        by: "bench".into(),
    };
    let begin = Instant::now();
    let made = store.enqueue(&submission, |_, _, _| Ok::<(), StoreError>(())).await.unwrap();
    println!("enqueue, 1,000 runs                {:9.1} ms", ms(begin.elapsed()));
    let ids: Vec<String> = made.into_iter().map(|run| run.id).collect();
    for id in &ids {
        std::fs::create_dir_all(home.run(id).path()).unwrap();
    }
    ids
}

fn point(step: u64) -> Event {
    let value = |i: usize| Number(9.7 / (1.0 + step as f64 * 1e-4 * (i + 1) as f64));
    let m: BTreeMap<String, Number> =
        NAMES.iter().enumerate().map(|(i, name)| ((*name).to_owned(), value(i))).collect();
    Event::Point(Point { step, epoch: step as f64 / 390.0, sec: step as f64 * 0.05, m })
}

fn start() -> Event {
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
        steps: STEPS,
        epochs: 200,
        resume: "exact".into(),
        metrics: NAMES.iter().map(info).collect(),
    })
}

fn write(run: &RunDir) {
    let writer = Writer::open(run, 1, system_clock()).unwrap();
    writer.write(start()).unwrap();
    let events: Vec<Event> = (0..STEPS).map(point).collect();
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    for event in events {
        let one = Instant::now();
        writer.write(event).unwrap();
        slowest = slowest.max(one.elapsed());
    }
    let per = begin.elapsed().as_secs_f64() * 1e9 / (STEPS * NAMES.len() as u64) as f64;
    println!(
        "write, in the loop                 {per:9.1} ns a point (slowest line {:.1} us)",
        slowest.as_secs_f64() * 1e6
    );
    let begin = Instant::now();
    writer.sync().unwrap();
    println!("write, the rest onto the disk      {:9.1} ms", ms(begin.elapsed()));
}

async fn ingest(store: &Store, id: &str, run: &RunDir) {
    let begin = Instant::now();
    let mut reader = Reader::new(run.journal(), Position::default());
    while reader.next_batch().unwrap().is_some() {}
    rate("read and parse alone", begin.elapsed());
    let begin = Instant::now();
    let done = catch_up(store, id, run).await.unwrap();
    assert_eq!(done.points, STEPS * NAMES.len() as u64);
    rate("ingest, journal to SQLite", begin.elapsed());
}

/// As a worker does it: a few lines at a time.
async fn follow(store: &Store, id: &str, run: &RunDir) {
    let writer = Writer::open(run, 1, system_clock()).unwrap();
    writer.write(start()).unwrap();
    let mut spent = Duration::ZERO;
    for round in 0..200 {
        for step in 0..10 {
            writer.write(point(round * 10 + step)).unwrap();
        }
        writer.sync().unwrap();
        let begin = Instant::now();
        catch_up(store, id, run).await.unwrap();
        spent += begin.elapsed();
    }
    println!("follow, ten lines a time           {:9.2} ms a time", ms(spent) / 200.0);
}

async fn browse(store: &Store, ids: &[String]) {
    store.runs().await.unwrap();
    let begin = Instant::now();
    let runs = store.runs().await.unwrap();
    println!("list, {} runs                   {:9.1} ms", runs.len(), ms(begin.elapsed()));
    let begin = Instant::now();
    let curve = store.curve(&ids[0], "loss", None).await.unwrap();
    println!("curve, {} points              {:9.1} ms", curve.len(), ms(begin.elapsed()));
    let begin = Instant::now();
    store.curve(&ids[0], "loss", Some(STEPS - 10)).await.unwrap();
    println!("curve, its last points             {:9.3} ms", ms(begin.elapsed()));
    let begin = Instant::now();
    for _ in 0..1000 {
        store.data_version().await.unwrap();
    }
    println!("poll                               {:9.1} us", ms(begin.elapsed()));
}

fn rate(what: &str, spent: Duration) {
    let points = (STEPS * NAMES.len() as u64) as f64;
    println!("{what:34} {:9.0} points/s", points / spent.as_secs_f64());
}

fn ms(spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e3
}
