//! A bank to be searched by one query at a time, at a quarter of its size in memory.
//!
//! One query has to look at every row, so it costs what reading them costs. The index holds them at eight bits a number
//! ([`codes`]), and asks whoever has the exact rows, on disk for instance, for the few that its shortlist leaves.

use rayon::prelude::*;

use super::codes::{self, EMPTY, Line, Query, SIDE, depth};
use super::exact::{self, Pair};
use super::rows::{Lengths, comparable, length};
use super::shortlist::Shortlist;
use super::{NOBODY, Neighbour};

/// Groups of rows whose similarities are compared while they are in the first-level cache.
const GROUPS: usize = 32;

pub struct Index {
    dim: usize,
    n: usize,
    lines: Vec<Line>,
    /// One a row; NaN for those that are no numbers.
    scales: Vec<f32>,
    lengths: Lengths,
    /// Rows that are no numbers, ascending.
    unsound: Vec<u32>,
}

impl Index {
    /// Most numbers of a row.
    pub const MOST: usize = codes::MOST;

    /// An empty index for rows of `dim` numbers, at most [`Index::MOST`].
    pub fn new(dim: usize) -> Index {
        assert!((1..=codes::MOST).contains(&dim), "found D = {dim}, allowed: 1 to {}", codes::MOST);
        let (lines, scales, unsound) = (Vec::new(), Vec::new(), Vec::new());
        Index { dim, n: 0, lines, scales, lengths: Lengths::default(), unsound }
    }

    /// Takes in further rows, (n·dim). Before it, the number of rows has to be a multiple of 16.
    pub fn extend(&mut self, rows: &[f32]) {
        assert!(self.n.is_multiple_of(SIDE) && rows.len().is_multiple_of(self.dim), "ragged rows");
        let (dim, first) = (self.dim, self.n);
        let groups: Vec<_> = rows.par_chunks(SIDE * dim).map(|rows| encode(rows, dim)).collect();
        for (at, (lines, scales, lengths)) in groups.into_iter().enumerate() {
            let row = |lane: usize| (first + at * SIDE + lane) as u32;
            let wrong = (0..SIDE).filter(|&lane| scales[lane].is_nan()).map(row);
            self.unsound.extend(wrong);
            self.lines.extend(lines);
            self.scales.extend(scales);
            self.lengths = self.lengths.with(lengths);
        }
        self.n += rows.len() / dim;
        // What fills up the last group is no row.
        self.unsound.retain(|&row| (row as usize) < self.n);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.n
    }

    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// What the rows take in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.lines[..]) + size_of_val(&self.scales[..])
    }

    /// The `k` rows most similar to `query` (dim), as [`super::top_k`] ranks them. `fetch` writes an exact row (dim)
    /// where it is told; it is asked for some more than k.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub fn top_k<E>(
        &self,
        query: &[f32],
        k: usize,
        mut fetch: impl FnMut(u32, &mut [f32]) -> Result<(), E>,
    ) -> Result<Vec<Neighbour>, E> {
        assert!(query.len() == self.dim, "a query of D numbers");
        let mut found = vec![NOBODY; k.min(self.n)];
        if found.is_empty() || !comparable(length(query)) {
            (0..).zip(&mut found).for_each(|(row, found)| found.row = row);
            return Ok(found);
        }
        let rows = self.shortlist(query, found.len());
        let mut exact = vec![0f32; rows.len() * self.dim];
        for (&row, exact) in rows.iter().zip(exact.chunks_exact_mut(self.dim)) {
            fetch(row, exact)?;
        }
        let pairs = (0..rows.len() as u32).map(|row| Pair { row, query: 0 }).collect();
        let row = |row: u32| &exact[row as usize * self.dim..][..self.dim];
        let n_sound = self.n - self.unsound.len();
        let (numbers, others) = found.split_at_mut(k.min(n_sound));
        for candidates in exact::similarities(query, self.dim, pairs, row) {
            exact::rank(candidates, numbers);
        }
        numbers.iter_mut().for_each(|near| near.row = rows[near.row as usize]);
        others.iter_mut().zip(&self.unsound).for_each(|(near, &row)| near.row = row);
        Ok(found)
    }

    /// What may be among the k best, ascending.
    fn shortlist(&self, query: &[f32], k: usize) -> Vec<u32> {
        let packed = Query::new(query);
        let Lengths { longest, off } = self.lengths;
        let roundings = 16.0 * f64::from(f32::EPSILON) * length(query) * (longest + off);
        let margin = length(query) * off + packed.off * (longest + off) + roundings;
        let margin = (margin * 1.001) as f32;
        let n_groups = self.lines.len() / depth(self.dim);
        let size = n_groups.div_ceil(4 * rayon::current_num_threads()).max(1);
        let parts = self.lines.par_chunks(size * depth(self.dim)).enumerate().map(|(at, lines)| {
            let mut list = Shortlist::new(k, margin);
            let mut steps = [[0i32; SIDE]; GROUPS];
            let mut sims = [0f32; GROUPS * SIDE];
            for (i, lines) in lines.chunks(GROUPS * depth(self.dim)).enumerate() {
                let steps = &mut steps[..lines.len() / depth(self.dim)];
                packed.products(lines, steps);
                let first = (at * size + i * GROUPS) * SIDE;
                let sims = &mut sims[..steps.len() * SIDE];
                let scales = &self.scales[first..][..sims.len()];
                for (sim, (step, scale)) in
                    sims.iter_mut().zip(steps.as_flattened().iter().zip(scales))
                {
                    *sim = *step as f32 * packed.scale * scale;
                }
                list.offer(first as u32, sims);
            }
            list.finish().into_iter().flatten().collect::<Vec<u32>>()
        });
        let mut rows: Vec<u32> = parts.flatten().collect();
        rows.sort_unstable();
        rows
    }
}

