//! What is done with the data before the first step: the head centred, the bank encoded.

use tch::Tensor;

use super::images::ViewKey;
use super::{TrainError, Trainer, order};
use crate::config::spec::{BankInit, HeadInit};
use crate::engine::bank::MemoryBank;
use crate::engine::batches::Batches;
use crate::engine::models::Mode;
use crate::engine::objectives::View;

/// Images of the first look at the data that centres the head.
const FIRST_LOOK: usize = 1024;
/// Augmentations of the first look are drawn under an epoch that no run reaches.
const BEFORE_TRAINING: u64 = u32::MAX as u64;

impl Trainer<'_> {
    /// Before the first step: the head centred and the bank encoded, where the spec asks for it.
    pub(super) fn first_look(&mut self) -> Result<(), TrainError> {
        let (spec, n) = (self.job.spec, self.job.data.train.len());
        let some = order(spec.seed, u32::MAX, n);
        if spec.model.head_init == HeadInit::Centred {
            let pooled = self.look(&some[..n.min(FIRST_LOOK)])?.0; // (N, C)
            self.model.centre_head(&self.params, &pooled);
        }
        if spec.objective.bank_init == BankInit::Encoded {
            let all: Vec<i64> = (0..n as i64).collect();
            self.bank = MemoryBank::from_unit(self.look(&all)?.1);
        }
        Ok(())
    }

    /// Pooled features and embeddings of augmented instances, by the batches' own statistics, as a step sees them.
    fn look(&self, instances: &[i64]) -> Result<(Tensor, Tensor), TrainError> {
        let (view, transform) = (View::Augmented, BEFORE_TRAINING);
        let key = ViewKey { step: u64::MAX >> 4, number: 0, view, transform };
        let (mut pooled, mut embeddings) = (Vec::new(), Vec::new());
        let batches = Batches::new(instances.len(), self.job.spec.train.batch_size);
        for instances in batches.ranges().map(|range| &instances[range]) {
            let views = self.images.view(&self.augment, self.job.spec.seed, key, instances)?;
            let forward = || self.model.forward(&self.params, &views, Mode::Train);
            let encoded = tch::no_grad(forward);
            pooled.push(encoded.pooled);
            embeddings.push(encoded.embedding);
        }
        Ok((Tensor::cat(&pooled, 0), Tensor::cat(&embeddings, 0)))
    }
}
