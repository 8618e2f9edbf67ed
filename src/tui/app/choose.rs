//! Lists to choose from: the columns of the run table, the saved filters.

use crate::tui::keys::Action;

use super::column::Column;
use super::{App, Layer};
use crate::tui::effect::{Ask, Effect};

/// A list with a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Choose {
    pub what: What,
    pub cursor: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Every possible column, the chosen ones first in their order, and whether it is shown.
    Columns(Vec<(Column, bool)>),
    Filters(Vec<String>),
}

impl Choose {
    pub fn len(&self) -> usize {
        match &self.what {
            What::Columns(columns) => columns.len(),
            What::Filters(filters) => filters.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn title(&self) -> &'static str {
        match self.what {
            What::Columns(_) => "columns",
            What::Filters(_) => "saved filters",
        }
    }

    /// Whether a key changes this list.
    pub fn knows(&self, action: Action) -> bool {
        !matches!(
            (&self.what, action),
            (What::Columns(_), Action::Remove)
                | (What::Filters(_), Action::Toggle | Action::ColumnLeft | Action::ColumnRight)
        )
    }

    /// The line at an index: whether it is ticked (where that means something), and its words.
    pub fn line(&self, at: usize) -> (Option<bool>, String) {
        match &self.what {
            What::Columns(columns) => {
                columns.get(at).map_or((None, String::new()), |(c, on)| (Some(*on), c.name()))
            }
            What::Filters(filters) => (None, filters.get(at).cloned().unwrap_or_default()),
        }
    }
}

impl App {
    pub(super) fn choose_columns(&mut self) {
        let mut columns: Vec<(Column, bool)> =
            self.table.chosen().iter().map(|column| (column.clone(), true)).collect();
        for column in Column::possible(&self.rows) {
            if columns.iter().all(|(known, _)| *known != column) {
                columns.push((column, false));
            }
        }
        self.layer = Layer::Choose(Choose { what: What::Columns(columns), cursor: 0 });
    }

    pub(super) fn choose_filter(&mut self) {
        if self.memory.filters.is_empty() {
            return self.say(false, "no filter is saved yet: ctrl-s saves the one being typed");
        }
        let what = What::Filters(self.memory.filters.clone());
        self.layer = Layer::Choose(Choose { what, cursor: 0 });
    }

    pub(super) fn act_in_choose(
        &mut self,
        action: Action,
        mut choose: Choose,
        effects: &mut Vec<Effect>,
    ) {
        let last = choose.len().saturating_sub(1);
        match action {
            Action::Back => return,
            Action::Accept => return self.take_chosen(choose, effects),
            Action::Down => choose.cursor = (choose.cursor + 1).min(last),
            Action::Up => choose.cursor = choose.cursor.saturating_sub(1),
            Action::First => choose.cursor = 0,
            Action::Last => choose.cursor = last,
            _ => self.change_list(action, &mut choose, effects),
        }
        self.layer = Layer::Choose(choose);
    }

    /// What keys change in the list itself; seen at once in the table behind it.
    fn change_list(&mut self, action: Action, choose: &mut Choose, effects: &mut Vec<Effect>) {
        let at = choose.cursor;
        match (&mut choose.what, action) {
            (What::Columns(columns), Action::Toggle) => columns[at].1 = !columns[at].1,
            (What::Columns(columns), Action::ColumnRight) if at + 1 < columns.len() => {
                columns.swap(at, at + 1);
                choose.cursor += 1;
            }
            (What::Columns(columns), Action::ColumnLeft) if at > 0 => {
                columns.swap(at, at - 1);
                choose.cursor -= 1;
            }
            (What::Filters(filters), Action::Remove) if at < filters.len() => {
                filters.remove(at);
                choose.cursor = at.min(filters.len().saturating_sub(1));
                self.memory.filters.clone_from(filters);
                self.remember(effects);
            }
            _ => return,
        }
        if let What::Columns(columns) = &choose.what {
            let shown = columns.iter().filter(|(_, on)| *on).map(|(column, _)| column.clone());
            self.table.set_columns(shown.collect(), &self.rows);
            self.keep_columns(effects);
        }
    }

    fn take_chosen(&mut self, choose: Choose, effects: &mut Vec<Effect>) {
        match choose.what {
            What::Columns(_) => self.keep_columns(effects),
            What::Filters(filters) => {
                if let Some(filter) = filters.get(choose.cursor) {
                    self.filter_by(filter);
                }
            }
        }
    }

    /// The columns hold next time too.
    pub(super) fn keep_columns(&mut self, effects: &mut Vec<Effect>) {
        let names: Vec<String> = self.table.chosen().iter().map(Column::name).collect();
        let usual: Vec<String> = Column::usual().iter().map(Column::name).collect();
        self.memory.columns = if names == usual { Vec::new() } else { names };
        self.remember(effects);
    }

    pub(super) fn remember(&mut self, effects: &mut Vec<Effect>) {
        if !self.readonly {
            effects.push(Effect::Ask(Ask::Remember(self.memory.clone())));
        }
    }
}
