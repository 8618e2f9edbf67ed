//! What is asked of Slurm: the `[slurm]` table of `lab.toml`, and for single runs `--set slurm.KEY=VALUE`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::lab::Home;
use crate::queue::settings::{SettingsError, load};
use crate::queue::slots::check_device;
use crate::queue::slurm::script;

/// Prefix of the keys on the command line.
pub const PREFIX: &str = "slurm.";

/// `[slurm]`, with every key optional. What is absent is left to Slurm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub partition: Option<String>,
    pub account: Option<String>,
    pub qos: Option<String>,
    /// As `sbatch --time`: `90`, `12:00:00`, `2-00:00:00`. A run that needs longer is started again until it is done.
    pub time: Option<String>,
    pub gpus: Option<u32>,
    pub gres: Option<String>,
    /// Processors of a run.
    pub cpus: Option<u32>,
    /// As `sbatch --mem`.
    pub memory: Option<String>,
    pub constraint: Option<String>,
    /// Runs of one array at work at once.
    pub cap: Option<u32>,
    /// Runs in Slurm's hands at once, waiting ones too: below what your account may submit.
    pub most: u32,
    /// Seconds before the time limit at which a run is told to write its checkpoint. Slurm may be up to a minute early.
    pub notice: u32,
    /// `cpu` or `cuda:0`; else what `gpus` or `gres` suggest.
    pub device: Option<String>,
    /// Further options of `sbatch`, one a line: `--mail-type=FAIL`.
    pub extra: Vec<String>,
    /// Lines of shell before the trainer: `module load cuda`.
    pub setup: Vec<String>,
    /// Seconds between two questions to Slurm, for all runs together.
    pub poll: u32,
    /// Seconds that a journal must be silent before a run whose job vanished without a word counts as ended: longer than the
    /// shared disk takes to show what a node wrote.
    pub settle: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            qos: None,
            time: None,
            gpus: None,
            gres: None,
            cpus: None,
            memory: None,
            constraint: None,
            cap: None,
            most: 10_000,
            notice: 120,
            device: None,
            extra: Vec::new(),
            setup: Vec::new(),
            poll: 5,
            settle: 60,
        }
    }
}

/// `lab.toml` has other tables, which other rooms read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LabToml {
    slurm: Settings,
}

impl Settings {
    /// What `lab.toml` asks for.
    pub fn load(home: &Home) -> Result<Self, SettingsError> {
        load(home, Self::parse)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let lab: LabToml = toml_edit::de::from_str(text).map_err(|why| why.to_string())?;
        lab.slurm.check()
    }

    /// These settings with those of one run laid over them.
    ///
    /// # Errors
    /// Names the key, what was found and what is allowed.
    pub fn with(&self, run: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut all = self.clone();
        for (key, value) in run {
            all.set(key, value)?;
        }
        all.check()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = || {
            let wrong = |_| format!("slurm.{key}: found {value}, allowed: a whole number");
            value.parse::<u32>().map_err(wrong)
        };
        let words = || Some(value.to_owned());
        match key {
            "partition" => self.partition = words(),
            "account" => self.account = words(),
            "qos" => self.qos = words(),
            "time" => self.time = words(),
            "gpus" => self.gpus = Some(number()?),
            "gres" => self.gres = words(),
            "cpus" => self.cpus = Some(number()?),
            "memory" => self.memory = words(),
            "constraint" => self.constraint = words(),
            "cap" => self.cap = Some(number()?),
            "notice" => self.notice = number()?,
            "device" => self.device = words(),
            "extra" => self.extra.push(value.to_owned()),
            "setup" => self.setup.push(value.to_owned()),
            "most" | "poll" | "settle" => {
                return Err(format!("slurm.{key} holds for the whole lab: write it in lab.toml"));
            }
            _ => {
                let allowed = "partition, account, qos, time, gpus, gres, cpus, memory, constraint, cap, notice, \
                               device, extra, setup";
                return Err(format!("slurm.{key}: no such setting, allowed: {allowed}"));
            }
        }
        Ok(())
    }

