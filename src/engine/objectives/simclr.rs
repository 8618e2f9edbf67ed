//! SimCLR's NT-Xent (Chen et al. 2020, Eq. 1): among the 2B − 1 other views of a batch, find the one of the same image.
//!
//! ```text
//! ℓ(a, b) = −ln [ exp(z_a·z_b/τ) / Σ_{k≠a} exp(z_a·z_k/τ) ],   mean over all 2B rows
//! ```

use tch::{Kind, Reduction, Tensor};

use super::in_batch::same_instance;
use super::{Batch, Objective, View, pair};
use crate::config::spec::ViewPair;

pub struct Simclr {
    pub tau: f64,
    pub views: ViewPair,
}

impl Objective for Simclr {
    fn views(&self) -> &'static [View] {
        pair(self.views)
    }

    fn is_steady(&self) -> bool {
        true
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        nt_xent(&batch.views[0], &batch.views[1], self.tau)
    }

    /// ln(2B − 1).
    fn chance(&self, _n: usize, b: usize) -> Option<f64> {
        Some((2.0 * b as f64 - 1.0).ln())
    }
}

/// The loss of two views, (B, D) unit rows each.
pub fn nt_xent(first: &Tensor, second: &Tensor, tau: f64) -> Tensor {
    let (b, device) = (first.size()[0], first.device());
    let rows = Tensor::cat(&[first, second], 0); // (2B, D)
    let own = same_instance(2 * b, 2 * b, device);
    let logits = (rows.matmul(&rows.tr()) / tau).masked_fill(&own, f64::NEG_INFINITY); // (2B, 2B)
    let partner = (Tensor::arange(2 * b, (Kind::Int64, device)) + b).remainder(2 * b); // (2B)
    logits.cross_entropy_loss(&partner, None::<&Tensor>, Reduction::Mean, -100, 0.0)
}
