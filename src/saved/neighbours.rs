//! Image search in a memory bank: the nearest other training images of a query, and how many are of its class.

use std::cmp::Ordering;

use super::Array;
use crate::data::Dataset;
use crate::search::{Neighbour, top_k};

/// A training image and its neighbours in the bank, nearest first, itself left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    pub query: usize,
    pub near: Vec<Neighbour>,
    /// Share of them that are of its class, in [0, 1].
    pub alike: f64,
}

impl Neighbours {
    /// Of rows `near` of a bank of `data`'s training images, nearest first, without the query.
    pub fn new(query: usize, near: Vec<Neighbour>, data: &Dataset) -> Neighbours {
        let alike = near.iter().filter(|other| data.alike(query, other.row as usize)).count();
        Neighbours { query, alike: alike as f64 / near.len().max(1) as f64, near }
    }

    /// Of equal shares the one whose neighbours are nearer comes first: a confident hit, or a confident mistake.
    fn nearness(&self) -> f64 {
        self.near.iter().map(|other| f64::from(other.similarity)).sum()
    }

    /// Queries whose neighbours are most often of their class first.
    pub fn best_first(a: &Self, b: &Self) -> Ordering {
        b.alike.total_cmp(&a.alike).then(b.nearness().total_cmp(&a.nearness()))
    }

    /// Queries whose neighbours are least often of their class first.
    pub fn worst_first(a: &Self, b: &Self) -> Ordering {
        a.alike.total_cmp(&b.alike).then(b.nearness().total_cmp(&a.nearness()))
    }
}

/// For each of `queries`, its `k` nearest other rows of `bank` (n, D), row i being training image i of `data`.
///
/// # Panics
/// When a query is no row of the bank, or the bank has more rows than there are training images.
pub fn neighbours(bank: &Array, data: &Dataset, queries: &[usize], k: usize) -> Vec<Neighbours> {
    let near = nearest_others(&bank.numbers, bank.shape[1], queries, k);
    queries.iter().zip(near).map(|(&query, near)| Neighbours::new(query, near, data)).collect()
}

/// For each of `queries`, numbers of `rows` (n, D), its `k` nearest other rows, or all others where they are fewer.
///
/// # Panics
/// When a query is no row.
pub(super) fn nearest_others(
    rows: &[f32],
    dim: usize,
    queries: &[usize],
    k: usize,
) -> Vec<Vec<Neighbour>> {
    let wanted: Vec<f32> = queries.iter().flat_map(|&i| &rows[i * dim..][..dim]).copied().collect();
    let ranked = top_k(&wanted, rows, dim, k + 1);
    let others = |(&query, ranked): (&usize, &[Neighbour])| {
        let others = ranked.iter().filter(|other| other.row as usize != query);
        others.take(k).copied().collect()
    };
    let n = rows.len() / dim;
    queries.iter().zip(ranked.chunks_exact((k + 1).min(n).max(1))).map(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Split;

    #[test]
    fn a_query_is_not_its_own_neighbour_and_ties_go_to_the_confident() {
        let labels = vec![0, 0, 1, 1];
        let data = Dataset {
            name: "x".into(),
            side: 1,
            classes: vec!["a".into(), "b".into()],
            train: Split { images: vec![0; 12], labels, disk: None },
            held_out: Split::default(),
            test: Split::default(),
            mean: [0.0; 3],
            std: [1.0; 3],
            fingerprint: String::new(),
            skipped: Vec::new(),
        };
        // Unit vectors at 0°, 10°, 20° and 90°: the third lies among the other class.
        let numbers = [0f32, 10.0, 20.0, 90.0].map(f32::to_radians);
        let numbers = numbers.iter().flat_map(|angle| [angle.cos(), angle.sin()]).collect();
        let bank = Array { shape: vec![4, 2], numbers };
        let mut found = neighbours(&bank, &data, &[0, 1, 2, 3], 1);
        let near: Vec<u32> = found.iter().map(|f| f.near[0].row).collect();
        assert_eq!(near[..1], [1]);
        assert_eq!(near[2..], [1, 2]);
        assert_eq!(found.iter().map(|f| f.alike).collect::<Vec<_>>()[2..], [0.0, 1.0]);
        found.sort_by(Neighbours::worst_first);
        assert_eq!(found[0].query, 2);
        found.sort_by(Neighbours::best_first);
        assert_eq!(found.last().map(|f| f.query), Some(2));
        assert_eq!(found[2].query, 3, "70° away is a hit, but no confident one");
    }
}
