//! The rows that may belong to a query's k best, told by similarities that are only nearly right.
//!
//! If no approximate similarity is off by more than a margin, every one of the k best lies at most two margins below the
//! k-th best approximate one: at least k rows have an exact similarity of that less one margin, and whoever is among
//! the best has one as high. So that is what a shortlist keeps, and what has to be compared exactly.

use super::Neighbour;

/// Similarities that are compared at a time.
const LANES: usize = 16;

/// Rows whose similarities tell where the k-th best of all will lie.
const SAMPLE: usize = 1024;

/// What may be among the `k` best of the rows seen so far. Candidates are collected and thinned out when there are too
/// many, so that most rows cost a sixteenth of a vector comparison.
pub struct Shortlist {
    k: usize,
    /// Two margins.
    reach: f32,
    kept: Vec<Candidate>,
    /// Thinned out when this many are kept.
    full: usize,
    /// Similarities below it, and NaN, are passed over.
    threshold: f32,
    /// Set where `threshold` was guessed: the k-th best has to turn out to be at least this.
    guess: Option<f32>,
    /// While a guess is being prepared: what rank the k-th best of all should take in the sample.
    sampling: Option<usize>,
}

impl Shortlist {
    /// For approximate similarities that are off by at most `margin`.
    pub fn new(k: usize, margin: f32) -> Shortlist {
        Shortlist {
            k,
            reach: 2.0 * margin,
            kept: Vec::with_capacity(2 * k + LANES),
            full: 2 * k + LANES,
            threshold: f32::NEG_INFINITY,
            guess: None,
            sampling: None,
        }
    }

    /// The same for `n` rows that come in an order that has nothing to do with the query, so that the first of them
    /// are a sample, and a threshold read off the sample saves the many that would be kept before it is known. Four
    /// standard deviations below the expected place it is wrong once in 30,000 queries, which [`Shortlist::finish`]
    /// notices.
    pub fn guessing(k: usize, margin: f32, n: usize) -> Shortlist {
        let expected = k as f64 * SAMPLE as f64 / n as f64;
        let rank = (expected + 4.0 * expected.sqrt()).ceil() as usize + 4;
        let sampling = (rank < SAMPLE / 4 && 4 * SAMPLE < n).then_some(rank);
        let full = 2 * k + LANES + if sampling.is_some() { SAMPLE } else { 0 };
        Shortlist { sampling, full, kept: Vec::with_capacity(full), ..Shortlist::new(k, margin) }
    }

    /// Considers rows `first`, `first` + 1, … with approximate similarities `sims`.
    #[inline(always)]
    pub fn offer(&mut self, first: u32, sims: &[f32]) {
        for (start, lanes) in (first..).step_by(LANES).zip(sims.chunks(LANES)) {
            // One vector comparison dismisses nearly every group.
            let hit = lanes.iter().fold(false, |hit, &sim| hit | (self.threshold <= sim));
            if hit {
                self.consider(start, lanes);
            }
        }
    }

    /// The rows that are left, or nothing where a guess was wrong and everything has to be offered again.
    pub fn finish(mut self) -> Option<impl Iterator<Item = u32>> {
        if self.k < self.kept.len() {
            self.thin();
        } else if self.kept.len() < self.k && self.guess.is_some() {
            return None;
        }
        let kth = self.kept.iter().filter(|c| self.guess.is_none_or(|g| g <= c.similarity()));
        let wrong = self.guess.is_some() && kth.count() < self.k;
        (!wrong).then(|| self.kept.into_iter().map(|candidate| candidate.neighbour().row))
    }

    #[inline(never)]
    fn consider(&mut self, start: u32, lanes: &[f32]) {
        for (row, &sim) in (start..).zip(lanes) {
            if self.threshold <= sim {
                self.kept.push(Candidate::new(row, sim));
            }
        }
        if let Some(rank) = self.sampling
            && SAMPLE <= self.kept.len()
        {
            self.sampling = None;
            let (_, at, _) = self.kept.select_nth_unstable_by(rank - 1, |a, b| b.cmp(a));
            let guess = at.similarity();
            self.guess = Some(guess);
            self.cut(guess);
        }
        if self.full <= self.kept.len() + LANES {
            self.thin();
            // Many rows within reach of each other: thinning at every row would be quadratic.
            self.full = self.full.max(2 * self.kept.len() + LANES);
        }
    }

