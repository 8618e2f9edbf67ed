//! Keeping the k best of a stream.

use super::Neighbour;

/// Similarities that are compared at a time.
const LANES: usize = 16;

/// The `k` best neighbours seen so far. Candidates above the current k-th best are collected into a buffer of 2k and
/// thinned out when it is full, so that most similarities cost a sixteenth of a vector comparison.
pub struct Best {
    k: usize,
    kept: Vec<Candidate>,
    /// Similarity of the k-th best at the last thinning: what is not above it comes too late, because equal
    /// similarities go to the lower row and rows come in ascending order.
    floor: f32,
}

impl Best {
    pub fn new(k: usize) -> Best {
        Best { k, kept: Vec::with_capacity(2 * k), floor: f32::NEG_INFINITY }
    }

    /// Considers rows `first`, `first` + 1, … with similarities `sims`. NaN counts as −∞.
    pub fn offer(&mut self, first: u32, sims: &[f32]) {
        for (start, lanes) in (first..).step_by(LANES).zip(sims.chunks(LANES)) {
            // One vector comparison dismisses nearly every group.
            let hit = lanes.iter().fold(false, |hit, &similarity| hit | (self.floor < similarity));
            if hit || self.kept.len() < self.k {
                self.consider(start, lanes);
            }
        }
    }

    /// Writes the k best into `out`, best first. At least k must have been offered.
    pub fn into_ranking(mut self, out: &mut [Neighbour]) {
        self.kept.sort_unstable_by(|a, b| b.cmp(a));
        for (out, candidate) in out.iter_mut().zip(self.kept) {
            *out = candidate.neighbour();
        }
    }

    fn consider(&mut self, first: u32, sims: &[f32]) {
        for (row, &similarity) in (first..).zip(sims) {
            if self.floor < similarity || self.kept.len() < self.k {
                self.kept.push(Candidate::new(row, similarity));
                if self.kept.len() == 2 * self.k {
                    self.thin();
                }
            }
        }
    }

    fn thin(&mut self) {
        let (_, kth, _) = self.kept.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        self.floor = kth.neighbour().similarity;
        self.kept.truncate(self.k);
    }
}

/// A neighbour as one integer whose order is "better": the similarity's bits, mapped to ascend with its value, above
/// the complement of the row. Sorting these is several times as fast as comparing two fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate(u64);

const SIGN: u32 = 1 << 31;

impl Candidate {
    fn new(row: u32, similarity: f32) -> Candidate {
        // Adding 0 turns −0 into 0: they are equally similar.
        let similarity = if similarity.is_nan() { f32::NEG_INFINITY } else { similarity + 0.0 };
        let bits = similarity.to_bits();
        let ascending = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        Candidate(u64::from(ascending) << 32 | u64::from(!row))
    }

    fn neighbour(self) -> Neighbour {
        let ascending = (self.0 >> 32) as u32;
        let bits = if ascending & SIGN == 0 { !ascending } else { ascending & !SIGN };
        Neighbour { row: !(self.0 as u32), similarity: f32::from_bits(bits) }
    }
}
