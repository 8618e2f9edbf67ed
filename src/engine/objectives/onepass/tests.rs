//! The kernel against the equations in fp64, compiled for each instruction set that the processor has, and against
//! itself on another number of threads.

use pulp::Arch;

use super::*;

/// Instances, bank rows, dimensions, draws.
struct Case {
    feats: Vec<f32>,
    bank: Vec<f32>,
    dim: usize,
    own: Vec<u32>,
    negatives: Vec<u32>,
}

impl Case {
    /// Rows of length 1 by a multiplicative generator: no seed, no state.
    fn new(b: usize, n: usize, dim: usize, m: usize) -> Case {
        let number = |i: usize| ((i * 2_654_435_761) >> 7 & 0xffff) as u32;
        let unit = |rows: usize, from: usize| -> Vec<f32> {
            let mut xs: Vec<f32> =
                (0..rows * dim).map(|i| number(i + from) as f32 / 65_536.0 - 0.5).collect();
            for row in xs.chunks_exact_mut(dim) {
                let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                row.iter_mut().for_each(|x| *x /= length);
            }
            xs
        };
        let draws = (0..b * m).map(|i| number(i + 77) * 7919 % n as u32).collect();
        let own = (0..b).map(|i| (i * n / b) as u32).collect();
        Case { feats: unit(b, 5_000_000), bank: unit(n, 0), dim, own, negatives: draws }
    }

    fn sample(&self) -> Sample<'_> {
        let Case { feats, bank, dim, own, negatives } = self;
        Sample { feats, bank, dim: *dim, own, negatives }
    }

    /// Logits of an instance in fp64: its own, and those of its negatives.
    fn logits(&self, i: usize, tau: f64) -> (f64, Vec<(f64, u32)>) {
        let dot = |row: u32| {
            let row = &self.bank[row as usize * self.dim..][..self.dim];
            let feat = &self.feats[i * self.dim..][..self.dim];
            feat.iter().zip(row).map(|(f, v)| f64::from(*f) * f64::from(*v)).sum::<f64>() / tau
        };
        let m = self.negatives.len() / self.own.len();
        let draws = &self.negatives[i * m..][..m];
        (dot(self.own[i]), draws.iter().map(|&row| (dot(row), row)).collect())
    }

    /// Σ weights · rows, over τB.
    fn gradient(&self, weights: impl Iterator<Item = (f64, u32)>, tau: f64) -> Vec<f64> {
        let mut grad = vec![0.0; self.dim];
        for (weight, row) in weights {
            let row = &self.bank[row as usize * self.dim..][..self.dim];
            grad.iter_mut().zip(row).for_each(|(g, v)| *g += weight * f64::from(*v));
        }
        grad.iter().map(|g| g / (tau * self.own.len() as f64)).collect()
    }

    fn check<R: Rule>(
        &self,
        rule: R,
        tau: f64,
        expected: impl Fn(f64, &[(f64, u32)], u32) -> (f64, Vec<(f64, u32)>),
    ) {
        for arch in instruction_sets() {
            let (loss, grad) = self.sample().grade_on(arch, rule, tau as f32);
            let mut mean = 0.0;
            for (i, grad) in grad.chunks_exact(self.dim).enumerate() {
                let (own, draws) = self.logits(i, tau);
                let (loss, weights) = expected(own, &draws, self.own[i]);
                mean += loss / self.own.len() as f64;
                let expected = self.gradient(weights.into_iter(), tau);
                // Where the only draw is the own slot the gradient is 0, up to what a row of length 1 is rounded by.
                let least = 0.1 / (tau * self.own.len() as f64);
                let scale = expected.iter().fold(least, |most, x| most.max(x.abs()));
                for (got, expected) in grad.iter().zip(&expected) {
                    let off = (f64::from(*got) - expected).abs() / scale;
                    // A logit has the digits of fp32, and a weight is its exponential.
                    let allowed = 2e-6 + 3e-7 / tau;
                    assert!(off < allowed, "{arch:?}, τ = {tau}: gradient of {i} off by {off:e}");
                }
            }
            let off = (loss - mean).abs() / mean.abs().max(1.0);
            assert!(off < 1e-6 + 2e-7 / tau, "{arch:?}, τ = {tau}: loss {loss}, expected {mean}");
        }
    }
}

