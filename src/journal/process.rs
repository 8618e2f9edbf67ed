//! Who a process is, for good: a process number alone comes back, with its boot and its start tick it does not.
//!
//! Start ticks stay relative to the boot: turned into wall-clock time they move whenever the clock is set.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

/// One process, among all that ever were on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub boot_id: String,
    pub pid: u32,
    /// `/proc/<pid>/stat` field 22.
    pub start_ticks: u64,
}

impl Identity {
    /// This process.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn current() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// The process that has number `pid` now, be it a zombie.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = stat(pid)?;
        Ok(Self { boot_id: boot_id()?, pid, start_ticks: stat.start_ticks })
    }

    /// Whether it still runs. A zombie does not: it only waits for its parent to look.
    pub fn is_alive(&self) -> bool {
        let same_boot = boot_id().is_ok_and(|boot| boot == self.boot_id);
        let stat = stat(self.pid);
        same_boot && stat.is_ok_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead())
    }
}

/// A number that the kernel draws at each boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// What Linux says of a process in `/proc/<pid>/stat` (proc_pid_stat(5)), as far as anybody here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 3: `R` runs, `S` sleeps, `Z` waits for its parent to look.
    pub state: char,
    /// Field 4, the parent's number.
    pub parent: i32,
    /// Fields 14 and 15: user and system time, in ticks.
    pub used_ticks: u64,
    /// Field 22: when it began, in ticks since the boot.
    pub start_ticks: u64,
}

impl Stat {
    /// The second field is the program's name in parentheses, and may itself hold spaces and parentheses: what is looked
    /// for stands after the last one, from field 3 on.
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = |number: usize| field(number)?.parse::<u64>().ok();
        Some(Self {
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            used_ticks: ticks(14)?.checked_add(ticks(15)?)?,
            start_ticks: ticks(22)?,
        })
    }

    /// Whether it only waits to be forgotten.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

fn stat(pid: u32) -> io::Result<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    let text = String::from_utf8_lossy(&text);
    Stat::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_is_no_trouble() {
        let line = "42 (a) R (b c)) S 1 42 42 0 -1 4194560 1 0 0 0 70 2 0 0 20 0 1 0 98765 4096 1 18446744073709551615\n";
        let expected = Stat { state: 'S', parent: 1, used_ticks: 72, start_ticks: 98765 };
        assert_eq!(Stat::parse(line), Some(expected));
        for cut in ["42 (cut) S 1 42", "7 (x", ""] {
            assert_eq!(Stat::parse(cut), None, "{cut}");
        }
        assert!(Stat { state: 'Z', ..expected }.is_dead() && !expected.is_dead());
    }

    #[test]
    fn this_process_lives_and_another_start_of_its_number_does_not() {
        let here = Identity::current().unwrap();
        assert!(here.is_alive());
        assert!(!Identity { start_ticks: here.start_ticks + 1, ..here.clone() }.is_alive());
        assert!(!Identity { boot_id: "another".into(), ..here }.is_alive());
    }

    #[test]
    fn a_zombie_is_dead_though_it_has_a_number() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        // Nobody has waited for it yet, so the kernel keeps its entry.
        while identity.is_alive() {
            std::thread::yield_now();
        }
        assert_eq!(Identity::of(child.id()).unwrap(), identity);
        child.wait().unwrap();
        assert!(Identity::of(child.id()).is_err());
    }
}
