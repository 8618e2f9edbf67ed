//! The newest step of every curve, in a small part of the room that the rows take which tell it.

use std::collections::HashMap;

use crate::store::{RunId, RunRow};
use crate::tui::curves::CurveId;

#[derive(Default)]
pub(super) struct Newest {
    /// Metrics by their numbers here.
    names: Vec<String>,
    runs: HashMap<RunId, Box<[(usize, u64)]>>,
}

impl Newest {
    /// Forgets what was and takes in what is.
    pub(super) fn read(&mut self, rows: &[RunRow]) {
        self.runs.clear();
        for row in rows {
            let steps = row.metrics.iter().enumerate();
            let steps = steps.map(|(at, (metric, summary))| {
                let number = match self.names.get(at) {
                    // Most runs have the metrics of the run before them.
                    Some(name) if name == metric => at,
                    _ => number(&mut self.names, metric),
                };
                (number, summary.last_step)
            });
            self.runs.insert(row.id.clone(), steps.collect());
        }
    }

    pub(super) fn step(&self, curve: &CurveId) -> Option<u64> {
        let steps = self.runs.get(&curve.run)?;
        steps.iter().find(|(at, _)| self.names[*at] == curve.metric).map(|(_, step)| *step)
    }
}

fn number(names: &mut Vec<String>, metric: &str) -> usize {
    names.iter().position(|name| name == metric).unwrap_or_else(|| {
        names.push(metric.to_owned());
        names.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::event::{Better, Number};
    use crate::store::Summary;

    #[test]
    fn every_curve_of_every_run_is_known_by_its_newest_step() {
        let row = |id: &str, steps: &[(&str, u64)]| {
            let summary = |&(name, last_step): &(&str, u64)| {
                let last = Number(0.0);
                let (unit, better) = (String::new(), Better::Lower);
                let summary =
                    Summary { last, last_step, best: None, best_step: None, unit, better };
                (name.to_owned(), summary)
            };
            let metrics = steps.iter().map(summary).collect();
            RunRow { metrics, ..RunRow::queued(id, 0, Default::default(), Default::default()) }
        };
        let step = |newest: &Newest, run: &str, metric: &str| {
            newest.step(&CurveId { run: run.into(), metric: metric.into() })
        };
        let mut newest = Newest::default();
        newest.read(&[row("a", &[("loss", 1), ("z", 2)]), row("b", &[("z", 3)]), row("c", &[])]);
        assert_eq!((step(&newest, "a", "loss"), step(&newest, "a", "z")), (Some(1), Some(2)));
        assert_eq!((step(&newest, "b", "loss"), step(&newest, "b", "z")), (None, Some(3)));
        assert_eq!((step(&newest, "c", "z"), step(&newest, "d", "z")), (None, None));
        newest.read(&[row("b", &[("loss", 4), ("z", 5)])]);
        assert_eq!((step(&newest, "a", "z"), step(&newest, "b", "z")), (None, Some(5)));
    }
}
