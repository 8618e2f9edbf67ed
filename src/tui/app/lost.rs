//! A run that somebody else took away while it was chosen: said so, and nothing else is chosen in its place.

use crate::tui::keys::{Action, Scope};

use super::{App, Tab};

impl App {
    /// The table takes in the rows; says what it has lost by them.
    pub(super) fn take_rows(&mut self) {
        let known = self.table.lost().cloned();
        let had_marks = !self.table.marks.is_empty();
        self.table.take(&self.rows);
        if had_marks && self.table.lacks_marks() {
            self.say(false, "the marked runs were removed");
        } else if self.table.lost() != known.as_ref()
            && let Some(text) = self.gone()
        {
            self.say(false, text);
        }
    }

    /// What became of the run that was chosen, where it can be chosen no longer, and how another one is.
    pub fn gone(&self) -> Option<String> {
        let id = self.table.lost()?;
        let what = match self.rows.iter().find(|row| row.id == *id) {
            None => "was removed",
            // Looked at as before.
            Some(_) if self.tab != Tab::Runs => return None,
            Some(row) if row.archived => "was archived",
            Some(_) => "does not pass the filter any more",
        };
        let (scope, previous, next) = match self.tab {
            Tab::Run => (Scope::Run, Action::PreviousRun, Action::NextRun),
            Tab::Images => (Scope::Images, Action::PreviousRun, Action::NextRun),
            _ => (Scope::Runs, Action::Up, Action::Down),
        };
        let key = |action: Action| self.keymap.key_of(scope, action);
        let how = match (key(previous), key(next)) {
            (Some(previous), Some(next)) => format!("{previous} or {next} goes to another run"),
            _ => "choose another run".to_owned(),
        };
        Some(format!("{id} {what}: {how}"))
    }

    /// Why there is no run that keys could mean.
    pub fn none_chosen(&self) -> String {
        self.gone().unwrap_or_else(|| "no run is chosen".to_owned())
    }
}
