//! What lies over a screen: a line being typed, the palette, a list, a question, the help page.

use crate::store::model::RunId;
use crate::tui::effect::Effect;
use crate::tui::keys::{Action, Scope};
use crate::tui::screens::help;

use super::App;
use super::choose::Choose;
use super::line::Line;
use super::palette::Palette;
use super::picker::Picker;

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Layer {
    #[default]
    None,
    /// The filter is being typed; `before` is what `esc` goes back to.
    Filter {
        before: String,
        line: Line,
    },
    Palette(Palette),
    Typed(Typed),
    Choose(Choose),
    Picker(Picker),
    /// Do this to these runs?
    Confirm {
        verb: Action,
        runs: Vec<RunId>,
    },
    Help {
        search: Line,
        scroll: usize,
    },
}

/// A line that is typed for a purpose.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    pub purpose: Purpose,
    pub line: Line,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    Tag(Vec<RunId>),
    Note(Vec<RunId>),
    /// Deletes once the name is typed.
    Remove(Vec<RunId>),
    /// Which charts are shown, seen as one types; `before` is what `esc` goes back to.
    Metrics {
        before: String,
    },
    /// Looks for words in the log.
    Search,
}

impl Layer {
    /// Where keys go; `None`: to the screen.
    pub fn scope(&self) -> Option<Scope> {
        match self {
            Layer::None => None,
            Layer::Filter { .. } => Some(Scope::Filter),
            Layer::Palette(_) => Some(Scope::Palette),
            Layer::Typed(_) => Some(Scope::Typing),
            Layer::Choose(_) => Some(Scope::Choose),
            Layer::Picker(picker) if picker.is_typing() => Some(Scope::Typing),
            Layer::Picker(picker) if picker.form.is_some() => Some(Scope::Form),
            Layer::Picker(_) => Some(Scope::Picker),
            Layer::Confirm { .. } => Some(Scope::Confirm),
            Layer::Help { .. } => Some(Scope::Help),
        }
    }
}

impl App {
    pub(super) fn act_in_layer(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match std::mem::take(&mut self.layer) {
            Layer::None => {}
            Layer::Filter { before, line } => self.act_in_filter(action, before, line, effects),
            Layer::Palette(palette) => self.act_in_palette(action, palette, effects),
            Layer::Typed(mut typed) => match action {
                Action::Back => {
                    if let Purpose::Metrics { before } = typed.purpose {
                        self.charts.filter = before;
                    }
                }
                Action::Accept => self.take_typed(typed, effects),
                edit => {
                    typed.line.act(edit);
                    self.layer = Layer::Typed(typed);
                    self.preview_typed();
                }
            },
            Layer::Choose(choose) => self.act_in_choose(action, choose, effects),
            Layer::Picker(picker) => self.act_in_picker(action, picker, effects),
            Layer::Confirm { verb, runs } if action == Action::Yes => {
                self.carry_out(verb, runs, effects);
            }
            Layer::Confirm { verb, .. } => {
                let done = if verb == Action::Cancel { "cancelled" } else { "changed" };
                self.say(true, format!("nothing was {done}"));
            }
            Layer::Help { search, scroll } => self.act_in_help(action, search, scroll),
        }
    }

    /// A character that is no binding: text, where text is typed.
    pub(super) fn type_into_layer(&mut self, c: char) {
        match &mut self.layer {
            Layer::Filter { before, line } => {
                line.insert(c);
                self.table.try_filter(line.text(), before, &self.rows);
            }
            Layer::Palette(palette) => palette.insert(c),
            Layer::Typed(typed) => {
                typed.line.insert(c);
                self.preview_typed();
            }
            Layer::Picker(picker) => picker.insert(c),
            Layer::Help { search, scroll } => {
                search.insert(c);
                *scroll = 0;
            }
            _ => {}
        }
    }

    /// What is seen while it is typed.
    fn preview_typed(&mut self) {
        if let Layer::Typed(Typed { purpose: Purpose::Metrics { .. }, line }) = &self.layer {
            self.charts.filter = line.text().to_owned();
        }
    }

    fn act_in_filter(
        &mut self,
        action: Action,
        before: String,
        mut line: Line,
        effects: &mut Vec<Effect>,
    ) {
        match action {
            // Its error stays in sight: shown as accepted, it would look as if there were no such runs.
            Action::Accept | Action::SaveFilter if self.table.filter_error().is_some() => {}
            Action::Accept => return,
            Action::Back => return self.table.set_filter(&before, &self.rows),
            Action::Down => self.table.step(1),
            Action::Up => self.table.step(-1),
            Action::SaveFilter if line.text().trim().is_empty() => {}
            Action::SaveFilter => {
                self.memory.add_filter(line.text().trim());
                self.remember(effects);
                return self.say(true, format!("filter saved: {}", line.text().trim()));
            }
            edit => {
                line.act(edit);
            }
        }
        self.table.try_filter(line.text(), &before, &self.rows);
        self.layer = Layer::Filter { before, line };
    }

    /// `esc` empties the search first, then closes.
    fn act_in_help(&mut self, action: Action, mut search: Line, scroll: usize) {
        let page = usize::from(self.size.1).saturating_sub(6).max(1);
        let scroll = match action {
            Action::Back | Action::Accept if search.text().is_empty() => return,
            Action::Back => {
                search = Line::default();
                0
            }
            Action::Down => scroll + 1,
            Action::Up => scroll.saturating_sub(1),
            Action::PageDown => scroll + page,
            Action::PageUp => scroll.saturating_sub(page),
            edit => {
                search.act(edit);
                0
            }
        };
        let most = help::most_scrolled(self, search.text());
        self.layer = Layer::Help { search, scroll: scroll.min(most) };
    }
}
