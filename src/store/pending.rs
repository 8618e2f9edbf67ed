//! Measurements that wait to be written, of no more metrics than a run may have.

use std::collections::{HashMap, HashSet};

use super::records::CurvePoint;
use crate::journal::event::Point;

/// A run log keeps no more metrics of a run: a program that names one for each step would have every list and every chart
/// pay for it. Those that came first are kept.
pub const MOST_METRICS: usize = 1000;

/// Measurements of a run that wait to be written, by metric.
#[derive(Default)]
pub(super) struct Pending {
    /// In the order in which the metrics came.
    series: Vec<(String, Vec<CurvePoint>)>,
    /// Where each metric's are.
    places: HashMap<String, usize>,
    /// How many metrics the run log has of the run, and which, once that counts.
    n_stored: usize,
    stored: Option<HashSet<String>>,
    /// How many of those here it does not have, once it is known which it has.
    n_new: usize,
}

impl Pending {
    /// For a run of which the run log has `n_stored` metrics.
    pub(super) fn beside(n_stored: usize) -> Self {
        Self { n_stored, ..Self::default() }
    }

    /// Whether [`Self::push`] has to know which metrics the run log has: most runs never have as many as that.
    pub(super) fn asks_which(&self, point: &Point) -> bool {
        self.stored.is_none() && MOST_METRICS < self.n_stored + self.series.len() + point.m.len()
    }

    /// Takes note of the metrics that the run log has.
    pub(super) fn learn(&mut self, stored: HashSet<String>) {
        self.n_new = self.series.iter().filter(|(name, _)| !stored.contains(name)).count();
        self.stored = Some(stored);
    }

    /// Takes a line's measurements in. The first metric that is one too many, if any: it is left out.
    pub(super) fn push<'a>(&mut self, point: &'a Point) -> Option<&'a str> {
        let mut refused = None;
        for (at, (name, value)) in point.m.iter().enumerate() {
            let point =
                CurvePoint { step: point.step, epoch: point.epoch, sec: point.sec, value: value.0 };
            // One line has the metrics of the line before it, in the same order.
            let here = match self.series.get(at) {
                Some((known, _)) if known == name => Some(at),
                _ => self.places.get(name).copied(),
            };
            match here {
                Some(here) => self.series[here].1.push(point),
                None if self.admits(name) => {
                    self.places.insert(name.clone(), self.series.len());
                    self.series.push((name.clone(), vec![point]));
                }
                None => refused = refused.or(Some(name.as_str())),
            }
        }
        refused
    }

    /// Whether there is room for a metric that is not here yet.
    fn admits(&mut self, name: &str) -> bool {
        let Some(stored) = &self.stored else { return true };
        if stored.contains(name) {
            return true;
        }
        let has_room = stored.len() + self.n_new < MOST_METRICS;
        self.n_new += usize::from(has_room);
        has_room
    }

    /// How many measurements there are.
    pub(super) fn len(&self) -> u64 {
        self.series.iter().map(|(_, points)| points.len() as u64).sum()
    }

    /// By metric, in the order in which those came.
    pub(super) fn into_series(self) -> Vec<(String, Vec<CurvePoint>)> {
        self.series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::event::Number;

    fn point(names: impl Iterator<Item = usize>) -> Point {
        let m = names.map(|i| (format!("m{i:06}"), Number(1.0))).collect();
        Point { step: 1, epoch: 0.0, sec: 0.0, m }
    }

    #[test]
    fn the_first_metrics_are_kept_and_the_rest_left_out() {
        let mut pending = Pending::default();
        let most = point(0..MOST_METRICS);
        assert!(!pending.asks_which(&most));
        assert_eq!(pending.push(&most), None);
        let more = point((0..5).chain(MOST_METRICS..MOST_METRICS + 3));
        assert!(pending.asks_which(&more));
        pending.learn(HashSet::new());
        assert_eq!(pending.push(&more), Some("m001000"));
        assert_eq!(pending.len(), MOST_METRICS as u64 + 5);
    }

    #[test]
    fn what_the_run_log_has_counts() {
        let stored: HashSet<String> = point(0..MOST_METRICS - 1).m.into_keys().collect();
        let mut pending = Pending::beside(stored.len());
        let line = point((0..2).chain(5_000..5_003));
        assert!(pending.asks_which(&line));
        pending.learn(stored);
        assert_eq!(pending.push(&line), Some("m005001"));
        assert_eq!(pending.len(), 3, "two that are known and the one there is room for");
        assert_eq!(pending.push(&line), Some("m005001"));
        assert_eq!(pending.len(), 6);
    }
}
