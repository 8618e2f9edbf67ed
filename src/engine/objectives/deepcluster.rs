//! DeepCluster (Caron et al. 2018): k-means over the features of all images, then a classifier of the clusters.
//!
//! At the start of an epoch (every `reassign_every`) all images are embedded as they are, the embeddings whitened
//! and grouped, and the classifier forgets what it knew, because the clusters' numbers mean something else now. An
//! image weighs in the loss by the inverse of its cluster's size, which the paper (section 3.3) holds equal to drawing
//! images uniformly over clusters. The optimiser's velocity of the forgotten weights is kept, and fades within steps;
//! the released code drops it.
//!
//! Features are the embeddings, of which k-NN and all else here are computed too; the paper clusters what its last
//! layer but one gives.

use tch::{Device, Kind, Tensor};

use super::classifier::Classifier;
use super::{Batch, EpochStart, Objective, State, StateError};
use crate::data::DataError;
use crate::engine::cluster::{kmeans, nmi, whiten};
use crate::engine::params::Params;
use crate::journal::event::MetricInfo;
use crate::journal::metric;
use crate::random::{self, Purpose};

/// Rounds of k-means, as the released code has them.
const ITERATIONS: u32 = 20;

/// What is asked of the clustering.
#[derive(Clone, Copy)]
pub struct Plan {
    pub tau: f64,
    pub clusters: usize,
    /// Epochs.
    pub reassign_every: u32,
}

pub struct Deepcluster {
    plan: Plan,
    classifier: Classifier,
    /// Cluster of each instance, (n,) i64.
    assignment: Tensor,
    /// Weight of a cluster in the loss, (k,) fp32: mean 1 over the instances, 0 for an empty one.
    weights: Tensor,
    /// NMI of the last two assignments; NaN before there are two.
    agreement: f64,
    n_refilled: f64,
    is_assigned: bool,
}

impl Deepcluster {
    /// At most as many clusters as there are instances.
    pub fn new(
        plan: Plan,
        n: usize,
        dim: usize,
        seed: u64,
        device: Device,
        params: &mut Params,
    ) -> Deepcluster {
        let plan = Plan { clusters: plan.clusters.min(n), ..plan };
        Deepcluster {
            classifier: Classifier::new(plan.tau, plan.clusters, dim, seed, params),
            assignment: Tensor::zeros([n as i64], (Kind::Int64, device)),
            weights: Tensor::ones([plan.clusters as i64], (Kind::Float, device)),
            agreement: f64::NAN,
            n_refilled: f64::NAN,
            is_assigned: false,
            plan,
        }
    }

    fn assign(&mut self, assignment: Tensor) {
        let k = self.plan.clusters as i64;
        let sizes = assignment.bincount::<&Tensor>(None, k).to_kind(Kind::Float); // (k)
        let n_full = sizes.gt(0.0).sum(Kind::Float);
        let share = assignment.size()[0] as f64 / n_full;
        // In place, where a recorded step reads them.
        self.weights.copy_(&((share / sizes.clamp_min(1.0)) * sizes.gt(0.0).to_kind(Kind::Float)));
        self.assignment.copy_(&assignment);
        self.is_assigned = true;
    }
}

/// `k` different rows, in the stream's order.
fn first_centroids(rows: &Tensor, k: usize, stream: &mut random::Stream) -> Tensor {
    let mut order: Vec<i64> = (0..rows.size()[0]).collect();
    stream.shuffle(&mut order);
    rows.index_select(0, &Tensor::from_slice(&order[..k]).to_device(rows.device()))
}

impl Objective for Deepcluster {
    fn begin_epoch(&mut self, start: &EpochStart) -> Result<(), DataError> {
        if self.is_assigned && !start.epoch.is_multiple_of(self.plan.reassign_every) {
            return Ok(());
        }
        let rows = whiten(&(start.embed)()?);
        let mut stream = random::stream(start.seed, Purpose::Clusters, u64::from(start.epoch), 0);
        let centroids = first_centroids(&rows, self.plan.clusters, &mut stream);
        let found = kmeans(&rows, &centroids, ITERATIONS, &mut stream);
        self.n_refilled = found.n_refilled as f64;
        if self.is_assigned {
            let of = |xs: &Tensor| Vec::try_from(xs.to_device(Device::Cpu)).unwrap_or_default();
            self.agreement = nmi(&of(&self.assignment), &of(&found.assignment));
        }
        self.assign(found.assignment);
        if 0 < start.epoch {
            self.classifier.reset(start.params, start.seed, u64::from(start.epoch));
        }
        Ok(())
    }

    fn is_steady(&self) -> bool {
        self.is_assigned
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        let targets = self.assignment.index_select(0, batch.index); // (B)
        self.classifier.weighted_loss(batch.feats(), &targets, batch.params, &self.weights)
    }

    /// ln k.
    fn chance(&self, _n: usize, _b: usize) -> Option<f64> {
        Some(self.classifier.chance())
    }

    fn metrics(&self) -> Vec<(MetricInfo, f64)> {
        vec![
            (metric::info("clusters/agreement"), self.agreement),
            (metric::info("clusters/refilled"), self.n_refilled),
        ]
    }

    fn state(&self) -> State {
        let mut state = State::default();
        if self.is_assigned {
            state.tensors.push(("assignment".to_owned(), self.assignment.copy()));
        }
        for (name, value) in
            [("clusters.agreement", self.agreement), ("clusters.refilled", self.n_refilled)]
        {
            if value.is_finite() {
                state.scalars.insert(name.to_owned(), value);
            }
        }
        state
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        if state.tensors.is_empty() {
            return Ok(());
        }
        let assignment = state.tensor("assignment", &self.assignment.size())?.shallow_clone();
        self.assign(assignment);
        self.agreement = state.scalar("clusters.agreement").unwrap_or(f64::NAN);
        self.n_refilled = state.scalar("clusters.refilled").unwrap_or(f64::NAN);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_weighs_the_same_and_an_empty_one_nothing() {
        let plan = Plan { tau: 0.1, clusters: 4, reassign_every: 1 };
        let mut params = Params::new(Device::Cpu);
        let mut objective = Deepcluster::new(plan, 6, 3, 0, Device::Cpu, &mut params);
        objective.assign(Tensor::from_slice(&[0i64, 0, 0, 2, 2, 3]));
        let weights: Vec<f32> = Vec::try_from(&objective.weights).unwrap();
        // 6 instances over 3 full clusters: 2 an instance's share, by sizes 3, 2, 1.
        let expected = [2.0 / 3.0, 0.0, 1.0, 2.0];
        assert!(weights.iter().zip(expected).all(|(w, e): (&f32, f32)| (w - e).abs() < 1e-6));
    }
}
