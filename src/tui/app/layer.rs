//! What lies over a screen: a line being typed, the palette, a list, a question, the help page.

use std::path::PathBuf;

use crate::store::model::RunId;
use crate::tui::effect::{Ask, Effect, Request};
use crate::tui::event::{Listed, Plan};
use crate::tui::keys::{Action, Scope};
use crate::tui::screens::help;

use super::App;
use super::choose::Choose;
use super::line::Line;
use super::palette::Palette;

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
    /// Cancel these runs?
    Confirm {
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

/// The experiment picker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picker {
    /// `None` until the folder has been read.
    pub files: Option<Vec<Listed>>,
    pub cursor: usize,
    /// 0 = as written, else one of the file's sizes.
    pub size: usize,
    /// Plans known so far.
    pub plans: Vec<Plan>,
    /// Plans asked for.
    asked: Vec<(PathBuf, Option<String>)>,
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
            Layer::Picker(_) => Some(Scope::Picker),
            Layer::Confirm { .. } => Some(Scope::Confirm),
            Layer::Help { .. } => Some(Scope::Help),
        }
    }
}

impl Picker {
    pub fn chosen(&self) -> Option<&Listed> {
        self.files.as_ref()?.get(self.cursor)
    }

    /// The chosen size by name; `None` = as written.
    pub fn size_name(&self) -> Option<String> {
        let sizes = &self.chosen()?.sizes;
        self.size.checked_sub(1).and_then(|i| sizes.get(i)).cloned()
    }

    /// What the chosen file makes at the chosen size, once known.
    pub fn plan(&self) -> Option<&Plan> {
        let (file, size) = self.choice()?;
        self.plans.iter().find(|plan| plan.file == file && plan.size == size)
    }

    fn choice(&self) -> Option<(PathBuf, Option<String>)> {
        Some((self.chosen()?.file.clone(), self.size_name()))
    }

    fn step(&mut self, by: isize) {
        let n = self.files.as_ref().map_or(0, Vec::len);
        self.cursor = self.cursor.saturating_add_signed(by).min(n.saturating_sub(1));
        self.size = 0;
    }

    fn resize(&mut self, by: isize) {
        let n = self.chosen().map_or(0, |file| file.sizes.len()) as isize + 1;
        self.size = (self.size as isize + by).rem_euclid(n) as usize;
    }

    /// Asks once for the plan of what is chosen.
    fn ask_for_plan(&mut self, effects: &mut Vec<Effect>) {
        if let Some(choice) = self.choice().filter(|choice| !self.asked.contains(choice)) {
            self.asked.push(choice.clone());
            effects.push(Effect::Ask(Ask::Plan { file: choice.0, size: choice.1 }));
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
            Layer::Confirm { runs } => {
                if action == Action::Yes {
                    effects.push(Effect::Ask(Ask::Do(Request::Cancel(runs))));
                } else {
                    self.say(true, "nothing was cancelled");
                }
            }
            Layer::Help { search, scroll } => self.act_in_help(action, search, scroll),
        }
    }

    /// A character that is no binding: text, where text is typed.
    pub(super) fn type_into_layer(&mut self, c: char) {
        match &mut self.layer {
            Layer::Filter { line, .. } => {
                line.insert(c);
                self.table.set_filter(&line.text().to_owned(), &self.rows);
            }
            Layer::Palette(palette) => palette.insert(c),
            Layer::Typed(typed) => {
                typed.line.insert(c);
                self.preview_typed();
            }
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
        self.table.set_filter(line.text(), &self.rows);
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

    fn act_in_picker(&mut self, action: Action, mut picker: Picker, effects: &mut Vec<Effect>) {
        match action {
            Action::Back => return,
            Action::Down => picker.step(1),
            Action::Up => picker.step(-1),
            Action::NextSize => picker.resize(1),
            Action::PreviousSize => picker.resize(-1),
            Action::Accept => {
                let refused = match (picker.chosen(), picker.plan()) {
                    (None, _) => Some("there is no experiment to queue".to_owned()),
                    (Some(file), _) if file.problem.is_some() => file.problem.clone(),
                    (_, Some(Plan { runs: Err(why), .. })) => Some(why.clone()),
                    _ => None,
                };
                if let Some(why) = refused {
                    self.say(false, why);
                } else if let Some((file, size)) = picker.choice() {
                    effects.push(Effect::Ask(Ask::Do(Request::Queue { file, size })));
                    return;
                }
            }
            _ => {}
        }
        self.layer = Layer::Picker(picker);
    }

    pub(super) fn list_experiments(&mut self, files: Vec<Listed>) {
        if let Layer::Picker(picker) = &mut self.layer {
            picker.files = Some(files);
        }
    }

    pub(super) fn take_plan(&mut self, plan: Plan) {
        if let Layer::Picker(picker) = &mut self.layer {
            picker.plans.retain(|known| known.file != plan.file || known.size != plan.size);
            picker.plans.push(plan);
        }
    }

    pub(super) fn ask_for_plan(&mut self, effects: &mut Vec<Effect>) {
        if let Layer::Picker(picker) = &mut self.layer {
            picker.ask_for_plan(effects);
        }
    }
}
