//! Weighted k-NN by many k and τ at the price of one search.

use super::knn::{votes, winner};
use crate::search::{Neighbour, top_k};

/// Neighbours found once, to be voted over by several k and τ.
pub struct Ranked<'a> {
    neighbours: Vec<Neighbour>,
    /// Neighbours of each query.
    width: usize,
    labels: &'a [u16],
    bank_labels: &'a [u16],
}

impl<'a> Ranked<'a> {
    /// The `most` neighbours of each query in the bank; rows of `dim` numbers.
    pub fn new(
        queries: &[f32],
        labels: &'a [u16],
        bank: &[f32],
        bank_labels: &'a [u16],
        dim: usize,
        most: usize,
    ) -> Ranked<'a> {
        let width = most.min(bank_labels.len());
        Ranked { neighbours: top_k(queries, bank, dim, most), width, labels, bank_labels }
    }

    /// The class found for each query, beside its label.
    fn found(&self, n_classes: usize, k: usize, tau: f64) -> impl Iterator<Item = (usize, usize)> {
        let k = k.min(self.width);
        let near = self.neighbours.chunks_exact(self.width.max(1));
        near.zip(self.labels).map(move |(near, &label)| {
            (winner(&votes(&near[..k], self.bank_labels, n_classes, tau)), usize::from(label))
        })
    }

    /// Queries, in percent, whose `k` neighbours vote for their label at temperature `tau`.
    pub fn accuracy(&self, n_classes: usize, k: usize, tau: f64) -> f64 {
        let right = self.found(n_classes, k, tau).filter(|(found, label)| found == label).count();
        100.0 * right as f64 / self.labels.len() as f64
    }

    /// Queries by label (rows) and found class (columns).
    pub fn confusion(&self, n_classes: usize, k: usize, tau: f64) -> Vec<Vec<u32>> {
        let mut matrix = vec![vec![0; n_classes]; n_classes];
        for (found, label) in self.found(n_classes, k, tau) {
            matrix[label][found] += 1;
        }
        matrix
    }
}
