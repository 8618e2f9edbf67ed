//! A softmax over learned weight vectors: the classifier that several objectives put on the embedding.
//!
//! P(c|f) = exp(w_c·f/τ) / Σ_j exp(w_j·f/τ), with one row w_c a class and no bias. The rows start as random unit
//! vectors, so that the first loss is that of a random bank; nothing keeps them on the sphere afterwards. They live
//! with the other parameters: the optimiser moves, decays and saves them.

use tch::{Reduction, Tensor};

use crate::engine::bank::unit_rows;
use crate::engine::params::{ParamId, Params};
use crate::random::{self, Purpose};

/// The name under which W (C, D) is declared.
pub const WEIGHT: &str = "objective.weight";

/// No layer of a network has this number, so W shares no random numbers with one.
const STREAM: u64 = u64::MAX;

pub struct Classifier {
    tau: f64,
    n_classes: usize,
    weight: ParamId,
}

impl Classifier {
    pub fn new(tau: f64, n_classes: usize, dim: usize, seed: u64, params: &mut Params) -> Self {
        let weight = params.add(WEIGHT, fresh(n_classes, dim, seed, 0));
        Self { tau, n_classes, weight }
    }

    /// Forgets what was learned: the rows that start number `start` would have given. Start 0 is the first.
    pub fn reset(&self, params: &Params, seed: u64, start: u64) {
        let mut weight = params.get(self.weight).detach();
        let dim = weight.size()[1] as usize;
        weight.copy_(&fresh(self.n_classes, dim, seed, start));
    }

    /// Mean over B of −ln P(target | feats), differentiable in `feats` (B, D) and W; `targets` (B,) i64.
    pub fn loss(&self, feats: &Tensor, targets: &Tensor, params: &Params) -> Tensor {
        softmax(feats, targets, params.get(self.weight), self.tau, None)
    }

    /// The same with a weight a class, (C): Σ_b c_b · loss_b / Σ_b c_b.
    pub fn weighted_loss(
        &self,
        feats: &Tensor,
        targets: &Tensor,
        params: &Params,
        classes: &Tensor,
    ) -> Tensor {
        softmax(feats, targets, params.get(self.weight), self.tau, Some(classes))
    }

    /// ln C.
    pub fn chance(&self) -> f64 {
        (self.n_classes as f64).ln()
    }
}

/// Random unit rows (C, D), on the CPU.
fn fresh(n_classes: usize, dim: usize, seed: u64, start: u64) -> Tensor {
    unit_rows(n_classes, dim, |row| random::stream(seed, Purpose::Weights, STREAM - start, row))
}

/// Weighted mean over B of −ln P(target | feats), for `feats` (B, D), `targets` (B,) and rows `weight` (C, D).
pub fn softmax(
    feats: &Tensor,
    targets: &Tensor,
    weight: &Tensor,
    tau: f64,
    classes: Option<&Tensor>,
) -> Tensor {
    let logits = feats.matmul(&weight.tr()) / tau; // (B, C)
    logits.cross_entropy_loss(targets, classes, Reduction::Mean, -100, 0.0)
}
