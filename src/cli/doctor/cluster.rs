//! The Slurm cluster: its commands, what it would take, and what a node sees of this lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Finding;
use crate::lab::Home;
use crate::queue::launcher::local::Local;
use crate::queue::slurm::client::{self, Trouble};
use crate::queue::slurm::{Settings, array};

/// Seconds that a job of one second is waited for: partitions may be full.
const PATIENCE: u32 = 180;

/// Clocks further apart than this make times in tables look wrong.
const SKEW: f64 = 5.0;

pub(super) fn look(home: &Home) -> Vec<Finding> {
    let mut findings = vec![partitions()];
    let settings = match Settings::load(home) {
        Ok(settings) => settings,
        Err(why) => {
            findings.push(Finding::broken("slurm", why.to_string(), "mend the file"));
            return findings;
        }
    };
    let Ok(local) = Local::find() else { return findings };
    let asked = array::rehearse(home, &settings, local.trainer());
    let taken = asked.is_ok();
    findings.push(match asked {
        Ok(()) => Finding::ok("slurm takes", words(&settings)),
        Err(why) => {
            let cure = match why {
                Trouble::Home { .. } => "free some space there, or mend its permissions",
                _ => "mend [slurm] in lab.toml, or name another with --set slurm.…",
            };
            Finding::missing("slurm takes", why.to_string(), cure)
        }
    });
    if taken {
        findings.extend(node(home, &settings, local.trainer()));
    }
    findings
}

fn partitions() -> Finding {
    match client::partitions() {
        Ok(partitions) => Finding::ok("slurm", format!("partitions: {}", partitions.join(", "))),
        Err(missing @ Trouble::Missing(_)) => {
            let cure = "run this on a login node, or put Slurm's commands on PATH";
            Finding::missing("slurm", missing.to_string(), cure)
        }
        Err(why) => Finding::missing("slurm", why.to_string(), "ask who keeps the cluster"),
    }
}

fn words(settings: &Settings) -> String {
    let partition = settings.partition.as_deref().unwrap_or("the default partition");
    let time = settings.time.as_deref().unwrap_or("its own time limit");
    format!("{partition}, {time}, runs on {}", settings.device())
}

/// What a job of one second finds on a node.
fn node(home: &Home, settings: &Settings, trainer: &Path) -> Vec<Finding> {
    let folder = std::path::absolute(home.root()).unwrap_or_else(|_| home.root().to_owned());
    let folder = folder.join("slurm").join(format!(".doctor-{}", std::process::id()));
    let asked = (|| {
        fs::create_dir_all(&folder)?;
        let script = folder.join("probe.sh");
        fs::write(&script, array::probe(settings, trainer, &folder))?;
        Ok::<PathBuf, std::io::Error>(script)
    })();
    let answer = match asked {
        Ok(script) => client::wait_for(&script, PATIENCE),
        Err(why) => Err(Trouble::Refused(format!("{}: {why}", folder.display()))),
    };
    let now = SystemTime::now();
    let found = fs::read_to_string(folder.join("found"));
    let _ = fs::remove_dir_all(&folder);
    match (answer, found) {
        (Err(why @ Trouble::Unreachable(_)), Err(_)) => {
            let found = format!("no node answered: {why}");
            vec![Finding::warn("node", found, "try again when the partition is less busy")]
        }
        (_, Err(_)) => vec![Finding::missing(
            "node",
            "a job ended without leaving a word in the home: the nodes do not see it",
            "keep the home on the shared disk (--home), and store.path in lab.toml on a local one",
        )],
        (_, Ok(found)) => read(&found, now),
    }
}

/// Lines `host NAME`, `clock SECONDS`, `probe JSON or an error`.
fn read(found: &str, now: SystemTime) -> Vec<Finding> {
    let line = |key: &str| found.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let host = line("host").unwrap_or("a node");
    let mut findings = vec![Finding::ok("node", format!("{host} sees the home"))];
    let probe = line("probe").unwrap_or_default();
    findings.push(match serde_json::from_str::<serde_json::Value>(probe) {
        Ok(probe) => {
            let devices = probe["cuda_devices"].as_u64().unwrap_or(0);
            let found = format!("libtorch {} on {host}, {devices} GPU(s)", probe["libtorch"]);
            Finding::ok("node: trainer", found)
        }
        Err(_) => {
            let cure = "put libtorch and the trainer on the shared disk, or load what they need in slurm.setup";
            Finding::missing("node: trainer", format!("it does not start on {host}: {probe}"), cure)
        }
    });
    let here = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    if let Some(there) = line("clock").and_then(|text| text.parse::<f64>().ok()) {
        // Between the two looks lies what the job took to end.
        let ahead = there - here;
        findings.push(if (-60.0..=SKEW).contains(&ahead) {
            Finding::ok("node: clock", "agrees with this one")
        } else {
            let found = format!("{host} is {ahead:+.0} s off");
            Finding::warn(
                "node: clock",
                found,
                "times in tables are the node's: let both follow NTP",
            )
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::State;
    use super::*;

    #[test]
    fn what_a_node_says_is_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let states = |text: &str| -> Vec<State> {
            read(text, now).iter().map(|finding| finding.state).collect()
        };
        let fine = "host n1\nclock 999999.5\nprobe {\"libtorch\":\"2.11.0\",\"cuda_devices\":1}\n";
        assert_eq!(states(fine), [State::Ok, State::Ok, State::Ok]);
        let wrong = "host n1\nclock 1003600.0\nprobe error while loading shared libraries: libtorch_cpu.so\n";
        assert_eq!(states(wrong), [State::Ok, State::Missing, State::Warn]);
        assert!(read(wrong, now)[2].found.contains("+3600 s"));
    }
}
