//! The form of a plan: every key with what it is now, edited in place and judged as one types.
//!
//! It writes into the same line of changes that can be typed by hand, so that both say the same.

use serde_json::Value;

use crate::config::judge;
use crate::config::keys::{self, KEYS, Key};
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
        if !text.starts_with('[') && text.split_whitespace().nth(1).is_some() && !text.contains(',')
        {
            return Some("found a space: the line of changes is split at spaces".to_owned());
        }
        judge(self.key(), &text).err()
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
    pub fn change(&self, key: &str) -> Option<&str> {
        let words = self.changes.text().split_whitespace();
        words.filter_map(|word| word.split_once('=')).find(|(name, _)| *name == key).map(|(_, v)| v)
    }

    /// Puts a key into the line of changes, or takes it out.
    fn set_change(&mut self, key: &str, value: &str) {
        let words = self.changes.text().split_whitespace();
        let others = words.filter(|word| word.split_once('=').is_none_or(|(name, _)| name != key));
        let mut words: Vec<String> = others.map(str::to_owned).collect();
        let value: String = value.split_whitespace().collect();
        if !value.is_empty() {
            words.push(format!("{key}={value}"));
        }
        self.changes = Line::new(words.join(" "));
    }

    /// Keys while the form is open.
    pub(super) fn act_in_form(&mut self, action: Action, mut form: Form) {
        let key = form.key().name;
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
                let now = self.change(key).map(str::to_owned);
                let now = now.or_else(|| Some(values(self.last_good()?, key).join(",")));
                form.line = Some(Line::new(now.unwrap_or_default()));
            }
            Action::Remove => self.set_change(key, ""),
            other => form.cursor = moved(other, form.cursor, last, 10).unwrap_or(form.cursor),
        }
        self.form = Some(form);
    }
}
