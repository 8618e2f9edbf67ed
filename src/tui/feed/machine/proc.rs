//! What Linux says of single processes under `/proc` (proc(5)), as text in and numbers out.

use std::path::Path;

use crate::journal::process::Stat;
use crate::tui::machine::Role;

/// Ticks of a process's time in a second. `USER_HZ` is 100 on every Linux that we build for.
const TICKS: f64 = 100.0;

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

/// From `/proc/<pid>/stat`.
pub fn ticks(stat: &str) -> Option<Ticks> {
    let stat = Stat::parse(stat)?;
    Some(Ticks { started: stat.start_ticks, used: stat.used_ticks })
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
    fn time_is_counted_between_two_looks_at_one_process() {
        let stat = |used: u64| {
            format!("7 (x) S 1 7 7 0 -1 4194560 1 0 0 0 {used} 50 0 0 20 0 4 0 12345 1 1")
        };
        let (a, b) = (ticks(&stat(100)).unwrap(), ticks(&stat(300)).unwrap());
        assert_eq!(b.since(&a, 2.0), Some(1.0));
        assert_eq!(a.since(&b, 2.0), None, "time does not go back");
        let other = Ticks { started: 1, ..a };
        assert_eq!(b.since(&other, 2.0), None, "another process has the number");
        assert_eq!(ticks("7 (x"), None);
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
