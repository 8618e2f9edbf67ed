//! Keeping the k best of a stream.

use std::cmp::Ordering;

use super::Neighbour;

/// The `k` best neighbours seen so far. Candidates above the current k-th best are collected into a buffer of 2k and
/// thinned out when it is full, so that most similarities cost one comparison.
pub struct Best {
    k: usize,
    kept: Vec<Neighbour>,
    /// Similarity of the k-th best at the last thinning: what is not above it comes too late, because equal
    /// similarities go to the lower row and rows come in ascending order.
    floor: f32,
}

impl Best {
    pub fn new(k: usize) -> Best {
        Best { k, kept: Vec::with_capacity(2 * k), floor: f32::NEG_INFINITY }
    }

    /// Considers rows `first`, `first` + 1, … with similarities `sims`. NaN ranks below everything.
    pub fn offer(&mut self, first: u32, sims: &[f32]) {
        for (row, &similarity) in (first..).zip(sims) {
            let room = self.kept.len() < self.k;
            if self.floor < similarity || room {
                self.kept.push(Neighbour { row, similarity });
                if self.kept.len() == 2 * self.k {
                    self.thin();
                }
            }
        }
    }

    /// Writes the k best into `out`, best first. At least k must have been offered.
    pub fn into_ranking(mut self, out: &mut [Neighbour]) {
        self.kept.sort_unstable_by(order);
        out.copy_from_slice(&self.kept[..self.k]);
    }

    fn thin(&mut self) {
        self.kept.select_nth_unstable_by(self.k - 1, order);
        self.kept.truncate(self.k);
        self.floor = key(self.kept[self.k - 1].similarity);
    }
}

/// Best first; of equally similar ones the lower row.
fn order(a: &Neighbour, b: &Neighbour) -> Ordering {
    // Not total_cmp: −0 and 0 are equally similar.
    let by_similarity = key(b.similarity).partial_cmp(&key(a.similarity));
    by_similarity.unwrap_or(Ordering::Equal).then(a.row.cmp(&b.row))
}

fn key(similarity: f32) -> f32 {
    if similarity.is_nan() { f32::NEG_INFINITY } else { similarity }
}
