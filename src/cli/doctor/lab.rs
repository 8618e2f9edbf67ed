//! The home and its run log.

use std::path::Path;

use super::{Finding, disk};
use crate::lab::Home;
use crate::queue::audit::{Grade, audit};
use crate::queue::{Workers, judge};
use crate::store::{Store, StoreError};

/// With `thorough` the whole run log is read.
pub(super) async fn look(home: &Home, thorough: bool) -> Vec<Finding> {
    // What does not exist yet is made in the nearest folder that does.
    let nearest = home.root().ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    let mut findings = vec![folder(home.root(), nearest), workers(home)];
    findings.extend(run_log(home, thorough).await);
    findings.extend(write_ahead_log(home));
    findings.extend([sqlite(), disk::look(home, nearest).await]);
    findings
}

fn folder(root: &Path, nearest: &Path) -> Finding {
    let what = "home";
    let writable = rustix::fs::access(nearest, rustix::fs::Access::WRITE_OK).is_ok();
    let name = root.display();
    match (root == nearest, writable) {
        (true, true) if is_open_to_others(root) => Finding::warn(
            what,
            format!("{name}, where other people can write"),
            format!("chmod go-w {name}"),
        ),
        (true, true) => Finding::ok(what, name.to_string()),
        (false, true) => Finding::ok(what, format!("{name}, made by the first run")),
        (_, false) => {
            let cure = "choose another with --home or INSTDISC_LAB_HOME";
            Finding::missing(what, format!("{} cannot be written", nearest.display()), cure)
        }
    }
}

/// How many trainers work at once, as far as `lab.toml` says; else what is wrong with that.
fn workers(home: &Home) -> Finding {
    let what = "workers";
    if let Err(why) = judge(home) {
        return Finding::broken("lab.toml", why.to_string(), "mend the file or remove it");
    }
    match Workers::load(home).map(|workers| workers.n_slots()) {
        Ok(1) => Finding::ok(what, "one trainer at a time, with every core"),
        Ok(n) => Finding::ok(
            what,
            format!(
                "up to {n} trainers at once, which share the cores: a grid is done sooner that way"
            ),
        ),
        Err(why) => Finding::broken(what, why.to_string(), "mend the file or remove it"),
    }
}

/// Whoever may write here could take a lock or plant a run directory.
fn is_open_to_others(root: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(root).is_ok_and(|home| home.permissions().mode() & 0o022 != 0)
}

/// What the run log is, and with `thorough` everything that does not hold in it.
async fn run_log(home: &Home, thorough: bool) -> Vec<Finding> {
    const REPAIR: &str = "`instdisc-lab doctor --repair` makes it anew from the run directories";
    let what = "run log";
    let broken = |error: String| vec![Finding::broken(what, error, REPAIR)];
    let store = match Store::open_readonly(home).await {
        Ok(store) => store,
        Err(StoreError::Missing { .. }) => return vec![Finding::ok(what, "none yet")],
        Err(StoreError::Lost { runs, n, .. }) => {
            return broken(format!(
                "there is none, but {n} run director(ies) in {}",
                runs.display()
            ));
        }
        Err(error @ (StoreError::Damaged | StoreError::NotADatabase { .. })) => {
            return broken(error.to_string());
        }
        Err(error) => {
            return vec![Finding::missing(what, error.to_string(), "see what it says")];
        }
    };
    let runs = match store.runs().await {
        Ok(runs) => runs.len(),
        Err(error) => return broken(error.to_string()),
    };
    let found = format!("{}, {runs} run(s)", store.path().display());
    if !thorough {
        return vec![Finding::ok(what, found)];
    }
    let problems = match audit(home, &store).await {
        Ok(problems) => problems,
        Err(error) => return broken(error.to_string()),
    };
    let n_flaws = problems.iter().filter(|problem| problem.grade == Grade::Flaw).count();
    let mut findings = vec![match n_flaws {
        0 => Finding::ok(what, format!("{found}, all of it sound")),
        n => Finding::warn(what, format!("{found}, {n} thing(s) do not hold"), "see below"),
    }];
    findings.extend(problems.into_iter().map(|problem| {
        let found = match problem.run {
            Some(run) => format!("{run} {}", problem.found),
            None => problem.found,
        };
        match problem.grade {
            Grade::Flaw => Finding::broken(problem.what, found, problem.cure),
            Grade::Leftover => Finding::warn(problem.what, found, problem.cure),
        }
    }));
    findings
}

/// It is folded into the database again and again, unless a reader holds on to what it saw.
fn write_ahead_log(home: &Home) -> Option<Finding> {
    const LARGE: u64 = 256 << 20;
    let mut path = crate::store::location(home).ok()?.into_os_string();
    path.push("-wal");
    let len = std::fs::metadata(&path).ok()?.len();
    let found = format!("{} holds {} MiB", Path::new(&path).display(), len >> 20);
    let cure =
        "end or continue stopped screens and other readers of the file: it shrinks by itself then";
    (LARGE < len).then(|| Finding::warn("run log", found, cure))
}

fn sqlite() -> Finding {
    let version = libsqlite3_sys::SQLITE_VERSION.to_str().unwrap_or("of an unknown version");
    Finding::ok("sqlite", format!("{version}, built in"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[tokio::test]
    async fn a_home_that_does_not_exist_yet_needs_no_cure() {
        let dir = tempfile::tempdir().unwrap();
        let findings = look(&Home::new(dir.path().join("a/b")), true).await;
        assert!(findings[0].found.ends_with("a/b, made by the first run"), "{findings:?}");
        assert_eq!(findings[2], Finding::ok("run log", "none yet"));
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        std::fs::write(home.database(), "this is no database, but it is long enough for a header")
            .unwrap();
        let finding = run_log(&home, false).await.remove(0);
        assert_eq!(finding.state, State::Broken);
        assert!(finding.found.contains("lab.db"), "{finding:?}");
    }
}
