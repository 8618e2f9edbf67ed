//! What a job leaves in its run's directory, and what is left there for it: words that no scheduler forgets.
//!
//! `slurm.started` and `slurm.ended` hold one line each, of the last start: the attempt, then the job or the trainer's
//! exit status. `slurm.held` names the submissions whose elements are not to train any more.

use std::io;
use std::path::PathBuf;

use crate::files::{DRAFT, replace};
use crate::lab::RunDir;

pub(super) const STARTED: &str = RunDir::CLAIM;
pub(super) const ENDED: &str = "slurm.ended";
pub(super) const HELD: &str = "slurm.held";

/// The traces in one run directory.
pub struct Trace<'a>(pub &'a RunDir);

impl Trace<'_> {
    /// Which job began `attempt`; none where no job has.
    pub fn started(&self, attempt: u32) -> Option<String> {
        self.read(STARTED, attempt)
    }

    /// Which job began `attempt` or one after it.
    pub fn begun_since(&self, attempt: u32) -> Option<String> {
        let (number, rest) = self.line(STARTED)?;
        (attempt <= number).then_some(rest)
    }

    /// The exit status of the trainer of `attempt`.
    pub fn ended(&self, attempt: u32) -> Option<i32> {
        self.read(ENDED, attempt)?.parse().ok()
    }

    /// Whether a job began that has not said that it ended.
    pub fn is_open(&self) -> bool {
        let attempt = |name| self.line(name).map_or(0, |(attempt, _)| attempt);
        attempt(ENDED) < attempt(STARTED)
    }

    /// No element of `submission` trains this run from now on.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn hold(&self, submission: &str) -> io::Result<()> {
        if self.is_held(submission) {
            return Ok(());
        }
        // Those before it stay held: their jobs may still be in the queue.
        let held = std::fs::read_to_string(self.path(HELD)).unwrap_or_default();
        replace(&self.path(HELD), DRAFT, format!("{held}{submission}\n").as_bytes())
    }

    /// Whether no element of `submission` is to train this run any more.
    pub fn is_held(&self, submission: &str) -> bool {
        let held = std::fs::read_to_string(self.path(HELD)).unwrap_or_default();
        held.lines().any(|held| held == submission)
    }

    /// How long the journal is now, in bytes.
    pub fn journal(&self) -> u64 {
        // Opened, as that is what makes a network disk look again.
        let file = std::fs::File::open(self.0.journal());
        file.and_then(|file| file.metadata()).map_or(0, |file| file.len())
    }

    fn read(&self, name: &str, attempt: u32) -> Option<String> {
        let (number, rest) = self.line(name)?;
        (number == attempt).then_some(rest)
    }

    fn line(&self, name: &str) -> Option<(u32, String)> {
        let text = std::fs::read_to_string(self.path(name)).ok()?;
        let (number, rest) = text.trim_end().split_once(' ')?;
        Some((number.parse().ok()?, rest.to_owned()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_speaks_of_one_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        let trace = Trace(&run);
        assert_eq!((trace.started(1), trace.ended(1), trace.journal()), (None, None, 0));
        std::fs::write(dir.path().join(STARTED), "2 41_0 n1\n").unwrap();
        std::fs::write(dir.path().join(ENDED), "2 75\n").unwrap();
        assert_eq!(trace.started(2).as_deref(), Some("41_0 n1"));
        assert_eq!((trace.ended(2), trace.ended(1)), (Some(75), None));
    }
}
