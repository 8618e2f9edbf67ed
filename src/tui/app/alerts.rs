//! Early warnings: what a person would want to know before the run ends, and what to do about it.
//!
//! Rules over rows, each with its reason; none of them acts by itself.

use std::collections::HashMap;

use crate::store::model::{RunId, RunRow, State};
use crate::tui::figures;
use crate::tui::keys::{Action, Scope};
use crate::tui::screens::charts::chance;
use crate::tui::screens::machine::size;

use super::{App, Tab, share};

/// A run that has stood still for so long is told of, in milliseconds; one with long epochs later.
const STILL: i64 = 5 * 60 * 1000;

/// Epochs that a run may stand still for: an evaluation encodes each image once, without gradients.
const STILL_EPOCHS: f64 = 1.5;

/// From this share of a run on, k-NN should be near that of its seeds, and this far below them is far.
const LATE: f64 = 0.8;
const FAR: f64 = 10.0;

/// Bytes on disk below which checkpoints may soon fail: a ResNet-18's is 90 MB, a run keeps two.
const LOW: u64 = 2 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    NotANumber,
    BelowChance,
    BelowPeers,
    Stalled,
    DiskLow,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    pub rule: Rule,
    /// The run that it is about.
    pub run: Option<RunId>,
    pub text: String,
    /// What a person could do.
    pub cure: String,
}

impl Alert {
    fn key(&self) -> (Rule, Option<RunId>) {
        (self.rule, self.run.clone())
    }
}

/// When each active run was last seen to move.
#[derive(Clone, Debug, Default)]
pub struct Movement {
    last: HashMap<RunId, (u64, i64)>,
    /// What a person has waved away, until it is over.
    hushed: Vec<(Rule, Option<RunId>)>,
}

impl Movement {
    /// Takes in new rows.
    pub fn see(&mut self, rows: &[RunRow], now: i64) {
        let mut last = HashMap::new();
        for row in rows.iter().filter(|row| row.state == State::Running) {
            let step = row.progress.step;
            let before = self.last.get(&row.id).filter(|(known, _)| *known == step);
            last.insert(row.id.clone(), (step, before.map_or(now, |(_, at)| *at)));
        }
        self.last = last;
    }
}

impl App {
    /// What holds now and has not been waved away, the most urgent first.
    pub fn alerts(&self) -> Vec<Alert> {
        let hushed = |alert: &&Alert| self.movement.hushed.contains(&alert.key());
        self.all_alerts().iter().filter(|alert| !hushed(alert)).cloned().collect()
    }

    /// Looked for once a second and whenever something has come in: a key that moves the cursor changes none of them.
    fn all_alerts(&self) -> &[Alert] {
        self.alerted.get_or_init(|| self.found_alerts())
    }

    fn found_alerts(&self) -> Vec<Alert> {
        let active: Vec<&RunRow> =
            self.rows.iter().filter(|row| row.state == State::Running).collect();
        let of = |rule: Rule, about: fn(&App, &RunRow) -> Option<(String, String)>| {
            let found = active.iter().filter_map(move |row| {
                let (text, cure) = about(self, row)?;
                let text = format!("{}: {text}", row.id);
                Some(Alert { rule, run: Some(row.id.clone()), text, cure })
            });
            found.collect::<Vec<_>>()
        };
        let mut alerts = of(Rule::NotANumber, App::not_a_number);
        alerts.extend(self.disk_low());
        alerts.extend(of(Rule::Stalled, App::stalled));
        alerts.extend(of(Rule::BelowChance, App::below_chance));
        alerts.extend(self.below_peers(&active));
        alerts
    }

    /// `x cancels`, with the key that holds here.
    fn proposed(&self, action: Action, does: &str) -> String {
        match self.keymap.key_of(Scope::Runs, action) {
            Some(key) => format!("{key} {does}"),
            None => String::new(),
        }
    }

    fn not_a_number(&self, row: &RunRow) -> Option<(String, String)> {
        let mut losses = row.metrics.iter().filter(|(name, _)| name.starts_with("loss"));
        let (name, metric) = losses.find(|(_, metric)| !metric.last.0.is_finite())?;
        let step = figures::grouped(metric.last_step as usize);
        let text = format!("{name} is {} at step {step}", figures::value(metric.last.0));
        Some((text, self.proposed(Action::Cancel, "cancels it")))
    }

