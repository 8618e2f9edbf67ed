//! From a key to a request: which of the chosen runs a verb can mean, and how to say so when it is none.
//!
//! What a verb does is the queue's business; here the state machine is only asked which runs to name.

use crate::store::model::{RunId, RunRow, State};
use crate::tui::action::Action;
use crate::tui::effect::{Ask, Effect, Request};

use super::{App, Layer};

/// A run whose last words matter more than its curves.
pub fn needs_words(row: &RunRow) -> bool {
    matches!(row.state, State::Failed | State::Lost)
}

fn can(action: Action, state: State) -> bool {
    match action {
        Action::Pause => state.may_become(State::Paused) || state.may_become(State::Stopping),
        Action::Resume => state.may_become(State::Queued),
        Action::Cancel => state.may_become(State::Cancelled) || state.may_become(State::Stopping),
        _ => false,
    }
}

impl App {
    /// Runs that the verb can mean; says why where there is none.
    fn meant(&mut self, action: Action, word: &str) -> Vec<RunId> {
        let targets = self.targets();
        let meant = targets.iter().filter(|row| can(action, row.state));
        let meant: Vec<RunId> = meant.map(|row| row.id.clone()).collect();
        if meant.is_empty() {
            let why = match targets.as_slice() {
                [] => format!("nothing to {word}: no run is chosen"),
                [one] => format!("nothing to {word}: {} is {}", one.id, one.state),
                many => format!("nothing to {word} among {} runs", many.len()),
            };
            self.say(false, why);
        }
        meant
    }

    pub(super) fn do_verb(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let word = if action == Action::Pause { "pause" } else { "resume" };
        let runs = self.meant(action, word);
        if runs.is_empty() {
            return;
        }
        let request = match action {
            Action::Pause => Request::Pause(runs),
            _ => Request::Resume(runs),
        };
        effects.push(Effect::Ask(Ask::Do(request)));
    }

    pub(super) fn ask_to_cancel(&mut self) {
        let runs = self.meant(Action::Cancel, "cancel");
        if !runs.is_empty() {
            self.layer = Layer::Confirm { runs };
        }
    }
}
