//! The program without a terminal: keys and data in, state and effects out.
//!
//! [`App::update`] is pure: no I/O, and the time of day comes as an argument. Screens read this state and never change
//! it, so that what is drawn is a function of what happened.

mod ablations;
mod alerts;
mod charts;
mod choose;
mod column;
mod cursor;
mod extent;
mod figure;
mod forecast;
mod form;
mod images;
mod intake;
mod layer;
mod line;
mod lost;
mod map;
mod marks;
mod mouse;
mod notice;
mod palette;
mod picker;
mod queue;
mod run;
mod runs;
mod shown;
mod tab;
mod table;
mod verbs;
mod watch;

pub use ablations::Ablations;
pub use alerts::{Alert, Movement};
pub use charts::{Charts, SMOOTHING};
pub use choose::Choose;
pub use column::{Column, best, factor, last, share, short, time_left, written};
pub use extent::{Extent, factors};
pub use forecast::{Forecast, expected};
pub use form::{Form, values as form_values};
pub use images::{Images, Order};
pub use layer::{Layer, Purpose, Typed};
pub use line::Line;
pub use palette::{Candidate, Palette};
pub use picker::Picker;
pub use run::{Panel, RunView};
pub use shown::{Axis, Shown, groups};
pub use tab::Tab;
pub use table::{Line as TableLine, Table};
pub use verbs::{to_type, word};

use std::cell::OnceCell;
use std::collections::HashMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use self::ablations::Tabled;
use crate::store::ExperimentRecord;
use crate::store::model::{RunId, RunRow};

use super::curves::{CurveId, Series};
use super::effect::{Ask, Effect, Notice};
use super::event::{Data, Event, Worker};
use super::inspect::{Detail, Log};
use super::keys::{self, Action, Keymap, Meaning, Scope};
use super::machine::{Disk, Lag, Machine};
use super::memory::Memory;
use super::pixels::Graphics;
use super::screens::layout;
use super::theme::Look;
use watch::Held;

/// How long a message stays, in milliseconds.
const TOAST_MS: i64 = 5000;

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
    pub look: Look,
    /// The command line chose it: what is remembered does not count.
    pub look_given: bool,
    pub readonly: bool,
    /// Nobody asked for that: the lab is somebody else's, or lies on a disk that cannot be written.
    pub unwritable: bool,
    pub keymap: Keymap,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Milliseconds since 1970 at the last update.
    pub now: i64,
    pub tab: Tab,
    /// All runs, in the store's order; the table leaves archived ones out unless its filter asks for them.
    pub rows: Vec<RunRow>,
    /// False until the store has answered for the first time.
    pub loaded: bool,
    /// Why the run log cannot be read.
    pub trouble: Option<String>,
    pub table: Table,
    /// Metrics of the two charts beside the run table.
    pub preview: [String; 2],
    pub charts: Charts,
    /// How curves are seen where no keys change it.
    pub plain: Charts,
    /// The same for the runs of one row: seeds as one.
    pub of_row: Charts,
    pub ablations: Ablations,
    /// Runs of a row of the ablation table that the charts show in place of the marked ones.
    pub opened: Option<Vec<RunId>>,
    pub workers: Vec<Worker>,
    /// Line of the queue screen.
    pub queue_cursor: usize,
    pub run: RunView,
    pub detail: Option<Box<Detail>>,
    pub log: Option<Log>,
    /// How the terminal shows photographs.
    pub graphics: Graphics,
    pub images: Images,
    pub machine: Option<Box<Machine>>,
    /// Room where the lab lies.
    pub disk: Option<Disk>,
    pub lags: Vec<Lag>,
    pub movement: Movement,
    /// Experiments with what they vary and what was published.
    pub records: Vec<ExperimentRecord>,
    /// The run table fills its screen.
    pub zoomed: bool,
    pub layer: Layer,
    pub toast: Option<Toast>,
    pub tail: Option<Tail>,
    pub memory: Memory,
    /// Keys of an unfinished sequence.
    pub typed: String,
    /// What came in since the screen was frozen.
    pub frozen: Option<Vec<Data>>,
    /// Something on screen may have changed since it was last drawn.
    pub dirty: bool,
    /// The ablation table, once somebody has asked for it since the last event.
    tabled: OnceCell<Tabled>,
    /// The metrics that the file of the experiment on that screen names: read once, as it is a page of TOML.
    declared: OnceCell<Vec<String>>,
    /// What is to be warned of, once somebody has asked for it since something came in and since the second began.
    alerted: OnceCell<Vec<Alert>>,
    undo: Vec<verbs::Done>,
    curves: HashMap<CurveId, Held>,
    watched: Vec<CurveId>,
    sketched: Vec<(String, Vec<RunId>)>,
    tail_asked: Option<(RunId, u32)>,
    inspected: Option<RunId>,
    /// Somebody looks at the machine.
    machine_watched: bool,
    /// What is to be told to who looks elsewhere.
    notices: Vec<Notice>,
    /// Whether the terminal was told that the mouse is ours; nothing until the lab has remembered.
    mouse: Option<bool>,
}

