//! Exemplar CNN (Dosovitskiy et al. 2014): every image with a fixed set of K transformations of it is a class of its own.
//!
//! An epoch shows each image once, by transformation number (epoch mod K), so that K epochs show the whole surrogate
//! set of n·K images. With as many transformations as epochs this is the parametric softmax; with fewer, the net can
//! learn the transformed images by heart. The surrogate classes are all n instances, where the original took some
//! thousand patches.

use tch::Tensor;

use super::classifier::Classifier;
use super::{Batch, Objective};
use crate::engine::params::Params;

pub struct Exemplar {
    transforms: u32,
    classifier: Classifier,
}

impl Exemplar {
    pub fn new(
        tau: f64,
        transforms: u32,
        n: usize,
        dim: usize,
        seed: u64,
        params: &mut Params,
    ) -> Exemplar {
        Exemplar { transforms, classifier: Classifier::new(tau, n, dim, seed, params) }
    }
}

impl Objective for Exemplar {
    fn transform(&self, epoch: u32) -> u64 {
        u64::from(epoch % self.transforms)
    }

    fn is_steady(&self) -> bool {
        true
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        self.classifier.loss(batch.feats(), batch.index, batch.params)
    }

    /// ln n.
    fn chance(&self, _n: usize, _b: usize) -> Option<f64> {
        Some(self.classifier.chance())
    }
}
