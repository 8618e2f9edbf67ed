//! `env.json`: what a run was first started with. Threads and arithmetic are pinned by it, because a sum split
//! otherwise is another sum; the rest tells a reader where a number comes from.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Device;

use super::device::{self, Share};
use super::models::Arithmetic;
use crate::config::spec::{Precision, TrainSpec};
use crate::files::{PARTIAL, replace};
use crate::machine::gpus;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    pub instdisc_lab: String,
    /// Revision of the code, `unknown` outside a repository.
    pub revision: String,
    /// Whether the code had changes beside that revision.
    pub dirty: bool,
    pub libtorch: String,
    pub os: String,
    pub processor: String,
    /// `cpu` or `cuda:<i>`.
    pub device: String,
    /// What the driver calls a CUDA device, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    pub threads: u32,
    pub precision: Precision,
    /// Empty until the data set is loaded.
    pub data_fingerprint: String,
    /// sha256, hex, of the file that `model.weights` named when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
}

/// The libtorch release that tch 0.24 binds; its build script refuses another.
pub const LIBTORCH: &str = "2.11.0";

impl Environment {
    /// This machine and this build, with `train`'s choices resolved, for a trainer with this share of it.
    pub fn here(train: &TrainSpec, on: Device, share: Share) -> Self {
        let precision = match device::arithmetic(train.precision, on) {
            Arithmetic::Fp32 => Precision::Fp32,
            Arithmetic::Bf16 => Precision::Bf16,
        };
        Self {
            instdisc_lab: env!("CARGO_PKG_VERSION").to_owned(),
            revision: env!("INSTDISC_REVISION").to_owned(),
            dirty: env!("INSTDISC_DIRTY") == "true",
            libtorch: LIBTORCH.to_owned(),
            os: std::env::consts::OS.to_owned(),
            processor: processor(),
            device: device::name(on),
            accelerator: accelerator(on),
            threads: device::threads(train.threads, share),
            precision,
            data_fingerprint: String::new(),
            weights_sha256: None,
        }
    }

    /// None where there is none, or none that can be read: it is then written anew.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        replace(path, PARTIAL, &serde_json::to_vec_pretty(self)?)
    }

    pub fn arithmetic(&self) -> Arithmetic {
        if self.precision == Precision::Bf16 { Arithmetic::Bf16 } else { Arithmetic::Fp32 }
    }

    /// What a run of which nothing is left begins anew with `here`: other circumstances, but as many threads, the same
    /// data and the same weights as it was first started with.
    pub fn anew(self, here: &Environment) -> Self {
        let Self { threads, data_fingerprint, weights_sha256, .. } = self;
        Self { threads, data_fingerprint, weights_sha256, ..here.clone() }
    }

    /// What a resume on `here` promises for a run that started as `self`: other code may round otherwise, as another
    /// processor does. The number of threads is kept from then.
    pub fn resume_promise(&self, here: &Environment) -> &'static str {
        let same = self.processor == here.processor
            && self.libtorch == here.libtorch
            && (&self.revision, self.dirty) == (&here.revision, here.dirty)
            && self.device == here.device
            && self.accelerator == here.accelerator;
        if same && here.device == "cpu" { "exact" } else { "best effort" }
    }
}

fn accelerator(on: Device) -> Option<String> {
    let Device::Cuda(index) = on else { return None };
    gpus::given(index, |name| std::env::var(name).ok()).map(|gpu| gpu.name)
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split(':').nth(1)).map(str::trim);
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Environment {
        Environment {
            instdisc_lab: "0.1.0".into(),
            revision: "a".into(),
            dirty: false,
            libtorch: LIBTORCH.into(),
            os: "linux".into(),
            processor: "one".into(),
            device: "cpu".into(),
            accelerator: None,
            threads: 2,
            precision: Precision::Fp32,
            data_fingerprint: "data".into(),
            weights_sha256: Some("weights".into()),
        }
    }

    #[test]
    fn a_resume_is_exact_where_nothing_that_rounds_has_changed() {
        let promise = |here: Environment| started().resume_promise(&here);
        assert_eq!(promise(Environment { threads: 7, ..started() }), "exact");
        for other in [
            Environment { revision: "b".into(), ..started() },
            Environment { dirty: true, ..started() },
            Environment { processor: "two".into(), ..started() },
            Environment { libtorch: "2.12.0".into(), ..started() },
            Environment { device: "cuda:0".into(), ..started() },
        ] {
            assert_eq!(promise(other.clone()), "best effort", "{other:?}");
        }
    }

    #[test]
    fn what_begins_anew_elsewhere_says_where_and_keeps_its_threads_and_data() {
        let here = Environment {
            processor: "two".into(),
            revision: "b".into(),
            precision: Precision::Bf16,
            threads: 8,
            data_fingerprint: String::new(),
            weights_sha256: None,
            ..started()
        };
        let anew = started().anew(&here);
        assert_eq!(anew.weights_sha256.as_deref(), Some("weights"));
        let Environment { processor, revision, precision, threads, data_fingerprint, .. } = anew;
        assert_eq!((processor.as_str(), revision.as_str()), ("two", "b"));
        assert_eq!((precision, threads, data_fingerprint.as_str()), (Precision::Bf16, 2, "data"));
    }
}