impl App {
    pub fn new(place: String, readonly: bool, size: (u16, u16), keymap: Keymap) -> Self {
        Self {
            place,
            look: Look::default(),
            look_given: false,
            readonly,
            unwritable: false,
            keymap,
            size,
            now: 0,
            tab: Tab::default(),
            rows: Vec::new(),
            loaded: false,
            trouble: None,
            table: Table::default(),
            preview: ["loss".to_owned(), "knn_top1".to_owned()],
            charts: Charts::default(),
            plain: Charts::default(),
            of_row: Charts { band: true, ..Charts::default() },
            ablations: Ablations::default(),
            opened: None,
            workers: Vec::new(),
            queue_cursor: 0,
            run: RunView::default(),
            detail: None,
            log: None,
            graphics: Graphics::default(),
            images: Images::default(),
            machine: None,
            disk: None,
            lags: Vec::new(),
            movement: Movement::default(),
            records: Vec::new(),
            zoomed: false,
            layer: Layer::None,
            toast: None,
            tail: None,
            memory: Memory::default(),
            typed: String::new(),
            frozen: None,
            dirty: true,
            tabled: OnceCell::new(),
            declared: OnceCell::new(),
            alerted: OnceCell::new(),
            undo: Vec::new(),
            curves: HashMap::new(),
            watched: Vec::new(),
            sketched: Vec::new(),
            tail_asked: None,
            inspected: None,
            machine_watched: false,
            notices: Vec::new(),
            mouse: None,
        }
    }

    /// Takes in one event; `now` is in milliseconds since 1970.
    #[must_use = "the app has recorded them as carried out"]
    pub fn update(&mut self, event: Event, now: i64) -> Vec<Effect> {
        if now / 1000 != self.now / 1000 {
            self.alerted.take();
        }
        self.now = now;
        let mut effects = Vec::new();
        let painted = self.painted();
        let (tab, said) = (self.tab, self.toast.clone());
        match event {
            Event::Key(key) => {
                self.on_key(key, &mut effects);
                self.tabled.take();
            }
            Event::Mouse(mouse) => {
                self.on_mouse(mouse, &mut effects);
                self.tabled.take();
            }
            Event::Resize(width, height) => {
                // The screen is wiped, and with it what kitty's terminal knows of images.
                if self.graphics == Graphics::Kitty {
                    self.images.forget_pictures();
                }
                self.size = (width, height);
                self.dirty = true;
            }
            Event::Data(data) => self.on_data(data),
            Event::Tick => self.on_tick(),
            Event::Continued => {
                self.dirty = true;
                // What the terminal was told of images is forgotten with the screen.
                self.images.forget_pictures();
                effects.push(Effect::Redraw);
            }
            Event::HangUp => effects.push(Effect::Quit),
        }
        if self.tab != Tab::Charts {
            self.opened = None;
        }
        // What was said on another screen is no reason to hide the keys of this one.
        if self.tab != tab && self.toast == said {
            self.toast = None;
        }
        self.table.fit(layout::table_page(self));
        self.ask_for_what_is_shown(&mut effects);
        self.ask_for_plan(&mut effects);
        self.ask_for_images(&mut effects);
        if self.machine_watched != (self.tab == Tab::Machine) {
            self.machine_watched = !self.machine_watched;
            effects.push(Effect::Ask(Ask::Machine(self.machine_watched)));
        }
        if self.mouse.is_some_and(|told| told != self.has_mouse()) {
            self.mouse = Some(self.has_mouse());
            effects.push(Effect::Mouse(self.has_mouse()));
        }
        effects.extend(self.notices.drain(..).map(Effect::Notify));
        if painted.is_some() && painted != self.painted() {
            effects.push(Effect::Redraw);
        }
        effects
    }

    /// Times on screen move although nothing happens.
    pub fn is_moving(&self) -> bool {
        self.toast.is_some() || self.rows.iter().any(|row| row.state.is_active())
    }

    /// The run under the cursor. One that the table shows no longer stays what the other screens look at, while it is there.
    pub fn selected(&self) -> Option<&RunRow> {
        match self.table.lost() {
            Some(id) if self.tab != Tab::Runs => self.rows.iter().find(|row| row.id == *id),
            _ => self.table.selected_index().map(|i| &self.rows[i]),
        }
    }

