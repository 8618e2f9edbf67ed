//! Nearest neighbours over unit rows: plain slices, exact, shared by evaluation and the screens.

mod product;
mod select;

use rayon::prelude::*;

use product::products;
use select::Best;

/// A row of the bank and how similar it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    pub row: u32,
    /// Dot product with the query; the cosine, for unit rows.
    pub similarity: f32,
}

/// Queries that one task ranks, and bank rows that it multiplies with at a time: the block of similarities
/// (64 × 1024 × 4 bytes) stays in the second-level cache between being written and being read.
const QUERIES: usize = 64;
const ROWS: usize = 1024;

/// The `k` most similar rows of `bank` (n·dim) for each of `queries` (Q·dim): Q·min(k, n) neighbours, each query's
/// best first. Exact in fp32; equally similar rows come in the order of the bank.
pub fn top_k(queries: &[f32], bank: &[f32], dim: usize, k: usize) -> Vec<Neighbour> {
    assert!(0 < dim, "rows need at least one number");
    assert!(queries.len().is_multiple_of(dim) && bank.len().is_multiple_of(dim), "ragged rows");
    let k = k.min(bank.len() / dim);
    if k == 0 {
        return Vec::new();
    }
    let mut found = vec![Neighbour { row: 0, similarity: 0.0 }; queries.len() / dim * k];
    found
        .par_chunks_mut(QUERIES * k)
        .zip(queries.par_chunks(QUERIES * dim))
        .for_each(|(found, queries)| rank(queries, bank, dim, k, found));
    found
}

/// Fills `found` (q·k) for a few queries, streaming over the bank.
fn rank(queries: &[f32], bank: &[f32], dim: usize, k: usize, found: &mut [Neighbour]) {
    let mut best: Vec<Best> = queries.chunks_exact(dim).map(|_| Best::new(k)).collect();
    let mut sims = vec![0f32; best.len() * ROWS];
    for (block, rows) in bank.chunks(ROWS * dim).enumerate() {
        let width = rows.len() / dim;
        let sims = &mut sims[..best.len() * width]; // (q, width)
        products(queries, rows, dim, sims);
        for (best, sims) in best.iter_mut().zip(sims.chunks_exact(width)) {
            best.offer((block * ROWS) as u32, sims);
        }
    }
    for (best, found) in best.into_iter().zip(found.chunks_exact_mut(k)) {
        best.into_ranking(found);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sorting everything, in the same precision. Small integers make every dot product exact.
    fn brute_force(queries: &[f32], bank: &[f32], dim: usize, k: usize) -> Vec<Neighbour> {
        let k = k.min(bank.len() / dim);
        let rank = |query: &[f32]| {
            let dot = |row: &[f32]| query.iter().zip(row).map(|(a, b)| a * b).sum::<f32>();
            let mut all: Vec<Neighbour> = (0u32..)
                .zip(bank.chunks_exact(dim))
                .map(|(row, xs)| Neighbour { row, similarity: dot(xs) })
                .collect();
            all.sort_by(|a, b| b.similarity.partial_cmp(&a.similarity).unwrap()); // stable
            all.truncate(k);
            all
        };
        queries.chunks_exact(dim).flat_map(rank).collect()
    }

    fn rows(dim: usize, most: usize) -> impl Strategy<Value = Vec<f32>> {
        let number = (-3i8..=3).prop_map(f32::from);
        (0..=most).prop_flat_map(move |n| prop::collection::vec(number.clone(), n * dim))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// So few values in so few dimensions that most rows have equals.
        #[test]
        fn the_ranking_equals_sorting(
            (dim, queries, bank, k) in (1usize..5).prop_flat_map(|dim| {
                (Just(dim), rows(dim, 70), rows(dim, 300), 0usize..310)
            })
        ) {
            prop_assert_eq!(top_k(&queries, &bank, dim, k), brute_force(&queries, &bank, dim, k));
        }
    }

    #[test]
    fn banks_of_many_blocks_rank_as_one() {
        let number = |i: usize| ((i * 7919) % 13) as f32 - 6.0;
        let (queries, bank): (Vec<f32>, Vec<f32>) =
            ((0..3 * 6).map(number).collect(), (5..6 * 2600 + 5).map(number).collect());
        for k in [1, 50, 2600, 9999] {
            assert_eq!(top_k(&queries, &bank, 6, k), brute_force(&queries, &bank, 6, k), "k = {k}");
        }
    }

    #[test]
    fn a_row_that_is_not_a_number_comes_last() {
        let found = top_k(&[1.0], &[f32::NAN, -2.0, f32::NAN, 3.0], 1, 3);
        let rows: Vec<u32> = found.iter().map(|neighbour| neighbour.row).collect();
        assert_eq!(rows, [3, 1, 0]);
    }
}
