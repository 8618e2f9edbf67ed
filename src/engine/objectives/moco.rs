//! MoCo (He et al. 2020): InfoNCE against a queue of keys that a slowly moving copy of the encoder made.
//!
//! ```text
//! θ_k ← μ θ_k + (1 − μ) θ_q                                            Eq. 2, before the keys are made
//! J   = −ln [ exp(q·k₊/τ) / (exp(q·k₊/τ) + Σ_{k in queue} exp(q·k/τ)) ] Eq. 1
//! ```
//!
//! then the batch's keys take the place of the oldest in the queue. The key encoder has batch statistics of its own and
//! sees its whole batch at once: there is no shuffling over devices, which the original needs not to cheat (without
//! it the authors' CIFAR notebook loses 4 points at 800 epochs).

use tch::{Device, Kind, Reduction, Tensor};

use super::{Batch, Objective, State, StateError, View};
use crate::engine::bank::unit_rows;
use crate::engine::device::upload;
use crate::engine::params::Params;
use crate::random::{self, Purpose};

pub struct Moco {
    tau: f64,
    /// μ
    momentum: f64,
    /// (m, D) unit rows.
    queue: Tensor,
    /// Row of the oldest key.
    oldest: i64,
    /// A copy of the trained encoder since the first step.
    encoder: Option<Params>,
    /// The key encoder of a checkpoint, until the first step after it.
    saved: Option<State>,
}

impl Moco {
    /// A queue of `m` random unit rows.
    pub fn new(tau: f64, m: u32, momentum: f64, dim: usize, seed: u64, device: Device) -> Moco {
        // Rows numbered from the far end, so that the queue shares none with a memory bank.
        let draw = |row| random::stream(seed, Purpose::Bank, u64::MAX - row, 0);
        let queue = unit_rows(m as usize, dim, draw).to_device(device);
        Moco { tau, momentum, queue, oldest: 0, encoder: None, saved: None }
    }

    /// The key encoder after its step towards `params`.
    fn follow(&mut self, params: &Params) -> &Params {
        let saved = self.saved.take();
        let keys = self.encoder.get_or_insert_with(|| match saved {
            Some(state) => awake(params, &state),
            None => params.shadow(),
        });
        tch::no_grad(|| {
            let moved = keys.flat() * self.momentum + params.flat() * (1.0 - self.momentum);
            keys.load(&moved);
        });
        keys
    }

    fn enqueue(&mut self, keys: &Tensor) {
        let (m, b) = (self.queue.size()[0], keys.size()[0]);
        // A batch longer than the queue leaves only its last keys.
        let keys = keys.narrow(0, (b - m).max(0), b.min(m));
        let rows: Vec<i64> = (0..b.min(m)).map(|i| (self.oldest + i) % m).collect();
        let _ = self.queue.index_copy_(0, &upload(&rows, keys.device()), &keys);
        self.oldest = (self.oldest + b.min(m)) % m;
    }
}

/// A key encoder from a checkpoint.
fn awake(params: &Params, state: &State) -> Params {
    let mut keys = params.shadow();
    for (name, tensor) in &state.tensors {
        if name == "key" {
            keys.load(tensor);
        } else if let Some((_, buffer)) =
            keys.buffers().iter().find(|(own, _)| name.strip_prefix("key.") == Some(own))
        {
            buffer.shallow_clone().copy_(tensor);
        }
    }
    keys
}

