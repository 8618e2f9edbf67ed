//! The form of a plan: every key with what it is now, edited in place and judged as one types.
//!
//! It writes into the same line of changes that can be typed by hand, so that both say the same.

use serde_json::Value;

use crate::config::judge;
use crate::config::keys::{self, KEYS, Key};
use crate::tui::effect::Wanted;
use crate::tui::event::{Plan, PlannedRun};
use crate::tui::figures;
use crate::tui::keys::Action;

use super::cursor::moved;
use super::line::Line;
use super::picker::Picker;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    /// Into [`KEYS`].
    pub cursor: usize,
    /// What is being typed for the key under the cursor.
    pub line: Option<Line>,
    /// What is looked for among the keys, while it is typed.
    pub search: Option<Line>,
    /// What was looked for last.
    sought: String,
}

impl Form {
    pub fn key(&self) -> &'static Key {
        &KEYS[self.cursor.min(KEYS.len() - 1)]
    }

    /// What is wrong with what is being typed.
    pub fn problem(&self) -> Option<String> {
        let text = self.line.as_ref()?.text().trim().to_owned();
        // Nothing means: as it was written.
        if text.is_empty() {
            return None;
        }
        judge(self.key(), &text).err()
    }

    /// The text that is being typed.
    pub fn typed(&mut self) -> Option<&mut Line> {
        self.search.as_mut().or(self.line.as_mut())
    }

    /// What a search has found so far: the first key from the cursor on.
    pub(super) fn seek(&mut self) {
        if let Some(search) = &self.search {
            self.sought = search.text().trim().to_lowercase();
            self.go_to_match(self.cursor, 1);
        }
    }

    /// To the next key from `from` on that has what is sought in its name or in what is said of it.
    fn go_to_match(&mut self, from: usize, by: usize) {
        let order = (0..KEYS.len()).map(|i| (from + i * by) % KEYS.len());
        let has = |key: &Key| [key.name, key.help].iter().any(|s| s.contains(&self.sought));
        let found = order.filter(|_| !self.sought.is_empty()).find(|&at| has(&KEYS[at]));
        self.cursor = found.unwrap_or(self.cursor);
    }
}

/// A key's values over the runs of a plan, each once; none where it means nothing there.
pub fn values(runs: &[PlannedRun], key: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for run in runs {
        let Some(value) = keys::value(&run.spec, key).filter(|value| !value.is_null()) else {
            continue;
        };
        let text = match value {
            // As it can be typed again.
            Value::Array(_) => value.to_string().replace(' ', ""),
            value => figures::setting(value),
        };
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

impl Picker {
    /// The newest plan of the chosen file that came to runs: a change that cannot be yet leaves it standing.
    pub fn last_good(&self) -> Option<&[PlannedRun]> {
        let file = &self.chosen()?.file;
        let good = |plan: &&Plan| plan.wanted.file == *file && plan.runs.is_ok();
        let newest = || self.plans.iter().rev().find(good);
        self.plan().filter(good).or_else(newest)?.runs.as_deref().ok()
    }

    /// What the line of changes says of a key.
    pub fn change(&self, key: &str) -> Option<String> {
        let words = Wanted::words(self.changes.text()).unwrap_or_default();
        let mut settings = words.iter().filter_map(|word| word.split_once('='));
        settings.find(|(name, _)| *name == key).map(|(_, value)| value.to_owned())
    }

    /// Puts a key into the line of changes, or takes it out.
    fn set_change(&mut self, key: &str, value: &str) {
        let mut words = Wanted::words(self.changes.text()).unwrap_or_default();
        words.retain(|word| word.split_once('=').is_none_or(|(name, _)| name != key));
        let values: Vec<&str> = value.split(',').map(str::trim).collect();
        if !value.trim().is_empty() {
            words.push(format!("{key}={}", values.join(",")));
        }
        self.changes = Line::new(Wanted::line(&words));
    }

    /// Keys while the form is open.
    pub(super) fn act_in_form(&mut self, action: Action, mut form: Box<Form>) {
        let key = form.key().name;
        if let Some(mut search) = form.search.take() {
            if !matches!(action, Action::Accept | Action::Back) {
                search.act(action);
                form.search = Some(search);
                form.seek();
            }
            self.form = Some(form);
            return;
        }
        if let Some(mut line) = form.line.take() {
            match action {
                Action::Back => {}
                Action::Accept | Action::Down | Action::Up => {
                    form.line = Some(line.clone());
                    if form.problem().is_none() {
                        self.set_change(key, line.text());
                        form.line = None;
                    }
                }
                edit => {
                    line.act(edit);
                    form.line = Some(line);
                }
            }
            self.form = Some(form);
            return;
        }
        let last = KEYS.len() - 1;
        match action {
            Action::Back => return,
            Action::Accept | Action::Edit => {
                let now =
                    self.change(key).or_else(|| Some(values(self.last_good()?, key).join(",")));
                form.line = Some(Line::new(now.unwrap_or_default()));
            }
            Action::Remove => self.set_change(key, ""),
            Action::Search => form.search = Some(Line::default()),
            Action::NextMatch => form.go_to_match(form.cursor + 1, 1),
            Action::PreviousMatch => form.go_to_match(form.cursor + KEYS.len() - 1, KEYS.len() - 1),
            other => form.cursor = moved(other, form.cursor, last, 10).unwrap_or(form.cursor),
        }
        self.form = Some(form);
    }
}
