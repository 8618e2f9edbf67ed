//! Telling a person who looks elsewhere that a run or the queue has ended, if that is wanted.

use std::collections::HashSet;

use crate::store::model::{RunRow, State};
use crate::tui::effect::{Effect, Notice};

use super::{App, best};

/// What `notify` may be.
pub const WAYS: [&str; 3] = ["off", "bell", "desktop"];

/// What is said of runs that ended between two looks; nothing where none did.
pub fn ended(before: &[RunRow], now: &[RunRow]) -> Option<String> {
    let was_active = |row: &&RunRow| row.state.is_active();
    let active: HashSet<&str> =
        before.iter().filter(was_active).map(|row| row.id.as_str()).collect();
    let has_ended = |row: &&RunRow| {
        let over = row.state.is_settled() || row.state == State::Lost;
        over && !active.is_empty() && active.contains(row.id.as_str())
    };
    let over: Vec<&RunRow> = now.iter().filter(has_ended).collect();
    let mut text = match over.as_slice() {
        [] => return None,
        [one] => {
            let knn = best(one, "knn_top1");
            let knn =
                if knn.is_finite() { format!(", k-NN {knn:.1} at best") } else { String::new() };
            format!("{} is {}{knn}", one.id, one.state)
        }
        many => {
            let count = |state: State| many.iter().filter(|row| row.state == state).count();
            let counts = State::ALL.map(|state| (state, count(state)));
            let counts = counts.iter().filter(|(_, n)| *n > 0);
            let counts: Vec<String> = counts.map(|(state, n)| format!("{n} {state}")).collect();
            format!("{} runs ended: {}", many.len(), counts.join(", "))
        }
    };
    if !now.iter().any(|row| row.state.is_active() || row.state == State::Queued) {
        text.push_str("; the queue is empty");
    }
    Some(text)
}

impl App {
    /// `:notify bell`, or the next way.
    pub(super) fn set_notify(&mut self, way: Option<&str>, effects: &mut Vec<Effect>) {
        let at = WAYS.iter().position(|way| *way == self.memory.notify).unwrap_or(0);
        let way = way.unwrap_or(WAYS[(at + 1) % WAYS.len()]);
        if !WAYS.contains(&way) {
            return self.say(false, format!("found {way}, allowed: {}", WAYS.join(", ")));
        }
        self.memory.notify = way.to_owned();
        self.say(true, format!("when a run ends: {}", if way == "off" { "nothing" } else { way }));
        self.remember(effects);
    }

    pub(super) fn notify(&mut self, text: String) {
        match self.memory.notify.as_str() {
            "bell" => self.notices.push(Notice::Bell),
            "desktop" => self.notices.push(Notice::Desktop(text)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::RunRow;

    #[test]
    fn ends_are_told_once_and_an_empty_queue_with_them() {
        let row = |id: &str, state: State| RunRow {
            state,
            ..RunRow::queued(id, 0, Default::default(), Default::default())
        };
        let rows = |states: [State; 3]| -> Vec<RunRow> {
            ["a", "b", "c"].iter().zip(states).map(|(id, state)| row(id, state)).collect()
        };
        use State::{Failed, Finished, Queued, Running};
        let (first, second) = (rows([Running, Running, Queued]), rows([Finished, Running, Queued]));
        assert_eq!(ended(&first, &second).as_deref(), Some("a is finished"));
        assert_eq!(ended(&second, &second), None);
        let last = rows([Finished, Failed, Finished]);
        assert_eq!(ended(&second, &last).as_deref(), Some("b is failed; the queue is empty"));
        let both = ended(&first, &rows([Finished, Failed, Queued]));
        assert_eq!(both.as_deref(), Some("2 runs ended: 1 finished, 1 failed"));
        // A run that nobody saw running is no news: the screens were just opened.
        assert_eq!(ended(&[], &last), None);
    }
}
