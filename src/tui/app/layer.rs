//! What lies over the run table: the filter line, the experiment picker, a question, the help page.

use std::path::PathBuf;

use crate::store::model::RunId;
use crate::tui::action::Action;
use crate::tui::effect::{Ask, Effect, Request};
use crate::tui::event::{Listed, Plan};

use super::App;

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Layer {
    #[default]
    None,
    /// The filter is being typed; `before` is what `esc` goes back to.
    Filter {
        before: String,
    },
    Picker(Picker),
    /// Cancel these runs?
    Confirm {
        runs: Vec<RunId>,
    },
    Help {
        scroll: usize,
    },
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
            Layer::Filter { before } => self.act_in_filter(action, before),
            Layer::Picker(picker) => self.act_in_picker(action, picker, effects),
            Layer::Confirm { runs } => {
                if action == Action::Yes {
                    effects.push(Effect::Ask(Ask::Do(Request::Cancel(runs))));
                } else {
                    self.say(true, "nothing was cancelled");
                }
            }
            Layer::Help { scroll } => {
                let scroll = match action {
                    Action::Back => return,
                    Action::Down => scroll + 1,
                    Action::Up => scroll.saturating_sub(1),
                    Action::HalfPageDown => scroll + 10,
                    Action::HalfPageUp => scroll.saturating_sub(10),
                    Action::First => 0,
                    Action::Last => usize::MAX,
                    _ => scroll,
                };
                let most = crate::tui::screens::help::most_scrolled(self.size);
                self.layer = Layer::Help { scroll: scroll.min(most) };
            }
        }
    }

    /// A character that is no binding: text, where text is typed.
    pub(super) fn type_into_layer(&mut self, c: char) {
        if matches!(self.layer, Layer::Filter { .. }) {
            let text = format!("{}{c}", self.table.filter());
            self.table.set_filter(&text, &self.rows);
        }
    }

    fn act_in_filter(&mut self, action: Action, before: String) {
        let mut text = self.table.filter().to_owned();
        match action {
            Action::Accept => return,
            Action::Back => return self.table.set_filter(&before, &self.rows),
            Action::Down => self.table.step(1),
            Action::Up => self.table.step(-1),
            Action::EraseChar => drop(text.pop()),
            Action::EraseWord => {
                let kept = text.trim_end().rfind(' ').map_or(0, |at| at + 1);
                text.truncate(kept);
            }
            Action::EraseAll => text.clear(),
            _ => {}
        }
        self.table.set_filter(&text, &self.rows);
        self.layer = Layer::Filter { before };
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
