//! Parametric softmax (InstDisc Eq. 1), the baseline: one learned weight vector an instance,
//! P(i|f) = exp(w_i·f/τ) / Σ_j exp(w_j·f/τ). Eq. 1 has no τ; here it has that of Eq. 2, and f of length one as there, so that
//! w_i in place of v_i is all that differs. As w is free, τ scales its learning rate by 1/τ².

use tch::Tensor;

use super::classifier::Classifier;
use super::{Batch, Objective};
use crate::engine::params::Params;

pub struct Parametric(Classifier);

impl Parametric {
    pub fn new(tau: f64, n: usize, dim: usize, seed: u64, params: &mut Params) -> Parametric {
        Parametric(Classifier::new(tau, n, dim, seed, params))
    }
}

impl Objective for Parametric {
    fn is_steady(&self) -> bool {
        true
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        self.0.loss(batch.feats(), batch.index, batch.params)
    }

    /// ln n.
    fn chance(&self, _n: usize, _b: usize) -> Option<f64> {
        Some(self.0.chance())
    }
}
