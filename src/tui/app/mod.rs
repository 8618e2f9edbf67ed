//! The program without a terminal: keys and data in, state and effects out.
//!
//! [`App::update`] is pure: no I/O, and the time of day comes as an argument. Screens read this state and never change
//! it, so that what is drawn is a function of what happened.

mod layer;
mod shown;
mod table;
mod verbs;

pub use layer::{Layer, Picker};
pub use shown::{Axis, Chart, Focus, Shown};
pub use table::{SortKey, Table, best, factor, factors, last, share, written};

use std::collections::HashMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::store::model::{RunId, RunRow};

use super::action::{self, Action, Meaning, Scope};
use super::curves::{CurveId, Series};
use super::effect::{Ask, Effect, Watched};
use super::event::{Data, Event, Points};
use super::screens::layout;

/// How long a message stays, in milliseconds.
const TOAST_MS: i64 = 5000;

/// Curves kept in memory although nobody looks at them just now, so that moving up and down loads nothing twice.
const CURVES_KEPT: usize = 96;

/// A message at the foot of the screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Toast {
    pub text: String,
    pub good: bool,
    pub until: i64,
}

/// The last lines of a run's standard error.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    pub run: RunId,
    pub attempt: u32,
    pub lines: Vec<String>,
}

/// Everything that the screens show.
pub struct App {
    /// Where the lab is, for the head line.
    pub place: String,
    pub readonly: bool,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Milliseconds since 1970 at the last update.
    pub now: i64,
    /// All runs, in the store's order; the table leaves archived ones out unless its filter asks for them.
    pub rows: Vec<RunRow>,
    /// False until the store has answered for the first time.
    pub loaded: bool,
    /// Why the run log cannot be read.
    pub trouble: Option<String>,
    pub table: Table,
    pub charts: [Chart; 2],
    pub axis: Axis,
    pub focus: Focus,
    /// The focused panel fills the screen.
    pub zoomed: bool,
    pub layer: Layer,
    pub toast: Option<Toast>,
    pub tail: Option<Tail>,
    /// Keys of an unfinished sequence.
    pub typed: String,
    /// Something on screen may have changed since it was last drawn.
    pub dirty: bool,
    curves: HashMap<CurveId, Held>,
    watched: Vec<CurveId>,
    tail_asked: Option<(RunId, u32)>,
}

/// A curve and the attempt that it belongs to.
struct Held {
    series: Series,
    attempt: u32,
    /// Counts updates, to know which curve was wanted last.
    wanted: u64,
}

impl App {
    pub fn new(place: String, readonly: bool, size: (u16, u16)) -> Self {
        Self {
            place,
            readonly,
            size,
            now: 0,
            rows: Vec::new(),
            loaded: false,
            trouble: None,
            table: Table::default(),
            charts: [Chart::new("loss"), Chart::new("knn_top1")],
            axis: Axis::Step,
            focus: Focus::Table,
            zoomed: false,
            layer: Layer::None,
            toast: None,
            tail: None,
            typed: String::new(),
            dirty: true,
            curves: HashMap::new(),
            watched: Vec::new(),
            tail_asked: None,
        }
    }

    /// Takes in one event; `now` is in milliseconds since 1970.
    pub fn update(&mut self, event: Event, now: i64) -> Vec<Effect> {
        self.now = now;
        let mut effects = Vec::new();
        match event {
            Event::Key(key) => self.on_key(key, &mut effects),
            Event::Resize(width, height) => {
                self.size = (width, height);
                self.dirty = true;
            }
            Event::Data(data) => self.on_data(data),
            Event::Tick => self.on_tick(),
            Event::Continued => {
                self.dirty = true;
                effects.push(Effect::Redraw);
            }
            Event::HangUp => effects.push(Effect::Quit),
        }
        self.table.fit(layout::table_page(self));
        self.ask_for_what_is_shown(&mut effects);
        self.ask_for_plan(&mut effects);
        effects
    }

    /// Times on screen move although nothing happens.
    pub fn is_moving(&self) -> bool {
        self.toast.is_some() || self.rows.iter().any(|row| row.state.is_active())
    }

    /// The run under the cursor.
    pub fn selected(&self) -> Option<&RunRow> {
        self.table.selected_index().map(|i| &self.rows[i])
    }