    fn below_chance(&self, row: &RunRow) -> Option<(String, String)> {
        let knn = row.metrics.get("knn_top1")?.last.0;
        let chance = chance("knn_top1", row)?;
        let begun = row.progress.epoch >= (0.1 * f64::from(row.progress.epochs)).max(2.0);
        let text = format!(
            "k-NN {} % after {:.0} epochs is below chance ({} %)",
            figures::percent(knn),
            row.progress.epoch,
            figures::percent(chance)
        );
        (begun && knn < chance).then(|| (text, self.proposed(Action::Cancel, "cancels it")))
    }

    /// Seeds of one setting should come to about the same.
    fn below_peers(&self, active: &[&RunRow]) -> Vec<Alert> {
        let knn = |row: &RunRow| Some(row.metrics.get("knn_top1")?.last.0);
        let late: Vec<_> = active.iter().filter(|row| share(row) >= LATE).collect();
        if late.iter().all(|row| knn(row).is_none()) {
            return Vec::new();
        }
        let mut settings: HashMap<String, Vec<(&RunRow, f64)>> = HashMap::new();
        let setting = |row: &RunRow| {
            let mut pairs: Vec<_> = row.varied.iter().map(|(k, v)| format!("{k}={v}")).collect();
            pairs.sort_unstable();
            pairs.join("\n")
        };
        for row in self.rows.iter().filter(|row| share(row) >= LATE) {
            if let Some(value) = knn(row).filter(|value| value.is_finite()) {
                settings.entry(setting(row)).or_default().push((row, value));
            }
        }
        let far = |row: &&&RunRow| {
            let value = knn(row)?;
            let is_peer = |other: &RunRow| {
                other.id != row.id
                    && other.experiments.iter().any(|name| row.experiments.contains(name))
            };
            let peers = settings.get(&setting(row))?.iter().filter(|(other, _)| is_peer(other));
            let values: Vec<f64> = peers.map(|(_, value)| *value).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let text = format!(
                "{}: k-NN {} % is far below its other seeds ({} %, n = {})",
                row.id,
                figures::percent(value),
                figures::percent(mean),
                values.len()
            );
            let cure = self.proposed(Action::Inspect, "looks into it");
            let alert = Alert { rule: Rule::BelowPeers, run: Some(row.id.clone()), text, cure };
            (mean - value > FAR).then_some(alert)
        };
        late.iter().filter_map(far).collect()
    }

    fn stalled(&self, row: &RunRow) -> Option<(String, String)> {
        // Nothing moves on a frozen screen.
        if self.frozen.is_some() {
            return None;
        }
        let (_, at) = self.movement.last.get(&row.id)?;
        let epoch = 1000.0 * row.progress.sec / row.progress.epoch;
        let patience = if epoch.is_finite() { (STILL_EPOCHS * epoch) as i64 } else { 0 };
        let still = self.now - at;
        let text = format!("no new step for {}", figures::duration(still as f64 / 1000.0));
        let cure = self.proposed(Action::Inspect, "shows its log");
        (still > STILL.max(patience)).then_some((text, cure))
    }

    fn disk_low(&self) -> Option<Alert> {
        let disk = self.disk.filter(|disk| disk.free < LOW)?;
        let text = format!("{} left on the disk of the lab: checkpoints may fail", size(disk.free));
        // What lies in the trash takes as much room as before.
        let cure = "`instdisc-lab rm --forever RUN` makes room".to_owned();
        Some(Alert { rule: Rule::DiskLow, run: None, text, cure })
    }

    /// To the run that the first warning is about.
    pub(super) fn go_to_alert(&mut self) {
        let Some(alert) = self.alerts().into_iter().next() else {
            return self.say(true, "there is nothing to warn of");
        };
        match alert.run {
            Some(run) => {
                // A filter may hide it.
                self.table.select(&run);
                if self.table.cursor().is_none() {
                    self.table.set_filter("", &self.rows);
                    self.table.select(&run);
                }
                self.tab = Tab::Runs;
            }
            None => self.tab = Tab::Machine,
        }
    }

    /// Waves the first warning away until it is over.
    pub(super) fn hush(&mut self) {
        match self.alerts().into_iter().next() {
            Some(alert) => self.movement.hushed.push(alert.key()),
            None => self.say(true, "there is nothing to warn of"),
        }
    }

    /// New rows: what moves, and which warnings are over.
    pub(super) fn watch_over(&mut self) {
        self.movement.see(&self.rows, self.now);
        let holds: Vec<_> = self.all_alerts().iter().map(Alert::key).collect();
        self.movement.hushed.retain(|key| holds.contains(key));
    }
}
