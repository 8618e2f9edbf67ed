//! The instance term of the loss, one objective a file.
//!
//! An objective says which views of the images it wants and sees their embeddings, the memory bank and the instances
//! they belong to. It never sees the optimiser or, but as an opaque encoder of key views, the network; it never writes
//! to the bank, and class labels reach only the one that is called supervised. Similarities, exponentials and sums are
//! fp32 whatever the convolutions use. A new objective is one file, one variant of the specification and one line in
//! [`build`].

pub mod deepcluster;
pub mod infonce;
pub mod invaspread;
pub mod moco;
pub mod nce;
pub mod nonparametric;
pub mod onepass;
pub mod parametric;
pub mod proximal;
pub mod sampled;
pub mod simclr;
pub mod triplet;

mod classifier;
mod exemplar;
mod graded;
mod in_batch;
mod negatives;
mod normaliser;
mod supervised;
mod untrained;

#[cfg(test)]
mod anchors;
#[cfg(test)]
mod pair_parity;
#[cfg(test)]
mod parity;

use std::collections::BTreeMap;

use tch::{Device, Tensor};

use crate::config::spec::{ObjectiveKind, ObjectiveSpec, ViewPair};
use crate::data::DataError;
use crate::engine::bank::MemoryBank;
use crate::engine::params::Params;
use crate::journal::event::MetricInfo;

pub use proximal::proximal;

/// What is made of an image before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The image as it is.
    Original,
    /// A random augmentation of it.
    Augmented,
    /// A random augmentation that the objective encodes by itself, without a gradient: [`Batch::keys`].
    Key,
}

/// What one training step shows an objective.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Embeddings of each view but keys, in the order of [`Objective::views`]: (B, D) fp32 unit rows, attached to the
    /// graph.
    pub views: &'a [Tensor],
    /// Embeds the key view with other parameters than those that are trained: (B, D), a constant.
    pub keys: &'a dyn Fn(&Params) -> Tensor,
    /// Which instance each row is, (B,) i64 in 0..n, none twice, on the device of the views.
    pub index: &'a Tensor,
    /// The bank as it stands before this step's update.
    pub bank: &'a MemoryBank,
    pub params: &'a Params,
    /// What [`Objective::noise`] gave for this step.
    pub noise: Option<&'a Tensor>,
    /// Global step, from 0; with `seed` the key of this step's random numbers.
    pub step: u64,
    pub seed: u64,
}

impl Batch<'_> {
    /// Embeddings of the first view, (B, D).
    pub fn feats(&self) -> &Tensor {
        &self.views[0]
    }
}

/// What an objective sees at the start of an epoch.
#[derive(Clone, Copy)]
pub struct EpochStart<'a> {
    /// From 0.
    pub epoch: u32,
    pub seed: u64,
    pub params: &'a Params,
    /// Embeds every training image as it is, by the running statistics: (n, D) fp32 unit rows, constant. A pass over
    /// the data, which fails where a file is no image.
    pub embed: &'a dyn Fn() -> Result<Tensor, DataError>,
}

/// How instances are told apart.
pub trait Objective {
    /// The views of a step; the first is what the memory bank remembers and the proximal term holds on to. They do
    /// not change over a run.
    fn views(&self) -> &'static [View] {
        &[View::Augmented]
    }

    /// The number under which the augmentations of `epoch` are drawn: equal numbers give equal views.
    fn transform(&self, epoch: u32) -> u64 {
        u64::from(epoch)
    }

    /// Whether there is anything to learn; the untrained net is only evaluated.
    fn learns(&self) -> bool {
        true
    }

    /// Called before the first step of an epoch, and not again where a resumed run goes on within one.
    ///
    /// # Errors
    /// That of [`EpochStart::embed`].
    fn begin_epoch(&mut self, _start: &EpochStart) -> Result<(), DataError> {
        Ok(())
    }

    /// Random numbers that the loss of `step` for these instances reads on its device, apart from it because a recorded
    /// step draws nothing: a function of (seed, step, instances). None where none are wanted.
    fn noise(&self, _instances: &[i64], _step: u64, _seed: u64) -> Option<Tensor> {
        None
    }

    /// Whether every [`Objective::loss`] from now on is the same sequence of device operations, on the same memory but for
    /// the features, with no state on the host that moves: then a step can be recorded once and launched again.
    fn is_steady(&self) -> bool {
        false
    }

    /// The instance loss: a scalar, mean over B, fp32, differentiable in `batch.views` and in the objective's own
    /// parameters. Called once a training step, in order, because it may advance the objective's state; reads
    /// nothing back from the device.
    fn loss(&mut self, batch: &Batch) -> Tensor;

    /// The loss when every instance looks equally probable, among `n`, in batches of `b`: where a collapsed run sits.
    fn chance(&self, n: usize, b: usize) -> Option<f64>;

    /// What to log beside the loss, as of the last [`Objective::loss`] (NaN before the first). The names do not
    /// change over a run. A sync point.
    fn metrics(&self) -> Vec<(MetricInfo, f64)> {
        Vec::new()
    }

    /// Everything a resumed run needs that is neither a parameter nor a function of (seed, step). A sync point.
    fn state(&self) -> State {
        State::default()
    }

    /// Goes on from `state`.
    fn restore(&mut self, _state: &State) -> Result<(), StateError> {
        Ok(())
    }
}

