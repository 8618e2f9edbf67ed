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
