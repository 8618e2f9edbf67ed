//! The `[workers]` table of `lab.toml`: which slots there are and how patient a cancel is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::slots::{Slot, check_device};
use super::slurm;
use crate::lab::Home;
use crate::machine;
pub use crate::settings::SettingsError;
use crate::settings::{LabToml, Wrong};

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

/// Judges all of `lab.toml`, so that a slip is said by whichever command comes first, and not by the one that needs it.
///
/// # Errors
/// All that is wrong with it.
pub fn judge(home: &Home) -> Result<(), SettingsError> {
    let lab = LabToml::load(home)?;
    let mut wrong = Vec::new();
    for judged in [Workers::of(&lab).map(drop), slurm::Settings::of(&lab).map(drop)] {
        match judged {
            Err(SettingsError::Invalid(lines)) => wrong.extend(lines),
            judged => judged?,
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(SettingsError::Invalid(wrong)) }
}

impl Default for Workers {
    fn default() -> Self {
        let slots =
            BTreeMap::from([("cpu".to_owned(), one_a_core(machine::cores(), machine::memory()))]);
        Self { slots, grace: 10.0, launcher: Where::Local }
    }
}

impl Workers {
    /// # Errors
    /// All that is wrong with `lab.toml`.
    pub fn load(home: &Home) -> Result<Self, SettingsError> {
        Self::of(&LabToml::load(home)?)
    }

    fn of(lab: &LabToml) -> Result<Self, SettingsError> {
        let workers: Self = lab.table("workers")?;
        let mut wrong = Vec::new();
        for device in workers.slots.keys() {
            let key = format!("workers.slots.{device}");
            wrong.extend(check_device(device).err().map(|why| Wrong::new(key, why)));
        }
        if !(0.0..=86_400.0).contains(&workers.grace) {
            let words = format!("found {}, allowed: seconds from 0 to 86400", workers.grace);
            wrong.push(Wrong::new("workers.grace", words));
        }
        lab.refuse(wrong)?;
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
        let workers = read("[store]\npath = \"x\"").unwrap();
        assert_eq!(workers, Workers::default());
        assert_eq!(workers.chosen(None, None)[0], Slot::new("cpu", 0));
        assert_eq!(workers.chosen(Some("cuda:1"), None), [Slot::new("cuda:1", 0)]);
        assert_eq!(workers.chosen(None, Some(2)), [Slot::new("cpu", 0), Slot::new("cpu", 1)]);
    }

    #[test]
    fn the_settings_in_the_documents_are_settings() {
        let page = include_str!("../../docs/settings.md");
        let text =
            page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let workers = read(text).unwrap();
        assert_eq!((workers.n_slots(), workers.grace, workers.launcher), (3, 10.0, Where::Local));
        let home = tempfile::tempdir().unwrap();
        let home = Home::new(home.path());
        std::fs::write(home.settings(), text).unwrap();
        assert_eq!(crate::queue::slurm::Settings::load(&home).unwrap().gpus, Some(1));
        assert!(crate::store::location(&home).unwrap().ends_with("me/lab.db"));
    }

    #[test]
    fn wrong_settings_say_where_and_what_is_allowed() {
        let wrong = read("[workers]\ngrace = -1\n[workers.slots]\ngpu = 1\ncpu = 2\n").unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "lab.toml:4: workers.slots.gpu: found gpu, allowed: cpu, cuda:0, cuda:1, …\n\
             lab.toml:2: workers.grace: found -1, allowed: seconds from 0 to 86400"
        );
    }

    #[test]
    fn every_key_of_the_table_is_known_here() {
        let text =
            "workers = { slots = { cpu = 1, \"cuda:0\" = 2 }, grace = 2, launcher = \"slurm\" }";
        let workers = read(text).unwrap();
        assert_eq!((workers.n_slots(), workers.grace, workers.launcher), (3, 2.0, Where::Slurm));
    }

    fn read(text: &str) -> Result<Workers, SettingsError> {
        Workers::of(&LabToml::parse("lab.toml", text)?)
    }
}
