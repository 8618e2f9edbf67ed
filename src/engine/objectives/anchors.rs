//! The objectives against closed forms, at the size of CIFAR-10: n = 50,000 instances in 128 dimensions, random unit
//! rows. The bank is drawn once for all tests of this file.

use std::sync::OnceLock;

use tch::{Device, Kind, Tensor};

use super::{Batch, Instances, Objective, build, nce, nonparametric};
use crate::config::spec::{BankInit, ObjectiveKind, ObjectiveSpec, OwnSlot, ZMode};
use crate::engine::bank::{MemoryBank, unit_rows};
use crate::engine::params::Params;
use crate::random::{self, Purpose};

const N: usize = 50_000;
const DIM: usize = 128;

/// Random rows as plain numbers, because a tensor does not cross threads.
fn bank() -> MemoryBank {
    static ROWS: OnceLock<Vec<f32>> = OnceLock::new();
    let rows = ROWS.get_or_init(|| {
        let bank = MemoryBank::random(N, DIM, 1, Device::Cpu);
        Vec::try_from(bank.tensor().reshape([-1])).unwrap()
    });
    MemoryBank::from_unit(Tensor::from_slice(rows).view([N as i64, DIM as i64]))
}

/// Random unit features that know nothing of the bank, (b, 128).
fn strangers(b: usize) -> Tensor {
    unit_rows(b, DIM, |row| random::stream(2, Purpose::Bank, row, 1))
}

fn first(b: usize) -> Tensor {
    Tensor::arange(b as i64, (Kind::Int64, Device::Cpu))
}

fn spec(kind: ObjectiveKind) -> ObjectiveSpec {
    let bank_init = BankInit::Random;
    ObjectiveSpec { kind, lambda: 0.0, lambda_from: 0, bank_momentum: 0.0, bank_init }
}

fn built(kind: ObjectiveKind, n: usize, dim: usize, params: &mut Params) -> Box<dyn Objective> {
    let instances = Instances { n, labels: &[], n_classes: 0 };
    build(&spec(kind), instances, dim, 0, Device::Cpu, params)
}

fn loss(
    objective: &mut dyn Objective,
    feats: &Tensor,
    bank: &MemoryBank,
    params: &Params,
    seed: u64,
) -> Tensor {
    let views = [feats.shallow_clone()];
    let index = first(feats.size()[0] as usize);
    let keys = &|_: &Params| -> Tensor { unreachable!("no key view was asked for") };
    objective.loss(&Batch {
        views: &views,
        keys,
        index: &index,
        bank,
        params,
        noise: None,
        step: 0,
        seed,
    })
}

fn near(got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() < tolerance, "{got}, expected {expected} ± {tolerance}");
}

#[test]
fn z_of_a_uniform_bank_is_the_spherical_integral() {
    let (bank, feats) = (bank(), strangers(64));
    // E exp(x·u/τ) over the unit sphere in 128 dimensions, exact. The tolerance is three standard errors.
    for (tau, expected, tolerance) in
        [(0.05, 4.6846, 0.04), (0.07, 2.2087, 0.006), (0.1, 1.4762, 0.002), (0.2, 1.1025, 0.001)]
    {
        let z = nce::exact_z(&feats, bank.tensor(), tau).double_value(&[]);
        near(z / N as f64, expected, tolerance);
    }
}

/// Mean of v_i·f_i/τ: how the few positives of a random batch happen to fall. Its expectation is 0 and it enters the
/// initial losses with a minus sign, so adding it takes most of their sampling noise out.
fn luck(feats: &Tensor, bank: &MemoryBank, tau: f64) -> f64 {
    let own = bank.rows(&first(feats.size()[0] as usize));
    (feats * own).sum(Kind::Double).double_value(&[]) / tau / feats.size()[0] as f64
}

