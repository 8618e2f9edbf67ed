//! Keys of the run table.

use super::extent::Factor;
use super::{App, Layer, Line, Tab};
use crate::tui::effect::Effect;
use crate::tui::keys::Action;

fn is_seed(factor: &Factor) -> bool {
    factor.key == "seed"
}

impl App {
    pub(super) fn act_in_runs(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::Down => self.table.step(1),
            Action::Up => self.table.step(-1),
            Action::Left => self.table.step_column(-1),
            Action::Right => self.table.step_column(1),
            Action::HalfPageDown => self.table.half_page(1),
            Action::HalfPageUp => self.table.half_page(-1),
            Action::PageDown => self.table.page(1),
            Action::PageUp => self.table.page(-1),
            Action::First => self.table.step(isize::MIN),
            Action::Last => self.table.step(isize::MAX),
            Action::Open => self.tab = Tab::Charts,
            Action::Inspect => self.tab = Tab::Run,
            Action::Mark => {
                if let Some(id) = self.selected().map(|row| row.id.clone()) {
                    self.table.marks.toggle(id);
                    self.table.step(1);
                }
            }
            Action::MarkShown => self.table.mark_shown(),
            Action::ClearMarks => self.table.marks.clear(),
            Action::Filter => {
                let before = self.table.filter().to_owned();
                self.layer = Layer::Filter { line: Line::new(before.as_str()), before };
            }
            Action::SavedFilters => self.choose_filter(),
            Action::Sort => {
                if let Some(column) = self.table.column().cloned() {
                    self.table.sort_by(column, &self.rows);
                }
            }
            Action::ReverseSort => self.table.reverse_sort(&self.rows),
            Action::Columns => self.choose_columns(),
            Action::ColumnLeft | Action::ColumnRight => {
                let by = if action == Action::ColumnLeft { -1 } else { 1 };
                self.table.move_column(by, &self.rows);
                self.keep_columns(effects);
            }
            Action::Group => {
                self.table.next_group(&self.rows);
                if self.table.group().is_none() && self.table.factors().iter().all(is_seed) {
                    self.say(false, "nothing to group by: these runs differ in their seed at most");
                }
            }
            Action::Baseline => self.pin_baseline(effects),
            Action::NextMetric => self.change_metric(1),
            Action::PreviousMetric => self.change_metric(-1),
            Action::Zoom => self.zoomed = !self.zoomed,
            Action::Back => self.step_out(),
            Action::Queue => self.open_picker(effects),
            Action::Clone => self.clone_run(),
            Action::Pause
            | Action::Resume
            | Action::Cancel
            | Action::Archive
            | Action::Remove
            | Action::Tag
            | Action::Note => self.do_verb(action, effects),
            _ => {}
        }
    }

    /// `esc`: one layer out.
    fn step_out(&mut self) {
        if self.zoomed {
            self.zoomed = false;
        } else if !self.table.marks.is_empty() {
            self.table.marks.clear();
        } else if !self.table.filter().is_empty() {
            self.table.set_filter("", &self.rows);
        } else {
            self.table.set_group(None, &self.rows);
        }
    }

    /// A filter that was typed elsewhere; one that cannot be read is left for mending.
    pub(super) fn filter_by(&mut self, text: &str) {
        let before = self.table.filter().to_owned();
        self.table.try_filter(text, &before, &self.rows);
        if self.table.filter_error().is_some() {
            self.layer = Layer::Filter { line: Line::new(text), before };
        }
    }

    pub(super) fn pin_baseline(&mut self, effects: &mut Vec<Effect>) {
        let Some(id) = self.selected().map(|row| row.id.clone()) else {
            return self.say(false, self.none_chosen());
        };
        if self.memory.baseline.as_ref() == Some(&id) {
            self.memory.baseline = None;
            self.say(true, format!("{id} is no longer the baseline"));
        } else {
            self.say(true, format!("{id} is the baseline"));
            self.memory.baseline = Some(id);
        }
        self.remember(effects);
    }
}
