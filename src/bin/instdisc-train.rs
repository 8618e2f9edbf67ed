//! The trainer: spec in, journal out. The only program that touches libtorch.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use instdisc_lab::engine::attempt::{self, Attempt};
use instdisc_lab::engine::environment::LIBTORCH;
use instdisc_lab::engine::{device, train::Outcome};
use instdisc_lab::journal::writer::system_clock;
use instdisc_lab::lab::RunDir;

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
    #[arg(long, required_unless_present = "probe", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// cpu, cuda or `cuda:N`.
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Ignore and remove earlier checkpoints.
    #[arg(long)]
    fresh: bool,
    /// Print what this trainer can use, as JSON, and exit.
    #[arg(long)]
    probe: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (Some(run_dir), Some(number)) = (args.run_dir, args.attempt) else {
        return probe();
    };
    let stop = Arc::new(AtomicBool::new(false));
    use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    for signal in [SIGTERM, SIGINT, SIGUSR1, SIGUSR2] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&stop)) {
            eprintln!("instdisc-train: cannot watch for signal {signal}: {error}");
            return ExitCode::from(1);
        }
    }
    // One line on stderr instead of a trace; the journal's end record gets it too.
    std::panic::set_hook(Box::new(|_| ()));
    let result = attempt::make(&Attempt {
        dir: RunDir::new(run_dir),
        number,
        device: args.device,
        fresh: args.fresh,
        clock: system_clock(),
        stop: &|| stop.load(Ordering::Relaxed),
    });
    match result {
        Ok(Outcome::Finished { .. }) => ExitCode::SUCCESS,
        Ok(Outcome::Stopped { .. }) => ExitCode::from(STOPPED),
        Err(error) => {
            eprintln!("instdisc-train: {}", error.reason());
            ExitCode::from(error.exit_code())
        }
    }
}

fn probe() -> ExitCode {
    let cuda = device::parse("cuda").is_ok();
    let found = serde_json::json!({
        "libtorch": LIBTORCH,
        "cuda": cuda,
        "cuda_devices": if cuda { tch::Cuda::device_count() } else { 0 },
        "bf16": device::has_bf16(),
        "threads": device::threads(0),
    });
    println!("{found}");
    ExitCode::SUCCESS
}
