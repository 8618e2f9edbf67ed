//! What is on screen decides what is read: curves, sketches, a failed run's last words, one run whole.

use std::collections::{HashMap, HashSet};

use super::{App, Column, Tab, verbs};
use crate::store::model::{Resume, RunId, RunRow, State};
use crate::tui::curves::{CurveId, Pause, Series};
use crate::tui::effect::{Ask, Effect, Watched};
use crate::tui::event::Points;

/// Curves kept in memory although nobody looks at them just now, so that moving up and down loads nothing twice.
const CURVES_KEPT: usize = 96;

/// A curve and the attempt that it belongs to.
pub(super) struct Held {
    pub(super) series: Series,
    attempt: u32,
    /// Counts updates, to know which curve was wanted last.
    wanted: u64,
}

impl App {
    pub(super) fn add_points(&mut self, new: Points) {
        let Some(held) = self.curves.get_mut(&new.curve) else { return };
        // Points that answer an older question would leave a hole or stand twice.
        if held.series.last_step() == new.after {
            new.points.into_iter().for_each(|sample| held.series.push(sample));
        }
    }

    /// A new attempt makes what an earlier one told beyond its checkpoint void: such curves are read afresh. The others
    /// learn what later attempts add to the active time.
    pub(super) fn drop_void_curves(&mut self, rows: &[RunRow]) {
        let held: HashSet<&str> = self.curves.keys().map(|id| id.run.as_str()).collect();
        let of_held = |rows: &'_ [RunRow]| -> HashMap<RunId, (State, usize)> {
            let rows = rows.iter().enumerate().filter(|(_, row)| held.contains(row.id.as_str()));
            rows.map(|(at, row)| (row.id.clone(), (row.state, at))).collect()
        };
        let (before, now) = (of_held(&self.rows), of_held(rows));
        let watched = &mut self.watched;
        self.curves.retain(|id, held| {
            let Some(row) = now.get(&id.run).map(|&(_, at)| &rows[at]) else { return false };
            let started =
                before.get(&id.run).is_some_and(|&(old, _)| old != row.state) && row.attempt > 1;
            let last_told = row.metrics.get(&id.metric).map(|summary| summary.last_step);
            let fell_back = held.series.last_step() > last_told;
            let keep = held.attempt == row.attempt && !started && !fell_back;
            held.series.set_pauses(&pauses(row));
            if !keep {
                watched.retain(|seen| seen != id);
            }
            keep
        });
    }

    /// Asks for the curves and sketches on screen when they are others than before, and for the words of a run that
    /// failed.
    pub(super) fn ask_for_what_is_shown(&mut self, effects: &mut Vec<Effect>) {
        let shown = self.shown();
        let mut wanted: Vec<(CurveId, u32)> = Vec::new();
        for run in &shown {
            for metric in self.metrics_on_screen() {
                if run.row.metrics.contains_key(&metric) {
                    let id = CurveId { run: run.row.id.clone(), metric };
                    wanted.push((id, run.row.attempt));
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let words = self.selected().filter(|row| verbs::needs_words(row));
        let words = words.map(|row| (row.id.clone(), row.attempt));
        if !wanted.iter().map(|(id, _)| id).eq(&self.watched) {
            self.watch(wanted, effects);
        }
        if words.is_some() && words != self.tail_asked {
            let (run, attempt) = words.clone().unwrap_or_default();
            effects.push(Effect::Ask(Ask::Tail { run, attempt }));
            self.tail_asked = words;
        }
        if self.tab == Tab::Runs {
            self.ask_for_sketches(effects);
        }
        let inspected = self.selected().filter(|_| self.tab == Tab::Run).map(|row| row.id.clone());
        if inspected != self.inspected {
            effects.push(Effect::Ask(Ask::Inspect(inspected.clone())));
            self.inspected = inspected;
        }
    }

    fn ask_for_sketches(&mut self, effects: &mut Vec<Effect>) {
        let sort = self.table.sort().0;
        let mut wanted: Vec<(String, Vec<RunId>)> = Vec::new();
        for column in self.table.columns().iter().chain(sort) {
            if let Column::Curve(metric) | Column::Recent(metric) = column {
                // To sort by them, they have to be known for all; to draw them, for those on screen.
                let runs = match sort == Some(column) {
                    true => self.table.shown().iter().map(|&i| self.rows[i].id.clone()).collect(),
                    false => self.table.visible().cloned().collect(),
                };
                wanted.retain(|(known, _)| known != metric);
                wanted.push((metric.clone(), runs));
            }
        }
        for asked in &wanted {
            if !self.sketched.contains(asked) {
                let (metric, runs) = asked.clone();
                effects.push(Effect::Ask(Ask::Sketch { metric, runs }));
            }
        }
        for (metric, _) in &self.sketched {
            if wanted.iter().all(|(known, _)| known != metric) {
                // Of no run: it has no column any more.
                let metric = metric.clone();
                effects.push(Effect::Ask(Ask::Sketch { metric, runs: Vec::new() }));
            }
        }
        self.sketched = wanted;
    }

    fn watch(&mut self, wanted: Vec<(CurveId, u32)>, effects: &mut Vec<Effect>) {
        let round = 1 + self.curves.values().map(|held| held.wanted).max().unwrap_or(0);
        let mut asks = Vec::new();
        for (curve, attempt) in &wanted {
            let held = self.curves.entry(curve.clone());
            let held = held.or_insert_with(|| {
                let mut series = Series::default();
                let row = self.rows.iter().find(|row| row.id == curve.run);
                series.set_pauses(&row.map(pauses).unwrap_or_default());
                Held { series, attempt: *attempt, wanted: 0 }
            });
            held.wanted = round;
            asks.push(Watched { curve: curve.clone(), after: held.series.last_step() });
        }
        self.watched = wanted.into_iter().map(|(id, _)| id).collect();
        while self.curves.len() > CURVES_KEPT.max(self.watched.len()) {
            let oldest = self.curves.iter().min_by_key(|(_, held)| held.wanted);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            self.curves.remove(&oldest);
        }
        effects.push(Effect::Ask(Ask::Watch(asks)));
    }
}

/// Time between a run's attempts, as its curves need it.
fn pauses(row: &RunRow) -> Vec<Pause> {
    let Some(start) = row.started_at else { return Vec::new() };
    let pause = |resume: &Resume| Pause {
        after: resume.step,
        idle: (resume.at - start) as f64 / 1000.0 - resume.sec,
    };
    row.resumes.iter().map(pause).collect()
}
