//! One step of the paper's algorithm: embed, compare with the bank, descend, remember.
//!
//! What the host has to say about a step ([`Inputs`]) is apart from what the device makes of it ([`Trainer::compute`]), so
//! that the device's part can be recorded once and launched whole.

use std::ops::Range;

use tch::{Device, Tensor};

use super::images::{AHEAD, ViewKey};
use super::{TrainError, Trainer};
use crate::engine::device::upload;
use crate::engine::models::{Arithmetic, Mode, Model};
use crate::engine::objectives::{Batch, View, proximal};
use crate::engine::params::Params;
use crate::engine::schedule;

/// Pixels of the views that are made together on CUDA, 32 batches of 128 images of 32×32: an operation on all of them
/// costs as many launches as one on a single batch, and a view depends on nothing else in its batch.
const PIXELS_TOGETHER: u64 = 32 * 128 * 32 * 32;

/// What a step reads beside the run's state, on the device.
pub(super) struct Inputs {
    /// The instances, (B) i64.
    pub index: Tensor,
    /// Views that are learned from, (B, 3, S, S) fp32 each.
    pub learned: Vec<Tensor>,
    /// The view that the objective encodes by itself.
    pub keys: Option<Tensor>,
    /// What the objective drew for this step.
    pub noise: Option<Tensor>,
}

/// Scalars on the device.
pub(super) struct Losses {
    pub instance: Tensor,
    /// λ included; None where λ does not count.
    pub proximal: Option<Tensor>,
}

/// Views of several steps of one epoch.
pub(super) struct Ahead {
    steps: Range<u64>,
    /// One a view of the objective, (rows of all steps, 3, S, S).
    views: Vec<Tensor>,
}

