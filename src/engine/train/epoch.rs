//! What is said when an epoch is over: roughness, rate, the objective's own metrics, k-NN, and warnings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::{Events, TrainError, Trainer, no_votes, tells_top5};
use crate::config::spec::ObjectiveKind;
use crate::engine::checkpoint::Selected;
use crate::engine::device::upload;
use crate::engine::eval::diagnostics;
use crate::engine::eval::encode::{encode_split, sample};
use crate::engine::eval::knn::{Accuracy, vote};
use crate::engine::models::{Encoded, unit};
use crate::engine::objectives::nce::exact_z;
use crate::engine::recorder::EpochLoss;
use crate::engine::schedule;
use crate::journal::event::{Eval, Event, Number, Point, Warn};

/// A loss this close below its chance value, relatively, or above it, tells hardly any instance from another. Above
/// counts too: with a frozen Z a collapsed NCE run sits far over the value that it has when all instances look alike.
const AT_CHANCE: f64 = 0.01;

/// A spread below this share of a full sphere's is a collapse, or an untrained net.
const COLLAPSED: f64 = 0.05;
/// Images whose exact Z is averaged.
const Z_SAMPLE: usize = 1000;

impl Trainer<'_> {
    /// Roughness, rate, the objective's own metrics and, when due, k-NN.
    pub(super) fn end_epoch(
        &mut self,
        epoch: u32,
        n_steps: u64,
        seconds: f64,
        events: &mut dyn Events,
    ) -> Result<(), TrainError> {
        let spec = self.job.spec;
        let n = self.job.data.train.len() as u64;
        let n_images = n.min(n_steps * u64::from(spec.train.batch_size));
        let lr = schedule::rate(&spec.train, self.step.saturating_sub(1), self.steps_per_epoch());
        let mut m = BTreeMap::from([
            ("lr".to_owned(), Number(lr)),
            ("images_per_second".to_owned(), Number(n_images as f64 / seconds)),
        ]);
        // Of one difference there is no spread.
        if 1 < self.epoch_loss.differences.n {
            let roughness = self.epoch_loss.differences.std();
            m.insert("loss/roughness".to_owned(), Number(roughness));
        }
        let own = self.objective.metrics();
        m.extend(own.into_iter().map(|(info, value)| (info.name, Number(value))));
        self.write_point(m, events)?;
        self.warn_at_chance(epoch, events)?;
        self.epoch_loss = EpochLoss::default();
        let done = epoch + 1;
        if done == spec.train.epochs || done.is_multiple_of(spec.eval.every) {
            self.evaluate(events)?;
        }
        Ok(())
    }

    /// What needs no labels, and k-NN where labels can vote.
    pub(super) fn evaluate(&mut self, events: &mut dyn Events) -> Result<(), TrainError> {
        let data = self.job.data;
        let tested = encode_split(&self.model, &self.params, &self.augment, &data.test, data.side)?;
        let known = self.images.encode(&self.model, &self.params, &self.augment, data)?;
        for embeddings in [&tested.embedding, &known.embedding] {
            let sum = embeddings.sum(Kind::Double).double_value(&[]);
            if !sum.is_finite() {
                return Err(self.not_finite("embedding", self.step, sum));
            }
        }
        let mut m = self.diagnose(&tested.embedding, &known.embedding, events)?;
        if no_votes(self.job.data).is_none() {
            self.vote(&tested, &known, &mut m, events)?;
        }
        self.write_point(m, events)
    }

    /// Weighted k-NN by the clean re-encoded bank and by the training bank (InstDisc §3.4), apart. Images without a
    /// label are in no bank here: they cannot vote. Where training images are held out, the same of those by the clean bank,
    /// and the test images' accuracy at the evaluation that these think best of so far: who reads that has not chosen by
    /// the test images.
    fn vote(
        &mut self,
        tested: &Encoded,
        known: &Encoded,
        m: &mut BTreeMap<String, Number>,
        events: &mut dyn Events,
    ) -> Result<(), TrainError> {
        let (spec, data) = (self.job.spec, self.job.data);
        let rows = data.train.labelled();
        let n_bank = rows.len();
        let all = n_bank == data.train.len();
        let voting: Vec<i64> = rows.iter().map(|&row| row.into()).collect();
        let voters = |bank: &Tensor| match all {
            true => bank.shallow_clone(),
            false => bank.index_select(0, &upload(&voting, self.job.device)),
        };
        let (clean, training) = (voters(&known.embedding), voters(self.bank.tensor()));
        let bank_labels: Vec<u16> = rows.iter().map(|&r| data.train.labels[r as usize]).collect();
        let (k, tau) = (spec.eval.knn_k as usize, spec.eval.knn_tau);
        let accuracy = |queries: &Tensor, labels: &[u16], bank: &Tensor| {
            vote(queries, labels, bank, &bank_labels, data.classes.len(), k, tau)
        };
        let settings = |bank: &str, n_queries: usize| {
            json!({
                "k": k, "tau": tau, "bank": bank, "feature": "embedding",
                "n_bank": n_bank, "n_queries": n_queries,
            })
        };
        let mut tell = |metric: &str, value: f64, settings: Value| {
            m.insert(metric.to_owned(), Number(value));
            events.write(Event::Eval(Eval {
                step: self.step,
                metric: metric.to_owned(),
                value: Number(value),
                settings: serde_json::from_value(settings).unwrap_or_default(),
            }))
        };
        let (labels, n) = (&data.test.labels, data.test.len());
        let Accuracy { top1, top5 } = accuracy(&tested.embedding, labels, &clean);
        tell("knn_top1", top1, settings("clean", n))?;
        if let Some(top5) = top5.filter(|_| tells_top5(data)) {
            tell("knn_top5", top5, settings("clean", n))?;
        }
        let by_slots = accuracy(&tested.embedding, labels, &training);
        tell("knn_top1_bank", by_slots.top1, settings("training", n))?;
        if spec.eval.knn_pooled {
            let by_pooled = accuracy(&unit(&tested.pooled), labels, &voters(&unit(&known.pooled)));
            let mut of_pooled = settings("clean", n);
            of_pooled["feature"] = json!("pooled");
            tell("knn_top1/pooled", by_pooled.top1, of_pooled)?;
        }
        if data.held_out.is_empty() {
            return Ok(());
        }
        let held =
            encode_split(&self.model, &self.params, &self.augment, &data.held_out, data.side)?;
        let held_out = accuracy(&held.embedding, &data.held_out.labels, &clean).top1;
        let mut on_held = settings("clean", data.held_out.len());
        on_held["queries"] = json!("training images held out");
        tell("knn_top1_held_out", held_out, on_held)?;
        let new = Selected { step: self.step, held_out, test: top1 };
        let selected = *self.selected.get_or_insert(new);
        // Of equals the first: later ones have had more looks.
        let selected = if selected.held_out < held_out { new } else { selected };
        let mut chosen = settings("clean", n);
        chosen["chosen_on"] = json!("training images held out");
        chosen["of_step"] = json!(selected.step);
        chosen["held_out"] = json!(selected.held_out);
        tell("knn_top1_selected", selected.test, chosen)?;
        self.selected = Some(selected);
        Ok(())
    }

    /// What the features look like without labels, as far as it costs little beside the encoding.
    fn diagnose(
        &mut self,
        tested: &Tensor,
        known: &Tensor,
        events: &mut dyn Events,
    ) -> Result<BTreeMap<String, Number>, TrainError> {
        let bank = self.bank.tensor();
        let spread = diagnostics::spread(tested);
        let mut m = BTreeMap::from([
            ("spread".to_owned(), Number(spread)),
            ("rankme".to_owned(), Number(diagnostics::rankme(tested))),
            ("slot_cosine".to_owned(), Number(diagnostics::slot_cosine(known, bank))),
        ]);
        if let ObjectiveKind::Nce { tau, .. } = self.job.spec.objective.kind {
            let some = sample(known.size()[0] as usize, Z_SAMPLE);
            let some = known.index_select(0, &upload(&some, self.job.device));
            m.insert("z/exact".to_owned(), Number(exact_z(&some, bank, tau).double_value(&[])));
        }
        if spread < COLLAPSED && !self.warned_collapse {
            self.warned_collapse = true;
            let message = format!(
                "embeddings of different images hardly differ: their spread is {spread:.3} of that on a full sphere"
            );
            self.warn("collapsed", message, events)?;
        }
        Ok(m)
    }

    fn write_point(
        &self,
        m: BTreeMap<String, Number>,
        events: &mut dyn Events,
    ) -> Result<(), TrainError> {
        let epoch = self.step as f64 / self.steps_per_epoch() as f64;
        events.write(Event::Point(Point { step: self.step, epoch, sec: self.now(), m }))?;
        Ok(())
    }

    /// Said once, after a third of the run, of a loss that does not fall either: every loss starts above chance, and with
    /// a frozen Z some are long on their way.
    fn warn_at_chance(&mut self, epoch: u32, events: &mut dyn Events) -> Result<(), TrainError> {
        let (n, b) = (self.job.data.train.len(), self.job.spec.train.batch_size as usize);
        let Some(chance) = self.objective.chance(n, b.min(n)) else { return Ok(()) };
        let mean = self.epoch_loss.values.mean;
        self.means.push(mean);
        let epochs = self.job.spec.train.epochs;
        let early = epoch < 2 || epoch * 3 < epochs;
        // From one epoch to the next a long run falls by less than epochs differ.
        let window = (epochs as usize / 4).max(1);
        if self.warned_chance || early || !is_stuck(&self.means, window, chance) {
            return Ok(());
        }
        self.warned_chance = true;
        let (what, keys) = told_apart(&self.job.spec.objective.kind);
        let message = format!(
            "the loss is no better than chance ({mean:.3} in epoch {}, chance {chance:.3}): few \
             {what} are told from one another; see {keys}",
            epoch + 1
        );
        self.warn("loss_at_chance", message, events)
    }

    pub(super) fn warn_of_many_negatives(&self, events: &mut dyn Events) -> Result<(), TrainError> {
        let n = self.job.data.train.len();
        match self.job.spec.objective.kind {
            ObjectiveKind::Nce { m, .. } | ObjectiveKind::Infonce { m, .. } if n <= m as usize => {
                let message = format!(
                    "objective.m = {m} is not below the number of instances ({n}): \
                     negatives repeat, and the full softmax is both exact and cheaper"
                );
                self.warn("m_exceeds_n", message, events)
            }
            _ => Ok(()),
        }
    }

    /// Of surrogate classes that no transform comes back to.
    pub(super) fn warn_of_single_transforms(
        &self,
        events: &mut dyn Events,
    ) -> Result<(), TrainError> {
        let (ObjectiveKind::Exemplar { transforms, .. }, epochs) =
            (&self.job.spec.objective.kind, self.epochs())
        else {
            return Ok(());
        };
        if *transforms < epochs {
            return Ok(());
        }
        let message = format!(
            "objective.transforms = {transforms} in {epochs} epochs: no view of an image comes again, which is \
             objective.kind = parametric"
        );
        self.warn("transforms_never_repeat", message, events)
    }

    pub(super) fn warn_of_no_votes(&self, events: &mut dyn Events) -> Result<(), TrainError> {
        let Some(why) = no_votes(self.job.data) else { return Ok(()) };
        let message = format!("{why}: knn_top1 is not measured; `eval` measures retrieval");
        self.warn("no_votes", message, events)
    }

    /// Said once, of a device that takes no recorded steps.
    pub(super) fn warn_of_refusal(&mut self, events: &mut dyn Events) -> Result<(), TrainError> {
        let Some(why) = self.replays.refusal() else { return Ok(()) };
        let message = format!("steps are launched one operation at a time, which is slower: {why}");
        self.warn("no_graphs", message, events)
    }

    fn warn(&self, code: &str, message: String, events: &mut dyn Events) -> Result<(), TrainError> {
        events.write(Event::Warn(Warn { step: self.step, code: code.to_owned(), message }))?;
        Ok(())
    }
}

