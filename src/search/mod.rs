//! Nearest neighbours over unit rows: plain slices, exact, shared by evaluation and the screens.
//!
//! A search is a first pass over all rows, which is fast and nearly right; a shortlist of the rows that may be among
//! the best, given how wrong the first pass can be; and the exact similarity of those. The first pass depends on the
//! processor, the ranking does not: it goes by `exact`, and the shortlist leaves nothing out that belongs into it.

mod codes;
mod exact;
mod index;
mod product;
mod rows;
mod shortlist;
mod tiles;

use std::borrow::Cow;

use pulp::Arch;
use rayon::prelude::*;

use exact::Pair;
pub use index::Index;
use product::products;
use rows::{Lengths, comparable, length};
use shortlist::Shortlist;
use tiles::{PANEL, Panel, Tiles, amx};

/// A row of the bank and how similar it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    pub row: u32,
    /// Dot product with the query; the cosine, for unit rows.
    pub similarity: f32,
}

const NOBODY: Neighbour = Neighbour { row: 0, similarity: f32::NEG_INFINITY };

/// Queries that one task ranks, a multiple of [`PANEL`]: as many as stay in the second-level cache with what was found.
const QUERIES: usize = 128;

/// Bank rows that the fp32 pass multiplies with at a time: the block of similarities (128 × 512 × 4 bytes) stays in
/// the second-level cache between being written and being read.
const ROWS: usize = 512;

/// Fewer rows or queries than this are not worth packing.
const WORTH_PACKING: (usize, usize) = (2048, 64);

/// The `k` most similar rows of `bank` (n·dim) for each of `queries` (Q·dim): Q·min(k, n) neighbours, each query's
/// best first. Similarities are exact sums rounded to fp32; equally similar rows come in the order of the bank. A row
/// with a number that is not finite (or that is longer than 10¹⁵) comes last, with similarity −∞.
pub fn top_k(queries: &[f32], bank: &[f32], dim: usize, k: usize) -> Vec<Neighbour> {
    assert!(0 < dim, "rows need at least one number");
    assert!(queries.len().is_multiple_of(dim) && bank.len().is_multiple_of(dim), "ragged rows");
    let (n, n_queries) = (bank.len() / dim, queries.len() / dim);
    let worth = WORTH_PACKING.0 <= n && WORTH_PACKING.1 <= n_queries;
    if worth && amx::usable() {
        Search::new(bank, dim, Pass::Tiles).top_k(queries, k)
    } else {
        Search::new(bank, dim, Pass::Products).top_k(queries, k)
    }
}

/// What the first pass multiplies with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pass {
    /// bf16 on AMX.
    Tiles,
    /// fp32 on whatever there is.
    Products,
}

struct Search<'a> {
    /// Rows that are no numbers are NaN throughout, so that nothing of theirs passes for a similarity.
    bank: Cow<'a, [f32]>,
    dim: usize,
    /// Rows that are no numbers, ascending.
    unsound: Vec<u32>,
    lengths: Lengths,
    tiles: Option<(Tiles, Order)>,
}

