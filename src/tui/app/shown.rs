//! What the charts show: which runs, in which colours, over which axis.

use crate::store::model::RunRow;

use super::App;

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

    /// Metrics whose curves are on screen.
    pub fn metrics_on_screen(&self) -> &[String] {
        &self.preview
    }

    /// Metrics that any run has.
    pub fn all_metrics(&self) -> Vec<String> {
        let names = self.rows.iter().flat_map(|row| row.metrics.keys());
        names.cloned().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// The metric of the first chart beside the table moves on.
    pub(super) fn change_metric(&mut self, by: isize) {
        let metrics = self.metrics();
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
