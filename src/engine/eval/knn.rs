//! Weighted k-nearest-neighbour classification (InstDisc §3.4): w_c = Σ_{i in N_k} exp(s_i/τ) · 1(c_i = c).
//! Works on plain slices of unit rows; what encoded them, and which bank they came from, is the caller's to say.

use crate::search::{Neighbour, top_k};

/// Percentage (0–100) of `queries` (Q·dim, unit rows) whose winning class is that of `labels` (Q), voting over the
/// `k` nearest rows of `bank` (n·dim) with `bank_labels` (n) in 0..n_classes. `k` beyond n means all of the bank;
/// NaN without queries or without a bank.
#[expect(clippy::too_many_arguments, reason = "two labelled sets and how to vote")]
pub fn knn_accuracy(
    queries: &[f32],
    labels: &[u16],
    bank: &[f32],
    bank_labels: &[u16],
    dim: usize,
    n_classes: usize,
    k: usize,
    tau: f64,
) -> f64 {
    let k = k.min(bank_labels.len());
    if labels.is_empty() || k == 0 {
        return f64::NAN;
    }
    let neighbours = top_k(queries, bank, dim, k); // (Q, k)
    let right = neighbours
        .chunks_exact(k)
        .zip(labels)
        .filter(|(near, label)| {
            winner(&votes(near, bank_labels, n_classes, tau)) == usize::from(**label)
        })
        .count();
    100.0 * right as f64 / labels.len() as f64
}

/// The weight of each class among one query's neighbours, scaled so that the nearest neighbour counts 1: the common
/// factor e^(−s_max/τ) changes no ranking and keeps small τ from overflowing.
pub fn votes(near: &[Neighbour], bank_labels: &[u16], n_classes: usize, tau: f64) -> Vec<f64> {
    let best = near.first().map_or(0.0, |first| f64::from(first.similarity));
    let mut votes = vec![0.0; n_classes];
    for neighbour in near {
        let class = usize::from(bank_labels[neighbour.row as usize]);
        votes[class] += ((f64::from(neighbour.similarity) - best) / tau).exp();
    }
    votes
}

/// The class with the most weight; of equals the lower one. 0 if there is none.
pub fn winner(votes: &[f64]) -> usize {
    let mut best = 0;
    for (class, weight) in votes.iter().enumerate() {
        if votes[best] < *weight {
            best = class;
        }
    }
    best
}