#[test]
fn full_softmax_starts_and_ends_where_the_closed_form_says() {
    let (bank, feats) = (bank(), strangers(256));
    let loss = |feats: &Tensor, tau| {
        let index = first(feats.size()[0] as usize);
        nonparametric::softmax(feats, &index, bank.tensor(), tau).loss.double_value(&[])
    };
    // ln Z: features that have nothing to do with their slots.
    near(loss(&feats, 0.1) + luck(&feats, &bank, 0.1), 11.209, 0.003);
    near(loss(&feats, 0.07) + luck(&feats, &bank, 0.07), 11.612, 0.005);
    // ln(1 + Z e^(−1/τ)): features that are their slots, the rest random.
    let own = bank.rows(&first(128));
    near(loss(&own, 0.1), 1.470, 0.005);
    near(loss(&own, 0.07), 0.0667, 0.0005);
}

#[test]
fn nce_starts_where_the_closed_form_says() {
    let (bank, params) = (bank(), Params::new(Device::Cpu));
    // E softplus(−u) + m E softplus(u) with u = s/τ − ln(m Z/n) and s the cosine of random directions in 128
    // dimensions, integrated numerically. With few negatives −ln h is not linear in s, so more noise stays.
    for (m, tau, expected, tolerance) in [
        (1, 0.1, 1.599, 0.1),
        (10, 0.1, 3.697, 0.05),
        (512, 0.1, 7.628, 0.02),
        (4096, 0.1, 9.707, 0.01),
        (4096, 0.07, 10.110, 0.01),
    ] {
        let b = 256;
        let feats = strangers(b).set_requires_grad(true);
        let (z, own_slot) = (ZMode::Frozen, OwnSlot::Keep);
        let kind = ObjectiveKind::Nce { m, tau, z, z_batches: 1, own_slot };
        let mut objective = built(kind, N, DIM, &mut Params::new(Device::Cpu));
        let loss = loss(objective.as_mut(), &feats, &bank, &params, 3).double_value(&[]);
        near(loss + luck(&feats, &bank, tau), expected, tolerance);
    }
}

#[test]
fn chance_is_the_loss_of_equal_logits() {
    // Every row and every feature the same direction: all logits are equal, as after a collapse.
    let (n, b) = (40usize, 8usize);
    let rows = Tensor::ones([n as i64, 4], (Kind::Float, Device::Cpu)) * 0.5;
    let (bank, index) = (MemoryBank::from_unit(rows.copy()), first(b));
    let feats = bank.rows(&index).set_requires_grad(true);
    let (tau, z, z_batches, own_slot) = (0.1, ZMode::Exact, 1, OwnSlot::Keep);
    for (kind, expected) in [
        (ObjectiveKind::Nonparametric { tau }, 40f64.ln()),
        (ObjectiveKind::Nce { m: 1, tau, z, z_batches, own_slot }, 4f64.ln()),
        (ObjectiveKind::Nce { m: 16, tau, z, z_batches, own_slot }, 3.80321),
    ] {
        let mut params = Params::new(Device::Cpu);
        let mut objective = built(kind, n, 4, &mut params);
        let loss = loss(objective.as_mut(), &feats, &bank, &params, 0);
        near(loss.double_value(&[]), expected, 1e-4);
        near(objective.chance(n, b).unwrap(), expected, 1e-4);
    }
}

#[test]
fn parametric_weights_are_a_declared_parameter_that_starts_on_the_sphere() {
    let mut params = Params::new(Device::Cpu);
    let kind = ObjectiveKind::Parametric { tau: 0.1 };
    let mut objective = built(kind, 500, 16, &mut params);
    params.freeze();
    let named = params.named(params.flat());
    assert_eq!(named[0].0, "objective.weight");
    let weight = MemoryBank::from_unit(named[0].1.copy());
    assert!(weight.worst_length() < 1e-6);

    let bank = MemoryBank::random(500, 16, 0, Device::Cpu);
    let index = first(8);
    let feats = bank.rows(&index).set_requires_grad(true);
    let loss = loss(objective.as_mut(), &feats, &bank, &params, 0);
    let expected = nonparametric::softmax(&feats, &index, weight.tensor(), 0.1).loss;
    near(loss.double_value(&[]), expected.double_value(&[]), 1e-5);
    assert!(0.0 < params.gradient(&loss).abs().max().double_value(&[]));
}