    fn check(self) -> Result<Self, String> {
        let words = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("gres", &self.gres),
            ("memory", &self.memory),
            ("constraint", &self.constraint),
        ];
        for (key, value) in words {
            let Some(value) = value else { continue };
            // They stand on a line that Slurm takes apart as a shell would.
            let strange = |c: char| c.is_whitespace() || c.is_control() || "'\"\\`$;#".contains(c);
            if value.is_empty() || value.contains(strange) {
                return Err(format!(
                    "slurm.{key}: found {value:?}, allowed: one word without spaces, quotes and shell signs"
                ));
            }
        }
        if let Some(time) = self.time.as_deref().filter(|time| seconds(time).is_none()) {
            return Err(format!(
                "slurm.time: found {time:?}, allowed: minutes, minutes:seconds, hours:minutes:seconds or days-hours:minutes:seconds"
            ));
        }
        if let Some(device) = &self.device {
            check_device(device).map_err(|why| format!("slurm.device: {why}"))?;
        }
        // Slurm may give its notice a minute early.
        let least = u64::from(self.notice) + 60;
        if let Some(time) = self.time.as_deref().filter(|time| seconds(time) <= Some(least)) {
            return Err(format!(
                "slurm.time: found {time}, allowed: more than {least} seconds, as a run is told {} seconds before it",
                self.notice
            ));
        }
        let line = |line: &&String| line.contains(['\n', '\r', '\0']);
        if let Some(line) = self.extra.iter().chain(&self.setup).find(line) {
            return Err(format!("slurm: found {line:?}, allowed: one line for each"));
        }
        if let Some(option) = self.extra.iter().find(|option| !option.starts_with('-')) {
            return Err(format!(
                "slurm.extra: found {option:?}, allowed: options as --mail-type=FAIL"
            ));
        }
        let others = ["-J", "-a", "-o", "-M", "--no-requeue", "--clusters", "--wait"];
        let taken = |option: &&String| {
            script::is_ours(option) || others.iter().any(|other| option.starts_with(other))
        };
        if let Some(option) = self.extra.iter().find(taken) {
            return Err(format!(
                "slurm.extra: found {option:?}, allowed: what is not said already"
            ));
        }
        for (key, value, least) in
            [("most", self.most, 1), ("poll", self.poll, 1), ("cap", self.cap.unwrap_or(1), 1)]
        {
            if value < least {
                return Err(format!("slurm.{key}: found {value}, allowed: {least} and more"));
            }
        }
        Ok(self)
    }

    /// What a run trains on there.
    pub fn device(&self) -> &str {
        let gpu = self.gpus.is_some_and(|n| 0 < n)
            || self.gres.as_deref().is_some_and(|gres| gres.starts_with("gpu"));
        self.device.as_deref().unwrap_or(if gpu { "cuda:0" } else { "cpu" })
    }

    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll.into())
    }

    pub fn settle(&self) -> Duration {
        Duration::from_secs(self.settle.into())
    }
}

/// What `sbatch --time` makes of a text; none where it would refuse it.
fn seconds(time: &str) -> Option<u64> {
    let (days, rest) = match time.split_once('-') {
        Some((days, rest)) => (Some(days.parse::<u64>().ok()?), rest),
        None => (None, time),
    };
    // Small, so that nothing overflows.
    let part = |part: &str| part.parse::<u32>().ok().map(u64::from);
    let parts: Option<Vec<u64>> = rest.split(':').map(part).collect();
    let parts = parts?;
    let clock = match (days.is_some(), parts.as_slice()) {
        (true, [h]) => h * 3600,
        (true, [h, m]) => h * 3600 + m * 60,
        (_, [h, m, s]) => h * 3600 + m * 60 + s,
        (false, [m]) => m * 60,
        (false, [m, s]) => m * 60 + s,
        _ => return None,
    };
    days.unwrap_or(0).checked_mul(86_400)?.checked_add(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_what_one_run_asks_for() {
        let text = "[slurm]\npartition = \"gpu\"\ngpus = 1\nsetup = [\"module load cuda\"]\n[workers]\ngrace = 1.0";
        let lab = Settings::parse(text).unwrap();
        assert_eq!((lab.partition.as_deref(), lab.device()), (Some("gpu"), "cuda:0"));
        let run =
            BTreeMap::from([("partition".into(), "long".into()), ("time".into(), "2-0".into())]);
        let run = lab.with(&run).unwrap();
        assert_eq!((run.partition.as_deref(), run.time.as_deref()), (Some("long"), Some("2-0")));
        assert_eq!(run.setup, ["module load cuda"]);
        assert_eq!(Settings::default().device(), "cpu");
    }

    #[test]
    fn times_are_those_that_sbatch_takes() {
        for (text, secs) in [
            ("90", 5400),
            ("1:30", 90),
            ("12:00:00", 43_200),
            ("2-0", 172_800),
            ("1-2:03", 93_780),
            ("1-00:00:01", 86_401),
        ] {
            assert_eq!(seconds(text), Some(secs), "{text}");
        }
        for text in ["", "soon", "1:2:3:4", "1-", "-1", "1d"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn wrong_settings_say_what_is_allowed() {
        let wrong = |key: &str, value: &str| {
            let run = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            Settings::default().with(&run).unwrap_err()
        };
        assert!(
            wrong("partion", "x").starts_with("slurm.partion: no such setting, allowed: partition")
        );
        assert!(wrong("partition", "a b").contains("one word"));
        assert!(wrong("partition", "x\n#SBATCH --uid=0").contains("one word"));
        assert!(wrong("gpus", "many").contains("whole number"));
        assert!(wrong("time", "tomorrow").contains("days-hours"));
        assert!(wrong("extra", "mail").contains("options"));
        assert!(wrong("setup", "a\nb").contains("one line"));
        assert!(wrong("device", "cuda:0;rm").contains("cuda:1"));
        assert!(wrong("extra", "--job-name=x").contains("already"));
        assert!(wrong("time", "3").contains("more than 180"));
        assert!(wrong("cap", "0").contains("1 and more"));
        assert!(wrong("poll", "9").contains("lab.toml"));
        assert!(Settings::parse("[slurm]\nnode = 1").unwrap_err().contains("unknown field"));
    }
}
