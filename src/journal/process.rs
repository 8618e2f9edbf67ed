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
        let stat = Stat::read(pid)?;
        Ok(Self { boot_id: boot_id()?, pid, start_ticks: stat.start_ticks })
    }

    /// Whether it still runs. A zombie does not: it only waits for its parent to look.
    pub fn is_alive(&self) -> bool {
        let same_boot = boot_id().is_ok_and(|boot| boot == self.boot_id);
        let stat = Stat::read(self.pid);
        same_boot && stat.is_ok_and(|stat| stat.start_ticks == self.start_ticks && !stat.is_dead())
    }
}

/// A number that the kernel draws at each boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// What we need of `/proc/<pid>/stat` (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read(format!("/proc/{pid}/stat"))?;
        let text = String::from_utf8_lossy(&text);
        Self::parse(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text.as_ref()))
    }

    /// The second field is the program's name in parentheses, and may itself hold spaces and parentheses: what we
    /// look for stands after the last one, from field 3 on.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let start_ticks = fields.nth(22 - 4)?.parse().ok()?;
        Some(Self { state, start_ticks })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_is_no_trouble() {
        let line = "42 (a) R (b c)) S 1 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 98765 4096 1 18446744073709551615\n";
        assert_eq!(Stat::parse(line), Some(Stat { state: 'S', start_ticks: 98765 }));
        assert_eq!(Stat::parse("42 (cut) S 1 42"), None);
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