impl<'a> Search<'a> {
    fn new(bank: &'a [f32], dim: usize, pass: Pass) -> Search<'a> {
        let each: Vec<f64> = bank.par_chunks_exact(dim).map(length).collect();
        let mut lengths = Lengths::default();
        each.iter().for_each(|&length| lengths.take(length, 0.0));
        let unsound = (0u32..).zip(&each).filter(|(_, length)| !comparable(**length));
        let unsound: Vec<u32> = unsound.map(|(row, _)| row).collect();
        let mut bank = Cow::Borrowed(bank);
        for &row in &unsound {
            bank.to_mut()[row as usize * dim..][..dim].fill(f32::NAN);
        }
        let order = Order::new(bank.len() / dim);
        let tiles = (pass == Pass::Tiles).then(|| Tiles::pack(&bank, dim, |i| order.row(i)));
        Search { unsound, lengths, dim, tiles: tiles.flatten().map(|tiles| (tiles, order)), bank }
    }

    fn n(&self) -> usize {
        self.bank.len() / self.dim
    }

    fn top_k(&self, queries: &[f32], k: usize) -> Vec<Neighbour> {
        let (dim, k) = (self.dim, k.min(self.n()));
        if k == 0 {
            return Vec::new();
        }
        let mut found = vec![NOBODY; queries.len() / dim * k];
        // A few queries still make work for all threads.
        let size = (queries.len() / dim).div_ceil(2 * rayon::current_num_threads());
        let size = size.next_multiple_of(PANEL).clamp(PANEL, QUERIES);
        found
            .par_chunks_mut(size * k)
            .zip(queries.par_chunks(size * dim))
            .for_each(|(found, queries)| self.rank(queries, k, found));
        found
    }

    /// Fills `found` (q·k) for a few queries.
    fn rank(&self, queries: &[f32], k: usize, found: &mut [Neighbour]) {
        let (dim, n_sound) = (self.dim, self.n() - self.unsound.len());
        let by_tiles = self.tiles.as_ref().zip(amx::Unit::new());
        let order = by_tiles.as_ref().map_or(Order::ASCENDING, |((_, order), _)| *order);
        let lists = match by_tiles {
            Some(((tiles, _), unit)) => self.by_tiles(queries, k, tiles, &unit),
            None => self.by_products(queries, k),
        };
        let mut pairs = Vec::new();
        for ((query, list), features) in (0..).zip(lists).zip(queries.chunks_exact(dim)) {
            let mut take = |list: Shortlist, order: Order| {
                let places = list.finish()?;
                pairs.extend(places.map(|i| Pair { row: order.row(i as usize) as u32, query }));
                Some(())
            };
            if comparable(length(features)) && take(list, order).is_none() {
                // One in tens of thousands.
                self.by_products(features, k).into_iter().for_each(|list| {
                    take(list, Order::ASCENDING);
                });
            }
        }
        let row = |row: u32| &self.bank[row as usize * dim..][..dim];
        let candidates = exact::similarities(queries, dim, pairs, row);
        for ((candidates, query), found) in
            candidates.into_iter().zip(queries.chunks_exact(dim)).zip(found.chunks_exact_mut(k))
        {
            if comparable(length(query)) {
                let (numbers, others) = found.split_at_mut(k.min(n_sound));
                exact::rank(candidates, numbers);
                for (found, &row) in others.iter_mut().zip(&self.unsound) {
                    *found = Neighbour { row, ..NOBODY };
                }
            } else {
                (0..).zip(found).for_each(|(row, found)| *found = Neighbour { row, ..NOBODY });
            }
        }
    }

    fn by_tiles(
        &self,
        queries: &[f32],
        k: usize,
        tiles: &Tiles,
        unit: &amx::Unit,
    ) -> Vec<Shortlist> {
        let n = self.n();
        let packed = tiles.queries(queries, self.dim);
        let margins = packed.margins.iter();
        let mut lists: Vec<Shortlist> =
            margins.map(|&margin| Shortlist::guessing(k, margin, n)).collect();
        let mut out = Panel([[0.0; PANEL]; PANEL]);
        // Comparisons in the widest registers.
        Arch::new().dispatch(|| {
            for at in 0..tiles.n_panels() {
                let first = at * PANEL;
                let width = PANEL.min(n - first);
                for (panel, lists) in lists.chunks_mut(PANEL).enumerate() {
                    tiles.multiply(unit, &packed, panel, at, &mut out);
                    for (list, sims) in lists.iter_mut().zip(&out.0) {
                        list.offer(first as u32, &sims[..width]);
                    }
                }
            }
        });
        lists
    }

    fn by_products(&self, queries: &[f32], k: usize) -> Vec<Shortlist> {
        let dim = self.dim;
        let margin = |query| {
            // Any order of fp32 additions (Higham, Accuracy and Stability, 3.5), and the rounding of the exact sum.
            let each = (dim + 8) as f64 * f64::from(f32::EPSILON);
            (each * length(query) * self.lengths.longest * 1.001) as f32
        };
        let margins = queries.chunks_exact(dim).map(margin);
        let mut lists: Vec<Shortlist> = margins.map(|margin| Shortlist::new(k, margin)).collect();
        let mut sims = vec![0f32; lists.len() * ROWS];
        for (block, rows) in self.bank.chunks(ROWS * dim).enumerate() {
            let width = rows.len() / dim;
            let sims = &mut sims[..lists.len() * width]; // (q, width)
            products(queries, rows, dim, sims);
            for (list, sims) in lists.iter_mut().zip(sims.chunks_exact(width)) {
                list.offer((block * ROWS) as u32, sims);
            }
        }
        lists
    }
}

/// An order of n rows in which any beginning is spread evenly over all of them, so that it is a sample even where the
/// bank is sorted by class: multiples of a stride near n/φ that shares no divisor with n.
#[derive(Clone, Copy)]
struct Order {
    n: u64,
    stride: u64,
}

impl Order {
    /// As in the bank, for any number of rows.
    const ASCENDING: Order = Order { n: u64::MAX, stride: 1 };

    fn new(n: usize) -> Order {
        fn divisor(a: u64, b: u64) -> u64 {
            if b == 0 { a } else { divisor(b, a % b) }
        }
        let n = n.max(1) as u64;
        let golden = (n as f64 * 0.618_033_988_75) as u64;
        let stride = (golden.max(1)..).find(|&stride| divisor(stride, n) == 1).unwrap_or(1);
        Order { n, stride }
    }

    fn row(self, position: usize) -> usize {
        (position as u64 * self.stride % self.n) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            let expected = exact(&queries, &bank, dim, k);
            for pass in [Pass::Tiles, Pass::Products] {
                prop_assert_eq!(Search::new(&bank, dim, pass).top_k(&queries, k), &expected[..]);
            }
        }
    }

