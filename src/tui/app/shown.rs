//! What the charts show: which runs, in which colours, over which axis.

use std::collections::BTreeSet;

use crate::store::model::RunRow;
use crate::tui::curves::Along;

use super::{App, Tab};

/// What runs along the bottom of the charts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Axis {
    #[default]
    Step,
    Epoch,
    /// Active seconds, those of the device: pauses do not count.
    Time,
    /// Seconds since the first start.
    Clock,
}

impl Axis {
    pub fn next(self) -> Self {
        match self {
            Axis::Step => Axis::Epoch,
            Axis::Epoch => Axis::Time,
            Axis::Time => Axis::Clock,
            Axis::Clock => Axis::Step,
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Axis::Step => "step",
            Axis::Epoch => "epoch",
            Axis::Time => "active time",
            Axis::Clock => "wall time",
        }
    }

    /// Whether it counts seconds.
    pub fn is_time(self) -> bool {
        matches!(self, Axis::Time | Axis::Clock)
    }

    /// How this run's points lie along the axis.
    pub fn along(self, row: &RunRow) -> Along {
        match self {
            Axis::Time => Along::Seconds,
            Axis::Clock => Along::Clock,
            Axis::Epoch if row.progress.steps > 0 => {
                let each = f64::from(row.progress.epochs) / row.progress.steps as f64;
                Along::Steps { each }
            }
            _ => Along::Steps { each: 1.0 },
        }
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
        let of_row = match self.tab {
            Tab::Ablations => Some(self.runs_of_row()),
            Tab::Charts => self.opened.is_some().then(|| self.targets()),
            _ => None,
        };
        if let Some(runs) = of_row {
            let runs = runs.into_iter().enumerate();
            return runs.map(|(slot, row)| Shown { row, slot }).collect();
        }
        let slot = |row: &RunRow| self.table.marks.colour(&row.id).unwrap_or(0);
        let mut shown: Vec<_> =
            self.targets().into_iter().map(|row| Shown { row, slot: slot(row) }).collect();
        let selected = self.selected().map(|row| row.id.as_str());
        shown.sort_by_key(|run| (Some(run.row.id.as_str()) == selected, run.slot));
        shown
    }

    /// Metrics whose curves are on screen.
    pub fn metrics_on_screen(&self) -> Vec<String> {
        match self.tab {
            Tab::Runs => self.preview.to_vec(),
            Tab::Run | Tab::Queue | Tab::Images | Tab::Machine => Vec::new(),
            Tab::Charts => self.page_of_charts(),
            Tab::Ablations => vec![self.tabled_metric().to_owned()],
        }
    }

    /// Metrics that any run has.
    pub fn all_metrics(&self) -> Vec<String> {
        let names = self.rows.iter().flat_map(|row| row.metrics.keys());
        names.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The metric of the first chart beside the table moves on, among those that shown runs have.
    pub(super) fn change_metric(&mut self, by: isize) {
        let shown = self.shown();
        let names = shown.iter().flat_map(|run| run.row.metrics.keys().cloned());
        let metrics: Vec<String> = names.collect::<BTreeSet<_>>().into_iter().collect();
        if metrics.is_empty() {
            return;
        }
        let n = metrics.len() as isize;
        let next = match metrics.iter().position(|name| *name == self.preview[0]) {
            Some(now) => (now as isize + by).rem_euclid(n),
            None => 0,
        };
        self.preview[0].clone_from(&metrics[next as usize]);
    }
}

/// Runs that differ in their seed alone, as indices into `rows`, in the order in which they first appear.
pub fn groups(rows: &[&RunRow]) -> Vec<Vec<usize>> {
    let without_seed = |row: &RunRow| {
        let mut spec = serde_json::Value::clone(&row.spec);
        spec.as_object_mut().map(|spec| spec.remove("seed"));
        (spec, row.varied.clone())
    };
    let mut groups: Vec<(_, Vec<usize>)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let key = without_seed(row);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(at),
            None => groups.push((key, vec![at])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}
