//! The objectives against assets/fixtures/objectives (the equations in float64 PyTorch), against finite differences
//! and against themselves over other routes.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use super::graded::Graded;
use super::sampled::{Form, Route};
use super::{classifier, infonce, nce, nonparametric, proximal};
use crate::engine::bank::MemoryBank;

struct Fixture(HashMap<String, Tensor>);

impl Fixture {
    fn load() -> Fixture {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/fixtures/objectives/objectives.safetensors"
        );
        Fixture(Tensor::read_safetensors(path).unwrap().into_iter().collect())
    }

    /// As stored: f64, or i64.
    fn raw(&self, name: &str) -> &Tensor {
        &self.0[name]
    }

    fn get(&self, name: &str, kind: Kind) -> Tensor {
        self.0[name].to_kind(kind)
    }

    fn taus(&self) -> Vec<f64> {
        Vec::try_from(self.raw("taus")).unwrap()
    }
}

/// Largest deviation from `expected`, relative to its largest element.
fn deviation(got: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(got.size(), expected.size());
    let (got, expected) = (got.to_kind(Kind::Double), expected.to_kind(Kind::Double));
    ((got - &expected).abs().max() / expected.abs().max()).double_value(&[])
}

/// Checks a loss and the gradient that reaches `feats` through the graph against the fixture.
fn check(fixture: &Fixture, name: &str, t: usize, feats: &Tensor, loss: &Tensor, tolerance: f64) {
    let grad = &Tensor::run_backward(&[loss], &[feats], true, false)[0];
    let dl = deviation(loss, fixture.raw(&format!("{name}.loss.{t}")));
    let dg = deviation(grad, fixture.raw(&format!("{name}.grad.{t}")));
    assert!(dl < tolerance && dg < tolerance, "{name} {t}: loss off by {dl:e}, gradient by {dg:e}");
}

const TENSORS: [Route; 2] = [Route::Tensors(Form::Product), Route::Tensors(Form::Gather)];

/// Relative tolerance of one computation in fp32, and in fp64 (where softplus switches to its asymptote at 20, which
/// costs 2e-9).
const KINDS: [(Kind, f64); 2] = [(Kind::Float, 5e-6), (Kind::Double, 1e-8)];

#[test]
fn every_objective_equals_the_equations() {
    let fixture = Fixture::load();
    let (index, negatives) = (fixture.raw("index"), fixture.raw("negatives"));
    for (kind, tolerance) in KINDS {
        let feats = fixture.get("feats", kind).set_requires_grad(true);
        let bank = fixture.get("bank", kind);
        for (t, tau) in fixture.taus().into_iter().enumerate() {
            let z = fixture.raw(&format!("z_exact.{t}"));
            // The kernel is fp32 alone.
            let kernel = (kind == Kind::Float).then_some(Route::OnePass);
            for route in TENSORS.into_iter().chain(kernel) {
                for (name, m) in [("nce", negatives.size()[1]), ("nce_m1", 1)] {
                    let negatives = negatives.narrow(1, 0, m);
                    let graded = nce::nce(&feats, index, &bank, &negatives, tau, z, route);
                    check(&fixture, name, t, &feats, &graded.attach(&feats), tolerance);
                }
                let graded = infonce::infonce(&feats, index, &bank, negatives, tau, route);
                check(&fixture, "infonce", t, &feats, &graded.attach(&feats), tolerance);
            }
            let graded = nonparametric::softmax(&feats, index, &bank, tau);
            check(&fixture, "nonparametric", t, &feats, &graded.attach(&feats), tolerance);

            let weight = fixture.get("weight", kind).set_requires_grad(true);
            let loss = classifier::softmax(&feats, index, &weight, tau, None);
            check(&fixture, "parametric", t, &feats, &loss, tolerance);
            if t == 1 {
                let dw = &Tensor::run_backward(&[&loss], &[&weight], false, false)[0];
                assert!(deviation(dw, fixture.raw("parametric.weight_grad.1")) < 5e-6);
            }
        }
    }
}

#[test]
fn the_proximal_term_equals_the_equation_alone_and_beside_nce() {
    let fixture = Fixture::load();
    let (index, negatives) = (fixture.raw("index"), fixture.raw("negatives"));
    let lambda = fixture.raw("lambda").double_value(&[]);
    for (kind, tolerance) in KINDS {
        let feats = fixture.get("feats", kind).set_requires_grad(true);
        let bank = fixture.get("bank", kind);
        let loss = proximal(&feats, &bank.index_select(0, index)) * lambda;
        let grad = &Tensor::run_backward(&[&loss], &[&feats], true, false)[0];
        assert!(deviation(&loss, fixture.raw("proximal.loss")) < tolerance);
        assert!(deviation(grad, fixture.raw("proximal.grad")) < tolerance);

        let (tau, z) = (fixture.taus()[0], fixture.raw("z_exact.0"));
        let whole = nce::nce(&feats, index, &bank, negatives, tau, z, TENSORS[0]);
        let whole = whole.attach(&feats) + loss;
        let grad = &Tensor::run_backward(&[&whole], &[&feats], false, false)[0];
        assert!(deviation(&whole, fixture.raw("regularised.loss")) < tolerance);
        assert!(deviation(grad, fixture.raw("regularised.grad")) < tolerance);
    }
}

