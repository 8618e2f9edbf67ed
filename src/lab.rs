//! Where a lab keeps its things: the home folder and the layout of a run directory. Paths only.

use std::path::{Path, PathBuf};

/// Name of the home folder that is searched upwards.
pub const HOME_NAME: &str = ".instdisc-lab";

/// A lab's home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// `given` (`--home`, else `INSTDISC_LAB_HOME`), else the nearest `.instdisc-lab/` upwards of `cwd`, else
    /// `cwd/.instdisc-lab`.
    pub fn find(given: Option<&Path>, cwd: &Path) -> Self {
        if let Some(given) = given {
            return Self(cwd.join(given));
        }
        let nearest = cwd.ancestors().map(|dir| dir.join(HOME_NAME)).find(|dir| dir.is_dir());
        Self(nearest.unwrap_or_else(|| cwd.join(HOME_NAME)))
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The run log, unless `lab.toml` says otherwise.
    pub fn database(&self) -> PathBuf {
        self.0.join("lab.db")
    }

    pub fn settings(&self) -> PathBuf {
        self.0.join("lab.toml")
    }

    pub fn slots(&self) -> PathBuf {
        self.0.join("slots")
    }

    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    /// Runs that `rm` took away, until somebody empties it.
    pub fn trash(&self) -> PathBuf {
        self.0.join("trash")
    }

    pub fn run(&self, id: &str) -> RunDir {
        RunDir(self.runs().join(id))
    }
}

/// A run directory: self-contained, and there from queueing on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// A run directory wherever it lies.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The resolved specification.
    pub fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    /// The experiment file as it was written.
    pub fn experiment(&self) -> PathBuf {
        self.0.join("experiment.toml")
    }

    /// Experiments, tags, notes, priority, pin.
    pub fn meta(&self) -> PathBuf {
        self.0.join("meta.json")
    }

    /// What the run was first started with: versions, processor, threads, precision, code revision, data fingerprint.
    pub fn env(&self) -> PathBuf {
        self.0.join("env.json")
    }

    pub fn journal(&self) -> PathBuf {
        self.0.join("events.jsonl")
    }

    pub fn stdout(&self) -> PathBuf {
        self.0.join("stdout.log")
    }

    pub fn stderr(&self) -> PathBuf {
        self.0.join("stderr.log")
    }

    /// Which attempt was started last, and where in `stderr.log` what it says begins: `3 1024`.
    pub fn stderr_from(&self) -> PathBuf {
        self.0.join(Self::STDERR_FROM)
    }

    pub const STDERR_FROM: &str = "stderr.from";

    /// Held by the trainer for its whole life.
    pub fn lock(&self) -> PathBuf {
        self.0.join("run.lock")
    }

    /// Whose start of the run counts, where it trains on a cluster: the lock of a node may not be seen on another.
    pub fn claim(&self) -> PathBuf {
        self.0.join(Self::CLAIM)
    }

    pub const CLAIM: &str = "slurm.started";

    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_home_upwards_wins_and_a_given_one_wins_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(Home::find(None, &deep).root(), deep.join(HOME_NAME));
        let home = dir.path().join(HOME_NAME);
        std::fs::create_dir(&home).unwrap();
        assert_eq!(Home::find(None, &deep).root(), home);
        assert_eq!(Home::find(Some(Path::new("x")), &deep).root(), deep.join("x"));
    }
}