/// Everything from plain numbers to what the processor has.
fn instruction_sets() -> Vec<Arch> {
    #[allow(unused_mut, reason = "other processors have one")]
    let mut all = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(pulp::x86::V3::try_new().map(Arch::V3));
        all.extend(pulp::x86::V4::try_new().map(Arch::V4));
    }
    all
}

/// Several blocks of the bank with 3000 × 128, one without; draws that fill the lanes and draws that do not.
fn cases() -> impl Iterator<Item = Case> {
    [(5, 3000, 128, 200), (3, 40, 16, 16), (2, 50, 48, 1), (1, 1, 32, 37), (4, 9, 16, 0)]
        .into_iter()
        .map(|(b, n, dim, m)| Case::new(b, n, dim, m))
}

#[test]
fn nce_is_the_equation_on_every_instruction_set() {
    for case in cases() {
        for (tau, shift) in [(0.07, 3.0), (0.5, -2.0), (0.01, 20.0)] {
            case.check(Nce { shift }, tau, |own, draws, row| {
                let sigmoid = |u: f64| 1.0 / (1.0 + (-u).exp());
                let shift = f64::from(shift);
                let loss = (shift - own).exp().ln_1p()
                    + draws.iter().map(|(logit, _)| (logit - shift).exp().ln_1p()).sum::<f64>();
                let push = draws.iter().map(|&(logit, row)| (sigmoid(logit - shift), row));
                (loss, push.chain([(-sigmoid(shift - own), row)]).collect())
            });
        }
    }
}

#[test]
fn infonce_is_the_equation_on_every_instruction_set() {
    for case in cases().filter(|case| !case.negatives.is_empty()) {
        for tau in [0.07, 0.5, 0.004] {
            case.check(InfoNce, tau, |own, draws, row| {
                let greatest = draws.iter().fold(own, |most, (logit, _)| most.max(*logit));
                let all = draws.iter().map(|(logit, _)| logit).chain([&own]);
                let sum: f64 = all.map(|logit| (logit - greatest).exp()).sum();
                let push = draws.iter().map(|&(logit, row)| ((logit - greatest).exp() / sum, row));
                let own_weight = (own - greatest).exp() / sum - 1.0;
                (greatest + sum.ln() - own, push.chain([(own_weight, row)]).collect())
            });
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let case = Case::new(7, 3000, 128, 300);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let graded = pool.install(|| case.sample().grade(Nce { shift: 2.0 }, 0.07));
        (graded.0.to_bits(), graded.1)
    };
    assert!(on(1) == on(2) && on(1) == on(5));
}

#[test]
fn similarities_come_in_the_order_of_the_draws() {
    let case = Case::new(3, 500, 64, 21);
    let sims = case.sample().similarities();
    for i in 0..3 {
        for (k, (logit, _)) in case.logits(i, 1.0).1.into_iter().enumerate() {
            assert!((f64::from(sims[i * 21 + k]) - logit).abs() < 1e-6);
        }
    }
}

#[test]
fn a_feature_that_is_not_a_number_does_not_pass_for_one() {
    let mut case = Case::new(2, 100, 16, 20);
    case.feats[3] = f32::NAN;
    let (loss, grad) = case.sample().grade(Nce { shift: 2.0 }, 0.07);
    assert!(loss.is_nan() && grad[0].is_nan() && grad[16].is_finite());
    let (loss, grad) = case.sample().grade(InfoNce, 0.07);
    assert!(loss.is_nan() && grad[0].is_nan() && grad[16].is_finite());
}
