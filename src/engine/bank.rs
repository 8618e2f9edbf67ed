//! The memory bank: one unit row an instance, the v of the papers. A constant to the loss: gradients never flow into
//! it, and it changes only through [`MemoryBank::update`], a visible line of the training loop.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::random::{self, Purpose, Stream};

/// Rows shorter than this have no direction left to normalise.
const NO_DIRECTION: f64 = 1e-6;

/// One row per training instance, (n, D) fp32, every row of length 1.
#[derive(Debug)]
pub struct MemoryBank {
    rows: Tensor,
}

impl MemoryBank {
    /// Random unit rows, uniform on the sphere (InstDisc §3.2). Not the released code's uniform ±1/√(D/3), whose
    /// rows have length 1 only on average.
    pub fn random(n: usize, dim: usize, seed: u64, device: Device) -> MemoryBank {
        let rows = unit_rows(n, dim, |row| random::stream(seed, Purpose::Bank, row, 0));
        MemoryBank::from_unit(rows.to_device(device))
    }

    /// Takes `rows` (n, D) as they are, bit for bit; they must be of unit length already (a checkpoint, an encoding
    /// pass).
    pub fn from_unit(rows: Tensor) -> MemoryBank {
        let bank = MemoryBank { rows: rows.detach().to_kind(Kind::Float).contiguous() };
        debug_assert!(bank.worst_length() < 1e-3, "a memory bank must have unit rows");
        bank
    }

    /// Number of instances n.
    pub fn len(&self) -> usize {
        self.rows.size()[0] as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Embedding dimension D.
    pub fn dim(&self) -> usize {
        self.rows.size()[1] as usize
    }

    /// The whole bank, (n, D).
    pub fn tensor(&self) -> &Tensor {
        &self.rows
    }

    /// A copy of the rows of `index` (B,), (B, D): what the proximal term calls v at t−1.
    pub fn rows(&self, index: &Tensor) -> Tensor {
        self.rows.index_select(0, index)
    }

    /// row ← normalise(momentum · row + (1 − momentum) · feat) for each instance of `index` (B,), with `feats`
    /// (B, D). Momentum 0 replaces the row (the paper); 0.5 is the released code. An instance may come only once.
    pub fn update(&mut self, index: &Tensor, feats: &Tensor, momentum: f64) {
        // On CUDA a look at the numbers would wait for them, and a step that is being recorded has none yet.
        let unread = index.device() != Device::Cpu;
        debug_assert!(unread || each_once(index), "an instance came twice in one update");
        tch::no_grad(|| {
            let feats = feats.detach().to_kind(Kind::Float); // (B, D)
            let mixed = if momentum == 0.0 {
                feats.shallow_clone()
            } else {
                self.rows(index) * momentum + &feats * (1.0 - momentum)
            };
            let length = lengths(&mixed); // (B, 1)
            // Exact opposites cancel at momentum 0.5; the feature then stands for the mean that has no direction.
            let new = (&mixed / &length).where_self(&length.gt(NO_DIRECTION), &feats);
            let _ = self.rows.index_copy_(0, index, &new);
        });
    }

    /// Largest deviation of a row's length from 1; 0 for an empty bank. Reads back from the device.
    pub fn worst_length(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        (lengths(&self.rows) - 1.0).abs().max().double_value(&[])
    }
}

/// `n` random directions, (n, dim) fp32 on the CPU: normal components, then L2. `stream` gives row i its own numbers,
/// so the rows do not depend on how many threads draw them.
pub(crate) fn unit_rows(n: usize, dim: usize, stream: impl Fn(u64) -> Stream + Sync) -> Tensor {
    let mut rows = vec![0f32; n * dim];
    rows.par_chunks_mut(dim.max(1)).enumerate().for_each(|(i, row)| {
        let mut stream = stream(i as u64);
        row.fill_with(|| stream.normal());
        let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        for x in row.iter_mut() {
            *x = (f64::from(*x) / length) as f32;
        }
    });
    Tensor::from_slice(&rows).view([n as i64, dim as i64])
}

/// Euclidean length of each row, (N, D) → (N, 1).
fn lengths(rows: &Tensor) -> Tensor {
    rows.norm_scalaropt_dim(2, [1], true)
}

/// Whether no value repeats. Reads back from the device.
fn each_once(index: &Tensor) -> bool {
    let (sorted, _) = index.sort(0, false);
    let n = sorted.size()[0];
    n < 2
        || sorted.narrow(0, 1, n - 1).ne_tensor(&sorted.narrow(0, 0, n - 1)).all().int64_value(&[])
            != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(of: &[i64]) -> Tensor {
        Tensor::from_slice(of)
    }

    #[test]
    fn random_rows_are_unit_uniform_and_a_function_of_the_seed() {
        let bank = MemoryBank::random(2000, 16, 5, Device::Cpu);
        assert!(bank.worst_length() < 1e-6);
        // The mean of 2000 directions in 16 dimensions is as long as 1/sqrt(2000) = 0.022 on average.
        let mean = bank.tensor().mean_dim([0i64].as_slice(), false, Kind::Float);
        assert!(mean.norm().double_value(&[]) < 0.05);
        assert_eq!(bank.tensor(), MemoryBank::random(2000, 16, 5, Device::Cpu).tensor());
        assert_ne!(bank.tensor(), MemoryBank::random(2000, 16, 6, Device::Cpu).tensor());
        // A row does not depend on how many others there are.
        let fewer = MemoryBank::random(10, 16, 5, Device::Cpu);
        assert_eq!(&bank.tensor().narrow(0, 0, 10), fewer.tensor());
    }

    #[test]
    fn rows_stay_unit_through_many_updates_even_of_features_that_are_not() {
        let mut bank = MemoryBank::random(20, 8, 0, Device::Cpu);
        for step in 0..200 {
            let feats = unit_rows(5, 8, |row| random::stream(step, Purpose::Bank, row, 9)) * 3.0;
            bank.update(&index(&[3, 1, 4, 15, 9]), &feats, [0.0, 0.5, 0.99][step as usize % 3]);
        }
        assert!(bank.worst_length() < 1e-6);
    }

    #[test]
    fn a_feature_opposite_to_its_row_replaces_it() {
        let mut bank = MemoryBank::random(2, 8, 0, Device::Cpu);
        let opposite = -bank.rows(&index(&[1]));
        bank.update(&index(&[1]), &opposite, 0.5);
        assert_eq!(bank.rows(&index(&[1])), opposite);
    }

    #[test]
    fn repeats_are_noticed() {
        assert!(each_once(&index(&[5, 2, 9])));
        assert!(each_once(&index(&[])));
        assert!(!each_once(&index(&[5, 2, 5])));
    }
}
