//! The similarity that rankings go by: the dot product of fp32 rows summed in fp64 and rounded once.
//!
//! Products of two fp32 numbers are exact in fp64, and the order of the sum is fixed, so this is the same number on
//! every processor. Whatever a first pass computed, and with what, a ranking is a function of the rows alone.

use pulp::{Arch, Simd, WithSimd};

use super::Neighbour;
use super::shortlist::Candidate;

/// Partial sums. A choice of this file, not of the processor.
const LANES: usize = 16;

/// A bank row that may be among a query's best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub row: u32,
    pub query: u32,
}

/// The exact similarities of `pairs` with `queries` (q·dim), as candidates of each query. `row` yields a bank row (dim).
///
/// The pairs are taken in the order of the bank: hundreds of rows of each of many queries, in any other order, would
/// be as many accesses to memory all over it.
pub fn similarities<'a>(
    queries: &[f32],
    dim: usize,
    mut pairs: Vec<Pair>,
    row: impl Fn(u32) -> &'a [f32],
) -> Vec<Vec<Candidate>> {
    pairs.sort_unstable();
    Arch::new().dispatch(Similarities { queries, dim, pairs, row })
}

/// Writes the best of `candidates` into `found`, as many as it has room for: best first, of equals the lower row.
pub fn rank(mut candidates: Vec<Candidate>, found: &mut [Neighbour]) {
    if found.len() < candidates.len() && !found.is_empty() {
        candidates.select_nth_unstable_by(found.len() - 1, |a, b| b.cmp(a));
        candidates.truncate(found.len());
    }
    candidates.sort_unstable_by(|a, b| b.cmp(a));
    for (found, candidate) in found.iter_mut().zip(candidates) {
        *found = candidate.neighbour();
    }
}

struct Similarities<'q, F> {
    queries: &'q [f32],
    dim: usize,
    pairs: Vec<Pair>,
    row: F,
}

impl<'a, F: Fn(u32) -> &'a [f32]> WithSimd for Similarities<'_, F> {
    type Output = Vec<Vec<Candidate>>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let dim = self.dim;
        let wide: Vec<f64> = self.queries.iter().copied().map(f64::from).collect();
        let mut found = vec![Vec::new(); self.queries.len() / dim];
        // A loop, not an adapter: those are functions of their own, which know nothing of wide registers.
        for Pair { row, query } in self.pairs {
            let query = query as usize;
            let similarity = dot(simd, &wide[query * dim..][..dim], (self.row)(row));
            found[query].push(Candidate::new(row, similarity));
        }
        found
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, query: &[f64], row: &[f32]) -> f32 {
    let (query_sets, query_rest) = query.as_chunks::<LANES>();
    let (row_sets, row_rest) = row.as_chunks::<LANES>();
    // As many registers as hold the partial sums on this processor.
    let mut held = [simd.splat_f64s(0.0); LANES];
    for (query, row) in query_sets.iter().zip(row_sets) {
        let row: [f64; LANES] = std::array::from_fn(|lane| f64::from(row[lane]));
        let ((query, _), (row, _)) = (S::as_simd_f64s(query), S::as_simd_f64s(&row));
        for i in 0..LANES / S::F64_LANES {
            // Fused or not is the same: the product is exact.
            held[i] = simd.mul_add_e_f64s(query[i], row[i], held[i]);
        }
    }
    let mut sums = [0f64; LANES];
    S::as_mut_simd_f64s(&mut sums).0.copy_from_slice(&held[..LANES / S::F64_LANES]);
    for (lane, (query, row)) in query_rest.iter().zip(row_rest).enumerate() {
        sums[lane] += query * f64::from(*row);
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0] as f32
}