/// An objective's part of a checkpoint.
#[derive(Debug, Default)]
pub struct State {
    pub tensors: Vec<(String, Tensor)>,
    /// Finite numbers only, so that JSON carries them.
    pub scalars: BTreeMap<String, f64>,
}

/// A checkpoint that does not fit the objective.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the checkpoint has no `{name}` for the objective")]
    Missing { name: &'static str },
    #[error("the checkpoint's `{name}` for the objective has shape {found:?}, not {expected:?}")]
    Shape { name: &'static str, found: Vec<i64>, expected: Vec<i64> },
}

impl State {
    fn scalar(&self, name: &'static str) -> Result<f64, StateError> {
        self.scalars.get(name).copied().ok_or(StateError::Missing { name })
    }

    fn tensor(&self, name: &'static str, shape: &[i64]) -> Result<&Tensor, StateError> {
        let found = self.tensors.iter().find(|(own, _)| own == name);
        let (_, tensor) = found.ok_or(StateError::Missing { name })?;
        if tensor.size() == shape {
            Ok(tensor)
        } else {
            let (found, expected) = (tensor.size(), shape.to_vec());
            Err(StateError::Shape { name, found, expected })
        }
    }
}

/// What an objective is told about the training set when it is built.
#[derive(Clone, Copy)]
pub struct Instances<'a> {
    /// How many there are, n.
    pub n: usize,
    /// Their classes, (n) in 0..n_classes.
    pub labels: &'a [u16],
    pub n_classes: usize,
}

/// The objective that `spec` asks for, over embeddings of `dim` numbers. Its own weights, if it has any, are declared
/// in `params`.
pub fn build(
    spec: &ObjectiveSpec,
    instances: Instances,
    dim: usize,
    seed: u64,
    device: Device,
    params: &mut Params,
) -> Box<dyn Objective> {
    let n = instances.n;
    match spec.kind {
        ObjectiveKind::Nce { m, tau, z, z_batches, own_slot } => {
            Box::new(nce::Nce::new(m, tau, z, z_batches, own_slot, (n, dim), device))
        }
        ObjectiveKind::Nonparametric { tau } => Box::new(nonparametric::Nonparametric { tau }),
        ObjectiveKind::Parametric { tau } => {
            Box::new(parametric::Parametric::new(tau, n, dim, seed, params))
        }
        ObjectiveKind::Infonce { m, tau, own_slot } => {
            Box::new(infonce::Infonce::new(m, tau, own_slot, (n, dim), device))
        }
        ObjectiveKind::Invaspread { tau, views, gradient, diagonal, negatives } => {
            Box::new(invaspread::Invaspread { tau, views, gradient, diagonal, negatives })
        }
        ObjectiveKind::Exemplar { tau, transforms } => {
            Box::new(exemplar::Exemplar::new(tau, transforms, n, dim, seed, params))
        }
        ObjectiveKind::Triplet { margin, views, negatives } => {
            Box::new(triplet::Triplet { margin, views, negatives })
        }
        ObjectiveKind::Deepcluster { tau, clusters, reassign_every } => {
            let plan = deepcluster::Plan { tau, clusters: clusters as usize, reassign_every };
            Box::new(deepcluster::Deepcluster::new(plan, n, dim, seed, device, params))
        }
        ObjectiveKind::Simclr { tau, views } => Box::new(simclr::Simclr { tau, views }),
        ObjectiveKind::Moco { tau, m, key_momentum } => {
            Box::new(moco::Moco::new(tau, m, key_momentum, dim, seed, device))
        }
        ObjectiveKind::Supervised { tau } => {
            Box::new(supervised::Supervised::new(tau, instances, dim, seed, device, params))
        }
        ObjectiveKind::Random {} => Box::new(untrained::Untrained),
    }
}

/// The views of an objective that compares two.
fn pair(views: ViewPair) -> &'static [View] {
    match views {
        ViewPair::OriginalAugmented => &[View::Original, View::Augmented],
        ViewPair::TwoAugmented => &[View::Augmented, View::Augmented],
    }
}
