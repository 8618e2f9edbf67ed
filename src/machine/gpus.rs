//! GPUs as `nvidia-smi` tells them.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Gpu;

const PROGRAM: &str = "nvidia-smi";

/// The columns that are asked for.
const QUERY: &str =
    "--query-gpu=name,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw";

/// How long a driver is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

const MIB: f64 = (1u64 << 20) as f64;

/// The GPUs of this machine, or why nothing is known of them.
pub fn ask() -> Result<Vec<Gpu>, String> {
    ask_for(&[])
}

/// What CUDA calls number `at` in a process with this environment: of a job, one of those that it was given.
pub fn given(at: usize, environment: impl Fn(&str) -> Option<String>) -> Option<Gpu> {
    let name = name(at, environment);
    let it = name.and_then(|name| ask_for(&["-i", &name]).ok());
    // Where a job sees no others than its own, they count from 0 whatever they are called outside.
    let it = it.and_then(|gpus| gpus.into_iter().next());
    it.or_else(|| ask().ok()?.into_iter().nth(at))
}

/// By number or by UUID, as the driver takes it.
fn name(at: usize, environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    let names = ["CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS"];
    let list = names.into_iter().find_map(|name| environment(name).filter(|it| !it.is_empty()))?;
    list.split(',').nth(at).map(|name| name.trim().to_owned())
}

fn ask_for(options: &[&str]) -> Result<Vec<Gpu>, String> {
    let mut command = Command::new(PROGRAM);
    command.args([QUERY, "--format=csv,noheader,nounits"]).args(options).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            return Err(format!("{PROGRAM} is not installed"));
        }
        Err(why) => return Err(format!("{PROGRAM}: {why}")),
    };
    // A driver in trouble may hang. What it prints fits a pipe, so that it ends without being read.
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!("{PROGRAM} does not answer"));
            }
        }
    };
    let mut text = String::new();
    let read = child.stdout.take().map(|mut out| out.read_to_string(&mut text));
    match read {
        Some(Ok(_)) if status.success() => Ok(parse(&text)),
        _ => Err(format!("{PROGRAM} fails: no driver or no GPU")),
    }
}

/// One GPU a line; what a driver does not tell stands as `[N/A]` or the like.
fn parse(text: &str) -> Vec<Gpu> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let bytes = |at: usize| number(at).map(|mib| (mib * MIB) as u64);
        let name = fields.first().filter(|name| !name.is_empty())?;
        Some(Gpu {
            name: (*name).to_owned(),
            busy: number(1).map(|percent| percent / 100.0),
            memory: bytes(2).zip(bytes(3)),
            temperature: number(4),
            watts: number(5),
        })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_looks_at_the_gpu_that_it_was_given() {
        let of = |cuda: Option<&str>, slurm: Option<&str>, at| {
            let environment = |name: &str| match name {
                "CUDA_VISIBLE_DEVICES" => cuda.map(str::to_owned),
                _ => slurm.map(str::to_owned),
            };
            name(at, environment)
        };
        assert_eq!(of(Some("3"), Some("5"), 0).as_deref(), Some("3"));
        assert_eq!(of(Some("3,GPU-9f"), None, 1).as_deref(), Some("GPU-9f"));
        assert_eq!(of(Some(""), Some("5"), 0).as_deref(), Some("5"));
        assert_eq!((of(Some("3"), None, 1), of(None, None, 0)), (None, None));
    }

    #[test]
    fn what_a_driver_does_not_tell_is_absent() {
        let text = "NVIDIA H100 80GB HBM3, 37, 1024, 81559, 41, 123.45\nOld Card, [N/A], [N/A], [N/A], 60, [Not Supported]\n\n";
        let gpus = parse(text);
        assert_eq!(gpus.len(), 2);
        assert_eq!((gpus[0].busy, gpus[0].memory), (Some(0.37), Some((1 << 30, 81_559 << 20))));
        let old = Gpu {
            name: "Old Card".into(),
            busy: None,
            memory: None,
            temperature: Some(60.0),
            watts: None,
        };
        assert_eq!(gpus[1], old);
    }
}