    #[test]
    fn banks_of_many_blocks_rank_as_one() {
        let number = |i: usize| ((i * 7919) % 13) as f32 - 6.0;
        let (queries, bank): (Vec<f32>, Vec<f32>) =
            ((0..3 * 6).map(number).collect(), (5..6 * 2600 + 5).map(number).collect());
        for k in [1, 50, 2600, 9999] {
            let expected = exact(&queries, &bank, 6, k);
            for pass in [Pass::Tiles, Pass::Products] {
                assert_eq!(Search::new(&bank, 6, pass).top_k(&queries, k), expected, "k = {k}");
            }
        }
    }

    #[test]
    fn a_row_that_is_not_a_number_comes_last() {
        let found = top_k(&[1.0], &[f32::NAN, -2.0, f32::NAN, 3.0], 1, 3);
        let rows: Vec<u32> = found.iter().map(|neighbour| neighbour.row).collect();
        assert_eq!(rows, [3, 1, 0]);
    }

    /// Rows around ten centres, sorted by centre, as embeddings of a folder of classes are: neighbours lie close, and
    /// the first rows are no sample.
    pub(super) fn clustered(n: usize, dim: usize, from: usize) -> Vec<f32> {
        let number = |i: usize| ((i * 2_654_435_761) >> 9 & 0xffff) as f32 / 32_768.0 - 1.0;
        let mut rows = Vec::with_capacity(n * dim);
        for row in 0..n {
            let centre = row * 10 / n;
            let xs =
                (0..dim).map(|d| number(centre * dim + d) + 0.4 * number(from + row * dim + d));
            let xs: Vec<f32> = xs.collect();
            let length = xs.iter().map(|x| x * x).sum::<f32>().sqrt();
            rows.extend(xs.iter().map(|x| x / length));
        }
        rows
    }

    /// Sorting by the sum in fp64, rounded.
    fn exact(queries: &[f32], bank: &[f32], dim: usize, k: usize) -> Vec<Neighbour> {
        let rank = |query: &[f32]| {
            let dot = |row: &[f32]| -> f64 {
                query.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
            };
            let mut all: Vec<Neighbour> = (0u32..)
                .zip(bank.chunks_exact(dim))
                .map(|(row, xs)| Neighbour { row, similarity: dot(xs) as f32 })
                .collect();
            all.sort_by(|a, b| b.similarity.partial_cmp(&a.similarity).unwrap()); // stable
            all.truncate(k);
            all
        };
        queries.chunks_exact(dim).flat_map(rank).collect()
    }

    #[test]
    fn every_first_pass_leads_to_the_exact_ranking() {
        for (n, dim, k) in [(6000, 128, 20), (5000, 50, 200), (300, 64, 299)] {
            let (queries, bank) = (clustered(70, dim, 1 << 30), clustered(n, dim, 0));
            let expected = exact(&queries, &bank, dim, k);
            for pass in [Pass::Tiles, Pass::Products] {
                let found = Search::new(&bank, dim, pass).top_k(&queries, k);
                assert!(found == expected, "{pass:?}, n = {n}, D = {dim}");
            }
        }
    }

    #[test]
    fn rows_that_are_no_numbers_come_last_by_every_pass() {
        let (queries, mut bank) = (clustered(66, 32, 1 << 30), clustered(4096, 32, 0));
        let expected: Vec<u32> =
            exact(&queries, &bank, 32, 4096).iter().map(|near| near.row).collect();
        for (row, wrong) in [(7, f32::INFINITY), (1000, f32::NAN), (4000, 1e30)] {
            bank[row * 32] = wrong;
        }
        let mut broken = queries.clone();
        broken[0] = f32::NAN;
        for pass in [Pass::Tiles, Pass::Products] {
            let found = Search::new(&bank, 32, pass).top_k(&broken, 4096);
            for (q, found) in found.chunks_exact(4096).enumerate() {
                let found: Vec<u32> = found.iter().map(|near| near.row).collect();
                if q == 0 {
                    assert!(found == (0..4096).collect::<Vec<u32>>());
                    continue;
                }
                let others = expected[q * 4096..][..4096].iter().copied();
                let wrong = [7, 1000, 4000];
                let others = others.filter(|row| !wrong.contains(row)).chain(wrong);
                assert!(found == others.collect::<Vec<u32>>(), "{pass:?}");
            }
        }
    }

    #[test]
    fn an_order_takes_every_row_once_and_spreads_any_beginning() {
        for n in [1usize, 2, 10, 997, 50_000] {
            let order = Order::new(n);
            let mut seen = vec![false; n];
            (0..n).for_each(|i| seen[order.row(i)] = true);
            assert!(seen.into_iter().all(|seen| seen));
        }
        let order = Order::new(50_000);
        let early = (0..1024).filter(|&i| order.row(i) < 5000).count();
        assert!((95..110).contains(&early), "{early} of 1024 lie in the first tenth");
    }
}
