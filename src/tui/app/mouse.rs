//! The mouse, for those who like it: every click is a key that there is too.

use crate::tui::effect::Effect;
use crate::tui::event::{Mouse, Press};
use crate::tui::keys::Action;
use crate::tui::screens::{self, head, layout};
use ratatui::layout::{Position, Rect};

use super::{App, Layer, Tab, TableLine};

impl App {
    /// Whether the mouse is ours; else the terminal selects text with it.
    pub fn has_mouse(&self) -> bool {
        !self.memory.no_mouse
    }

    pub(super) fn toggle_mouse(&mut self, effects: &mut Vec<Effect>) {
        self.memory.no_mouse = !self.memory.no_mouse;
        let words = match self.memory.no_mouse {
            true => "the mouse selects text, as the terminal does it",
            false => "the mouse chooses rows and tabs",
        };
        self.say(true, words);
        self.remember(effects);
    }

    pub(super) fn on_mouse(&mut self, mouse: Mouse, effects: &mut Vec<Effect>) {
        let screen = Rect::new(0, 0, self.size.0, self.size.1);
        let Some(frame) = layout::frame(screen) else { return };
        self.dirty = true;
        let at = Position::new(mouse.x, mouse.y);
        match (mouse.press, &self.layer) {
            (Press::Left, Layer::None) if frame.head.contains(at) => {
                let tabs = head::tabs(frame.head);
                let hit = tabs.iter().find(|(_, x, width)| (*x..x + width).contains(&at.x));
                self.tab = hit.map_or(self.tab, |(tab, ..)| *tab);
            }
            (Press::Left, Layer::None) if frame.body.contains(at) => {
                self.click(at, frame.body, effects);
            }
            (Press::Left, _) => {}
            // A question is answered by its letters.
            (_, Layer::Confirm { .. } | Layer::Typed(_)) => {}
            (wheel, layer) => {
                let zooms = *layer == Layer::None && self.tab == Tab::Charts;
                if self.tab == Tab::Run && *layer == Layer::None {
                    self.run.panel = screens::run::panel_at(self, frame.body, at.x);
                }
                let action = match (wheel, zooms) {
                    (Press::WheelUp, true) => Action::ZoomIn,
                    (Press::WheelUp, false) => Action::Up,
                    (_, true) => Action::ZoomOut,
                    (_, false) => Action::Down,
                };
                self.act(action, effects);
            }
        }
    }

    fn click(&mut self, at: Position, body: Rect, effects: &mut Vec<Effect>) {
        match self.tab {
            Tab::Runs => self.click_on_runs(at, body, effects),
            Tab::Charts => {
                let metrics = self.page_of_charts();
                let (places, _) = layout::charts(self, body, metrics.len());
                let hit = places.iter().position(|place| place.contains(at));
                let metric = hit.and_then(|hit| metrics.get(hit));
                let all = self.chart_metrics();
                if let Some(focus) = metric.and_then(|name| all.iter().position(|n| n == name)) {
                    self.charts.focus = focus;
                }
            }
            Tab::Queue => {
                let line = screens::queue::line_at(self, body, at.y);
                if let Some(line) = line.filter(|line| *line < self.queue().len()) {
                    self.queue_cursor = line;
                }
            }
            Tab::Ablations => {
                if let Some(row) = screens::ablations::row_at(self, body, at) {
                    self.ablations.cursor = row;
                }
            }
            Tab::Run => self.run.panel = screens::run::panel_at(self, body, at.x),
            Tab::Images if self.has_map() => self.choose_point(at.x, at.y),
            Tab::Images => {
                if let Some((line, image)) = screens::images::image_at(self, body, at) {
                    (self.images.cursor, self.images.at) = (line, image);
                }
            }
            Tab::Machine => {}
        }
    }

    /// A row is chosen, and opened by a second click; a heading sorts.
    fn click_on_runs(&mut self, at: Position, body: Rect, effects: &mut Vec<Effect>) {
        let table = layout::runs(self, body).table;
        if self.rows.is_empty() || !table.contains(at) {
            return;
        }
        if at.y == table.y {
            if let Some(column) = screens::table::column_at(self, table, at.x) {
                self.table.sort_by(column, &self.rows);
            }
            return;
        }
        let line = self.table.offset() + usize::from(at.y - table.y - 1);
        let Some(TableLine::Run(row)) = self.table.lines().get(line) else { return };
        if self.table.cursor() == Some(*row) {
            self.act(Action::Open, effects);
        } else {
            self.table.select_line(line);
        }
    }
}
