//! Class labels in place of instances: the ceiling of a table. The same classifier on the same embedding, so that the
//! distance to it is that of the labels.

use tch::{Device, Tensor};

use super::classifier::Classifier;
use super::{Batch, Instances, Objective};
use crate::engine::params::Params;

pub struct Supervised {
    /// (n,) i64
    labels: Tensor,
    classifier: Classifier,
}

impl Supervised {
    pub fn new(
        tau: f64,
        instances: Instances,
        dim: usize,
        seed: u64,
        device: Device,
        params: &mut Params,
    ) -> Supervised {
        let labels: Vec<i64> = instances.labels.iter().map(|&label| label.into()).collect();
        Supervised {
            labels: Tensor::from_slice(&labels).to_device(device),
            classifier: Classifier::new(tau, instances.n_classes, dim, seed, params),
        }
    }
}

impl Objective for Supervised {
    fn is_steady(&self) -> bool {
        true
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        let targets = self.labels.index_select(0, batch.index); // (B)
        self.classifier.loss(batch.feats(), &targets, batch.params)
    }

    /// ln C.
    fn chance(&self, _n: usize, _b: usize) -> Option<f64> {
        Some(self.classifier.chance())
    }
}
