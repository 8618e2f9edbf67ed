//! Fine-tuning on few labels: the whole network goes on from the checkpoint, with a new classifier on what the head
//! read (InstDisc, semi-supervised learning: 70 epochs at 0.01, a tenth of it every 30).

use tch::{Device, Kind, Tensor};

use super::augment::Augment;
use super::checkpoint::Loaded;
use super::device::upload;
use super::encoder::network;
use super::eval::encode::{encode_split, on_device};
use super::eval::linear;
use super::models::{Arithmetic, Mode};
use super::optimizer::Sgd;
use super::schedule::learning_rate;
use crate::config::RunSpec;
use crate::data::{DataError, Dataset, Split};
use crate::random::{self, Purpose};

/// Shares of the labels, each class by itself; a larger one has all of a smaller one's images.
pub const SHARES: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];
pub const EPOCHS: u32 = 70;
pub const LR: f64 = 0.01;
const DROPS: [f64; 2] = [30.0, 60.0];
/// Augmentations are drawn under epochs that no run reaches: what is fine-tuned has not seen these views before.
const AFTER_TRAINING: u64 = 1 << 31;

#[derive(Debug, thiserror::Error)]
pub enum FinetuneError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{0}")]
    Damaged(String),
}

/// What fine-tuning reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    pub share: f64,
    /// Images whose labels were used.
    pub n_labels: usize,
    /// Percent of `data.test` that the classifier names rightly after the last epoch.
    pub top1: f64,
    /// Percent whose class is among the five that it holds most likely; none where there are no more than five.
    pub top5: Option<f64>,
}

/// Fine-tunes the network of a run, by its specification and the images that it was trained on, on `share` of the
/// labels of `data`, the same images or others. Batch size, momentum, weight decay and augmentation are the run's own. The same images for every run, in an order that
/// its seed decides.
///
/// # Errors
/// A tensor of the checkpoint that does not fit, a file that is no image.
pub fn finetune(
    (spec, trained_on, data): (&RunSpec, &Dataset, &Dataset),
    device: Device,
    arithmetic: Arithmetic,
    loaded: &Loaded,
    share: f64,
) -> Result<Tuned, FinetuneError> {
    let n_classes = data.classes.len() as i64;
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, device));
    let (params, model, (weight, bias)) =
        network(spec, trained_on.side, arithmetic, device, loaded, |model, params| {
            let weight = params.add("finetune.weight", zeros(&[n_classes, model.n_features()]));
            (weight, params.add("finetune.bias", zeros(&[n_classes])))
        })
        .map_err(FinetuneError::Damaged)?;
    let Dataset { mean, std, side, .. } = *trained_on;
    let augment = Augment::new(&spec.augment, mean, std, side, device);
    // (B, C) → (B, classes)
    let classify = |pooled: &Tensor| pooled.linear(params.get(weight), Some(params.get(bias)));

    let mut rows = labelled(&data.train, data.classes.len(), share);
    let n_labels = rows.len();
    let size = (spec.train.batch_size as usize).min(n_labels);
    let mut sgd = Sgd::new(spec.train.momentum, spec.train.weight_decay, &params);
    for epoch in 0..EPOCHS {
        sgd.set_rate(learning_rate(LR, &DROPS, EPOCHS, epoch));
        random::stream(spec.seed, Purpose::Evaluation, 4, u64::from(epoch)).shuffle(&mut rows);
        // A last batch that is not full would bring statistics of a few images.
        for batch in rows.chunks_exact(size) {
            let mut bytes = vec![0; size * 3 * side * side];
            data.train.read(batch, &mut bytes)?;
            let instances: Vec<i64> = batch.iter().map(|&row| row.into()).collect();
            let draws = augment.draw(spec.seed, AFTER_TRAINING + u64::from(epoch), 0, &instances);
            let images = augment.apply(&on_device(&bytes, side, device), &draws); // (B, 3, S, S)
            let logits = classify(&model.forward(&params, &images, Mode::Train).pooled);
            let of = |&row: &u32| i64::from(data.train.labels[row as usize]);
            let targets = upload(&batch.iter().map(of).collect::<Vec<_>>(), device); // (B)
            let gradient = params.gradient(&logits.cross_entropy_for_logits(&targets));
            sgd.step(&params, &gradient);
        }
    }

    let pooled = encode_split(&model, &params, &augment, &data.test, data.side)?.pooled;
    let scores = tch::no_grad(|| classify(&pooled)); // (Q, classes)
    let labels: Vec<i64> = data.test.labels.iter().map(|&label| label.into()).collect();
    let labels = upload(&labels, device); // (Q)
    let right = scores.argmax(1, false).eq_tensor(&labels).sum(Kind::Int64);
    let top1 = 100.0 * right.int64_value(&[]) as f64 / data.test.len() as f64;
    Ok(Tuned { share, n_labels, top1, top5: linear::top5(&scores, &labels) })
}

/// Rows of `share` of each class, at least one of it; unlabelled images belong to none.
fn labelled(split: &Split, n_classes: usize, share: f64) -> Vec<u32> {
    let mut by_class: Vec<Vec<u32>> = vec![Vec::new(); n_classes];
    for row in split.labelled() {
        by_class[usize::from(split.labels[row as usize])].push(row);
    }
    let mut rows = Vec::new();
    for (class, mut of_class) in (0..).zip(by_class) {
        random::stream(0, Purpose::Evaluation, 3, class).shuffle(&mut of_class);
        let n = (share * of_class.len() as f64).round().max(1.0) as usize;
        rows.extend(of_class.into_iter().take(n));
    }
    rows
}