    /// Marked runs, else the one under the cursor: what charts show and verbs work on.
    pub fn targets(&self) -> Vec<&RunRow> {
        let marked: Vec<_> = self.rows.iter().filter(|row| self.table.is_marked(&row.id)).collect();
        if marked.is_empty() { self.selected().into_iter().collect() } else { marked }
    }

    pub fn series(&self, run: &str, metric: &str) -> Option<&Series> {
        let id = CurveId { run: run.to_owned(), metric: metric.to_owned() };
        self.curves.get(&id).map(|held| &held.series)
    }

    /// Where keys go.
    pub fn scope(&self) -> Scope {
        match self.layer {
            Layer::None => Scope::Runs,
            Layer::Filter { .. } => Scope::Filter,
            Layer::Picker(_) => Scope::Picker,
            Layer::Confirm { .. } => Scope::Confirm,
            Layer::Help { .. } => Scope::Help,
        }
    }

    /// Puts a message at the foot of the screen.
    pub fn say(&mut self, good: bool, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), good, until: self.now + TOAST_MS });
        self.dirty = true;
    }

    fn on_key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let Some(name) = action::name_of(key) else { return };
        self.dirty = true;
        let scope = self.scope();
        let sequence =
            if self.typed.is_empty() { name.clone() } else { format!("{} {name}", self.typed) };
        self.typed.clear();
        match action::look_up(scope, &sequence) {
            Meaning::Does(action) => self.act(action, effects),
            Meaning::Waits => self.typed = sequence,
            // A key that breaks a sequence counts for itself.
            Meaning::Nothing if sequence != name => self.on_key(key, effects),
            Meaning::Nothing => {
                let plain = key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
                if let (KeyCode::Char(c), true) = (key.code, plain) {
                    self.type_into_layer(c);
                }
            }
        }
    }

    fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        if self.readonly && action::KEYS.iter().any(|key| key.action == action && key.writes) {
            self.say(false, "read only: this screen only looks (started with --readonly)");
            return;
        }
        match action {
            Action::Quit => effects.push(Effect::Quit),
            Action::Redraw => effects.push(Effect::Redraw),
            Action::Suspend => effects.push(Effect::Suspend),
            _ if self.scope() != Scope::Runs => self.act_in_layer(action, effects),
            Action::Down => self.table.step(1),
            Action::Up => self.table.step(-1),
            Action::HalfPageDown => self.table.half_page(1),
            Action::HalfPageUp => self.table.half_page(-1),
            Action::PageDown => self.table.page(1),
            Action::PageUp => self.table.page(-1),
            Action::First => self.table.step(isize::MIN),
            Action::Last => self.table.step(isize::MAX),
            Action::Mark => {
                if let Some(id) = self.selected().map(|row| row.id.clone()) {
                    self.table.toggle_mark(id);
                    self.table.step(1);
                }
            }
            Action::ClearMarks => self.table.clear_marks(),
            Action::Filter => {
                self.layer = Layer::Filter { before: self.table.filter().to_owned() };
            }
            Action::Sort => self.table.next_sort(&self.rows),
            Action::ReverseSort => self.table.reverse_sort(&self.rows),
            Action::NextFocus => self.focus = self.focus.next(),
            Action::PreviousFocus => self.focus = self.focus.previous(),
            Action::NextMetric => self.change_metric(1),
            Action::PreviousMetric => self.change_metric(-1),
            Action::Axis => self.axis = self.axis.other(),
            Action::Zoom => self.zoomed = !self.zoomed,
            Action::Help => self.layer = Layer::Help { scroll: 0 },
            Action::Back => self.step_out(),
            Action::Queue => {
                self.layer = Layer::Picker(Picker::default());
                effects.push(Effect::Ask(Ask::Experiments));
            }
            Action::Pause | Action::Resume => self.do_verb(action, effects),
            Action::Cancel => self.ask_to_cancel(),
            _ => {}
        }
    }

    /// `esc`: one layer out.
    fn step_out(&mut self) {
        if self.zoomed {
            self.zoomed = false;
        } else if self.focus != Focus::Table {
            self.focus = Focus::Table;
        } else if self.table.has_marks() {
            self.table.clear_marks();
        } else {
            self.table.set_filter("", &self.rows);
        }
    }

    fn on_tick(&mut self) {
        self.dirty |= self.is_moving();
        if self.toast.as_ref().is_some_and(|toast| toast.until <= self.now) {
            self.toast = None;
        }
    }

    fn on_data(&mut self, data: Data) {
        self.dirty = true;
        match data {
            Data::Runs(rows) => {
                self.drop_void_curves(&rows);
                self.rows = rows;
                self.loaded = true;
                self.trouble = None;
                self.table.refresh(&self.rows);
            }
            Data::Points(points) => self.add_points(points),
            Data::Tail { run, attempt, lines } => self.tail = Some(Tail { run, attempt, lines }),
            Data::Experiments(files) => self.list_experiments(files),
            Data::Plan(plan) => self.take_plan(plan),
            Data::Answer { done, text } => self.say(done, text),
            Data::Trouble(why) => self.trouble = Some(why),
        }
    }

    fn add_points(&mut self, new: Points) {
        let Some(held) = self.curves.get_mut(&new.curve) else { return };
        // Points that answer an older question would leave a hole or stand twice.
        if held.series.last_step() == new.after {
            for (step, value) in new.points {
                held.series.push(step, value);
            }
        }
    }

    /// A new attempt makes what an earlier one told beyond its checkpoint void: such curves are read afresh.
    fn drop_void_curves(&mut self, rows: &[RunRow]) {
        let before = self.rows.iter().map(|row| (row.id.as_str(), row)).collect::<HashMap<_, _>>();
        let now = rows.iter().map(|row| (row.id.as_str(), row)).collect::<HashMap<_, _>>();
        let watched = &mut self.watched;
        self.curves.retain(|id, held| {
            let Some(row) = now.get(id.run.as_str()) else { return false };
            let started = before.get(id.run.as_str()).is_some_and(|old| old.state != row.state)
                && row.attempt > 1;
            let last_told = row.metrics.get(&id.metric).map(|summary| summary.last_step);
            let fell_back = held.series.last_step() > last_told;
            let keep = held.attempt == row.attempt && !started && !fell_back;
            if !keep {
                watched.retain(|seen| seen != id);
            }
            keep
        });
    }

    /// Asks for the curves on screen when they are others than before, and for the words of a run that failed.
    fn ask_for_what_is_shown(&mut self, effects: &mut Vec<Effect>) {
        let shown = self.shown();
        let mut wanted: Vec<(CurveId, u32)> = Vec::new();
        for run in &shown {
            for chart in &self.charts {
                if run.row.metrics.contains_key(&chart.metric) {
                    let id = CurveId { run: run.row.id.clone(), metric: chart.metric.clone() };
                    wanted.push((id, run.row.attempt));
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let words = self.selected().filter(|row| verbs::needs_words(row));
        let words = words.map(|row| (row.id.clone(), row.attempt));
        if !wanted.iter().map(|(id, _)| id).eq(&self.watched) {
            self.watch(wanted, effects);
        }
        if words.is_some() && words != self.tail_asked {
            let (run, attempt) = words.clone().unwrap_or_default();
            effects.push(Effect::Ask(Ask::Tail { run, attempt }));
            self.tail_asked = words;
        }
    }

    fn watch(&mut self, wanted: Vec<(CurveId, u32)>, effects: &mut Vec<Effect>) {
        let round = 1 + self.curves.values().map(|held| held.wanted).max().unwrap_or(0);
        let mut asks = Vec::new();
        for (curve, attempt) in &wanted {
            let held = self.curves.entry(curve.clone());
            let held =
                held.or_insert(Held { series: Series::default(), attempt: *attempt, wanted: 0 });
            held.wanted = round;
            asks.push(Watched { curve: curve.clone(), after: held.series.last_step() });
        }
        self.watched = wanted.into_iter().map(|(id, _)| id).collect();
        while self.curves.len() > CURVES_KEPT.max(self.watched.len()) {
            let oldest = self.curves.iter().min_by_key(|(_, held)| held.wanted);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            self.curves.remove(&oldest);
        }
        effects.push(Effect::Ask(Ask::Watch(asks)));
    }
}

#[cfg(test)]
mod tests;
