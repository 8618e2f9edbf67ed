//! The `[workers]` table of `lab.toml`: which slots there are and how patient a cancel is.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::Deserialize;

use super::slots::{Slot, check_device};
use crate::lab::Home;
use crate::machine;

/// `[workers]`, with every key optional.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Workers {
    /// Device → trainers that may run on it at once.
    pub slots: BTreeMap<String, u32>,
    /// Seconds between the TERM and the KILL of a cancel, ≥ 0.
    pub grace: f64,
    /// Where what is queued runs, unless that is said.
    pub launcher: Where,
}

/// Memory that a trainer is given room for: ResNet-18 on CIFAR-10 takes half of it.
const ROOM: u64 = 3 << 30;

/// Trainers at once on a machine: each with one core, they get through a grid faster than one after the other with all
/// of them (RESULTS.md, grid_workers), as long as there is memory for each. Where fewer runs wait, fewer are started, and
/// each gets more cores.
fn one_a_core(cores: u32, memory: Option<u64>) -> u32 {
    let room = memory.map_or(1, |bytes| u32::try_from(bytes / ROOM).unwrap_or(u32::MAX));
    cores.min(room).clamp(1, MOST)
}

/// More trainers than this only on request: each reads its own copy of the data.
const MOST: u32 = 64;

/// Who starts a run's trainer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Where {
    /// This machine.
    #[default]
    Local,
    /// The Slurm cluster that this machine is a login node of.
    Slurm,
}

impl Default for Workers {
    fn default() -> Self {
        let slots =
            BTreeMap::from([("cpu".to_owned(), one_a_core(machine::cores(), machine::memory()))]);
        Self { slots, grace: 10.0, launcher: Where::Local }
    }
}

/// `lab.toml` has other tables, which other rooms read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LabToml {
    workers: Workers,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {path}: {why}")]
    Read { path: String, why: io::Error },
    #[error("{path}: {problem}")]
    Invalid { path: String, problem: String },
}

/// A part of the home's `lab.toml`, or what stands where there is no such file.
pub(super) fn load<T: Default>(
    home: &Home,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, SettingsError> {
    let path = home.settings().display().to_string();
    match std::fs::read_to_string(home.settings()) {
        Ok(text) => parse(&text).map_err(|problem| SettingsError::Invalid { path, problem }),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(why) => Err(SettingsError::Read { path, why }),
    }
}

impl Workers {
    pub fn load(home: &Home) -> Result<Self, SettingsError> {
        load(home, Self::parse)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lab: LabToml = toml_edit::de::from_str(text).map_err(|why| why.to_string())?;
        let workers = lab.workers;
        for device in workers.slots.keys() {
            check_device(device).map_err(|why| format!("workers.slots: {why}"))?;
        }
        if !(0.0..=86_400.0).contains(&workers.grace) {
            let found = workers.grace;
            return Err(format!("workers.grace: found {found}, allowed: seconds from 0 to 86400"));
        }
        Ok(workers)
    }

    /// The slots that `device` and `count` ask for, else those of the file.
    pub fn chosen(&self, device: Option<&str>, count: Option<u32>) -> Vec<Slot> {
        let on = |device: &str, count: u32| (0..count).map(|i| Slot::new(device, i)).collect();
        match (device, count) {
            (Some(device), Some(count)) => on(device, count),
            (Some(device), None) => on(device, self.slots.get(device).copied().unwrap_or(1).max(1)),
            (None, Some(count)) => {
                let first = self.slots.keys().next_back().map_or("cpu", String::as_str);
                on(first, count)
            }
            (None, None) => {
                let each = self.slots.iter().flat_map(|(d, &n)| (0..n).map(|i| Slot::new(d, i)));
                each.collect()
            }
        }
    }

    /// Slots of all devices.
    pub fn n_slots(&self) -> u32 {
        self.slots.values().sum()
    }

    pub fn grace(&self) -> Duration {
        Duration::from_secs_f64(self.grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_there_is_a_trainer_for_each_core_that_has_memory() {
        let gib = |n: u64| Some(n << 30);
        assert_eq!(one_a_core(2, gib(24)), 2);
        assert_eq!(one_a_core(16, gib(24)), 8);
        assert_eq!(one_a_core(8, gib(2)), 1, "one has to fit");
        assert_eq!(one_a_core(8, None), 1, "nobody knows what fits");
        assert_eq!(one_a_core(256, gib(2048)), 64);
        let workers = Workers::parse("[store]\npath = \"x\"").unwrap();
        assert_eq!(workers, Workers::default());
        assert_eq!(workers.chosen(None, None)[0], Slot::new("cpu", 0));
        assert_eq!(workers.chosen(Some("cuda:1"), None), [Slot::new("cuda:1", 0)]);
        assert_eq!(workers.chosen(None, Some(2)), [Slot::new("cpu", 0), Slot::new("cpu", 1)]);
    }

    #[test]
    fn wrong_settings_say_what_is_allowed() {
        let wrong = Workers::parse("[workers]\nslots = { gpu = 1 }").unwrap_err();
        assert_eq!(wrong, "workers.slots: found gpu, allowed: cpu, cuda:0, cuda:1, …");
        assert!(Workers::parse("[workers]\ngrace = -1.0").unwrap_err().contains("from 0 to"));
        assert!(Workers::parse("[workers]\nslot = 1").unwrap_err().contains("unknown field"));
    }
}