#[test]
fn both_estimates_of_z_equal_the_equation() {
    let fixture = Fixture::load();
    let (feats, bank) = (fixture.get("feats", Kind::Float), fixture.get("bank", Kind::Float));
    for (t, tau) in fixture.taus().into_iter().enumerate() {
        let sims = Form::Gather.similarities(&feats, &bank, fixture.raw("negatives"));
        let sampled = nce::mean_exp(&sims, tau) * bank.size()[0] as f64;
        assert!(deviation(&sampled, fixture.raw(&format!("z_sampled.{t}"))) < 5e-6);
        let exact = nce::exact_z(&feats, &bank, tau);
        assert!(deviation(&exact, fixture.raw(&format!("z_exact.{t}"))) < 5e-6);
    }
}

#[test]
fn a_bank_update_equals_the_equation_and_touches_nothing_else() {
    let fixture = Fixture::load();
    let (feats, index) = (fixture.get("feats", Kind::Float), fixture.raw("index"));
    for momentum in ["0.0", "0.5"] {
        let mut bank = MemoryBank::from_unit(fixture.get("bank", Kind::Float).copy());
        bank.update(index, &feats, momentum.parse().unwrap());
        assert!(deviation(&bank.rows(index), fixture.raw(&format!("bank.{momentum}"))) < 5e-7);
        let mut untouched = bank.tensor() - fixture.get("bank", Kind::Float);
        let _ = untouched.index_fill_(0, index, 0.0);
        assert_eq!(untouched.abs().max().double_value(&[]), 0.0);
        assert!(bank.worst_length() < 1e-6);
    }
}

/// ∂loss/∂feats by central differences in fp64.
fn differences(feats: &Tensor, loss: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let step = 1e-5;
    let moved = |i: i64, by: f64| {
        let at = feats.copy();
        let _ = at.view([-1]).narrow(0, i, 1).g_add_scalar_(by);
        loss(&at).double_value(&[])
    };
    let slopes: Vec<f64> = (0..feats.numel() as i64)
        .map(|i| (moved(i, step) - moved(i, -step)) / (2.0 * step))
        .collect();
    Tensor::from_slice(&slopes).view_as(feats)
}

#[test]
fn the_closed_form_gradients_equal_finite_differences() {
    let fixture = Fixture::load();
    let (index, negatives) = (fixture.raw("index"), fixture.raw("negatives"));
    let (feats, bank) = (fixture.get("feats", Kind::Double), fixture.get("bank", Kind::Double));
    let (tau, z) = (0.07, fixture.raw("z_exact.0"));
    let softmax = |feats: &Tensor| nonparametric::softmax(feats, index, &bank, tau);
    let slopes = differences(&feats, |feats| softmax(feats).loss);
    assert!(deviation(&softmax(&feats).grad, &slopes) < 1e-7);
    let nce = |feats: &Tensor| nce::nce(feats, index, &bank, negatives, tau, z, TENSORS[0]);
    let slopes = differences(&feats, |feats| nce(feats).loss);
    assert!(deviation(&nce(&feats).grad, &slopes) < 1e-7);
}

#[test]
fn chunks_leave_no_trace() {
    // Large enough for two chunks of rows by either route and in the softmax, in fp64.
    let (b, n, dim, m) = (150i64, 70_000i64, 256i64, 256i64);
    let wave = |rows: i64, phase: f64| {
        let xs = Tensor::arange(rows * dim, (Kind::Double, Device::Cpu)).view([rows, dim]);
        let xs = (xs * 0.7 + phase).sin();
        &xs / xs.norm_scalaropt_dim(2, [1], true)
    };
    let (feats, bank) = (wave(b, 0.3), wave(n, 0.0));
    let index = Tensor::arange(b, (Kind::Int64, Device::Cpu)) * 400;
    let negatives =
        (Tensor::arange(b * m, (Kind::Int64, Device::Cpu)) * 7919).remainder(n).view([b, m]);
    let z = Tensor::from(2.0 * n as f64);
    let pairwise = |whole: Graded, part: &dyn Fn(i64) -> Graded| {
        for row in [0, 70, b - 1] {
            let grad = part(row).grad / b as f64;
            assert!(deviation(&whole.grad.narrow(0, row, 1), &grad) < 1e-9);
        }
    };
    let cut = |row: i64| (feats.narrow(0, row, 1), index.narrow(0, row, 1));
    pairwise(nonparametric::softmax(&feats, &index, &bank, 0.1), &|row| {
        nonparametric::softmax(&cut(row).0, &cut(row).1, &bank, 0.1)
    });
    for route in TENSORS {
        pairwise(nce::nce(&feats, &index, &bank, &negatives, 0.1, &z, route), &|row| {
            let negatives = negatives.narrow(0, row, 1);
            nce::nce(&cut(row).0, &cut(row).1, &bank, &negatives, 0.1, &z, TENSORS[1])
        });
    }
}
