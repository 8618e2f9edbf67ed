//! Weighted k-nearest-neighbour classification (InstDisc §3.4): w_c = Σ_{i in N_k} exp(s_i/τ) · 1(c_i = c).
//! Works on plain slices of unit rows, or on tensors where these lie on another device; what encoded them, and which bank they came from, is the caller's to say.

use tch::{Device, Kind, Tensor};

use super::encode::to_vec;
use crate::search::{Neighbour, top_k};

/// Queries whose similarities to the whole bank are on the device at once: 200 MB at n = 50,000.
const QUERIES: i64 = 1000;

/// Percentages (0–100) of queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Whose winning class is their label.
    pub top1: f64,
    /// Whose label is among the five classes with the most weight, and has some. None where that is no question, as there
    /// are no more than five classes.
    pub top5: Option<f64>,
}

impl Accuracy {
    fn new(n: usize, n_classes: usize, [first, among_five]: [usize; 2]) -> Self {
        let percent = |right: usize| 100.0 * right as f64 / n as f64;
        Accuracy { top1: percent(first), top5: (5 < n_classes).then(|| percent(among_five)) }
    }
}

/// How often a vote among the `k` nearest rows of `bank` (n·dim) with `bank_labels` (n) in 0..n_classes finds the label, of
/// `labels` (Q), of `queries` (Q·dim, unit rows). `k` beyond n means all of the bank; NaN without queries or without a bank.
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
) -> Accuracy {
    let k = k.min(bank_labels.len());
    if labels.is_empty() || k == 0 {
        return Accuracy { top1: f64::NAN, top5: None };
    }
    let neighbours = top_k(queries, bank, dim, k); // (Q, k)
    let mut right = [0; 2];
    for (near, label) in neighbours.chunks_exact(k).zip(labels) {
        let place = place(&votes(near, bank_labels, n_classes, tau), usize::from(*label));
        right[0] += usize::from(place == Some(0));
        right[1] += usize::from(place.is_some_and(|place| place < 5));
    }
    Accuracy::new(labels.len(), n_classes, right)
}

/// The same for tensors, wherever they lie: by the search of this program on the CPU, by libtorch elsewhere.
pub fn vote(
    queries: &Tensor,
    labels: &[u16],
    bank: &Tensor,
    bank_labels: &[u16],
    n_classes: usize,
    k: usize,
    tau: f64,
) -> Accuracy {
    if queries.device() != Device::Cpu {
        return on_device(queries, labels, bank, bank_labels, n_classes, k, tau);
    }
    let dim = bank.size()[1] as usize;
    let (queries, bank) = (to_vec(queries), to_vec(bank));
    knn_accuracy(&queries, labels, &bank, bank_labels, dim, n_classes, k, tau)
}

