//! Our side of `make bench`: takes the name of a measure and prints one JSON line, `{"name":…,"value":…,"unit":…}`.
//!
//! `cargo bench --bench ours -- log_ingest`; without a name it lists what there is. `scripts/bench.py` calls it in turn
//! with the peers under `scripts/peers/`, because a number says something only beside another one of the same minute.
//! What else is worth knowing goes to standard error.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

use std::process::ExitCode;

mod ours {
    #[cfg(feature = "engine")]
    pub mod augment;
    pub mod cluster;
    pub mod growth;
    pub mod lab;
    pub mod logging;
    #[cfg(feature = "engine")]
    pub mod nce;
    pub mod program;
    pub mod screens;
    pub mod search;
    #[cfg(feature = "engine")]
    pub mod train;
}

/// As the workbench itself, or its parts would be measured with another allocator than they run with.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use ours::{cluster, growth, logging, program, screens, search};

/// A number with its unit. `scripts/bench.py` says which direction is better.
struct Measured {
    value: f64,
    unit: &'static str,
}

type Measure = (&'static str, fn() -> Measured);

/// Every measure under its name in `target/bench/summary.json`.
const MEASURES: &[Measure] = &[
    #[cfg(feature = "engine")]
    ("train_step_fp32", ours::train::best),
    #[cfg(feature = "engine")]
    ("train_step_best", ours::train::best),
    #[cfg(feature = "engine")]
    ("train_step_same", ours::train::fp32),
    #[cfg(feature = "engine")]
    ("train_step_cuda", ours::train::cuda),
    #[cfg(feature = "engine")]
    ("train_step_cuda_plain", ours::train::cuda_plain),
    #[cfg(feature = "engine")]
    ("grid_workers", ours::train::grid),
    #[cfg(feature = "engine")]
    ("nce_step", ours::nce::step),
    #[cfg(feature = "engine")]
    ("softmax_step", ours::nce::softmax_step),
    #[cfg(feature = "engine")]
    ("nce_routes", ours::nce::routes),
    ("knn_eval", search::knn_eval),
    ("search_1m", search::search_1m),
    ("search_recall", search::search_recall),
    #[cfg(feature = "engine")]
    ("augment", ours::augment::images_per_second),
    ("log_ingest", logging::ingest),
    ("log_call", logging::call),
    ("log_growth", logging::growth),
    ("tui_frame", screens::frame),
    ("tui_key", screens::key),
    ("table_key", screens::table_key),
    ("tui_open", screens::open),
    ("startup", program::startup),
    ("runs_json", program::runs_json),
    ("tui_idle", program::idle),
    ("tui_memory", program::memory),
    ("growth", growth::growth),
    ("cluster_lag", cluster::lag),
];

fn main() -> ExitCode {
    // cargo itself passes `--bench`.
    let name = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let measure = MEASURES.iter().find(|(known, _)| Some(*known) == name.as_deref());
    let Some((name, measure)) = measure else {
        let known: Vec<&str> = MEASURES.iter().map(|(name, _)| *name).collect();
        eprintln!("usage: cargo bench --bench ours -- NAME\nNAME: {}", known.join(" "));
        return ExitCode::from(if name.is_none() { 0 } else { 2 });
    };
    let Measured { value, unit } = measure();
    let peak_mb = ours::screens::resident_peak();
    println!(
        "{}",
        serde_json::json!({"name": name, "value": value, "unit": unit, "peak_mb": peak_mb})
    );
    ExitCode::SUCCESS
}

/// A size that the environment sets, for [`growth`].
fn given(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Median seconds of `rounds` calls, after one that warms up.
fn median(rounds: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut seconds: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = std::time::Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[rounds / 2]
}
