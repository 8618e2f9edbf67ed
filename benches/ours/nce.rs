//! NCE forward and backward at the size of CIFAR-10: n = 50,000, m = 4096, D = 128, B = 128.

use std::hint::black_box;

use instdisc_lab::config::spec::{OwnSlot, ZMode};
use instdisc_lab::engine::bank::MemoryBank;
use instdisc_lab::engine::objectives::nce::{Nce, nce};
use instdisc_lab::engine::objectives::nonparametric::softmax;
use instdisc_lab::engine::objectives::sampled::{Form, Route};
use instdisc_lab::engine::objectives::{Batch, Objective};
use instdisc_lab::engine::params::Params;
use tch::{Device, Kind, Tensor};

use crate::{Measured, given, median};

const B: usize = 128;
const DIM: usize = 128;

/// Bank, features and instances.
fn batch(n: usize, dim: usize, b: usize) -> (MemoryBank, Tensor, Tensor) {
    let feats = MemoryBank::random(b, dim, 2, Device::Cpu).tensor().copy().set_requires_grad(true);
    let index = Tensor::arange(b as i64, (Kind::Int64, Device::Cpu));
    (MemoryBank::random(n, dim, 1, Device::Cpu), feats, index)
}

/// As the environment wants it.
fn sized() -> (MemoryBank, Tensor, Tensor) {
    batch(given("BENCH_N", 50_000), given("BENCH_D", DIM), given("BENCH_B", B))
}

/// Everything that the objective adds to a step: draws, loss, and the gradient at the features.
pub fn step() -> Measured {
    let (bank, feats, index) = sized();
    let (m, size) = (given("BENCH_M", 4096) as u32, (bank.len(), bank.dim()));
    let mut objective = Nce::new(m, 0.07, ZMode::Frozen, 1, OwnSlot::Keep, size, Device::Cpu);
    let params = Params::new(Device::Cpu);
    let keys = |_: &Params| -> Tensor { unreachable!("NCE has no key view") };
    let views = [feats.shallow_clone()];
    let mut step = 0;
    let value = median(30, || {
        step += 1;
        let (keys, index, bank, params) = (&keys, &index, &bank, &params);
        let batch = Batch { views: &views, keys, index, bank, params, noise: None, step, seed: 0 };
        let loss = objective.loss(&batch);
        black_box(Tensor::run_backward(&[loss], &[&feats], false, false));
    });
    Measured { value, unit: "s" }
}

/// What [`Route::cheaper`] is based on: each route over a range of n and m, on standard error. The value is the exact
/// softmax at n = 50,000, which takes no negatives at all.
pub fn routes() -> Measured {
    let z = Tensor::from(60_000.0);
    eprintln!("{:>9} {:>6} {:>12} {:>12} {:>12}  (ms)", "n", "m", "one pass", "product", "gather");
    for n in [2_000, 8_000, 50_000, 200_000] {
        let (bank, feats, index) = batch(n, DIM, B);
        for m in [256, 1024, 4096, 16_384] {
            let index_of = |i: i64| (i * 2_654_435_761) >> 9;
            let draws: Vec<i64> = (0..(B * m) as i64).map(|i| index_of(i) % n as i64).collect();
            let negatives = Tensor::from_slice(&draws).view([B as i64, m as i64]);
            let time = |route| {
                let bank = bank.tensor();
                1e3 * median(5, || {
                    let _ = black_box(nce(&feats, &index, bank, &negatives, 0.07, &z, route).grad);
                })
            };
            let [one, product] = [Route::OnePass, Route::Tensors(Form::Product)].map(time);
            // Gathering 16,384 rows an instance takes gigabytes and says nothing new.
            let gather = if m <= 4096 { time(Route::Tensors(Form::Gather)) } else { f64::NAN };
            eprintln!("{n:>9} {m:>6} {one:>12.2} {product:>12.2} {gather:>12.2}");
        }
    }
    softmax_step()
}

/// Loss and gradient at the features of the exact softmax over the bank.
pub fn softmax_step() -> Measured {
    let (bank, feats, index) = sized();
    let value = median(5, || {
        let _ = black_box(softmax(&feats, &index, bank.tensor(), 0.07).grad);
    });
    Measured { value, unit: "s" }
}
