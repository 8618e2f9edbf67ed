//! The trainer and what it can compute on. Asks the trainer itself, because this program has no libtorch in it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::Finding;

/// The first NVIDIA driver that runs CUDA 13, which libtorch's GPU half is built for.
const DRIVER_NEEDED: u32 = 580;

pub(super) fn look() -> Vec<Finding> {
    let trainer = trainer();
    let probe = probe(trainer.as_ref());
    let mut findings = vec![libtorch(&probe)];
    findings.push(cuda(probe.as_ref().ok(), driver()));
    findings.push(processor());
    findings
}

/// The trainer that `INSTDISC_TRAIN` names, else the one beside this program.
fn trainer() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("INSTDISC_TRAIN") {
        return Some(named.into());
    }
    Some(std::env::current_exe().ok()?.with_file_name("instdisc-train"))
}

/// What `instdisc-train --probe` says, or why it says nothing.
fn probe(trainer: Option<&PathBuf>) -> Result<Value, Finding> {
    let what = "libtorch";
    let cure = "`make build`";
    let Some(trainer) = trainer else {
        return Err(Finding::missing(what, "no path to this program", cure));
    };
    if !trainer.is_file() {
        let found =
            format!("no trainer at {}: runs can be browsed, not trained", trainer.display());
        return Err(Finding::missing(what, found, cure));
    }
    let output = match Command::new(trainer).arg("--probe").output() {
        Ok(output) => output,
        Err(error) => {
            let found = format!("{} does not start: {error}", trainer.display());
            return Err(Finding::missing(what, found, cure));
        }
    };
    let parsed = output.status.success().then(|| serde_json::from_slice(&output.stdout).ok());
    parsed.flatten().ok_or_else(|| {
        // The loader's line when a library is missing: libtorch was moved or removed since the build.
        let stderr = String::from_utf8_lossy(&output.stderr);
        let reason = stderr.lines().next().unwrap_or("no reason given").to_owned();
        Finding::missing(
            what,
            format!("the trainer fails: {reason}"),
            "`make build` fetches it again",
        )
    })
}

fn libtorch(probe: &Result<Value, Finding>) -> Finding {
    match probe {
        Err(finding) => finding.clone(),
        Ok(probe) => {
            let version = probe["libtorch"].as_str().unwrap_or("of an unknown version");
            let place = place().map(|place| format!(" in {}", place.display())).unwrap_or_default();
            Finding::ok("libtorch", format!("{version}{place}"))
        }
    }
}

/// Where libtorch lies, as far as `.libtorch` or `LIBTORCH` beside the caller says.
fn place() -> Option<PathBuf> {
    let named = std::env::var_os("LIBTORCH").map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from(".libtorch")).canonicalize().ok()
}

fn cuda(probe: Option<&Value>, driver: Option<u32>) -> Finding {
    let n_devices = probe.and_then(|probe| probe["cuda_devices"].as_i64()).unwrap_or(0);
    match driver {
        _ if 0 < n_devices => {
            let driver = driver.map(|driver| format!(", driver {driver}")).unwrap_or_default();
            Finding::ok("cuda", format!("{n_devices} GPU(s){driver}"))
        }
        None => Finding::ok("cuda", "no NVIDIA driver: training runs on the CPU"),
        Some(old) if old < DRIVER_NEEDED => {
            let cure = format!("update the driver to {DRIVER_NEEDED} or newer, then `make build`");
            Finding::warn("cuda", format!("driver {old}, too old for CUDA 13"), cure)
        }
        Some(driver) => {
            let found = format!("driver {driver}, but libtorch sees no GPU");
            Finding::warn("cuda", found, "`scripts/libtorch.sh cuda`, then `make build`")
        }
    }
}

/// The major version of the NVIDIA driver.
fn driver() -> Option<u32> {
    driver_of(&std::fs::read_to_string("/proc/driver/nvidia/version").ok()?)
}

/// From `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 ...`.
fn driver_of(text: &str) -> Option<u32> {
    let after = text.split("Kernel Module").nth(1)?;
    let version =
        after.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    version.split('.').next()?.parse().ok()
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn processor() -> Finding {
    let cpuid = raw_cpuid::CpuId::new();
    let brand = cpuid.get_processor_brand_string();
    let name = brand.as_ref().map_or("an x86 processor", |brand| brand.as_str().trim()).to_owned();
    let has = |yes: bool, name: &'static str| yes.then_some(name);
    let units: Vec<_> = match cpuid.get_extended_feature_info() {
        None => Vec::new(),
        Some(f) => [
            has(f.has_amx_bf16(), "AMX-BF16"),
            has(f.has_avx512_bf16(), "AVX512-BF16"),
            has(f.has_avx512f(), "AVX-512"),
            has(f.has_avx2(), "AVX2"),
        ]
        .into_iter()
        .flatten()
        .collect(),
    };
    let bf16 = units.iter().any(|unit| unit.ends_with("BF16"));
    let precision = if bf16 { "train.precision = auto means bf16" } else { "fp32" };
    Finding::ok(
        "processor",
        format!("{name}, {} threads: {}; {precision}", n_threads(), units.join(", ")),
    )
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn processor() -> Finding {
    Finding::ok("processor", format!("{}, {} threads; fp32", std::env::consts::ARCH, n_threads()))
}

fn n_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::State;
    use super::*;

    #[test]
    fn the_driver_version_is_read_off_the_kernel_module() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version: 13";
        let closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12\n";
        assert_eq!(driver_of(open), Some(580));
        assert_eq!(driver_of(closed), Some(535));
        assert_eq!(driver_of(""), None);
    }

    #[test]
    fn a_gpu_that_is_not_used_gets_a_cure() {
        let none = json!({"libtorch": "2.11.0", "cuda_devices": 0});
        let one = json!({"libtorch": "2.11.0", "cuda_devices": 1});
        assert_eq!(cuda(Some(&none), None).state, State::Ok);
        assert_eq!(cuda(Some(&one), Some(580)).found, "1 GPU(s), driver 580");
        assert!(cuda(Some(&none), Some(535)).cure.contains("580 or newer"));
        assert!(cuda(None, Some(590)).cure.contains("scripts/libtorch.sh cuda"));
    }

    #[test]
    fn a_missing_trainer_is_no_fault() {
        let finding = probe(Some(&PathBuf::from("/nowhere/instdisc-train"))).unwrap_err();
        assert_eq!((finding.state, finding.cure.as_str()), (State::Missing, "`make build`"));
    }
}
