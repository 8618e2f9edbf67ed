//! What is wrong with something a person wrote: where, what was found, what is allowed.

use std::fmt;

/// One mistake. Reads as `experiments/x.toml:12: objective.tau: found 0, allowed: a number above 0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File name, or `--set`, `--grid`.
    pub file: String,
    pub line: Option<usize>,
    /// Dotted key, empty when the mistake has none.
    pub key: String,
    pub found: String,
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": found {}, allowed: {}", self.found, self.allowed)
    }
}

/// Everything that is wrong, reported at once. Exit code 2 at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<Problem>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if 0 < i {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