/// One group of at most 16 rows: its lines, scales and lengths.
fn encode(rows: &[f32], dim: usize) -> (Vec<Line>, [f32; SIDE], Lengths) {
    let (mut lines, mut scales) = (vec![EMPTY; depth(dim)], [f32::NAN; SIDE]);
    let mut lengths = Lengths::default();
    for (column, row) in rows.chunks_exact(dim).enumerate() {
        let length = length(row);
        if comparable(length) {
            let (scale, off) = codes::encode(row, column, &mut lines);
            scales[column] = scale;
            lengths.take(length, off);
        }
    }
    (lines, scales, lengths)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::tests::clustered;
    use super::super::top_k;
    use super::*;

    fn found(index: &Index, bank: &[f32], query: &[f32], k: usize) -> Vec<Neighbour> {
        let fetch = |row: u32, out: &mut [f32]| {
            out.copy_from_slice(&bank[row as usize * out.len()..][..out.len()]);
            Ok::<(), Infallible>(())
        };
        index.top_k(query, k, fetch).unwrap()
    }

    #[test]
    fn it_ranks_as_the_exact_search_does_and_takes_a_quarter() {
        for (n, dim, k) in [(5003, 128, 10), (700, 30, 1), (40, 64, 100)] {
            let (mut bank, queries) = (clustered(n, dim, 0), clustered(30, dim, 1 << 30));
            bank[3 * dim] = f32::NAN;
            let mut index = Index::new(dim);
            for rows in bank.chunks(320 * dim) {
                index.extend(rows);
            }
            assert_eq!(index.len(), n);
            let expected = top_k(&queries, &bank, dim, k);
            for (query, expected) in queries.chunks_exact(dim).zip(expected.chunks_exact(k.min(n)))
            {
                assert!(found(&index, &bank, query, k) == expected, "n = {n}, D = {dim}");
            }
        }
        let mut index = Index::new(128);
        index.extend(&clustered(1600, 128, 0));
        assert_eq!(index.bytes(), 1600 * (128 + 4));
    }

    #[test]
    fn a_query_that_is_no_number_and_an_empty_index_are_answered() {
        let mut index = Index::new(4);
        assert!(found(&index, &[], &[1.0; 4], 3).is_empty());
        index.extend(&[0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let near = found(&index, &[], &[f32::NAN, 0.0, 0.0, 0.0], 3);
        assert_eq!(near.iter().map(|near| near.row).collect::<Vec<u32>>(), [0, 1]);
    }

    #[test]
    fn what_cannot_be_fetched_is_said() {
        let mut index = Index::new(4);
        index.extend(&[1.0; 16]);
        assert_eq!(index.top_k(&[1.0; 4], 1, |_, _| Err("gone")), Err("gone"));
    }
}
