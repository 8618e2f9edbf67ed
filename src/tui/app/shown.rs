//! What the charts show: which runs, in which colours, over which axis.

use crate::store::model::RunRow;

use super::App;

/// Where the keys for metrics and zoom go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    Table,
    /// By index into [`App::charts`].
    Chart(usize),
}

impl Focus {
    const ORDER: [Focus; 3] = [Focus::Table, Focus::Chart(0), Focus::Chart(1)];

    fn shifted(self, by: usize) -> Self {
        let at = Self::ORDER.iter().position(|focus| *focus == self).unwrap_or(0);
        Self::ORDER[(at + by) % Self::ORDER.len()]
    }

    pub fn next(self) -> Self {
        self.shifted(1)
    }

    pub fn previous(self) -> Self {
        self.shifted(Self::ORDER.len() - 1)
    }
}

/// What runs along the bottom of the charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Step,
    Epoch,
}

impl Axis {
    pub fn other(self) -> Self {
        match self {
            Axis::Step => Axis::Epoch,
            Axis::Epoch => Axis::Step,
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Axis::Step => "step",
            Axis::Epoch => "epoch",
        }
    }

    /// How much of the axis one step of this run is.
    pub fn per_step(self, row: &RunRow) -> f64 {
        match self {
            Axis::Epoch if row.progress.steps > 0 => {
                f64::from(row.progress.epochs) / row.progress.steps as f64
            }
            _ => 1.0,
        }
    }
}

/// One chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    pub metric: String,
}

impl Chart {
    pub fn new(metric: &str) -> Self {
        Self { metric: metric.to_owned() }
    }
}

/// A run in the charts.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    pub row: &'a RunRow,
    /// Counts colours, markers and dashes; may be larger than there are colours.
    pub slot: usize,
}

impl App {
    /// Runs in the charts in drawing order: the one under the cursor last, so that it lies on top.
    pub fn shown(&self) -> Vec<Shown<'_>> {
        let slot = |row: &RunRow| self.table.colour(&row.id).unwrap_or(0);
        let mut shown: Vec<_> =
            self.targets().into_iter().map(|row| Shown { row, slot: slot(row) }).collect();
        let selected = self.selected().map(|row| row.id.as_str());
        shown.sort_by_key(|run| (Some(run.row.id.as_str()) == selected, run.slot));
        shown
    }

    /// Metrics that any shown run has, in alphabetical order.
    fn metrics(&self) -> Vec<String> {
        let shown = self.shown();
        let names = shown.iter().flat_map(|run| run.row.metrics.keys());
        let mut names: Vec<String> = names.cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The focused chart's metric moves on; with the table focused the first chart's does.
    pub(super) fn change_metric(&mut self, by: isize) {
        let metrics = self.metrics();
        let at = match self.focus {
            Focus::Table => 0,
            Focus::Chart(at) => at,
        };
        if metrics.is_empty() {
            return;
        }
        let chart = &mut self.charts[at];
        let n = metrics.len() as isize;
        let next = match metrics.iter().position(|name| *name == chart.metric) {
            Some(now) => (now as isize + by).rem_euclid(n),
            None => 0,
        };
        chart.metric.clone_from(&metrics[next as usize]);
    }
}
