//! What logging costs: in the training loop, from the journal into SQLite, and as the run log grows.

use std::time::{Duration, Instant};

use instdisc_lab::journal::event::Event;
use instdisc_lab::journal::reader::{Position, Reader};
use instdisc_lab::journal::writer::{Writer, system_clock};
use instdisc_lab::lab::Home;
use instdisc_lab::store::{Store, catch_up};

use super::lab::{self, NAMES};
use crate::Measured;

const STEPS: u64 = 100_000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// Points a second from a journal of 100,000 steps with 8 metrics into SQLite: read, parsed, written, committed.
pub fn ingest() -> Measured {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    runtime().block_on(async {
        let store = Store::open(&home).await.unwrap();
        let ids = lab::enqueue(&store, &home, 1).await;
        let run = home.run(&ids[0]);
        lab::write(&run, 0..STEPS);
        let begin = Instant::now();
        let mut reader = Reader::new(run.journal(), Position::default());
        while reader.next_batch().unwrap().is_some() {}
        say("reading and parsing alone", rate(begin.elapsed()));
        let begin = Instant::now();
        let done = catch_up(&store, &ids[0], &run).await.unwrap();
        let value = rate(begin.elapsed());
        assert_eq!(done.points, STEPS * NAMES.len() as u64);
        Measured { value, unit: "points/s" }
    })
}

/// Nanoseconds a point that `Writer::write` holds up the training loop.
pub fn call() -> Measured {
    let dir = tempfile::tempdir().unwrap();
    let run = Home::new(dir.path()).run("bench-00000000");
    std::fs::create_dir_all(run.path()).unwrap();
    let writer = Writer::open(&run, 1, system_clock()).unwrap();
    writer.write(lab::start(STEPS)).unwrap();
    let events: Vec<Event> = (0..STEPS).map(|step| lab::point(step, &NAMES)).collect();
    let mut times: Vec<Duration> = Vec::with_capacity(events.len());
    for event in events {
        let begin = Instant::now();
        writer.write(event).unwrap();
        times.push(begin.elapsed());
    }
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    say("slowest line, us", times[times.len() - 1].as_secs_f64() * 1e6);
    say("99th percentile of a line, us", times[times.len() * 99 / 100].as_secs_f64() * 1e6);
    Measured { value: total.as_secs_f64() * 1e9 / (STEPS * NAMES.len() as u64) as f64, unit: "ns" }
}

/// How appending and reading behave as the run log grows tenfold, up to `BENCH_POINTS` points (10 million without): the
/// time of the last append divided by that of the first. Not part of `make bench`: 100 million points are 6 GB.
pub fn growth() -> Measured {
    let limit = std::env::var("BENCH_POINTS").ok().and_then(|text| text.parse().ok());
    let limit: u64 = limit.unwrap_or(10_000_000);
    // Runs of 100,000 steps with 8 metrics, as users have them.
    let per_run = STEPS * NAMES.len() as u64;
    let dir = match std::env::var_os("BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let home = Home::new(dir.path());
    runtime().block_on(async {
        let store = Store::open(&home).await.unwrap();
        let ids = lab::enqueue(&store, &home, limit.div_ceil(per_run) + 1).await;
        // The run that is appended to at every size: ten lines a time, as a worker follows a trainer.
        let (watched, others) = ids.split_first().unwrap();
        let mut at = 0;
        let (mut first, mut last) = (0.0, 0.0);
        let (mut total, mut next) = (0, 100_000);
        eprintln!("      points   points/s  append ms   curve ms    tail ms    runs ms     file MB");
        let template = home.run("template");
        std::fs::create_dir_all(template.path()).unwrap();
        lab::write(&template, 0..STEPS);
        for id in others {
            std::fs::copy(template.journal(), home.run(id).journal()).unwrap();
            let begin = Instant::now();
            total += catch_up(&store, id, &home.run(id)).await.unwrap().points;
            let rate = per_run as f64 / begin.elapsed().as_secs_f64();
            std::fs::remove_file(home.run(id).journal()).unwrap();
            if total < next && id != &others[others.len() - 1] {
                continue;
            }
            while next <= total {
                next *= 10;
            }
            let append = append(&store, &home, watched, &mut at).await;
            let begin = Instant::now();
            assert_eq!(store.curve(id, "loss", None).await.unwrap().len() as u64, STEPS);
            let curve = ms(begin.elapsed());
            let begin = Instant::now();
            store.curve(id, "loss", Some(STEPS - 10)).await.unwrap();
            let tail = ms(begin.elapsed());
            let begin = Instant::now();
            store.runs().await.unwrap();
            let runs = ms(begin.elapsed());
            let size = std::fs::metadata(store.path()).unwrap().len() as f64 / 1e6;
            eprintln!(
                "{total:12} {rate:10.0} {append:10.2} {curve:10.1} {tail:10.3} {runs:10.1} {size:11.0}"
            );
            if first == 0.0 {
                first = append;
            }
            last = append;
        }
        Measured { value: last / first, unit: "times" }
    })
}

/// Milliseconds that ten new lines of a run take to be in the run log.
async fn append(store: &Store, home: &Home, id: &str, at: &mut u64) -> f64 {
    let run = home.run(id);
    let mut spent = Duration::ZERO;
    const ROUNDS: u32 = 50;
    for _ in 0..ROUNDS {
        lab::write(&run, *at..*at + 10);
        *at += 10;
        let begin = Instant::now();
        catch_up(store, id, &run).await.unwrap();
        spent += begin.elapsed();
    }
    ms(spent / ROUNDS)
}

fn rate(spent: Duration) -> f64 {
    (STEPS * NAMES.len() as u64) as f64 / spent.as_secs_f64()
}

fn ms(spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e3
}

fn say(what: &str, value: f64) {
    eprintln!("{what}: {value:.1}");
}
