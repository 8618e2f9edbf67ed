//! The run screen's own state: which panel keys mean, how far each is scrolled, what is searched.

use crate::config::keys::KEYS;
use crate::report::ablation::written;
use crate::store::model::RunRow;
use crate::tui::effect::Effect;
use crate::tui::keys::Action;
use crate::tui::screens::run as screen;

use super::line::Line;
use super::{App, Layer, Purpose, Tab, Typed};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Panel {
    /// What is known: specification, environment, history.
    #[default]
    Sheet,
    Log,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunView {
    pub panel: Panel,
    /// First line of the sheet on screen.
    pub scroll: usize,
    /// Lines between the end of the log and the last one on screen; 0 follows.
    pub back: usize,
    pub search: String,
}

impl App {
    /// Lines of the selected run's log.
    pub fn log_lines(&self) -> &[String] {
        let id = self.selected().map(|row| &row.id);
        let log = self.log.as_ref().filter(|log| Some(&log.run) == id);
        log.map_or(&[], |log| &log.lines)
    }

    pub(super) fn act_in_run(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::Left => self.run.panel = Panel::Sheet,
            Action::Right if self.run.panel == Panel::Log => self.run.panel = Panel::Sheet,
            Action::Right => self.run.panel = Panel::Log,
            Action::NextRun | Action::PreviousRun => {
                self.table.step(if action == Action::NextRun { 1 } else { -1 });
                (self.run.scroll, self.run.back) = (0, 0);
            }
            Action::Down => self.scroll(1),
            Action::Up => self.scroll(-1),
            Action::HalfPageDown => self.scroll(10),
            Action::HalfPageUp => self.scroll(-10),
            Action::PageDown => self.scroll(20),
            Action::PageUp => self.scroll(-20),
            Action::First => self.scroll(isize::MIN / 2),
            Action::Last => self.scroll(isize::MAX / 2),
            Action::Search => {
                let line = Line::new(self.run.search.as_str());
                self.layer = Layer::Typed(Typed { purpose: Purpose::Search, line });
            }
            Action::NextMatch => self.go_to_match(true),
            Action::PreviousMatch => self.go_to_match(false),
            Action::Follow => {
                self.run.panel = Panel::Log;
                self.run.back = if self.run.back == 0 { 1 } else { 0 };
            }
            Action::CopyCard => {
                if let Some(row) = self.selected() {
                    let card = card(row);
                    self.copy(card, effects);
                }
            }
            Action::CopyId => {
                if let Some(id) = self.selected().map(|row| row.id.clone()) {
                    self.copy(id, effects);
                }
            }
            Action::CopyPath => {
                let id = self.selected().map(|row| &row.id);
                let detail = self.detail.as_ref().filter(|detail| Some(&detail.run) == id);
                if let Some(path) = detail.map(|detail| detail.path.clone()) {
                    self.copy(path, effects);
                }
            }
            Action::Baseline => self.pin_baseline(effects),
            Action::Clone => self.clone_run(),
            Action::Note | Action::Tag | Action::Pause | Action::Resume | Action::Cancel => {
                self.do_verb(action, effects);
            }
            // Where the log hides the sheet, it lies over it.
            Action::Back if self.run.panel == Panel::Log && screen::shows_one(self.size.0) => {
                self.run.panel = Panel::Sheet;
            }
            Action::Back => self.tab = Tab::Runs,
            _ => {}
        }
    }

    fn scroll(&mut self, by: isize) {
        match self.run.panel {
            Panel::Sheet => {
                let most = screen::sheet_end(self);
                self.run.scroll = self.run.scroll.saturating_add_signed(by).min(most);
            }
            Panel::Log => {
                let most = self.log_lines().len().saturating_sub(1);
                self.run.back = self.run.back.saturating_add_signed(-by).min(most);
            }
        }
    }

    pub(super) fn search_log(&mut self, text: String) {
        self.run.search = text;
        self.run.panel = Panel::Log;
        if !self.run.search.is_empty() {
            self.go_to_match(false);
        }
    }

    /// Scrolls to the next line with the words, or to the one before; round the end.
    fn go_to_match(&mut self, forward: bool) {
        let search = self.run.search.to_lowercase();
        let lines = self.log_lines();
        let n = lines.len();
        let fits = |at: &usize| lines[*at].to_lowercase().contains(&search);
        // The last line on screen is where one is.
        let here = (n + n.saturating_sub(1)).saturating_sub(self.run.back.min(n)) % n.max(1);
        let found = match forward {
            true => (1..=n).map(|i| (here + i) % n).find(fits),
            false => (1..=n).map(|i| (here + n - i) % n).find(fits),
        };
        match found {
            Some(at) if !search.is_empty() => self.run.back = n - 1 - at,
            _ => {
                let text = format!("no line of the log contains {:?}", self.run.search);
                self.say(false, text);
            }
        }
    }
}

/// Everything that makes the run again: an experiment of one run with every key that means something, and its command.
pub fn card(row: &RunRow) -> String {
    let name = row.id.split('.').next().unwrap_or(&row.id);
    let settings = settings(row);
    format!(
        "cat > {name}.toml <<'END'\nname = \"{name}\"\n[base]\n{settings}END\ninstdisc-lab run {name}.toml\n"
    )
}

/// Every key that means something, as a line of TOML, which writes strings, numbers and lists as JSON does.
pub(super) fn settings(row: &RunRow) -> String {
    let lines = KEYS.iter().filter_map(|key| Some((key.name, written(row, key.name)?)));
    lines.map(|(name, value)| format!("{name} = {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::experiment::{Overrides, parse};
    use crate::grid::expand;
    use crate::store::model::State;

    #[test]
    fn the_card_makes_the_same_run_again() {
        for name in
            ["demo", "negatives", "proximal", "softmax", "embedding_dim", "dataset_fraction"]
        {
            let path = format!("{}/experiments/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            for planned in expand(&parse("x.toml", &text, &Overrides::default()).unwrap()).unwrap()
            {
                let id = format!("{name}-{}", &planned.fingerprint[..8]);
                let spec = serde_json::to_value(&planned.spec).unwrap();
                let queued = RunRow::queued(&id, planned.spec.seed, planned.varied.clone(), spec);
                let row = RunRow { state: State::Finished, attempt: 1, ..queued };
                let card = card(&row);
                let toml = card.split("<<'END'\n").nth(1).unwrap().split("END\n").next().unwrap();
                let again = parse("card.toml", toml, &Overrides::default());
                let again = expand(&again.unwrap_or_else(|why| panic!("{why}\n{card}"))).unwrap();
                assert_eq!(again.len(), 1, "{card}");
                assert_eq!(again[0].fingerprint, planned.fingerprint, "{card}");
            }
        }
    }
}
