//! What the screens remember of a lab from one day to the next: columns, filters, commands, the baseline.
//!
//! Kept in `screens.json` in the lab's home. It is convenience: a file that cannot be read is as good as none, and
//! nothing in it decides what a run is.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::files::{DRAFT, replace};
use crate::lab::Home;

/// Commands that are kept.
const COMMANDS: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Columns of the run table by name; empty = the usual ones.
    pub columns: Vec<String>,
    /// Saved filters, newest first.
    pub filters: Vec<String>,
    /// Commands of the palette, newest last.
    pub commands: Vec<String>,
    /// The run that others are compared with.
    pub baseline: Option<String>,
    pub theme: Option<String>,
    /// The mouse is left to the terminal.
    pub no_mouse: bool,
    /// What happens when a run ends: `bell`, `desktop`; empty or `off`: nothing.
    pub notify: String,
}

impl Memory {
    /// Puts a command at the end of the history, once.
    pub fn add_command(&mut self, command: &str) {
        self.commands.retain(|known| known != command);
        self.commands.push(command.to_owned());
        let over = self.commands.len().saturating_sub(COMMANDS);
        self.commands.drain(..over);
    }

    /// Puts a filter at the head of the saved ones, once.
    pub fn add_filter(&mut self, filter: &str) {
        self.filters.retain(|known| known != filter);
        self.filters.insert(0, filter.to_owned());
    }

    pub fn load(home: &Home) -> Self {
        let text = std::fs::read(path(home)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn save(&self, home: &Home) -> io::Result<()> {
        replace(&path(home), DRAFT, &serde_json::to_vec_pretty(self)?)
    }
}

fn path(home: &Home) -> PathBuf {
    home.root().join("screens.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_comes_back_and_rubbish_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        assert_eq!(Memory::load(&home), Memory::default());
        let mut memory = Memory::default();
        memory.add_filter("state:failed");
        memory.add_filter("lambda>10");
        memory.add_filter("state:failed");
        (0..150).for_each(|i| memory.add_command(&format!("sort {i}")));
        memory.save(&home).unwrap();
        let again = Memory::load(&home);
        assert_eq!(again.filters, ["state:failed", "lambda>10"]);
        assert_eq!((again.commands.len(), again.commands[0].as_str()), (100, "sort 50"));
        std::fs::write(dir.path().join("screens.json"), "{").unwrap();
        assert_eq!(Memory::load(&home), Memory::default());
    }
}