    /// Drops what is out of reach of the k-th best. At least k must be kept.
    fn thin(&mut self) {
        let (_, kth, _) = self.kept.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        let kth = kth.similarity();
        self.cut(kth);
    }

    fn cut(&mut self, floor: f32) {
        self.threshold = self.threshold.max(floor - self.reach);
        let threshold = self.threshold;
        self.kept.retain(|candidate| threshold <= candidate.similarity());
    }
}

/// A neighbour as one integer whose order is "better": the similarity's bits, mapped to ascend with its value, above
/// the complement of the row. Sorting these is several times as fast as comparing two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate(u64);

const SIGN: u32 = 1 << 31;

impl Candidate {
    #[inline(always)]
    pub fn new(row: u32, similarity: f32) -> Candidate {
        // Adding 0 turns −0 into 0: they are equally similar.
        let bits = (similarity + 0.0).to_bits();
        let ascending = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        Candidate(u64::from(ascending) << 32 | u64::from(!row))
    }

    #[inline(always)]
    fn similarity(self) -> f32 {
        let ascending = (self.0 >> 32) as u32;
        f32::from_bits(if ascending & SIGN == 0 { !ascending } else { ascending & !SIGN })
    }

    pub fn neighbour(self) -> Neighbour {
        Neighbour { row: !(self.0 as u32), similarity: self.similarity() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(mut list: Shortlist, sims: &[f32]) -> Option<Vec<u32>> {
        for (block, sims) in sims.chunks(96).enumerate() {
            list.offer(block as u32 * 96, sims);
        }
        let mut rows: Vec<u32> = list.finish()?.collect();
        rows.sort_unstable();
        Some(rows)
    }

    /// Numbers in 0..1 in no order.
    fn scattered(n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 2_654_435_761) >> 5 & 0xfffff) as f32 / 1_048_576.0).collect()
    }

    /// The rows within `reach` of the k-th best.
    fn expected(sims: &[f32], k: usize, reach: f32) -> Vec<u32> {
        let mut sorted = sims.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let least = sorted[k - 1] - reach;
        (0..sims.len() as u32).filter(|&row| least <= sims[row as usize]).collect()
    }

    #[test]
    fn what_is_kept_is_what_lies_within_two_margins_of_the_kth_best() {
        let sims = scattered(20_000);
        for (k, margin) in [(1, 0.0), (10, 0.001), (200, 0.0005), (50, 0.2), (7000, 0.01)] {
            let expected = expected(&sims, k, 2.0 * margin);
            assert_eq!(offered(Shortlist::new(k, margin), &sims).as_ref(), Some(&expected));
            let guessing = Shortlist::guessing(k, margin, sims.len());
            assert_eq!(offered(guessing, &sims).as_ref(), Some(&expected), "k = {k}");
        }
    }

    #[test]
    fn a_guess_from_rows_that_were_no_sample_is_noticed() {
        let mut sims = scattered(20_000);
        sims.sort_by(|a, b| b.total_cmp(a));
        assert_eq!(offered(Shortlist::guessing(100, 0.0, sims.len()), &sims), None);
        assert_eq!(offered(Shortlist::new(100, 0.0), &sims), Some((0..100).collect()));
    }

    #[test]
    fn everything_is_kept_where_nothing_can_be_told_apart() {
        let sims = vec![0.5; 3000];
        assert_eq!(offered(Shortlist::guessing(3, 0.1, 3000), &sims).map(|x| x.len()), Some(3000));
        let sims = vec![0.5; 9000];
        assert_eq!(offered(Shortlist::guessing(3, 0.1, 9000), &sims).map(|x| x.len()), Some(9000));
        let sims = [f32::NAN, 1.0, f32::NAN];
        assert_eq!(offered(Shortlist::new(2, 0.1), &sims), Some(vec![1]));
    }
}
