//! What is to be queued: an experiment of this folder or the clone of a run, its size, and changes to it that are
//! validated as they are typed.

use std::collections::BTreeSet;

use crate::tui::effect::{Ask, Effect, Request, Wanted};
use crate::tui::event::{Listed, Plan};
use crate::tui::keys::Action;

use super::cursor::moved;
use super::form::Form;
use super::line::Line;
use super::run::settings;
use super::{App, Layer};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picker {
    /// `None` until the folder has been read.
    pub files: Option<Vec<Listed>>,
    pub cursor: usize,
    /// 0 = as written, else one of the file's sizes.
    pub size: usize,
    /// `objective.tau=0.1 seed=0,1`.
    pub changes: Line,
    /// Keys go to the changes.
    pub editing: bool,
    /// Every key, to be changed one by one.
    pub form: Option<Box<Form>>,
    /// Runs of the plan that are not queued this time, by their place.
    pub left_out: BTreeSet<usize>,
    /// The run under the cursor, while runs are chosen.
    pub choosing: Option<usize>,
    /// The name of the file that this is to be saved as, while it is typed.
    pub saving: Option<Line>,
    /// Plans known so far.
    pub plans: Vec<Plan>,
    /// Plans asked for.
    asked: Vec<Wanted>,
    /// What was chosen after the last key.
    seen: Option<Box<Wanted>>,
}

impl Picker {
    pub fn chosen(&self) -> Option<&Listed> {
        self.files.as_ref()?.get(self.cursor)
    }

    /// What the chosen file makes at the chosen size with the changes, once known.
    pub fn plan(&self) -> Option<&Plan> {
        let wanted = self.wanted()?;
        self.plans.iter().find(|plan| plan.wanted == wanted)
    }

    /// Whether text is being typed.
    pub fn is_typing(&self) -> bool {
        let in_form = |form: &Form| form.line.is_some() || form.search.is_some();
        let in_form = self.form.as_deref().is_some_and(in_form);
        self.editing || self.saving.is_some() || in_form
    }

    /// A character of that text.
    pub fn insert(&mut self, c: char) {
        let in_form = self.form.as_mut().and_then(|form| form.typed());
        if let Some(line) = self.saving.as_mut().or(in_form) {
            line.insert(c);
            self.form.iter_mut().for_each(|form| form.seek());
        } else if self.editing {
            self.changes.insert(c);
        }
    }

    fn wanted(&self) -> Option<Wanted> {
        let chosen = self.chosen()?;
        let size = self.size.checked_sub(1).and_then(|i| chosen.sizes.get(i)).cloned();
        Some(Wanted {
            file: chosen.file.clone(),
            text: chosen.text.clone(),
            size,
            changes: self.changes.text().trim().to_owned(),
        })
    }

    /// Runs that the plan at hand makes.
    pub fn n_runs(&self) -> usize {
        self.plan().and_then(|plan| plan.runs.as_ref().ok()).map_or(0, Vec::len)
    }

    /// Keys while runs are chosen.
    fn act_in_runs(&mut self, action: Action, at: usize) {
        let last = self.n_runs().saturating_sub(1);
        match action {
            Action::Back | Action::Accept | Action::ChooseRuns => return self.choosing = None,
            Action::Toggle if self.left_out.contains(&at) => drop(self.left_out.remove(&at)),
            Action::Toggle => drop(self.left_out.insert(at)),
            Action::ToggleAll => {
                self.left_out = match self.left_out.is_empty() {
                    true => (0..=last).collect(),
                    false => BTreeSet::new(),
                };
            }
            _ => {}
        }
        self.choosing = Some(moved(action, at, last, 10).unwrap_or(at));
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

    /// Asks once for the plan of what is chosen. Another plan has other runs to leave out.
    fn ask_for_plan(&mut self, effects: &mut Vec<Effect>) {
        let wanted = self.wanted();
        if wanted.as_ref() != self.seen.as_deref() {
            (self.seen, self.choosing) = (wanted.clone().map(Box::new), None);
            self.left_out.clear();
        }
        let known = self.chosen().is_some_and(|file| file.problem.is_none());
        if let Some(wanted) = wanted.filter(|wanted| known && !self.asked.contains(wanted)) {
            self.asked.push(wanted.clone());
            effects.push(Effect::Ask(Ask::Plan(wanted)));
        }
    }
}

impl App {
    pub(super) fn open_picker(&mut self, effects: &mut Vec<Effect>) {
        self.layer = Layer::Picker(Picker::default());
        effects.push(Effect::Ask(Ask::Experiments));
    }

