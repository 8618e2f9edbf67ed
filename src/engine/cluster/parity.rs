//! K-means and NMI against scikit-learn, whitening against NumPy; `assets/fixtures/cluster/generate.py` made the
//! expected values.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::*;
use crate::random::{Purpose, stream};

fn fixture() -> HashMap<String, Tensor> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fixtures/cluster/cluster.safetensors");
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

fn deviation(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    (found.to_kind(Kind::Double) - expected).abs().max().double_value(&[])
}

fn numbers(xs: &Tensor) -> Vec<i64> {
    Vec::try_from(xs).unwrap()
}

#[test]
fn kmeans_is_scikit_learns() {
    let of = fixture();
    let rows = of["rows"].to_kind(Kind::Float);
    for (iterations, name) in [(1, "one"), (100, "many")] {
        let mut random = stream(0, Purpose::Clusters, 0, 0);
        let start = of["start"].to_kind(Kind::Float);
        let found = kmeans(&rows, &start, iterations, &mut random);
        assert_eq!(found.n_refilled, 0);
        assert!(deviation(&found.centroids, &of[&format!("centroids.{name}")]) < 1e-5, "{name}");
        assert_eq!(found.assignment, of[&format!("assignment.{name}")], "{name}");
    }
}

#[test]
fn nmi_is_scikit_learns() {
    let of = fixture();
    let found = nmi(&numbers(&of["assignment.one"]), &numbers(&of["truth"]));
    assert!((found - of["nmi"].double_value(&[])).abs() < 1e-12);
}

#[test]
fn whitening_is_that_of_the_singular_vectors() {
    let of = fixture();
    let white = whiten(&of["rows"].to_kind(Kind::Float));
    // Axes come in any order and sign; inner products do not depend on that.
    let products = white.matmul(&white.tr()).narrow(0, 0, 40).narrow(1, 0, 40);
    assert!(deviation(&products, &of["white_products"]) < 1e-4);
}
