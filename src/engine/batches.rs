//! How an epoch's instances are cut into batches.

use std::ops::Range;

/// Batches of `size` that `n` instances, at least so many, are cut into. What is left over is a batch of its own, but for a
/// single instance, which joins the batch before it: one row has no variance, and by the unbiased estimate that the
/// running statistics take it has NaN.
#[derive(Clone, Copy)]
pub struct Batches {
    n: usize,
    size: usize,
}

impl Batches {
    pub fn new(n: usize, size: u32) -> Self {
        Self { n, size: size as usize }
    }

    /// How many there are, one at least.
    pub fn count(self) -> usize {
        let single = 1 < self.size && self.n % self.size == 1;
        (self.n.div_ceil(self.size) - usize::from(single)).max(1)
    }

    /// Where the batch at `position` lies among the instances.
    pub fn range(self, position: usize) -> Range<usize> {
        let end = if position + 1 == self.count() { self.n } else { (position + 1) * self.size };
        position * self.size..end
    }

    /// Where each of them lies.
    pub fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count()).map(move |position| self.range(position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instance_is_in_one_batch_and_none_is_alone() {
        for (n, size, lengths) in [
            (100, 32, vec![32, 32, 32, 4]),
            (96, 32, vec![32, 32, 32]),
            (97, 32, vec![32, 32, 33]),
            (98, 32, vec![32, 32, 32, 2]),
            (32, 32, vec![32]),
            (33, 32, vec![33]),
            (5, 2, vec![2, 3]),
            (2, 2, vec![2]),
        ] {
            let ranges: Vec<_> = Batches::new(n, size).ranges().collect();
            assert_eq!(ranges.iter().map(|range| range.len()).collect::<Vec<_>>(), lengths);
            let joined: Vec<usize> = ranges.into_iter().flatten().collect();
            assert_eq!(joined, (0..n).collect::<Vec<_>>(), "{n} by {size}");
        }
    }
}