/// What a loss at chance does not tell apart, and the keys to try first.
fn told_apart(objective: &ObjectiveKind) -> (&'static str, &'static str) {
    match objective {
        ObjectiveKind::Deepcluster { .. } => {
            ("clusters", "objective.reassign_every, objective.clusters, objective.tau")
        }
        ObjectiveKind::Supervised { .. } => ("classes", "objective.tau, model.head_init, train.lr"),
        _ => ("instances", "objective.tau, model.head_init, objective.lambda"),
    }
}

/// Whether the last epoch's mean loss is at its chance value or above, and no lower than `window` epochs before.
fn is_stuck(means: &[f64], window: usize, chance: f64) -> bool {
    let [earlier @ .., mean] = means else { return false };
    let Some(at) = earlier.len().checked_sub(window) else { return false };
    let falls = *mean < earlier[at] - AT_CHANCE * chance;
    chance * (1.0 - AT_CHANCE) <= *mean && !falls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_above_chance_is_stuck_when_it_no_longer_falls() {
        assert!(is_stuck(&[7.26, 7.25], 1, 7.24));
        assert!(is_stuck(&[8.4, 8.6], 1, 7.24));
        assert!(is_stuck(&[7.2, 7.2], 1, 7.24));
        assert!(!is_stuck(&[7.9, 7.65], 1, 7.24), "on its way");
        assert!(!is_stuck(&[6.9, 6.9], 1, 7.24), "below chance");
        assert!(!is_stuck(&[8.6], 1, 7.24), "nothing to compare with");
        // A long run falls by little from one epoch to the next.
        let slow: Vec<f64> = (0..20).map(|i| 9.0 - 0.05 * f64::from(i)).collect();
        assert!(is_stuck(&slow, 1, 7.24) && !is_stuck(&slow, 5, 7.24));
        assert!(!is_stuck(&slow[..3], 5, 7.24));
    }
}
