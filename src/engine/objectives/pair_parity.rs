//! The objectives of two views against the equations written out with another library, loss and gradient;
//! `assets/fixtures/objectives/pairs.py` made the expected values.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use super::in_batch::Key;
use super::invaspread::Invaspread;
use super::triplet::Triplet;
use super::{moco, simclr};
use crate::config::spec::{BatchNegatives, Diagonal, Gradient, ViewPair};

const TAU: f64 = 0.1;
const KEY: Key = Key { seed: 0, step: 0 };
/// The name of a value as a specification writes it.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(name.into()).unwrap()
}

struct Fixture(HashMap<String, Tensor>);

impl Fixture {
    fn load() -> Fixture {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fixtures/objectives/pairs.safetensors");
        Fixture(Tensor::read_safetensors(path).unwrap().into_iter().collect())
    }

    /// Loss, and the gradient that reaches both views, in fp64 and fp32.
    fn check(&self, name: &str, loss: impl Fn(&Tensor, &Tensor) -> Tensor) {
        for (kind, tolerance) in [(Kind::Double, 1e-9), (Kind::Float, 3e-5)] {
            let view = |name: &str| self.0[name].to_kind(kind).set_requires_grad(true);
            let (first, second) = (view("first"), view("second"));
            let found = loss(&first, &second);
            // A view that the loss does not learn from still takes part in the graph.
            let connected = &found + (&first + &second).sum(kind) * 0.0;
            let grads = Tensor::run_backward(&[connected], &[&first, &second], false, false);
            let off = |found: &Tensor, expected: &Tensor| {
                let found = found.to_kind(Kind::Double);
                // Where all pairs are told apart the loss is near 0, and what is left of fp32's digits is absolute.
                let scale = expected.abs().max().clamp_min(0.1);
                ((found - expected).abs().max() / scale).double_value(&[])
            };
            let dl = off(&found, &self.0[&format!("{name}.loss")]);
            let dg = off(&Tensor::cat(&grads, 0), &self.0[&format!("{name}.grad")]);
            assert!(dl < tolerance && dg < tolerance, "{name}: loss {dl:e}, gradient {dg:e} off");
        }
    }
}

#[test]
fn invaspread_is_the_equations_and_the_released_criterion() {
    let fixture = Fixture::load();
    let mut n_checked = 0;
    for name in fixture.0.keys().filter_map(|name| name.strip_suffix(".loss")) {
        let parts: Vec<&str> = name.split('.').collect();
        let [form, gradient, diagonal, negatives] = parts[..] else { continue };
        let objective = Invaspread {
            tau: TAU,
            views: match form {
                "printed" => ViewPair::OriginalAugmented,
                _ => ViewPair::TwoAugmented,
            },
            gradient: named::<Gradient>(gradient),
            diagonal: named::<Diagonal>(diagonal),
            negatives: named::<BatchNegatives>(negatives),
        };
        fixture.check(name, |first, second| objective.spread(first, second, KEY));
        n_checked += 1;
    }
    assert_eq!(n_checked, 24);
}

#[test]
fn simclr_moco_and_triplets_are_the_equations() {
    let fixture = Fixture::load();
    fixture.check("simclr", |first, second| simclr::nt_xent(first, second, TAU));
    fixture.check("moco", |first, second| {
        moco::contrast(first, second, &fixture.0["queue"].to_kind(first.kind()), TAU)
    });
    for name in ["all", "hardest", "easiest"] {
        let (views, negatives) = (ViewPair::TwoAugmented, named::<BatchNegatives>(name));
        let objective = Triplet { margin: 0.5, views, negatives };
        fixture
            .check(&format!("triplet.{name}"), |first, second| objective.hinge(first, second, KEY));
    }
}
