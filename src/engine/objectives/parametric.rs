//! Parametric softmax (InstDisc Eq. 1), the baseline: one learned weight vector an instance,
//! P(i|f) = exp(w_i·f/τ) / Σ_j exp(w_j·f/τ).
//!
//! The weights start as random unit rows, so that the first loss is that of a random bank; nothing keeps them on the
//! sphere afterwards. They live with the other parameters: the optimiser moves, decays and saves them.

use tch::{Device, Reduction, Tensor};

use super::{Batch, Objective};
use crate::engine::bank::unit_rows;
use crate::engine::params::{ParamId, Params};
use crate::random::{self, Purpose};

/// The name under which W (n, D) is declared.
pub const WEIGHT: &str = "objective.weight";

/// No layer of a network has this number, so W shares no random numbers with one.
const STREAM: u64 = u64::MAX;

pub struct Parametric {
    tau: f64,
    weight: ParamId,
}

impl Parametric {
    pub fn new(
        tau: f64,
        n: usize,
        dim: usize,
        seed: u64,
        device: Device,
        params: &mut Params,
    ) -> Parametric {
        let rows = unit_rows(n, dim, |row| random::stream(seed, Purpose::Weights, STREAM, row));
        Parametric { tau, weight: params.add(WEIGHT, rows.to_device(device)) }
    }
}

impl Objective for Parametric {
    fn loss(&mut self, batch: &Batch) -> Tensor {
        softmax(batch.feats, batch.index, batch.params.get(self.weight), self.tau)
    }

    /// ln n.
    fn chance(&self, n: usize) -> Option<f64> {
        Some((n as f64).ln())
    }
}

/// Mean over B of −ln P(index | feats), differentiable in `feats` (B, D) and `weight` (n, D).
pub fn softmax(feats: &Tensor, index: &Tensor, weight: &Tensor, tau: f64) -> Tensor {
    let logits = feats.matmul(&weight.tr()) / tau; // (B, n)
    logits.cross_entropy_loss(index, None::<&Tensor>, Reduction::Mean, -100, 0.0)
}
