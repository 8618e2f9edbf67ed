//! The `:` palette: every command of the screen by its name, some with an argument.

use crate::tui::effect::Effect;
use crate::tui::keys::{Action, Binding, Scope};
use crate::tui::theme::{self, Look};

use super::column::Column;
use super::line::Line;
use super::{App, Layer};

/// The line being typed, the candidate under the cursor, and how far back in the history it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Palette {
    pub line: Line,
    pub chosen: usize,
    recalled: Option<usize>,
}

impl Palette {
    pub fn insert(&mut self, c: char) {
        self.line.insert(c);
        (self.chosen, self.recalled) = (0, None);
    }
}

/// Something that could be meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What the line becomes when it is taken.
    pub text: String,
    pub keys: String,
    pub help: String,
}

impl App {
    /// Commands that fit what is typed, best first: those that begin with it, those that contain it, those whose
    /// explanation does. After a command that takes an argument: its possible arguments.
    pub fn candidates(&self, palette: &Palette) -> Vec<Candidate> {
        let typed = palette.line.text();
        if let Some((command, argument)) = typed.split_once(' ') {
            let fits = |name: &String| name.to_lowercase().contains(&argument.to_lowercase());
            let arguments = self.arguments(command).into_iter().filter(fits);
            let candidate = |name: String| Candidate {
                text: format!("{command} {name}"),
                keys: String::new(),
                help: String::new(),
            };
            return arguments.map(candidate).collect();
        }
        let mut found: Vec<(usize, Candidate)> = Vec::new();
        let typed = typed.to_lowercase();
        for (binding, keys) in self.keymap.of(self.tab.scope()) {
            let known = |(_, known): &(usize, Candidate)| known.text == binding.name;
            if binding.name.is_empty() || found.iter().any(known) {
                continue;
            }
            let rank = match binding.name {
                name if name.starts_with(&typed) => 0,
                name if name.contains(&typed) => 1,
                _ if binding.help.to_lowercase().contains(&typed) => 2,
                _ => continue,
            };
            let (text, help) = (binding.name.to_owned(), binding.help.to_owned());
            found.push((rank, Candidate { text, keys: keys.join("  "), help }));
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// What may follow a command.
    fn arguments(&self, command: &str) -> Vec<String> {
        match command {
            "sort" | "columns" => Column::possible(&self.rows).iter().map(Column::name).collect(),
            "group" => {
                let factors = self.table.factors().iter().map(|factor| factor.key.clone());
                factors.chain(["none".to_owned()]).collect()
            }
            "notify" => super::notice::WAYS.map(str::to_owned).to_vec(),
            "theme" => Look::ALL.map(|look| look.name().to_owned()).to_vec(),
            "filter" => self.memory.filters.clone(),
            "metric" => self.all_metrics(),
            "open" => self.rows.iter().map(|row| row.id.clone()).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn act_in_palette(
        &mut self,
        action: Action,
        mut palette: Palette,
        effects: &mut Vec<Effect>,
    ) {
        let candidates = self.candidates(&palette);
        match action {
            Action::Back => return,
            Action::Accept => {
                let typed = palette.line.text().trim().to_owned();
                let exact = typed.contains(' ') || candidates.iter().any(|c| c.text == typed);
                let chosen = candidates.get(palette.chosen).map(|c| c.text.clone());
                let command = match chosen {
                    Some(chosen) if palette.chosen > 0 || !exact => chosen,
                    _ => typed,
                };
                return self.run_command(&command, effects);
            }
            Action::Complete => {
                if let Some(candidate) = candidates.get(palette.chosen) {
                    let more = self.arguments(&candidate.text).is_empty();
                    let text = candidate.text.clone();
                    palette.line = Line::new(if more { text } else { text + " " });
                    palette.chosen = 0;
                }
            }
            Action::Down if palette.recalled.is_some() => self.recall(&mut palette, -1),
            Action::Down => {
                palette.chosen = (palette.chosen + 1).min(candidates.len().saturating_sub(1));
            }
            Action::Up if palette.chosen > 0 => palette.chosen -= 1,
            Action::Up => self.recall(&mut palette, 1),
            edit => {
                palette.line.act(edit);
                (palette.chosen, palette.recalled) = (0, None);
            }
        }
        self.layer = Layer::Palette(palette);
    }

    /// Goes `by` commands back in the history.
    fn recall(&self, palette: &mut Palette, by: isize) {
        let n = self.memory.commands.len() as isize;
        let at = palette.recalled.map_or(-1, |at| at as isize) + by;
        let text = (0..n).contains(&at).then(|| &self.memory.commands[(n - 1 - at) as usize]);
        match text {
            Some(text) => {
                palette.recalled = Some(at as usize);
                palette.line = Line::new(text.as_str());
            }
            None if at < 0 => *palette = Palette::default(),
            None => {}
        }
    }

    /// Carries out a command as typed.
    fn run_command(&mut self, command: &str, effects: &mut Vec<Effect>) {
        let (name, argument) = command.split_once(' ').unwrap_or((command, ""));
        if name.is_empty() {
            return;
        }
        let scope = self.tab.scope();
        let named = |binding: &&Binding| binding.name == name;
        let Some(binding) = self.keymap.of(scope).map(|(binding, _)| binding).find(named) else {
            let place = Scope::name(scope);
            return self.say(false, format!("{name} is no command of the {place} screen"));
        };
        self.memory.add_command(command.trim());
        self.remember(effects);
        let argument = argument.trim();
        if argument.is_empty() || !self.act_with(binding.action, argument, effects) {
            self.act(binding.action, effects);
        }
    }

    /// An action with an argument; false where it takes none.
    fn act_with(&mut self, action: Action, argument: &str, effects: &mut Vec<Effect>) -> bool {
        match action {
            Action::Sort => match Column::parse(argument, &self.rows) {
                Some(column) => self.table.sort_by(column, &self.rows),
                None => self.say(false, format!("no column is called {argument}")),
            },
            Action::Columns => {
                let names = argument.split([' ', ',']).filter(|name| !name.is_empty());
                let columns = names.map(|name| Column::parse(name, &self.rows).ok_or(name));
                match columns.collect::<Result<Vec<_>, _>>() {
                    Ok(columns) => {
                        self.table.set_columns(columns, &self.rows);
                        self.keep_columns(effects);
                    }
                    Err(name) => self.say(false, format!("no column is called {name}")),
                }
            }
            Action::Group => {
                let key = Column::parse(argument, &self.rows);
                let key = match key {
                    Some(Column::Factor(key)) => Some(key),
                    _ => None,
                };
                if key.is_none() && argument != "none" {
                    self.say(false, format!("nothing to group by is called {argument}"));
                } else {
                    self.table.set_group(key, &self.rows);
                }
            }
            Action::Theme => match theme::named(argument) {
                Ok(look) => self.set_theme(look, effects),
                Err(why) => self.say(false, why),
            },
            Action::Notify => self.set_notify(Some(argument), effects),
            Action::Filter => self.filter_by(argument),
            Action::NextMetric if self.all_metrics().iter().any(|name| name == argument) => {
                self.preview[0] = argument.to_owned();
            }
            Action::NextMetric => self.say(false, format!("no metric is called {argument}")),
            Action::Open if self.rows.iter().any(|row| row.id == argument) => {
                self.table.select(argument);
            }
            Action::Open => self.say(false, format!("no run is called {argument}")),
            _ => return false,
        }
        true
    }
}