impl Trainer<'_> {
    pub(super) fn train_step(&mut self, epoch: u32, order: &[i64]) -> Result<(), TrainError> {
        let spec = self.job.spec;
        let inputs = self.inputs(epoch, order)?;
        self.sgd.set_rate(schedule::rate(&spec.train, self.step, self.steps_per_epoch()));
        let lambda = if spec.objective.lambda_from <= epoch { spec.objective.lambda } else { 0.0 };
        let Losses { instance, proximal } = self.descend(inputs, lambda);
        self.step += 1;
        self.pending.push(self.step, self.now(), &instance, proximal.as_ref());
        Ok(())
    }

    /// The device's part of a step, which reads nothing back.
    pub(super) fn compute(&mut self, inputs: &Inputs, lambda: f64) -> Losses {
        let Inputs { index, learned, keys, noise } = inputs;
        // In several passes a weight cast once would have their gradients summed in bf16.
        let once = self.job.spec.train.bn_splits == 1;
        if once && self.job.device.is_cuda() && self.job.arithmetic != Arithmetic::Fp32 {
            self.params.cast(self.job.arithmetic.kind());
        }
        let feats = self.embed(learned); // (B, D) each
        let splits = self.job.spec.train.bn_splits;
        let instance = self.objective.loss(&Batch {
            views: &feats,
            keys: &|params| {
                let keys = keys.as_ref().unwrap_or(&learned[0]);
                tch::no_grad(|| forward(&self.model, params, keys, splits))
            },
            index,
            bank: &self.bank,
            params: &self.params,
            noise: noise.as_ref(),
            step: self.step,
            seed: self.job.spec.seed,
        });
        let feats = &feats[0]; // (B, D)
        let proximal = (lambda != 0.0).then(|| proximal(feats, &self.bank.rows(index)) * lambda);
        let loss = proximal.as_ref().map_or_else(|| instance.shallow_clone(), |p| &instance + p);

        let gradient = self.params.gradient(&loss); // (P)
        self.params.uncast();
        self.sgd.step(&self.params, &gradient);
        self.bank.update(index, feats, self.job.spec.objective.bank_momentum);
        Losses { instance: instance.detach(), proximal: proximal.map(|p| p.detach()) }
    }

    /// Embeddings of several views of a batch, (B, D) each, by one pass: they share batch statistics, as far as
    /// `train.bn_splits` has it so.
    pub(super) fn embed(&self, views: &[Tensor]) -> Vec<Tensor> {
        let splits = self.job.spec.train.bn_splits;
        let embed = |images: &Tensor| forward(&self.model, &self.params, images, splits);
        match views {
            [one] => vec![embed(one)],
            several => embed(&Tensor::cat(several, 0)).chunk(several.len() as i64, 0),
        }
    }

    pub(super) fn inputs(&mut self, epoch: u32, order: &[i64]) -> Result<Inputs, TrainError> {
        let device = self.job.device;
        let instances = self.batch(self.step, order);
        let (mut learned, mut keys) = (Vec::new(), None);
        for (key, view) in self.views(epoch, order)? {
            match key.view {
                View::Key => keys = Some(view),
                View::Original | View::Augmented => learned.push(view),
            }
        }
        let noise = self.objective.noise(instances, self.step, self.job.spec.seed);
        Ok(Inputs { index: upload(instances, device), learned, keys, noise })
    }

    /// This step's views, (B, 3, S, S) each.
    fn views(&mut self, epoch: u32, order: &[i64]) -> Result<Vec<(ViewKey, Tensor)>, TrainError> {
        let (seed, step) = (self.job.spec.seed, self.step);
        let keys: Vec<ViewKey> = self.views_of(step, epoch).collect();
        if self.job.device == Device::Cpu || !self.images.is_resident() {
            self.foresee(epoch, order);
            let instances = self.batch(step, order);
            let view = |key| Ok((key, self.images.view(&self.augment, seed, key, instances)?));
            return keys.into_iter().map(view).collect();
        }
        let ahead = match self.ahead.take() {
            Some(ahead) if ahead.steps.contains(&step) => ahead,
            _ => {
                let end = (u64::from(epoch) + 1) * self.steps_per_epoch();
                let pixels =
                    u64::from(self.job.spec.train.batch_size) * (self.job.data.side as u64).pow(2);
                let steps = step..end.min(step + (PIXELS_TOGETHER / pixels).max(1));
                let instances = steps.clone().flat_map(|step| self.batch(step, order));
                let instances: Vec<i64> = instances.copied().collect();
                let view = |&key| self.images.view(&self.augment, seed, key, &instances);
                let views = keys.iter().map(view).collect::<Result<_, _>>()?;
                Ahead { steps, views }
            }
        };
        let size = i64::from(self.job.spec.train.batch_size);
        let (start, len) =
            ((step - ahead.steps.start) as i64 * size, self.batch(step, order).len());
        let of_step = |view: &Tensor| view.narrow(0, start, len as i64);
        let views = keys.into_iter().zip(ahead.views.iter().map(of_step)).collect();
        self.ahead = Some(ahead);
        Ok(views)
    }

    /// The instances of a step of the epoch that has this order.
    fn batch<'o>(&self, step: u64, order: &'o [i64]) -> &'o [i64] {
        &order[self.batches().range((step % self.steps_per_epoch()) as usize)]
    }

    /// The views of a step, in the objective's order.
    fn views_of(&self, step: u64, epoch: u32) -> impl Iterator<Item = ViewKey> + use<> {
        let transform = self.objective.transform(epoch);
        let views = (0..).zip(self.objective.views());
        views.map(move |(number, &view)| ViewKey { step, number, view, transform })
    }

    /// Has the images of this step and the next few of the epoch read, where they are on disk.
    fn foresee(&self, epoch: u32, order: &[i64]) {
        let end = (u64::from(epoch) + 1) * self.steps_per_epoch();
        for step in self.step..end.min(self.step + 1 + AHEAD) {
            for key in self.views_of(step, epoch) {
                let instances = self.batch(step, order);
                self.images.foresee(&self.augment, self.job.spec.seed, key, instances);
            }
        }
    }
}

/// Embeddings of images (N, 3, S, S), each part of them by its own batch statistics; the running ones move with every
/// part.
fn forward(model: &Model, params: &Params, images: &Tensor, splits: u32) -> Tensor {
    let embed = |images: &Tensor| model.forward(params, images, Mode::Train).embedding;
    // One image alone has no statistics.
    let parts = i64::from(splits).min(images.size()[0] / 2);
    if parts <= 1 {
        return embed(images);
    }
    let parts: Vec<Tensor> = images.tensor_split(parts, 0).iter().map(embed).collect();
    Tensor::cat(&parts, 0)
}