impl Objective for Moco {
    fn views(&self) -> &'static [View] {
        &[View::Augmented, View::Key]
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        let encoder = self.follow(batch.params);
        let keys = (batch.keys)(encoder); // (B, D)
        let loss = contrast(batch.feats(), &keys, &self.queue, self.tau);
        tch::no_grad(|| self.enqueue(&keys));
        loss
    }

    /// ln(m + 1).
    fn chance(&self, _n: usize, _b: usize) -> Option<f64> {
        Some((self.queue.size()[0] as f64).ln_1p())
    }

    fn state(&self) -> State {
        let mut state = State::default();
        state.tensors.push(("queue".to_owned(), self.queue.copy()));
        state.scalars.insert("queue.oldest".to_owned(), self.oldest as f64);
        if let Some(keys) = &self.encoder {
            state.tensors.push(("key".to_owned(), keys.flat().copy()));
            let buffers = keys.buffers().iter();
            state.tensors.extend(buffers.map(|(n, t)| (format!("key.{n}"), t.copy())));
        } else if let Some(saved) = &self.saved {
            let keys = saved.tensors.iter().filter(|(name, _)| name.starts_with("key"));
            state.tensors.extend(keys.map(|(n, t)| (n.clone(), t.shallow_clone())));
        }
        state
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.queue.copy_(state.tensor("queue", &self.queue.size())?);
        self.oldest = state.scalar("queue.oldest")? as i64;
        let tensors = state.tensors.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect();
        let born = state.tensors.iter().any(|(name, _)| name == "key");
        self.encoder = None;
        self.saved = born.then(|| State { tensors, ..State::default() });
        Ok(())
    }
}

/// J for queries (B, D), their keys (B, D) and constant rows `queue` (m, D).
pub fn contrast(queries: &Tensor, keys: &Tensor, queue: &Tensor, tau: f64) -> Tensor {
    let positive =
        (queries * keys.detach()).sum_dim_intlist([1i64].as_slice(), true, queries.kind()); // (B, 1)
    // The queue is written to after the loss and before its gradient, so autograd may not hold on to it.
    let negative = queries.matmul(&queue.copy().tr()); // (B, m)
    let logits = Tensor::cat(&[positive, negative], 1) / tau; // (B, 1 + m)
    let first = Tensor::zeros([queries.size()[0]], (Kind::Int64, queries.device()));
    logits.cross_entropy_loss(&first, None::<&Tensor>, Reduction::Mean, -100, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moco(m: u32) -> Moco {
        Moco::new(0.1, m, 0.9, 4, 0, Device::Cpu)
    }

    fn rows(from: i64, n: i64) -> Tensor {
        (Tensor::arange(n, (Kind::Float, Device::Cpu)) + from).unsqueeze(1).repeat([1, 4])
    }

    #[test]
    fn the_queue_forgets_its_oldest_keys_first() {
        let mut moco = moco(5);
        for from in [10, 13, 16] {
            moco.enqueue(&rows(from, 3));
        }
        let column: Vec<f32> = Vec::try_from(moco.queue.select(1, 0)).unwrap();
        assert_eq!((column, moco.oldest), (vec![15.0, 16.0, 17.0, 18.0, 14.0], 4));
        moco.enqueue(&rows(20, 7));
        let mut column: Vec<f32> = Vec::try_from(moco.queue.select(1, 0)).unwrap();
        column.sort_by(f32::total_cmp);
        assert_eq!(column, [22.0, 23.0, 24.0, 25.0, 26.0]);
    }

    #[test]
    fn the_key_encoder_follows_slowly_and_survives_a_checkpoint() {
        let mut params = Params::new(Device::Cpu);
        params.add("w", Tensor::from_slice(&[1.0f32, 2.0]));
        params.add_buffer("mean", Tensor::from_slice(&[7.0f32]));
        params.freeze();
        let mut first = moco(5);
        first.follow(&params);
        params.load(&Tensor::from_slice(&[11.0f32, 2.0]));
        params.buffers()[0].1.shallow_clone().copy_(&Tensor::from_slice(&[9.0f32]));
        let mut second = moco(5);
        second.restore(&first.state()).unwrap();
        for moco in [&mut first, &mut second] {
            let keys = moco.follow(&params);
            assert_eq!(keys.flat(), &Tensor::from_slice(&[2.0f32, 2.0]));
            assert_eq!(keys.buffers()[0].1, Tensor::from_slice(&[7.0f32]));
        }
    }
}
