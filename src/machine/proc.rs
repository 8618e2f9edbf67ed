//! What Linux says of the whole machine under `/proc` (proc(5)), as text in and numbers out.

use std::collections::BTreeSet;

use super::Memory;

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

/// Distinct (package, core) pairs; a machine in the cloud may not tell.
pub fn cores(cpuinfo: &str) -> Option<u32> {
    let field = |block: &str, key: &str| {
        let line = block.lines().find(|line| line.starts_with(key))?;
        line.split(':').nth(1).map(|value| value.trim().to_owned())
    };
    let cores: BTreeSet<_> = cpuinfo
        .split("\n\n")
        .filter_map(|block| Some((field(block, "physical id")?, field(block, "core id")?)))
        .collect();
    (!cores.is_empty()).then_some(cores.len() as u32)
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
    fn memory_and_load_are_read_or_absent() {
        let meminfo =
            "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\nSwapTotal: 0 kB\n";
        let memory = memory(meminfo).unwrap();
        assert_eq!((memory.total, memory.available, memory.swap_total), (2 << 20, 1 << 20, 0));
        assert_eq!(super::memory("MemTotal: 1 kB\n"), None);
        assert_eq!(load("0.50 1.25 2.00 1/300 4\n"), Some([0.5, 1.25, 2.0]));
        assert_eq!(load("nonsense"), None);
        let two_on_one = "physical id : 0\ncore id : 0\n\nphysical id : 0\ncore id : 0\n\nphysical id : 0\ncore id : 1\n";
        assert_eq!((cores(two_on_one), cores("model name : x\n")), (Some(2), None));
        assert_eq!(processor("x: 1\nmodel name\t: Fast CPU\n").as_deref(), Some("Fast CPU"));
    }
}
