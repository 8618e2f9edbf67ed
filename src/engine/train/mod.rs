//! The training loop, which reads as the algorithm, and what it takes to go on with it after a stop.
//!
//! A run's state is its parameters and statistics, momentum, memory bank, objective (Z) and the number of steps done.
//! Everything else (order of samples, augmentation, negatives, learning rate) is a pure function of (seed, step), so a
//! resumed run equals an uninterrupted one.

mod epoch;
mod error;
mod first_look;
pub(in crate::engine) mod images;
mod replay;
mod state;
mod step;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use tch::Device;

use super::augment::Augment;
use super::bank::MemoryBank;
use super::batches::Batches;
use super::checkpoint::{self, Loaded, Selected};
use super::models::{Arithmetic, Model};
use super::objectives::{self, EpochStart, Instances, Objective};
use super::optimizer::Sgd;
use super::params::Params;
use super::recorder::{EpochLoss, Pending, StepLoss};
use crate::config::RunSpec;
use crate::config::spec::ObjectiveKind;
use crate::data::{Dataset, UNLABELLED};
use crate::journal::event::{Event, MetricInfo, Number, Point};
use crate::journal::metric;
use crate::journal::writer::WriteError;
use crate::random::{self, Purpose};

pub use error::TrainError;
use images::Images;
use replay::Replays;
use step::Ahead;

/// Seconds of steps whose losses are read together on CUDA, because reading waits for the device: less than a journal may
/// lie unflushed.
const CUDA_WINDOW: f64 = 0.4;

/// Where a run's events go.
pub trait Events {
    fn write(&mut self, event: Event) -> Result<(), WriteError>;
    /// Returns once everything written so far is on disk.
    fn sync(&mut self) -> Result<(), WriteError>;
}

/// What to train, on what, and how to be told to stop.
pub struct Job<'a> {
    pub spec: &'a RunSpec,
    pub spec_fingerprint: String,
    pub data: &'a Dataset,
    pub device: Device,
    pub arithmetic: Arithmetic,
    /// Folder of the checkpoints.
    pub checkpoints: &'a Path,
    /// Monotonic seconds from any origin.
    pub clock: &'a dyn Fn() -> f64,
    /// Whether somebody asked for a checkpoint and an end.
    pub stop: &'a dyn Fn() -> bool,
    /// Whether steps on CUDA may be recorded and launched whole.
    pub graphs: bool,
}

/// How an attempt ended, failures apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Finished {
        step: u64,
    },
    /// At a checkpoint, on request.
    Stopped {
        step: u64,
    },
}

/// A run in memory, between two steps.
pub struct Trainer<'a> {
    job: Job<'a>,
    params: Params,
    model: Model,
    objective: Box<dyn Objective>,
    bank: MemoryBank,
    sgd: Sgd,
    augment: Augment,
    images: Images,
    ahead: Option<Ahead>,
    replays: Replays,
    /// Steps done.
    step: u64,
    epoch_loss: EpochLoss,
    pending: Pending,
    sec_before: f64,
    started: f64,
    warned_chance: bool,
    /// Mean instance losses of the epochs of this attempt.
    means: Vec<f64>,
    warned_collapse: bool,
    /// The evaluation so far that the images held out think best of.
    selected: Option<Selected>,
}

