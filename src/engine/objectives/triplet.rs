//! Triplets within the batch: an image's two views nearer to one another than to another image's, by a margin.
//!
//! ```text
//! J = mean over B and over the negatives that count of max(0, margin + f_i·g_j − f_i·g_i),   j ≠ i
//! ```
//!
//! with f and g the features of the first and the second view. On the sphere ‖a − b‖² = 2 − 2 a·b, so a margin here is
//! half of one on squared distances. `hardest` is the batch-hard loss of Hermans et al. 2017.

use tch::Tensor;

use super::in_batch::{Key, Share, choose, same_instance};
use super::{Batch, Objective, View, pair};
use crate::config::spec::{BatchNegatives, ViewPair};

pub struct Triplet {
    pub margin: f64,
    pub views: ViewPair,
    pub negatives: BatchNegatives,
}

impl Objective for Triplet {
    fn views(&self) -> &'static [View] {
        pair(self.views)
    }

    /// Random negatives are drawn on the host at every step.
    fn is_steady(&self) -> bool {
        self.negatives != BatchNegatives::Random
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        let key = Key { seed: batch.seed, step: batch.step };
        self.hinge(&batch.views[0], &batch.views[1], key)
    }

    /// The margin.
    fn chance(&self, _n: usize, b: usize) -> Option<f64> {
        (1 < b).then_some(self.margin)
    }
}

impl Triplet {
    /// J for the features of two views, (B, D) each; 0 where a batch of one leaves no negative.
    pub fn hinge(&self, anchors: &Tensor, others: &Tensor, key: Key) -> Tensor {
        let (b, kind) = (anchors.size()[0], anchors.kind());
        let sims = anchors.matmul(&others.tr()); // (B, B)
        let own = same_instance(b, b, anchors.device());
        let chosen = choose(self.negatives, Share::One, &sims, &own.logical_not(), b - 1, key); // (B, B)
        let positive = sims.diagonal(0, 0, 1).unsqueeze(1); // (B, 1)
        let hinge = (&sims - positive + self.margin).relu() * chosen.to_kind(kind); // (B, B)
        hinge.sum(kind) / chosen.sum(kind).clamp_min(1.0)
    }
}