/// The same by libtorch's operations: `queries` (Q, D), `bank` (n, D), fp32 unit rows. Similarities are fp32;
/// of neighbours that are equally near, and of classes with equal votes, libtorch takes which it likes.
fn on_device(
    queries: &Tensor,
    labels: &[u16],
    bank: &Tensor,
    bank_labels: &[u16],
    n_classes: usize,
    k: usize,
    tau: f64,
) -> Accuracy {
    let k = k.min(bank_labels.len()) as i64;
    if labels.is_empty() || k == 0 {
        return Accuracy { top1: f64::NAN, top5: None };
    }
    let classes = |labels: &[u16]| {
        let labels: Vec<i64> = labels.iter().map(|&label| label.into()).collect();
        Tensor::from_slice(&labels).to_device(queries.device())
    };
    let (labels, bank_labels) = (classes(labels), classes(bank_labels));
    let n = labels.size()[0];
    let mut right = Tensor::zeros([2], (Kind::Int64, queries.device())); // the winner's; among the first five
    for start in (0..n).step_by(QUERIES as usize) {
        let len = QUERIES.min(n - start);
        let sims = queries.narrow(0, start, len).matmul(&bank.tr()); // (q, n)
        let (near, rows) = sims.topk(k, 1, true, true); // (q, k)
        let found = bank_labels.index_select(0, &rows.reshape([-1])).view([len, k]);
        let nearer = (&near - near.narrow(1, 0, 1)).to_kind(Kind::Double) / tau; // (q, k), 0 for the nearest
        let votes = Tensor::zeros([len, n_classes as i64], (Kind::Double, queries.device()))
            .scatter_add(1, &found, &nearer.exp()); // (q, C)
        let (weights, first) = votes.topk(5.min(n_classes as i64), 1, true, true); // (q, 5)
        let own = first.eq_tensor(&labels.narrow(0, start, len).unsqueeze(1));
        let own = own.logical_and(&weights.gt(0.0)); // (q, 5)
        let hits = [own.narrow(1, 0, 1), own].map(|own| own.sum(Kind::Int64));
        right += Tensor::stack(&hits, 0);
    }
    let right = [0, 1].map(|i| right.int64_value(&[i]) as usize);
    Accuracy::new(n as usize, n_classes, right)
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

/// How many classes stand before `class` by their weight, of equals the lower ones; none for a class without any.
fn place(votes: &[f64], class: usize) -> Option<usize> {
    let own = votes[class];
    let before =
        |&(other, weight): &(usize, &f64)| own < *weight || (own == *weight && other < class);
    (0.0 < own).then(|| votes.iter().enumerate().filter(before).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Fixture {
        dim: usize,
        classes: usize,
        k: usize,
        tau: f64,
        bank: Vec<f32>,
        bank_labels: Vec<u16>,
        queries: Vec<f32>,
        labels: Vec<u16>,
        rankings: Vec<Vec<u32>>,
        votes: Vec<Vec<f64>>,
        winners: Vec<usize>,
        accuracy: f64,
    }

    #[test]
    fn rankings_votes_and_accuracy_equal_brute_force() {
        let text = include_str!("../../../assets/fixtures/knn/knn.json");
        let f: Fixture = serde_json::from_str(text).unwrap();
        let found = top_k(&f.queries, &f.bank, f.dim, f.k);
        for (q, near) in found.chunks_exact(f.k).enumerate() {
            let rows: Vec<u32> = near.iter().map(|neighbour| neighbour.row).collect();
            assert_eq!(rows, f.rankings[q]);
            let votes = votes(near, &f.bank_labels, f.classes, f.tau);
            let scale = (f64::from(near[0].similarity) / f.tau).exp();
            for (vote, expected) in votes.iter().zip(&f.votes[q]) {
                // fp32 similarities over τ = 0.1.
                assert!((vote * scale - expected).abs() <= 1e-5 * expected.abs());
            }
            assert_eq!(winner(&votes), f.winners[q]);
        }
        let accuracy = |k| {
            let (bank, labels) = (&f.bank, &f.bank_labels);
            knn_accuracy(&f.queries, &f.labels, bank, labels, f.dim, f.classes, k, f.tau)
        };
        assert!((accuracy(f.k).top1 - f.accuracy).abs() < 1e-9);
        assert_eq!(accuracy(f.k).top5.is_some(), 5 < f.classes);
        assert_eq!(accuracy(10_000), accuracy(f.bank_labels.len()));
        let rows = |xs: &[f32]| Tensor::from_slice(xs).view([-1, f.dim as i64]);
        for k in [1, f.k, 10_000] {
            let (queries, bank) = (rows(&f.queries), rows(&f.bank));
            let (labels, bank_labels) = (&f.labels, &f.bank_labels);
            let by_tensors = on_device(&queries, labels, &bank, bank_labels, f.classes, k, f.tau);
            assert_eq!(by_tensors, accuracy(k), "k = {k}");
        }
    }

    #[test]
    fn a_label_counts_among_five_only_with_votes_of_its_own() {
        // Seven classes on a circle, one row each; the query lies on the first.
        let row = |i: usize| [(i as f32 * 0.3).cos(), (i as f32 * 0.3).sin()];
        let bank: Vec<f32> = (0..7).flat_map(row).collect();
        let classes = [0, 1, 2, 3, 4, 5, 6];
        for (label, k, top1, top5) in
            [(0, 7, 100.0, 100.0), (4, 7, 0.0, 100.0), (5, 7, 0.0, 0.0), (3, 3, 0.0, 0.0)]
        {
            let expected = Accuracy { top1, top5: Some(top5) };
            let found = knn_accuracy(&row(0), &[label], &bank, &classes, 2, 7, k, 0.1);
            assert_eq!(found, expected, "{label} of {k}");
            let tensor = |xs: &[f32]| Tensor::from_slice(xs).view([-1, 2]);
            let (queries, rows) = (tensor(&row(0)), tensor(&bank));
            assert_eq!(on_device(&queries, &[label], &rows, &classes, 7, k, 0.1), expected);
        }
    }

    #[test]
    fn nearness_outweighs_numbers_at_a_small_temperature() {
        let bank = [1.0, 0.0, 0.8, 0.6, 0.8, 0.6]; // one near row of class 1, two farther of class 0
        let accuracy = |tau| knn_accuracy(&[1.0, 0.0], &[1], &bank, &[1, 0, 0], 2, 2, 3, tau).top1;
        assert_eq!(accuracy(0.07), 100.0);
        assert_eq!(accuracy(10.0), 0.0);
        // e^(1/τ) is beyond any float.
        assert_eq!(accuracy(1e-4), 100.0);
    }

    #[test]
    fn equal_weights_go_to_the_lower_class_and_nothing_is_not_a_number() {
        assert_eq!(winner(&[0.0, 2.0, 2.0]), 1);
        assert!(knn_accuracy(&[], &[], &[1.0], &[0], 1, 2, 5, 0.1).top1.is_nan());
        assert!(knn_accuracy(&[1.0], &[0], &[], &[], 1, 2, 5, 0.1).top1.is_nan());
    }
}
