//! Which devices there are to train on: asked of the trainer, as this program has no libtorch in it.
//!
//! One answer before anything is claimed, so that a mistyped device fails no run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;

use crate::queue::slots::Slot;

/// How long the trainer may think about it: a driver that hangs must not keep a worker from its signals for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {device}, allowed: {}; the trainer sees {}", allowed(*.n_cuda), gpus(*.n_cuda))]
pub struct Absent {
    pub device: String,
    /// CUDA devices that there are.
    pub n_cuda: u32,
}

/// What of `instdisc-train --probe` matters here.
#[derive(Deserialize)]
struct Probe {
    cuda_devices: u32,
}

/// Those of `devices` that `trainer` does not see. Nothing is concluded from a trainer that gives no answer: it says why when
/// it is started.
pub async fn absent(trainer: &Path, devices: impl IntoIterator<Item = &str>) -> Vec<Absent> {
    let cuda = |device: &str| device.strip_prefix("cuda:")?.parse::<u32>().ok();
    let asked: Vec<(&str, u32)> =
        devices.into_iter().filter_map(|device| Some((device, cuda(device)?))).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let Some(n_cuda) = n_cuda(trainer).await else { return Vec::new() };
    let absent = asked.into_iter().filter(|(_, at)| n_cuda <= *at);
    absent.map(|(device, _)| Absent { device: device.to_owned(), n_cuda }).collect()
}

/// Takes those out of `slots` whose device `trainer` does not see: a worker of it would leave at once. Which devices that are.
pub async fn leave_out(trainer: &Path, slots: &mut Vec<Slot>) -> Vec<Absent> {
    let devices: BTreeSet<&str> = slots.iter().map(|slot| slot.device.as_str()).collect();
    let absent = absent(trainer, devices).await;
    slots.retain(|slot| absent.iter().all(|absent| absent.device != slot.device));
    absent
}

async fn n_cuda(trainer: &Path) -> Option<u32> {
    let mut command = tokio::process::Command::new(trainer);
    command.arg("--probe").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let probe = output.status.success().then(|| serde_json::from_slice::<Probe>(&output.stdout));
    Some(probe?.ok()?.cuda_devices)
}

fn allowed(n_cuda: u32) -> String {
    (0..n_cuda).fold("cpu".to_owned(), |words, at| format!("{words}, cuda:{at}"))
}

fn gpus(n: u32) -> String {
    match n {
        0 => "no CUDA device".to_owned(),
        1 => "one CUDA device".to_owned(),
        n => format!("{n} CUDA devices"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_device_is_absent_where_the_trainer_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let trainer = dir.path().join("trainer");
        let says = |script: &str| {
            fs::write(&trainer, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&trainer, fs::Permissions::from_mode(0o755)).unwrap();
        };
        says("echo '{\"cuda\":true,\"cuda_devices\":2}'");
        assert_eq!(absent(&trainer, ["cpu", "cuda:0", "cuda:1"]).await, []);
        let found = absent(&trainer, ["cuda:2", "cuda:1"]).await;
        assert_eq!(found, [Absent { device: "cuda:2".into(), n_cuda: 2 }]);
        let said = "found cuda:2, allowed: cpu, cuda:0, cuda:1; the trainer sees 2 CUDA devices";
        assert_eq!(found[0].to_string(), said);
        says("echo '{\"cuda\":false,\"cuda_devices\":0}'");
        let said = "found cuda:0, allowed: cpu; the trainer sees no CUDA device";
        assert_eq!(absent(&trainer, ["cuda:0"]).await[0].to_string(), said);
        // Nobody knows.
        for silent in ["exit 1", "echo running 1 test", "echo '{}'"] {
            says(silent);
            assert_eq!(absent(&trainer, ["cuda:0"]).await, [], "{silent}");
        }
        assert_eq!(absent(&dir.path().join("none"), ["cuda:0"]).await, []);
    }
}
