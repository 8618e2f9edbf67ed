//! The ablation screen's own state: which experiment, which metric, what goes across, where the cursor stands.

use std::collections::BTreeSet;

use crate::journal::metric::{split, suffixed};
use crate::report::ablation::{Ablation, Options, ablation};
use crate::report::declared::{METRIC, metrics_of};
use crate::report::figure::file_stem;
use crate::report::table::Format;
use crate::store::ExperimentRecord;
use crate::store::model::{RunId, RunRow};
use crate::tui::effect::{Ask, Effect};
use crate::tui::keys::Action;

use super::cursor::moved;
use super::{App, Tab};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ablations {
    /// By name; the newest until one is chosen.
    pub experiment: Option<String>,
    /// Until one is chosen, the first that the experiment's file wants to see.
    pub metric: Option<String>,
    /// The best value instead of the last.
    pub best: bool,
    /// Place of the factor that goes across, from 1; 0 = none.
    pub across: usize,
    /// Runs that are not finished count at their latest value.
    pub interim: bool,
    /// Row of the table.
    pub cursor: usize,
    /// Which factor the slice runs along.
    pub slice: usize,
}

/// What is worked out for the screen.
pub struct Tabled {
    metric: String,
    table: Result<Ablation, String>,
}

impl App {
    /// The experiment that is looked at.
    pub fn experiment(&self) -> Option<&ExperimentRecord> {
        let chosen = self.ablations.experiment.as_ref();
        let known = self.records.iter().find(|record| Some(&record.name) == chosen);
        // The newest that compares something; a single run has no table worth looking at.
        let compares = |record: &&ExperimentRecord| !record.factors.is_empty();
        known.or_else(|| self.records.iter().rfind(compares)).or_else(|| self.records.last())
    }

    /// The metric that the table shows.
    pub fn tabled_metric(&self) -> &str {
        &self.tabled().metric
    }

    /// The table as it stands; in words, why there is none.
    pub fn ablation(&self) -> Result<&Ablation, &str> {
        self.tabled().table.as_ref().map_err(String::as_str)
    }

    /// Worked out once between two events.
    fn tabled(&self) -> &Tabled {
        self.tabled.get_or_init(|| {
            let metric = self.wanted_metric();
            let table = self.tabulate(&metric);
            Tabled { metric, table }
        })
    }

    /// The one that was chosen, else the first that the experiment's file wants to see and a run has.
    fn wanted_metric(&self) -> String {
        let declared = || {
            let measured = self.metrics_of_experiment();
            let read = || self.experiment().map(metrics_of).unwrap_or_default();
            let names = self.declared.get_or_init(read).iter().map(|metric| split(metric).0);
            names.into_iter().find(|name| measured.iter().any(|it| it == name)).map(str::to_owned)
        };
        let chosen = self.ablations.metric.clone().or_else(declared);
        chosen.unwrap_or_else(|| split(METRIC).0.to_owned())
    }

    fn tabulate(&self, metric: &str) -> Result<Ablation, String> {
        let experiment = self.experiment().ok_or("no experiment has been queued yet")?;
        let state = &self.ablations;
        let metric = suffixed(metric, state.best);
        let across = state.across.checked_sub(1);
        let is_member = |id: &RunId| experiment.members.iter().any(|member| member.run == *id);
        let baseline = self.memory.baseline.clone().filter(is_member);
        let factors = ablation(experiment, &self.rows, &metric, &Options::default());
        let factors = factors.map(|table| table.factors).map_err(|why| why.to_string())?;
        let options = Options {
            rows: Vec::new(),
            cols: across.filter(|_| factors.len() > 1).and_then(|at| factors.get(at)).cloned(),
            baseline,
            interim: state.interim,
            ..Options::default()
        };
        ablation(experiment, &self.rows, &metric, &options).map_err(|why| why.to_string())
    }

    /// Whether a key of this screen has something to turn to.
    pub fn can_turn(&self, action: Action) -> bool {
        match action {
            Action::Across | Action::Slice => {
                self.ablation().is_ok_and(|table| 1 < table.factors.len())
            }
            Action::NextExperiment => 1 < self.records.len(),
            _ => true,
        }
    }

    /// Runs of the row under the cursor that have been started.
    pub fn runs_of_row(&self) -> Vec<&RunRow> {
        let Ok(table) = self.ablation() else { return Vec::new() };
        let Some(row) =
            table.rows.get(self.ablations.cursor.min(table.rows.len().saturating_sub(1)))
        else {
            return Vec::new();
        };
        self.rows.iter().filter(|run| row.runs.contains(&run.id)).collect()
    }

    /// Metrics that the experiment's runs have.
    fn metrics_of_experiment(&self) -> Vec<String> {
        let Some(experiment) = self.experiment() else { return Vec::new() };
        let members: BTreeSet<&RunId> = experiment.members.iter().map(|m| &m.run).collect();
        let rows = self.rows.iter().filter(|row| members.contains(&row.id));
        let names: BTreeSet<String> = rows.flat_map(|row| row.metrics.keys().cloned()).collect();
        names.into_iter().collect()
    }