impl<'a> Trainer<'a> {
    /// Builds the run as of its start or, with `from`, as of a checkpoint.
    pub fn new(job: Job<'a>, from: Option<Loaded>) -> Result<Self, TrainError> {
        let (spec, data) = (job.spec, job.data);
        fits(spec, data)?;
        let (n, dim) = (data.train.len(), spec.model.dim as usize);
        let mut params = Params::new(job.device);
        let model = Model::new(&spec.model, data.side, job.arithmetic, spec.seed, &mut params)?;
        let instances = Instances { n, labels: &data.train.labels, n_classes: data.classes.len() };
        let objective =
            objectives::build(&spec.objective, instances, dim, spec.seed, job.device, &mut params);
        params.freeze();
        if let (None, Some(weights)) = (&from, &spec.model.weights) {
            model.load_weights(&mut params, weights)?;
        }
        let sgd = Sgd::new(spec.train.momentum, spec.train.weight_decay, &params);
        let window = if job.device == Device::Cpu { 0.0 } else { CUDA_WINDOW };
        let started = (job.clock)();
        let mut trainer = Self {
            augment: Augment::new(&spec.augment, data.mean, data.std, data.side, job.device),
            images: Images::new(&data.train, data.side, job.device)?,
            bank: MemoryBank::random(n, dim, spec.seed, job.device),
            params,
            model,
            objective,
            sgd,
            ahead: None,
            replays: Replays::new(job.graphs),
            step: 0,
            epoch_loss: EpochLoss::default(),
            pending: Pending::new(window),
            sec_before: 0.0,
            started,
            warned_chance: false,
            means: Vec::new(),
            warned_collapse: false,
            selected: None,
            job,
        };
        match from {
            Some(loaded) => trainer.restore(loaded)?,
            None => trainer.first_look()?,
        }
        Ok(trainer)
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    pub fn steps(&self) -> u64 {
        self.steps_per_epoch() * u64::from(self.epochs())
    }

    /// None for a net that stays as it is.
    fn epochs(&self) -> u32 {
        if self.objective.learns() { self.job.spec.train.epochs } else { 0 }
    }

    /// Every metric that this run may log.
    pub fn metrics(&self) -> Vec<MetricInfo> {
        let trained = ["loss", "loss/instance", "loss/proximal", "loss/roughness"];
        let mut metrics = [&trained[..], &["lr", "images_per_second"]].concat();
        if no_votes(self.job.data).is_none() {
            metrics.extend(["knn_top1", "knn_top1_bank"]);
            if tells_top5(self.job.data) {
                metrics.push("knn_top5");
            }
            if self.job.spec.eval.knn_pooled {
                metrics.push("knn_top1/pooled");
            }
        }
        if !self.job.data.held_out.is_empty() {
            metrics.extend(["knn_top1_held_out", "knn_top1_selected"]);
        }
        metrics.extend(["spread", "rankme", "slot_cosine"]);
        if matches!(self.job.spec.objective.kind, ObjectiveKind::Nce { .. }) {
            metrics.push("z/exact");
        }
        let mut metrics: Vec<MetricInfo> = metrics.into_iter().map(metric::info).collect();
        metrics.extend(self.objective.metrics().into_iter().map(|(info, _)| info));
        metrics
    }

    /// Trains to the end, or to a checkpoint when asked to stop.
    pub fn run(&mut self, events: &mut dyn Events) -> Result<Outcome, TrainError> {
        self.warn_of_many_negatives(events)?;
        self.warn_of_single_transforms(events)?;
        self.warn_of_no_votes(events)?;
        let epochs = self.epochs();
        if epochs == 0 {
            // No step will ever fill it.
            let data = self.job.data;
            let encoded = self.images.encode(&self.model, &self.params, &self.augment, data)?;
            self.bank = MemoryBank::from_unit(encoded.embedding);
            self.evaluate(events)?;
            self.save(events)?;
        }
        while self.epoch() < epochs {
            let epoch = self.epoch();
            if self.step.is_multiple_of(self.steps_per_epoch()) {
                self.begin_epoch(epoch)?;
            }
            let order = order(self.job.spec.seed, epoch, self.job.data.train.len());
            let (epoch_started, first_step) = (self.now(), self.step);
            while self.epoch() == epoch {
                self.train_step(epoch, &order)?;
                self.warn_of_refusal(events)?;
                if self.pending.is_due() {
                    self.log_losses(events)?;
                }
                if (self.job.stop)() && self.epoch() == epoch {
                    return self.stop(events);
                }
            }
            self.log_losses(events)?;
            let seconds = self.now() - epoch_started;
            self.end_epoch(epoch, self.step - first_step, seconds, events)?;
            let every = self.job.spec.train.checkpoint_every;
            let stop = (self.job.stop)() && self.epoch() < epochs;
            let selected = self.selected.is_some_and(|it| it.step == self.step);
            if stop || selected || self.epoch() == epochs || self.epoch().is_multiple_of(every) {
                self.save(events)?;
            }
            if stop {
                return Ok(Outcome::Stopped { step: self.step });
            }
        }
        Ok(Outcome::Finished { step: self.step })
    }

    fn begin_epoch(&mut self, epoch: u32) -> Result<(), TrainError> {
        let embed = || {
            let data = self.job.data;
            let encoded = self.images.encode(&self.model, &self.params, &self.augment, data)?;
            Ok(encoded.embedding)
        };
        self.objective.begin_epoch(&EpochStart {
            epoch,
            seed: self.job.spec.seed,
            params: &self.params,
            embed: &embed,
        })?;
        Ok(())
    }

    /// Writes the losses read back so far.
    fn log_losses(&mut self, events: &mut dyn Events) -> Result<(), TrainError> {
        for StepLoss { step, sec, instance, proximal } in self.pending.take() {
            self.epoch_loss.add(instance);
            let loss = instance + proximal.unwrap_or(0.0);
            let mut m = BTreeMap::from([
                ("loss".to_owned(), Number(loss)),
                ("loss/instance".to_owned(), Number(instance)),
            ]);
            if let Some(proximal) = proximal {
                m.insert("loss/proximal".to_owned(), Number(proximal));
            }
            let epoch = step as f64 / self.steps_per_epoch() as f64;
            events.write(Event::Point(Point { step, epoch, sec, m }))?;
            if !loss.is_finite() {
                return Err(self.not_finite("loss", step, loss));
            }
        }
        Ok(())
    }

    fn not_finite(&self, what: &str, step: u64, value: f64) -> TrainError {
        let last_good = match checkpoint::committed(self.job.checkpoints).last() {
            Some(good) => format!("last good checkpoint: step-{good}"),
            None => "there is no checkpoint yet".to_owned(),
        };
        TrainError::NotFinite { what: what.to_owned(), value, step, last_good }
    }

    fn stop(&mut self, events: &mut dyn Events) -> Result<Outcome, TrainError> {
        self.log_losses(events)?;
        self.save(events)?;
        Ok(Outcome::Stopped { step: self.step })
    }

    /// Active seconds over all attempts.
    fn now(&self) -> f64 {
        self.sec_before + (self.job.clock)() - self.started
    }

    /// Epochs done.
    fn epoch(&self) -> u32 {
        (self.step / self.steps_per_epoch()) as u32
    }

    /// How the images of an epoch are cut.
    fn batches(&self) -> Batches {
        Batches::new(self.job.data.train.len(), self.job.spec.train.batch_size)
    }

    fn steps_per_epoch(&self) -> u64 {
        self.batches().count() as u64
    }
}

/// The order of instances in an epoch: a function of (seed, epoch) alone.
pub(in crate::engine) fn order(seed: u64, epoch: u32, n: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (0..n as i64).collect();
    random::stream(seed, Purpose::Order, u64::from(epoch), 0).shuffle(&mut order);
    order
}

/// Whether the data set can be trained on as the spec asks.
fn fits(spec: &RunSpec, data: &Dataset) -> Result<(), TrainError> {
    let (n, batch) = (data.train.len(), spec.train.batch_size);
    if n < batch as usize {
        let found = format!("{batch} for {n} training images of {}", data.name);
        let allowed = format!("at most {n}, or more images");
        return Err(TrainError::Unfit { key: "train.batch_size", found, allowed });
    }
    let supervised = matches!(spec.objective.kind, ObjectiveKind::Supervised { .. });
    if supervised && data.train.labels.contains(&UNLABELLED) {
        let found = format!("supervised for images of {} without labels", data.name);
        let allowed = "another objective, or data.split = \"train\"".to_owned();
        return Err(TrainError::Unfit { key: "objective.kind", found, allowed });
    }
    if let (false, Some(why)) = (data.held_out.is_empty(), no_votes(data)) {
        let found = format!("{} for {}: {why}", spec.data.held_out, data.name);
        let allowed = "0, as nothing can be chosen by k-NN there".to_owned();
        return Err(TrainError::Unfit { key: "data.held_out", found, allowed });
    }
    let (k, voters) = (spec.eval.knn_k, data.train.labelled().len());
    // Where nothing can vote, nothing is asked of the bank.
    if no_votes(data).is_none() && voters < k as usize {
        let found = format!("{k} for a bank of {voters} labelled images of {}", data.name);
        let allowed = format!("at most {voters}, or more images");
        return Err(TrainError::Unfit { key: "eval.knn_k", found, allowed });
    }
    Ok(())
}

/// Whether it says something that the label is among five classes: of ten five are half.
fn tells_top5(data: &Dataset) -> bool {
    10 < data.classes.len()
}

/// Why no vote among training images says anything about the test images, where that is so.
fn no_votes(data: &Dataset) -> Option<&'static str> {
    if data.train.labelled().is_empty() {
        return Some("no training image has a label");
    }
    (!data.shares_classes()).then_some("training and test images have no class in common")
}