    /// The selected run as an experiment of its own, with the line open in which it is changed.
    pub(super) fn clone_run(&mut self) {
        let Some(row) = self.selected() else { return self.say(false, self.none_chosen()) };
        let listed = Listed {
            file: "clone.toml".into(),
            name: "clone".into(),
            question: format!("the settings of {}", row.id),
            sizes: Vec::new(),
            problem: None,
            text: Some(format!("name = \"clone\"\n[base]\n{}", settings(row))),
        };
        let files = Some(vec![listed]);
        self.layer = Layer::Picker(Picker { files, editing: true, ..Picker::default() });
    }

    pub(super) fn act_in_picker(
        &mut self,
        action: Action,
        mut picker: Picker,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(name) = picker.saving.take() {
            self.name_plan(action, name, &mut picker, effects);
            self.layer = Layer::Picker(picker);
            return;
        }
        if let Some(at) = picker.choosing {
            picker.act_in_runs(action, at);
            self.layer = Layer::Picker(picker);
            return;
        }
        if let Some(form) = picker.form.take() {
            picker.act_in_form(action, form);
            self.layer = Layer::Picker(picker);
            return;
        }
        match action {
            Action::Accept | Action::Down | Action::Up if picker.editing => picker.editing = false,
            Action::Back if picker.editing => {
                (picker.editing, picker.changes) = (false, Line::default());
            }
            edit if picker.editing => {
                picker.changes.act(edit);
            }
            Action::Back => return,
            Action::ChooseRuns if picker.n_runs() > 0 => picker.choosing = Some(0),
            Action::Edit => picker.editing = true,
            Action::EditForm if picker.chosen().is_some_and(|file| file.problem.is_none()) => {
                picker.form = Some(Box::default());
            }
            Action::SavePlan => match picker.plan().map(|plan| &plan.runs) {
                Some(Ok(_)) => {
                    let name = picker.chosen().map_or("", |file| file.name.as_str());
                    picker.saving = Some(Line::new(format!("{name}-2")));
                }
                Some(Err(why)) => {
                    let why = why.lines().next().unwrap_or_default().to_owned();
                    self.say(false, why);
                }
                None => self.say(false, "its runs are not worked out yet"),
            },
            Action::Down => picker.step(1),
            Action::Up => picker.step(-1),
            Action::NextSize => picker.resize(1),
            Action::PreviousSize => picker.resize(-1),
            Action::Accept => {
                let refused = match (picker.chosen(), picker.plan()) {
                    (None, _) => Some("there is no experiment to queue".to_owned()),
                    (Some(file), _) if file.problem.is_some() => file.problem.clone(),
                    (_, Some(Plan { runs: Err(why), .. })) => Some(why.clone()),
                    _ if picker.n_runs() > 0 && picker.left_out.len() == picker.n_runs() => {
                        Some("every run is left out".to_owned())
                    }
                    _ => None,
                };
                if let Some(why) = refused {
                    self.say(false, why.lines().next().unwrap_or_default());
                } else if let Some(wanted) = picker.wanted() {
                    let left_out = picker.left_out;
                    effects.push(Effect::Ask(Ask::Do(Request::Queue { wanted, left_out })));
                    return;
                }
            }
            _ => {}
        }
        self.layer = Layer::Picker(picker);
    }

    /// Keys while the name of a file is typed.
    fn name_plan(
        &mut self,
        action: Action,
        mut name: Line,
        picker: &mut Picker,
        effects: &mut Vec<Effect>,
    ) {
        match action {
            Action::Back => {}
            Action::Accept => {
                if let Some(wanted) = picker.wanted() {
                    let name = name.text().trim().to_owned();
                    effects.push(Effect::Ask(Ask::SavePlan { wanted, name }));
                }
            }
            edit => {
                name.act(edit);
                picker.saving = Some(name);
            }
        }
    }

    pub(super) fn list_experiments(&mut self, files: Vec<Listed>) {
        if let Layer::Picker(picker) = &mut self.layer {
            // A clone stays where it is; after a save the list is another one.
            if picker
                .files
                .as_ref()
                .is_none_or(|known| known.iter().all(|file| file.text.is_none()))
            {
                let chosen = picker.chosen().map(|file| file.file.clone());
                let place = files.iter().position(|file| Some(&file.file) == chosen.as_ref());
                picker.cursor = place.unwrap_or(picker.cursor);
                picker.files = Some(files);
            }
        }
    }

    pub(super) fn take_plan(&mut self, plan: Plan) {
        if let Layer::Picker(picker) = &mut self.layer {
            picker.plans.retain(|known| known.wanted != plan.wanted);
            picker.plans.push(plan);
        }
    }

    pub(super) fn ask_for_plan(&mut self, effects: &mut Vec<Effect>) {
        if let Layer::Picker(picker) = &mut self.layer {
            picker.ask_for_plan(effects);
        }
    }
}