    pub(super) fn act_in_ablations(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let table = self.ablation().cloned().map_err(str::to_owned);
        let (n_rows, n_factors) =
            table.as_ref().map_or((0, 0), |table| (table.rows.len(), table.factors.len()));
        let last = n_rows.saturating_sub(1);
        let state = &mut self.ablations;
        let at = state.cursor.min(last);
        state.cursor = moved(action, at, last, 10).unwrap_or(at);
        match action {
            Action::NextExperiment => self.turn_experiment(1),
            Action::PreviousExperiment => self.turn_experiment(-1),
            Action::NextMetric => self.turn_metric(1),
            Action::PreviousMetric => self.turn_metric(-1),
            Action::LastOrBest => state.best = !state.best,
            Action::Interim => state.interim = !state.interim,
            Action::Across | Action::Slice if table.is_ok() && n_factors < 2 => {
                let what = match n_factors {
                    0 => "nothing varies here",
                    _ => "only one thing varies here",
                };
                let why = match action {
                    Action::Across => "a two-way table needs two factors",
                    _ => "the plot has no other way to go",
                };
                self.say(false, format!("{what}: {why}"));
            }
            Action::Across => state.across = (state.across + 1) % (n_factors + 1),
            Action::Slice => state.slice = (state.slice + 1) % n_factors.max(1),
            Action::Baseline => self.pin_row(effects),
            Action::Open => {
                let runs: Vec<RunId> =
                    self.runs_of_row().iter().map(|row| row.id.clone()).collect();
                if runs.is_empty() {
                    return self.say(false, "no run of this row is here any more");
                }
                self.open_in_charts(runs);
            }
            Action::Copy(format) => match table {
                Ok(table) => self.copy(table.render(format), effects),
                Err(why) => self.say(false, why),
            },
            Action::Save(format) => match table {
                Ok(table) => {
                    let name = format!("{}-{}", table.experiment, file_stem(&table.metric));
                    let file = format!("{name}.{}", extension(format));
                    effects.push(Effect::Ask(Ask::Save { file, text: table.render(format) }));
                }
                Err(why) => self.say(false, why),
            },
            Action::Back => self.tab = Tab::Runs,
            _ => {}
        }
    }

    /// Shows runs in the charts, first of all the metric of the table; what is marked stays as it is.
    fn open_in_charts(&mut self, runs: Vec<RunId>) {
        self.opened = Some(runs);
        self.tab = Tab::Charts;
        let metric = self.tabled_metric().to_owned();
        let place = |app: &App| app.chart_metrics().iter().position(|name| *name == metric);
        if place(self).is_none() {
            self.charts.filter.clear();
        }
        self.charts.focus = place(self).unwrap_or(0);
    }

    /// Hands text to the terminal's clipboard.
    pub(super) fn copy(&mut self, text: String, effects: &mut Vec<Effect>) {
        self.say(true, format!("copied {}", size(text.len())));
        effects.push(Effect::Copy(text));
    }

    fn turn_experiment(&mut self, by: isize) {
        let n = self.records.len() as isize;
        if n < 2 {
            return self.say(false, "there is no other experiment");
        }
        let name = self.experiment().map(|record| record.name.clone());
        let at = self.records.iter().position(|record| Some(&record.name) == name.as_ref());
        let next = (at.unwrap_or(0) as isize + by).rem_euclid(n) as usize;
        let experiment = Some(self.records[next].name.clone());
        let (best, interim) = (self.ablations.best, self.ablations.interim);
        let metric = self.ablations.metric.clone();
        self.ablations = Ablations { experiment, best, interim, ..Ablations::default() };
        self.declared.take();
        // One that was chosen stays as far as the experiment has it.
        let metrics = self.metrics_of_experiment();
        self.ablations.metric = metric.filter(|metric| metrics.contains(metric));
    }

    fn turn_metric(&mut self, by: isize) {
        let metrics = self.metrics_of_experiment();
        let now = self.tabled_metric();
        if metrics.is_empty() || metrics == [now] {
            return self.say(false, "nothing else has been measured");
        }
        let at = metrics.iter().position(|metric| *metric == now);
        let next = at.map_or(0, |at| (at as isize + by).rem_euclid(metrics.len() as isize));
        self.ablations.metric = Some(metrics[next as usize].clone());
    }

    /// The first run of the row stands for it as the baseline.
    fn pin_row(&mut self, effects: &mut Vec<Effect>) {
        let Some(id) = self.runs_of_row().first().map(|row| row.id.clone()) else { return };
        let runs: Vec<&RunRow> = self.runs_of_row();
        let pinned = runs.iter().any(|row| self.memory.baseline.as_ref() == Some(&row.id));
        self.memory.baseline = if pinned { None } else { Some(id) };
        let text =
            if pinned { "the first row is the baseline again" } else { "this row is the baseline" };
        self.say(true, text);
        self.remember(effects);
    }
}

fn extension(format: Format) -> &'static str {
    match format {
        Format::Table => "txt",
        Format::Json => "json",
        Format::Csv => "csv",
        Format::Md => "md",
        Format::Tex => "tex",
    }
}

/// `312 bytes`, `1.2 kB`.
fn size(bytes: usize) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        _ => format!("{:.1} kB", bytes as f64 / 1000.0),
    }
}
