//! How long ago each row of the memory bank was written.
//!
//! Nothing has to be kept for that: an epoch writes every row once, in an order that is a function of (seed, epoch), so that
//! the step that wrote a row last follows from the number of steps done, also in a run that was stopped and resumed.

use super::batches::Batches;
use super::train::order;

/// Parts of about equal width that ages are divided into.
const BINS: u64 = 5;

/// Steps since each of `n` rows was written, (n), when `step` steps are done: 0 for those of the last one. A row that no
/// step has written yet is as old as the run.
pub fn ages(seed: u64, n: usize, batch_size: u32, step: u64) -> Vec<u64> {
    let batches = Batches::new(n, batch_size);
    let an_epoch = batches.count() as u64;
    let mut ages = vec![step; n];
    let mut write = |epoch: u64, n_batches: u64| {
        let order = order(seed, epoch as u32, n);
        for (position, range) in (0..n_batches).zip(batches.ranges()) {
            let age = step - (epoch * an_epoch + position + 1);
            order[range].iter().for_each(|&row| ages[row as usize] = age);
        }
    };
    // The last whole epoch wrote every row, what there is of the one after it some of them again.
    let (epoch, position) = (step / an_epoch, step % an_epoch);
    if 0 < epoch {
        write(epoch - 1, an_epoch);
    }
    if 0 < position {
        write(epoch, position);
    }
    ages
}

/// Rows of like age.
#[derive(Clone, Debug, PartialEq)]
pub struct Bin {
    /// Age in steps, the first and the last.
    pub steps: (u64, u64),
    pub n: u64,
    /// Of the rows' cosines.
    pub mean: f64,
}

/// Means of `cosines` (n) among rows of like age, by their `ages` (n), youngest first. Parts without a row are left out.
pub fn by_age(cosines: &[f32], ages: &[u64]) -> Vec<Bin> {
    let oldest = ages.iter().copied().max().unwrap_or(0);
    let width = (oldest + 1).div_ceil(BINS);
    let mut sums = [(0u64, 0f64); BINS as usize];
    for (cosine, age) in cosines.iter().zip(ages) {
        let (n, sum) = &mut sums[(age / width) as usize];
        *n += 1;
        *sum += f64::from(*cosine);
    }
    let bin = |(place, (n, sum)): (u64, (u64, f64))| Bin {
        steps: (place * width, ((place + 1) * width - 1).min(oldest)),
        n,
        mean: sum / n as f64,
    };
    (0..).zip(sums).filter(|(_, (n, _))| 0 < *n).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ages as they come about, one step after the other.
    fn replayed(seed: u64, n: usize, batch_size: u32, steps: u64) -> Vec<u64> {
        let batches = Batches::new(n, batch_size);
        let mut ages = vec![0; n];
        for step in 0..steps as usize {
            let order = order(seed, (step / batches.count()) as u32, n);
            ages.iter_mut().for_each(|age| *age += 1);
            for &row in &order[batches.range(step % batches.count())] {
                ages[row as usize] = 0;
            }
        }
        ages
    }

    #[test]
    fn ages_are_those_of_a_replay_at_every_step() {
        // A short last batch, none, and a single image that joins the batch before it.
        for (n, batch_size) in [(20, 6), (18, 6), (19, 6), (6, 6)] {
            for step in 0..13 {
                let found = ages(3, n, batch_size, step);
                assert_eq!(found, replayed(3, n, batch_size, step), "{n} by {batch_size}, {step}");
            }
        }
        assert_ne!(ages(3, 20, 6, 9), ages(4, 20, 6, 9), "seeds have orders of their own");
    }

    #[test]
    fn rows_of_like_age_are_averaged() {
        let bin = |steps, n, mean| Bin { steps, n, mean };
        let found = by_age(&[0.75, 0.5, 0.25, 0.125], &[0, 1, 2, 11]);
        assert_eq!(found, [bin((0, 2), 3, 0.5), bin((9, 11), 1, 0.125)]);
        assert_eq!(by_age(&[0.5, 0.75], &[0, 0]), [bin((0, 0), 2, 0.625)]);
        assert_eq!(by_age(&[], &[]), []);
    }
}
