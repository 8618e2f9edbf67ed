//! From a key to a request: which of the chosen runs a verb can mean, how to say so when it is none, and how it is
//! taken back.
//!
//! What a verb does is the queue's business; here the state machine is only asked which runs to name.

use std::collections::HashSet;

use crate::filter;
use crate::store::model::{RunId, RunRow, State};
use crate::tui::effect::{Ask, Effect, Request, Undo};
use crate::tui::keys::Action;

use super::line::Line;
use super::{App, Layer, Purpose, Tab, Typed};

/// What was asked for, and how it is taken back.
pub(super) struct Done {
    request: Request,
    back: Undo,
}

/// A run whose last words matter more than its curves.
pub fn needs_words(row: &RunRow) -> bool {
    matches!(row.state, State::Failed | State::Lost)
}

fn can(action: Action, row: &RunRow) -> bool {
    let state = row.state;
    match action {
        Action::Pause => state.may_become(State::Paused) || state.may_become(State::Stopping),
        Action::Resume => state.may_become(State::Queued),
        Action::Cancel => state.may_become(State::Cancelled) || state.may_become(State::Stopping),
        Action::Remove | Action::Archive => !state.is_active(),
        Action::Tag | Action::Note => true,
        _ => false,
    }
}

/// What a verb is called.
pub fn word(verb: Action) -> &'static str {
    match verb {
        Action::Pause => "pause",
        Action::Resume => "resume",
        Action::Cancel => "cancel",
        Action::Archive => "archive",
        Action::Remove => "delete",
        Action::Tag => "tag",
        _ => "note",
    }
}

/// `run-1`, or `3 runs`.
fn named(runs: &[RunId]) -> String {
    match runs {
        [one] => one.clone(),
        many => format!("{} runs", many.len()),
    }
}

impl App {
    /// Runs that the verb can mean; says why where there is none.
    fn meant(&mut self, action: Action, word: &str) -> Vec<RunId> {
        // Meant for what was marked a moment ago.
        if self.tab == Tab::Runs && self.table.lacks_marks() {
            self.say(false, format!("nothing to {word}: the marked runs were removed"));
            return Vec::new();
        }
        let targets = self.targets();
        let meant = targets.iter().filter(|row| can(action, row));
        let meant: Vec<RunId> = meant.map(|row| row.id.clone()).collect();
        if meant.is_empty() {
            let why = match targets.as_slice() {
                [] => format!("nothing to {word}: {}", self.none_chosen()),
                [one] => format!("nothing to {word}: {} is {}", one.id, one.state),
                many => format!("nothing to {word} among {} runs", many.len()),
            };
            self.say(false, why);
        }
        meant
    }

    /// Runs a verb on the marked runs, else on the one under the cursor; those that cannot be undone ask first.
    pub(super) fn do_verb(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let runs = self.meant(action, word(action));
        if runs.is_empty() {
            return;
        }
        match action {
            Action::Cancel => self.layer = Layer::Confirm { verb: action, runs },
            // Marked before the filter was another one: a verb must not reach further than a person sees.
            Action::Pause | Action::Resume | Action::Archive if 0 < self.hidden_among(&runs) => {
                self.layer = Layer::Confirm { verb: action, runs };
            }
            Action::Pause | Action::Resume | Action::Archive => {
                self.carry_out(action, runs, effects);
            }
            Action::Tag => self.ask_for(Purpose::Tag(runs), ""),
            Action::Note => {
                let note = self.note_of(&runs[0]).unwrap_or_default();
                self.ask_for(Purpose::Note(runs), &note);
            }
            _ => self.ask_for(Purpose::Remove(runs), ""),
        }
    }

    /// Does what needs no more words.
    pub(super) fn carry_out(&mut self, verb: Action, runs: Vec<RunId>, effects: &mut Vec<Effect>) {
        self.expect(&runs);
        match verb {
            Action::Pause => ask(Request::Pause(runs), effects),
            Action::Resume => ask(Request::Resume(runs), effects),
            Action::Archive => self.archive(runs, effects),
            _ => ask(Request::Cancel(runs), effects),
        }
    }

    /// What a verb takes out of the table is missed there by nobody. The other screens go on to look at it.
    fn expect(&mut self, runs: &[RunId]) {
        if self.tab == Tab::Runs {
            self.table.expect(runs.to_vec());
        }
    }

    /// How many of these the run table, from which they were chosen, does not show.
    pub fn hidden_among(&self, runs: &[RunId]) -> usize {
        if self.tab != Tab::Runs {
            return 0;
        }
        let shown: HashSet<&str> =
            self.table.shown().iter().map(|&at| self.rows[at].id.as_str()).collect();
        runs.iter().filter(|id| !shown.contains(id.as_str())).count()
    }

    /// `run-1`, `3 runs`, `3 runs (2 of them hidden)`.
    pub fn named(&self, runs: &[RunId]) -> String {
        let name = named(runs);
        match (self.hidden_among(runs), runs.len()) {
            (0, _) => name,
            (1, 1) => format!("{name} (hidden)"),
            (n, all) if n == all => format!("{name} (all of them hidden)"),
            (n, _) => format!("{name} ({n} of them hidden)"),
        }
    }

