//! The instance term of the loss, one objective a file.
//!
//! An objective sees embeddings, the memory bank and the instances they belong to; it never sees images, labels, the
//! network or the optimiser, and it never writes to the bank. Similarities, exponentials and sums are fp32 whatever
//! the convolutions use. A new objective is one file and one line in [`build`].

pub mod nce;
pub mod nonparametric;
pub mod parametric;
pub mod proximal;

mod graded;
mod negatives;
mod normaliser;
mod sampled;

#[cfg(test)]
mod anchors;
#[cfg(test)]
mod parity;

use std::collections::BTreeMap;

use tch::{Device, Tensor};

use crate::config::spec::{ObjectiveKind, ObjectiveSpec};
use crate::engine::bank::MemoryBank;
use crate::engine::params::Params;
use crate::journal::event::MetricInfo;

pub use proximal::proximal;

/// What one training step shows an objective.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Embeddings, (B, D) fp32 unit rows, attached to the graph.
    pub feats: &'a Tensor,
    /// Which instance each row is, (B,) i64 in 0..n, none twice, on the device of `feats`.
    pub index: &'a Tensor,
    /// The bank as it stands before this step's update.
    pub bank: &'a MemoryBank,
    pub params: &'a Params,
    /// Global step, from 0; with `seed` the key of this step's random numbers.
    pub step: u64,
    pub seed: u64,
}

/// How instances are told apart.
pub trait Objective {
    /// The instance loss: a scalar, mean over B, fp32, differentiable in `batch.feats` and in the objective's own
    /// parameters. Called once a training step, in order, because it may advance the objective's state; reads
    /// nothing back from the device.
    fn loss(&mut self, batch: &Batch) -> Tensor;

    /// The loss when every instance looks equally probable, among `n`: where a collapsed run sits.
    fn chance(&self, n: usize) -> Option<f64>;

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
}

impl State {
    fn scalar(&self, name: &'static str) -> Result<f64, StateError> {
        self.scalars.get(name).copied().ok_or(StateError::Missing { name })
    }
}

/// The objective that `spec` asks for, over `n` instances with embeddings of `dim` numbers. Its own weights, if it
/// has any, are declared in `params`.
pub fn build(
    spec: &ObjectiveSpec,
    n: usize,
    dim: usize,
    seed: u64,
    device: Device,
    params: &mut Params,
) -> Box<dyn Objective> {
    match spec.kind {
        ObjectiveKind::Nce { m, tau, z, z_batches, own_slot } => {
            Box::new(nce::Nce::new(m, tau, z, z_batches, own_slot, n, device))
        }
        ObjectiveKind::Nonparametric { tau } => Box::new(nonparametric::Nonparametric { tau }),
        ObjectiveKind::Parametric { tau } => {
            Box::new(parametric::Parametric::new(tau, n, dim, seed, device, params))
        }
    }
}
