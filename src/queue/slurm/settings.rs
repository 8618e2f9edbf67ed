//! What is asked of Slurm: the `[slurm]` table of `lab.toml`, and for single runs `--set slurm.KEY=VALUE`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::lab::Home;
use crate::queue::slots::check_device;
use crate::queue::slurm::script;
use crate::settings::{LabToml, SettingsError, Wrong};

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

impl Settings {
    /// What `lab.toml` asks for.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(home: &Home) -> Result<Self, SettingsError> {
        Self::of(&LabToml::load(home)?)
    }

    pub(in crate::queue) fn of(lab: &LabToml) -> Result<Self, SettingsError> {
        let settings: Self = lab.table("slurm")?;
        lab.refuse(settings.check())?;
        Ok(settings)
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
        match all.check().as_slice() {
            [] => Ok(all),
            wrong => Err(wrong.iter().map(Wrong::to_string).collect::<Vec<_>>().join("\n")),
        }
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

    /// What Slurm would not take, or we.
    fn check(&self) -> Vec<Wrong> {
        let mut found = Vec::new();
        let mut wrong = |key: &str, words: String| {
            found.push(Wrong::new(format!("{PREFIX}{key}"), words));
        };
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
                let allowed = "one word without spaces, quotes and shell signs";
                wrong(key, format!("found {value:?}, allowed: {allowed}"));
            }
        }
        // Slurm may give its notice a minute early.
        let least = u64::from(self.notice) + 60;
        match self.time.as_deref().map(|time| (time, seconds(time))) {
            Some((time, None)) => wrong(
                "time",
                format!(
                    "found {time:?}, allowed: minutes, minutes:seconds, hours:minutes:seconds or days-hours:minutes:seconds"
                ),
            ),
            Some((time, Some(limit))) if limit <= least => wrong(
                "time",
                format!(
                    "found {time}, allowed: more than {least} seconds, as a run is told {} seconds before it",
                    self.notice
                ),
            ),
            _ => {}
        }
        if let Some(Err(why)) = self.device.as_deref().map(check_device) {
            wrong("device", why);
        }
        for (key, lines) in [("extra", &self.extra), ("setup", &self.setup)] {
            for line in lines.iter().filter(|line| line.contains(['\n', '\r', '\0'])) {
                wrong(key, format!("found {line:?}, allowed: one line for each"));
            }
        }
        let others = ["-J", "-a", "-o", "-M", "--no-requeue", "--clusters", "--wait"];
        for option in &self.extra {
            let allowed = if !option.starts_with('-') {
                "options as --mail-type=FAIL"
            } else if script::is_ours(option)
                || others.iter().any(|other| option.starts_with(other))
            {
                "what is not said already"
            } else {
                continue;
            };
            wrong("extra", format!("found {option:?}, allowed: {allowed}"));
        }
        for (key, value) in
            [("most", self.most), ("poll", self.poll), ("cap", self.cap.unwrap_or(1))]
        {
            if value < 1 {
                wrong(key, format!("found {value}, allowed: 1 and more"));
            }
        }
        found
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
        let lab = read(text).unwrap();
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
        let lab = read("[slurm]\ntime = \"soon\"\npoll = 0\n").unwrap_err().to_string();
        let lines: Vec<&str> = lab.lines().collect();
        assert!(
            lines[0].starts_with("lab.toml:2: slurm.time: found \"soon\", allowed: minutes"),
            "{lab}"
        );
        assert_eq!(lines[1..], ["lab.toml:3: slurm.poll: found 0, allowed: 1 and more"]);
    }

    #[test]
    fn every_key_of_the_table_is_known_here() {
        let text = "[slurm]\npartition = \"a\"\naccount = \"a\"\nqos = \"a\"\ntime = \"90\"\ngpus = 1\ngres = \"a\"\n\
                    cpus = 1\nmemory = \"1\"\nconstraint = \"a\"\ncap = 1\nmost = 1\nnotice = 1\ndevice = \"cpu\"\n\
                    extra = [\"-v\"]\nsetup = [\"a\"]\npoll = 1\nsettle = 1\n";
        assert_eq!(read(text).unwrap().setup, ["a"]);
    }

    fn read(text: &str) -> Result<Settings, SettingsError> {
        Settings::of(&LabToml::parse("lab.toml", text)?)
    }
}
