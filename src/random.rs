//! Every random number of a run, as a pure function of a key.
//!
//! libtorch's generator state can be neither saved nor restored through `tch`, so nothing here or in the engine draws
//! from it. The whole key of a ChaCha8 stream is (seed, purpose, a, b): there is no state to checkpoint, a resumed
//! run needs only to know where it is, and two purposes never share numbers. ChaCha is a published algorithm with
//! test vectors, so the numbers do not drift with a library release; the mappings to ranges are ours for that reason.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of numbers is for. The discriminants are part of every run's results: never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; a = parameter number.
    Weights = 1,
    /// Initial rows of the memory bank; a = row.
    Bank = 2,
    /// Order of samples; a = epoch.
    Order = 3,
    /// Augmentation of one sample; a = epoch, b = instance.
    Augment = 4,
    /// Negatives of one step; a = global step, b = row in the batch.
    Negatives = 5,
    /// Which samples a fraction of the data keeps; a = class.
    Subset = 6,
    /// One procedural image; a = split, b = index.
    Shapes = 7,
    /// First centroids of k-means, and what empties are refilled with; a = epoch.
    Clusters = 8,
    /// Which others of a batch are negatives; a = global step.
    BatchNegatives = 9,
    /// Which training rows an evaluation holds out to choose by, and in what order its solver visits rows.
    Evaluation = 10,
    /// Which training images a run is not to see; a = class.
    HeldOut = 11,
    /// Whether a sample's colours are jittered; a = epoch, b = instance.
    Jitter = 12,
}

/// A stream of random numbers that depends on nothing but its key.
pub struct Stream(ChaCha8Rng);

/// The stream for `purpose` under `seed`, at coordinates `a` and `b` (their meaning is the purpose's).
pub fn stream(seed: u64, purpose: Purpose, a: u64, b: u64) -> Stream {
    let mut key = [0u8; 32];
    for (slot, part) in key.chunks_exact_mut(8).zip([seed, purpose as u64, a, b]) {
        slot.copy_from_slice(&part.to_le_bytes());
    }
    Stream(ChaCha8Rng::from_seed(key))
}

impl Stream {
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in [0, 1), 24 bits.
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..n by multiply-and-shift; the bias is below n / 2³².
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.0.next_u32()) * u64::from(n)) >> 32) as u32
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f32 {
        let u = 1.0 - f64::from(self.unit());
        let v = f64::from(self.unit());
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }

    /// Fisher–Yates.
    pub fn shuffle<T>(&mut self, xs: &mut [T]) {
        for i in (1..xs.len()).rev() {
            let j = self.below(i as u32 + 1) as usize;
            xs.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_numbers() {
        let draw = |seed, purpose, a, b| stream(seed, purpose, a, b).u32();
        assert_eq!(draw(7, Purpose::Augment, 3, 9), draw(7, Purpose::Augment, 3, 9));
        let others = [
            draw(8, Purpose::Augment, 3, 9),
            draw(7, Purpose::Negatives, 3, 9),
            draw(7, Purpose::Augment, 4, 9),
            draw(7, Purpose::Augment, 3, 8),
        ];
        assert!(others.iter().all(|&x| x != draw(7, Purpose::Augment, 3, 9)));
    }

    #[test]
    fn an_all_zero_key_gives_the_published_chacha8_keystream() {
        // draft-strombergson-chacha-test-vectors-01, TC1, 8 rounds, 256-bit key: 3e00ef2f895f40d6...
        let mut stream = Stream(ChaCha8Rng::from_seed([0; 32]));
        assert_eq!(stream.u32().to_le_bytes(), [0x3e, 0x00, 0xef, 0x2f]);
        assert_eq!(stream.u32().to_le_bytes(), [0x89, 0x5f, 0x40, 0xd6]);
    }

    #[test]
    fn normals_have_mean_zero_and_unit_variance() {
        let mut stream = stream(1, Purpose::Weights, 0, 0);
        let xs: Vec<f64> = (0..100_000).map(|_| f64::from(stream.normal())).collect();
        let mean = xs.iter().sum::<f64>() / xs.len() as f64;
        let var = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / xs.len() as f64;
        assert!(mean.abs() < 0.02 && (var - 1.0).abs() < 0.02, "mean {mean}, variance {var}");
    }
}
