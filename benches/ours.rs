//! One of our figures, measured on this machine: `cargo bench --bench ours -- NAME` prints
//! `{"name": "nce_step", "value": 0.0123, "unit": "s"}`. What it is measured against is `scripts/peers/`, whose scripts
//! print the same line for the same name on the same amount of work.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use std::time::Instant;

#[cfg(feature = "engine")]
#[path = "ours/augment.rs"]
mod augment;
#[cfg(feature = "engine")]
#[path = "ours/nce.rs"]
mod nce;
#[path = "ours/search.rs"]
mod search;

/// A figure's name, its unit, and what measures it.
type Measure = (&'static str, &'static str, fn() -> f64);

const MEASURES: &[Measure] = &[
    #[cfg(feature = "engine")]
    ("nce_step", "s", nce::step),
    #[cfg(feature = "engine")]
    ("nce_routes", "s", nce::routes),
    ("knn_eval", "s", search::knn_eval),
    ("search_1m", "s", search::search_1m),
    ("search_recall", "share", search::search_recall),
    #[cfg(feature = "engine")]
    ("augment", "images/s", augment::images_per_second),
];

fn main() {
    // Cargo adds --bench.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let unknown = wanted.iter().find(|name| MEASURES.iter().all(|measure| measure.0 != *name));
    if let Some(unknown) = unknown {
        let allowed: Vec<&str> = MEASURES.iter().map(|measure| measure.0).collect();
        eprintln!("ours: found {unknown}, allowed: {}", allowed.join(", "));
        std::process::exit(2);
    }
    for (name, unit, measure) in MEASURES.iter().filter(|m| wanted.iter().any(|w| w == m.0)) {
        println!("{}", serde_json::json!({"name": name, "value": measure(), "unit": unit}));
    }
}

/// Median seconds of `rounds` calls, after one that warms up.
fn median(rounds: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut seconds: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[rounds / 2]
}
