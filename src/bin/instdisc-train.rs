//! The trainer: spec in, journal out. The only program that touches libtorch.

use std::fmt::Display;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use instdisc_lab::config::elsewhere::Elsewhere;
use instdisc_lab::config::evaluation::Evaluation;
use instdisc_lab::config::spec::DatasetKind;
use instdisc_lab::engine::attempt::{self, Attempt, Node};
use instdisc_lab::engine::device::Share;
use instdisc_lab::engine::environment::LIBTORCH;
use instdisc_lab::engine::evaluate::{self, EvaluateError};
use instdisc_lab::engine::{device, train::Outcome};
use instdisc_lab::journal::writer::system_clock;
use instdisc_lab::lab::RunDir;
use instdisc_lab::machine;

/// Stopped at a checkpoint on request (EX_TEMPFAIL: start again and it goes on).
const STOPPED: u8 = 75;

/// Train the run in RUN_DIR, going on from its newest checkpoint.
///
/// TERM, INT, USR1 and USR2 all mean: checkpoint now, then end.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  instdisc-train .instdisc-lab/runs/demo-1a2b3c4d --attempt 1\n\n\
Exit status: 0 finished, 75 stopped at a checkpoint, 2 bad spec or data, 1 failed (events.jsonl says why)."
)]
struct Args {
    /// Directory with spec.json.
    #[arg(required_unless_present = "probe")]
    run_dir: Option<PathBuf>,
    /// Which start of this run it is, from 1.
    #[arg(long, required_unless_present_any = ["probe", "asked"], value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// cpu, cuda or `cuda:N`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Trainers that share this machine's cores: without `train.threads` each takes its part of them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    share: u32,
    /// Cores that this trainer may use, where a scheduler gave it fewer than there are.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cores: Option<u32>,
    /// On a cluster: the node's name. Its figures then come with the journal.
    #[arg(long, value_name = "NAME", requires = "job")]
    node: Option<String>,
    /// On a cluster: the scheduler's name for the job.
    #[arg(long, value_name = "ID", requires = "node")]
    job: Option<String>,
    /// On a cluster: end at once when this file no longer says what it said at the start.
    #[arg(long, value_name = "FILE", requires = "node")]
    claim: Option<PathBuf>,
    /// On CUDA: whether a step is recorded and launched whole, or one operation at a time. Each recording is held against
    /// the step it recorded. Off: the way that is taken now was not seen on a device yet.
    #[arg(long, env = "INSTDISC_CUDA_GRAPHS", value_name = "0|1", default_value = "0",
        action = clap::ArgAction::Set, value_parser = clap::builder::BoolishValueParser::new())]
    graphs: bool,
    /// Ignore and remove earlier checkpoints.
    #[arg(long)]
    fresh: bool,
    /// Train nothing: evaluate a checkpoint of the run and add what is found to its journal.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = evaluation, conflicts_with = "attempt",
        group = "asked")]
    evaluate: Vec<Evaluation>,
    /// Train nothing: write what a checkpoint makes of the test images, as safetensors with `pooled`, `embedding` and
    /// `labels`.
    #[arg(long, value_name = "FILE", conflicts_with = "attempt", group = "asked")]
    features: Option<PathBuf>,
    /// Which checkpoint to ask; the newest without.
    #[arg(long, requires = "asked")]
    step: Option<u64>,
    /// A data set to ask about, other than the run's own.
    #[arg(long, requires = "asked", value_name = "DATASET", value_parser = data_set)]
    on: Option<DatasetKind>,
    /// Where that data set lies.
    #[arg(long, requires = "on", value_name = "DIR")]
    root: Option<PathBuf>,
    /// Print what this trainer can use, as JSON, and exit.
    #[arg(long)]
    probe: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // One line on stderr instead of a trace; the journal's end record gets it too.
    std::panic::set_hook(Box::new(|_| ()));
    let (run_dir, number) = match (args.run_dir, args.attempt) {
        (Some(run_dir), Some(number)) => (run_dir, number),
        (Some(run_dir), None) if !args.evaluate.is_empty() || args.features.is_some() => {
            let request = evaluate::Request {
                dir: RunDir::new(run_dir),
                evaluations: args.evaluate,
                step: args.step,
                on: args.on.map(|dataset| Elsewhere { dataset, root: args.root }),
                device: args.device,
                clock: system_clock(),
            };
            let say = |what: &str| say(what);
            return evaluated(|| match &args.features {
                Some(to) => evaluate::features(&request, to, &say),
                None => evaluate::make(&request, &say).map(drop),
            });
        }
        _ => return probe(),
    };
    let stop = Arc::new(AtomicBool::new(false));
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    for signal in [SIGTERM, SIGINT, SIGUSR1, SIGUSR2] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            say(format_args!("cannot watch for signal {signal}: {error}"));
            return ExitCode::from(1);
        }
    }
    let result = attempt::make(&Attempt {
        dir: RunDir::new(run_dir),
        number,
        device: args.device,
        share: Share { trainers: args.share, cores: args.cores },
        graphs: args.graphs,
        node: args.node.zip(args.job).map(|(name, job)| Node { name, job, claim: args.claim }),
        fresh: args.fresh,
        clock: system_clock(),
        stop: &|| stop.load(Ordering::Relaxed),
    });
    match result {
        Ok(Outcome::Finished { .. }) => ExitCode::SUCCESS,
        Ok(Outcome::Stopped { .. }) => ExitCode::from(STOPPED),
        Err(error) => {
            say(error.reason());
            ExitCode::from(error.exit_code())
        }
    }
}

fn evaluated(make: impl FnOnce() -> Result<(), EvaluateError>) -> ExitCode {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            say(&error);
            ExitCode::from(error.exit_code())
        }
        Err(panic) => {
            say(format_args!("internal fault: {}", attempt::message(&*panic)));
            ExitCode::from(1)
        }
    }
}

fn evaluation(name: &str) -> Result<Evaluation, String> {
    let allowed = || format!("allowed: {}", Evaluation::ALL.map(Evaluation::name).join(", "));
    Evaluation::named(name).ok_or_else(allowed)
}

fn data_set(name: &str) -> Result<DatasetKind, String> {
    serde_json::from_value(name.into()).map_err(|why| why.to_string())
}

fn probe() -> ExitCode {
    let cuda = device::parse("cuda").is_ok();
    let found = serde_json::json!({
        "libtorch": LIBTORCH,
        "cuda": cuda,
        "cuda_devices": if cuda { tch::Cuda::device_count() } else { 0 },
        "bf16": device::has_bf16(),
        "threads": machine::cores(),
    });
    match writeln!(std::io::stdout(), "{found}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(1),
    }
}

/// Best effort: a disk that took no end record may not take this either.
fn say(words: impl Display) {
    let _ = writeln!(std::io::stderr(), "instdisc-train: {words}");
}
