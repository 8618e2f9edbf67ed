//! What Linux says under `/proc` (proc(5)), as text in and numbers out.

use std::path::Path;

use crate::tui::machine::{Memory, Role};

/// Ticks of a processor's or process's time in a second. `USER_HZ` is 100 on every Linux that we build for.
const TICKS: f64 = 100.0;

/// A processor's ticks since the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    idle: u64,
    all: u64,
}

/// Of every processor, in order: the lines `cpu0 …` of `/proc/stat`.
pub fn times(stat: &str) -> Vec<Times> {
    let line = |line: &str| {
        let (name, numbers) = line.split_once(' ')?;
        name.strip_prefix("cpu")?.parse::<u32>().ok()?;
        let ticks: Vec<u64> = numbers.split_whitespace().map_while(|n| n.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are counted under user.
        let all = ticks.iter().take(8).sum();
        Some(Times { idle: ticks.get(3)? + ticks.get(4).copied().unwrap_or(0), all })
    };
    stat.lines().filter_map(line).collect()
}

/// The share of time that each was busy between two looks; nothing where they are not the same processors.
pub fn busy(before: &[Times], now: &[Times]) -> Option<Vec<f64>> {
    if now.is_empty() || before.len() != now.len() {
        return None;
    }
    let share = |(before, now): (&Times, &Times)| {
        let idle = now.idle.saturating_sub(before.idle) as f64;
        match now.all.saturating_sub(before.all) {
            // No tick has passed: nothing was busy.
            0 => 0.0,
            all => (1.0 - idle / all as f64).clamp(0.0, 1.0),
        }
    };
    Some(before.iter().zip(now).map(share).collect())
}

/// The first `model name`; some architectures have none.
pub fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

pub fn load(loadavg: &str) -> Option<[f64; 3]> {
    let mut numbers = loadavg.split_whitespace().map(|n| n.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// A number by its name in the `Name:  123 kB` files.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

pub fn memory(meminfo: &str) -> Option<Memory> {
    let bytes = |name: &str| field(meminfo, name).map(|kib| kib * 1024);
    Some(Memory {
        total: bytes("MemTotal")?,
        available: bytes("MemAvailable")?,
        swap_total: bytes("SwapTotal").unwrap_or(0),
        swap_free: bytes("SwapFree").unwrap_or(0),
    })
}

/// What a process has taken, and since when it lives: a process number alone comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    started: u64,
    used: u64,
}

impl Ticks {
    /// Processors kept busy over `seconds`.
    pub fn since(self, before: &Ticks, seconds: f64) -> Option<f64> {
        let used = self.used.checked_sub(before.used)?;
        (self.started == before.started && seconds > 0.0).then(|| used as f64 / TICKS / seconds)
    }
}

/// From `/proc/<pid>/stat`. The command in parentheses may itself contain any character.
pub fn ticks(stat: &str) -> Option<Ticks> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    // Field 3 comes first here: 14 and 15 are user and system time, 22 the start.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Ticks { started: number(22)?, used: number(14)? + number(15)? })
}

/// What a process is to the lab at `home`, by its command line.
pub fn role(cmdline: &[u8], home: &Path) -> Option<Role> {
    let words: Vec<&str> = cmdline
        .split(|&byte| byte == 0)
        .map(|word| std::str::from_utf8(word).unwrap_or(""))
        .collect();
    let program = Path::new(words.first()?).file_name()?.to_str()?;
    let of_home =
        |path: &Path| path == home || std::fs::canonicalize(path).is_ok_and(|path| path == home);
    match program {
        "instdisc-train" => words[1..].iter().find_map(|word| {
            let path = Path::new(word);
            let runs = path.parent()?;
            let ours = runs.file_name()? == "runs" && of_home(runs.parent()?);
            ours.then(|| Some(Role::Trainer(path.file_name()?.to_str()?.to_owned())))?
        }),
        "instdisc-lab" if words.contains(&"worker") => {
            let after = |flag: &str| {
                let at = words.iter().position(|word| *word == flag)?;
                words.get(at + 1).map(|word| (*word).to_owned())
            };
            // Those that we start are told their home; of others it is not known.
            of_home(Path::new(&after("--home")?)).then(|| Role::Worker(after("--slot")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_the_share_of_ticks_that_were_not_idle() {
        let before = times("cpu  9 9 9 9\ncpu0 10 0 10 80 0 0 0 0 5 5\ncpu1 0 0 0 100 0\nintr 1\n");
        let now = times("cpu  9 9 9 9\ncpu0 35 0 10 140 15 0 0 0 9 9\ncpu1 0 0 0 100 0\n");
        assert_eq!(before.len(), 2);
        assert_eq!(busy(&before, &now), Some(vec![0.25, 0.0]));
        assert_eq!(busy(&before[..1], &now), None, "a processor was plugged in");
    }

    #[test]
    fn names_with_parentheses_do_not_shift_the_fields() {
        let stat = |name: &str, used: u64| {
            format!("7 ({name}) S 1 7 7 0 -1 4194560 1 0 0 0 {used} 50 0 0 20 0 4 0 12345 1 1")
        };
        let (a, b) = (ticks(&stat("a) R (b", 100)).unwrap(), ticks(&stat("x", 300)).unwrap());
        assert_eq!(b.since(&a, 2.0), Some(1.0));
        assert_eq!(a.since(&b, 2.0), None, "time does not go back");
        let other = Ticks { started: 1, ..a };
        assert_eq!(b.since(&other, 2.0), None, "another process has the number");
        assert_eq!(ticks("7 (x"), None);
    }

    #[test]
    fn memory_and_load_are_read_or_absent() {
        let meminfo =
            "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\nSwapTotal: 0 kB\n";
        let memory = memory(meminfo).unwrap();
        assert_eq!((memory.total, memory.available, memory.swap_total), (2 << 20, 1 << 20, 0));
        assert_eq!(super::memory("MemTotal: 1 kB\n"), None);
        assert_eq!(load("0.50 1.25 2.00 1/300 4\n"), Some([0.5, 1.25, 2.0]));
        assert_eq!(load("nonsense"), None);
        assert_eq!(processor("x: 1\nmodel name\t: Fast CPU\n").as_deref(), Some("Fast CPU"));
    }

    #[test]
    fn command_lines_tell_trainers_and_workers_of_this_lab_from_others() {
        let role = |words: &str| role(words.replace(' ', "\0").as_bytes(), Path::new("/lab"));
        assert_eq!(
            role("/bin/instdisc-train /lab/runs/x-1 --attempt 2"),
            Some(Role::Trainer("x-1".into()))
        );
        assert_eq!(role("/bin/instdisc-train /other/runs/x-1"), None);
        let worker = "instdisc-lab --home /lab worker --detached --slot cpu-0";
        assert_eq!(role(worker), Some(Role::Worker(Some("cpu-0".into()))));
        assert_eq!(role("instdisc-lab --home /lab"), None);
        assert_eq!(role("vim instdisc-train /lab/runs/x-1"), None);
        assert_eq!(role(""), None);
    }
}