    /// Marked runs, else the one under the cursor: what charts show and verbs work on.
    pub fn targets(&self) -> Vec<&RunRow> {
        match (self.tab, &self.opened) {
            (Tab::Run | Tab::Images, _) => return self.selected().into_iter().collect(),
            (Tab::Queue, _) => return self.queued_here().into_iter().collect(),
            (Tab::Charts, Some(opened)) => {
                return self.rows.iter().filter(|row| opened.contains(&row.id)).collect();
            }
            _ => {}
        }
        let marked: Vec<_> = self.rows.iter().filter(|row| self.table.marks.has(&row.id)).collect();
        if marked.is_empty() { self.selected().into_iter().collect() } else { marked }
    }

    /// The run that others are compared with, while it is there.
    pub fn baseline(&self) -> Option<&RunRow> {
        let id = self.memory.baseline.as_ref()?;
        self.rows.iter().find(|row| row.id == *id)
    }

    pub fn series(&self, run: &str, metric: &str) -> Option<&Series> {
        let id = CurveId { run: run.to_owned(), metric: metric.to_owned() };
        self.curves.get(&id).map(|held| &held.series)
    }

    /// Why nothing can be asked for, where it cannot.
    pub fn why_readonly(&self) -> &'static str {
        if self.unwritable { "this lab cannot be written" } else { "started with --readonly" }
    }

    /// Where keys go.
    pub fn scope(&self) -> Scope {
        self.layer.scope().unwrap_or_else(|| self.tab.scope())
    }

    /// Puts a message at the foot of the screen.
    pub fn say(&mut self, good: bool, text: impl Into<String>) {
        self.toast = Some(Toast { text: text.into(), good, until: self.now + TOAST_MS });
        self.dirty = true;
    }

    fn on_key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let Some(name) = keys::name_of(key) else { return };
        self.dirty = true;
        self.table.expect(Vec::new());
        let scope = self.scope();
        let sequence =
            if self.typed.is_empty() { name.clone() } else { format!("{} {name}", self.typed) };
        self.typed.clear();
        match self.keymap.look_up(scope, &sequence) {
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
        self.table.marks_seen();
    }

    fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let covered = self.layer != Layer::None;
        if self.readonly && !covered && keys::KEYS.iter().any(|k| k.action == action && k.writes) {
            let why = self.why_readonly();
            return self.say(false, format!("read only: this screen only looks ({why})"));
        }
        match action {
            Action::Quit => effects.push(Effect::Quit),
            Action::Redraw => {
                self.images.forget_pictures();
                effects.push(Effect::Redraw);
            }
            Action::Suspend => effects.push(Effect::Suspend),
            _ if covered => self.act_in_layer(action, effects),
            Action::Tab(at) => self.tab = Tab::ALL.get(at).copied().unwrap_or(self.tab),
            Action::NextTab => self.tab = self.tab.turned(1),
            Action::PreviousTab => self.tab = self.tab.turned(-1),
            Action::Help => {
                self.layer = Layer::Help { search: Line::default(), scroll: 0 };
            }
            Action::Palette => self.layer = Layer::Palette(Palette::default()),
            Action::ToAlert => self.go_to_alert(),
            Action::Hush => self.hush(),
            Action::Mouse => self.toggle_mouse(effects),
            Action::Notify => self.set_notify(None, effects),
            Action::Freeze => self.freeze(),
            Action::Theme => self.next_theme(effects),
            Action::Undo => self.undo_last(effects),
            Action::Draw(kind) => self.save_figure(kind, effects),
            _ => match self.tab {
                Tab::Runs => self.act_in_runs(action, effects),
                Tab::Charts => self.act_in_charts(action),
                Tab::Ablations => self.act_in_ablations(action, effects),
                Tab::Queue => self.act_in_queue(action, effects),
                Tab::Run => self.act_in_run(action, effects),
                Tab::Images => self.act_in_images(action),
                Tab::Machine if action == Action::Back => self.tab = Tab::Runs,
                Tab::Machine => {}
            },
        }
    }

    fn next_theme(&mut self, effects: &mut Vec<Effect>) {
        let at = Look::ALL.iter().position(|look| *look == self.look).unwrap_or(0);
        self.set_theme(Look::ALL[(at + 1) % Look::ALL.len()], effects);
    }

    fn set_theme(&mut self, look: Look, effects: &mut Vec<Effect>) {
        self.look = look;
        self.memory.theme = Some(look.name().to_owned());
        self.say(true, format!("theme {}", look.name()));
        self.remember(effects);
    }

    fn on_tick(&mut self) {
        self.dirty |= self.is_moving();
        if self.toast.as_ref().is_some_and(|toast| toast.until <= self.now) {
            self.toast = None;
        }
    }
}

#[cfg(test)]
mod tests;