    fn ask_for(&mut self, purpose: Purpose, text: &str) {
        self.layer = Layer::Typed(Typed { purpose, line: Line::new(text) });
    }

    /// Archives; where all of them are archived already, brings them back.
    fn archive(&mut self, runs: Vec<RunId>, effects: &mut Vec<Effect>) {
        let is_archived = |id: &RunId| self.rows.iter().any(|row| row.id == *id && row.archived);
        let archived = !runs.iter().all(is_archived);
        let changed: Vec<RunId> =
            runs.into_iter().filter(|id| is_archived(id) != archived).collect();
        let word = if archived { "archive" } else { "unarchive" };
        let back = Request::Archive { runs: changed.clone(), archived: !archived };
        let what = format!("{word} {}", named(&changed));
        self.ask_undoably(Request::Archive { runs: changed, archived }, what, vec![back], effects);
    }

    /// What was typed for a purpose is taken.
    pub(super) fn take_typed(&mut self, typed: Typed, effects: &mut Vec<Effect>) {
        let text = typed.line.text().trim().to_owned();
        if let Purpose::Tag(runs) | Purpose::Remove(runs) = &typed.purpose {
            self.expect(runs);
        }
        match typed.purpose {
            Purpose::Tag(runs) => self.tag(runs, &text, effects),
            Purpose::Note(runs) => {
                let back = runs.iter().filter_map(|id| {
                    Some(Request::Note { runs: vec![id.clone()], text: self.note_of(id)? })
                });
                let (what, back) = (format!("note on {}", named(&runs)), back.collect());
                self.ask_undoably(Request::Note { runs, text }, what, back, effects);
            }
            Purpose::Metrics { .. } => self.charts.filter = text,
            Purpose::Search => self.search_log(text),
            Purpose::Remove(runs) if text == to_type(&runs) => {
                let back = vec![Request::Restore(runs.clone())];
                let what = format!("delete {}", named(&runs));
                self.ask_undoably(Request::Remove(runs), what, back, effects);
            }
            Purpose::Remove(runs) => {
                self.say(false, format!("nothing was deleted: {text:?} is not {}", to_type(&runs)));
            }
        }
    }

    /// `good -old`: adds `good`, takes `old` away.
    fn tag(&mut self, runs: Vec<RunId>, text: &str, effects: &mut Vec<Effect>) {
        let words = || text.split([' ', ',']);
        let add = words().filter(|word| !word.starts_with('-'));
        let add = add.map(|word| word.trim_start_matches('+').to_owned());
        let add: Vec<String> = add.filter(|tag| !tag.is_empty()).collect();
        let remove = words().filter_map(|word| word.strip_prefix('-'));
        let remove: Vec<String> = remove.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        if add.is_empty() && remove.is_empty() {
            return;
        }
        if let Some(why) = add.iter().find_map(|tag| filter::tag(tag).err()) {
            return self.say(false, format!("nothing was tagged: {why}"));
        }
        let back = runs.iter().filter_map(|id| {
            let row = self.rows.iter().find(|row| row.id == *id)?;
            let had = |tag: &&String| row.tags.contains(tag);
            Some(Request::Tag {
                runs: vec![id.clone()],
                add: remove.iter().filter(had).cloned().collect(),
                remove: add.iter().filter(|tag| !had(tag)).cloned().collect(),
            })
        });
        let (what, back) = (format!("tags of {}", named(&runs)), back.collect());
        self.ask_undoably(Request::Tag { runs, add, remove }, what, back, effects);
    }

    fn note_of(&self, id: &str) -> Option<String> {
        self.rows.iter().find(|row| row.id == id).map(|row| row.note.clone())
    }

    /// Asks for what these requests take back. It can be taken back from now on, not from the answer on: who types on
    /// before that means this, not what was done before it.
    pub(super) fn ask_undoably(
        &mut self,
        request: Request,
        what: String,
        requests: Vec<Request>,
        effects: &mut Vec<Effect>,
    ) {
        const MOST: usize = 50;
        self.undo.push(Done { request: request.clone(), back: Undo { what, requests } });
        let over = self.undo.len().saturating_sub(MOST);
        self.undo.drain(..over);
        ask(request, effects);
    }

    /// A request changed nothing: what it was to do is not to be taken back, and what it was to take back still is.
    pub(super) fn was_void(&mut self, request: Request) {
        if let Request::Undo(back) = &request {
            let back = back.clone();
            return self.undo.push(Done { request, back });
        }
        let of = self.undo.iter().rposition(|done| done.request == request);
        drop(of.map(|at| self.undo.remove(at)));
    }

    pub(super) fn undo_last(&mut self, effects: &mut Vec<Effect>) {
        let Some(done) = self.undo.pop() else {
            return self.say(false, "nothing to undo");
        };
        ask(Request::Undo(done.back), effects);
    }
}

/// What has to be typed before runs are deleted.
pub fn to_type(runs: &[RunId]) -> String {
    match runs {
        [one] => one.clone(),
        many => format!("delete {}", many.len()),
    }
}

fn ask(request: Request, effects: &mut Vec<Effect>) {
    effects.push(Effect::Ask(Ask::Do(request)));
}
