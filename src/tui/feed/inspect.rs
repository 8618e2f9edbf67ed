//! Reads one run whole, and follows its log files as they grow.

use std::fs;
use std::path::Path;

use crate::lab::{Home, RunDir};
use crate::store::{RunId, Store, StoreError};
use crate::tui::inspect::{Detail, Log};

use super::tail;

/// Everything beside its row.
pub async fn detail(home: &Home, store: &Store, id: &str) -> Result<Detail, StoreError> {
    let dir = home.run(id);
    let env = fs::read(dir.env()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(Detail {
        run: id.to_owned(),
        path: dir.path().display().to_string(),
        history: store.history(id).await?,
        attempts: store.attempts(id).await?,
        checkpoints: store.checkpoints(id).await?,
        evaluations: store.evaluations(id).await?,
        warnings: store.warnings(id).await?,
        env,
    })
}

/// A run's log files and how long they were when they were read last.
#[derive(Default)]
pub struct Follower {
    run: Option<RunId>,
    lengths: Option<(u64, u64)>,
}

impl Follower {
    pub fn follow(&mut self, run: Option<RunId>) {
        *self = Self { run, lengths: None };
    }

    pub fn run(&self) -> Option<&RunId> {
        self.run.as_ref()
    }

    /// Its lines, if it has grown since the last look.
    pub fn look(&mut self, home: &Home) -> Option<Log> {
        let run = self.run.clone()?;
        let dir = home.run(&run);
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let lengths = (length(&dir.stdout()), length(&dir.stderr()));
        if self.lengths == Some(lengths) {
            return None;
        }
        self.lengths = Some(lengths);
        Some(Log { lines: lines(&dir), run })
    }
}

/// Standard output, then standard error; a heading only where both have something.
fn lines(dir: &RunDir) -> Vec<String> {
    const MOST: usize = 4000;
    let files = [("stdout.log", dir.stdout()), ("stderr.log", dir.stderr())];
    let read: Vec<(&str, Vec<String>)> =
        files.into_iter().map(|(name, path)| (name, tail::last_lines(&path, MOST))).collect();
    let both = read.iter().all(|(_, lines)| !lines.is_empty());
    let mut all = Vec::new();
    for (name, lines) in read {
        if both {
            all.push(format!("── {name}"));
        }
        all.extend(lines);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_told_when_it_grows_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let run = home.run("x-1");
        fs::create_dir_all(run.path()).unwrap();
        let mut follower = Follower::default();
        assert!(follower.look(&home).is_none());
        follower.follow(Some("x-1".into()));
        assert_eq!(follower.look(&home).unwrap().lines, Vec::<String>::new());
        fs::write(run.stderr(), "\u{1b}[31mwarning\u{1b}[0m\n 10%\r 20%\n").unwrap();
        assert_eq!(follower.look(&home).unwrap().lines, ["warning", " 20%"]);
        assert!(follower.look(&home).is_none());
        fs::write(run.stdout(), "epoch 1\n").unwrap();
        let lines = follower.look(&home).unwrap().lines;
        assert_eq!(lines, ["── stdout.log", "epoch 1", "── stderr.log", "warning", " 20%"]);
    }
}
