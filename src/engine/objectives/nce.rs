//! Noise-contrastive estimation (InstDisc Eq. 4–8).
//!
//! ```text
//! P(i|f) = exp(v_i·f/τ) / Z                     Eq. 4, Z a constant (see `normaliser`)
//! h(i,f) = P(i|f) / (P(i|f) + m/n)              Eq. 6, noise uniform over n instances
//! J      = −ln h(i,f) − Σ_k ln(1 − h(j_k,f))    Eq. 7, summed over m negatives, mean over the batch
//! ```
//!
//! With u = v·f/τ − ln Z − ln(m/n), h is the logistic function of u, so −ln h = softplus(−u) and
//! −ln(1−h) = softplus(u): no quotient, no exponential that can overflow, and no small constant against a division by
//! zero. The released code adds 1e-7 to the denominators, which shifts h by up to 1e-7·n/m and matters only where P is
//! as small; these numbers are the equation's.

use tch::{Device, Kind, Tensor};

use super::graded::{Graded, chunks};
use super::negatives::{
    draw, draw_rows, negatives_of, numbers, own_slot_hits, own_slot_hits_of, unknown,
};
use super::normaliser::Normaliser;
use super::sampled::{Form, InMemory, Route};
use super::{Batch, Objective, State, StateError, onepass};
use crate::config::spec::{OwnSlot, ZMode};
use crate::journal::event::MetricInfo;
use crate::journal::metric;

pub struct Nce {
    /// Rows of the bank.
    n: usize,
    m: usize,
    tau: f64,
    own_slot: OwnSlot,
    route: Route,
    device: Device,
    normaliser: Normaliser,
    /// Own-slot hits per instance in the last batch, on the device.
    hits: Tensor,
}

impl Nce {
    /// `m` negatives an instance, out of a bank of (n, D).
    pub fn new(
        m: u32,
        tau: f64,
        z: ZMode,
        z_batches: u32,
        own_slot: OwnSlot,
        (n, dim): (usize, usize),
        device: Device,
    ) -> Nce {
        Nce {
            n,
            m: m as usize,
            tau,
            own_slot,
            route: Route::cheaper(n, m as usize, dim, device),
            device,
            normaliser: Normaliser::new(z, z_batches, device),
            hits: unknown(device),
        }
    }

    fn by_tensors(&mut self, batch: &Batch, form: Form) -> Graded {
        let Batch { index, bank, .. } = *batch;
        let (n, tau, rows, feats) = (bank.len(), self.tau, bank.tensor(), batch.feats().detach());
        let negatives = negatives_of(batch, self.m, self.own_slot); // (B, m)
        self.hits.copy_(&own_slot_hits(&negatives, index));
        let sims = form.similarities(&feats, rows, &negatives); // (B, m)
        let z = self
            .normaliser
            .observe(|| mean_exp(&sims, tau) * n as f64, || exact_z(&feats, rows, tau));
        grade(&feats, index, rows, &negatives, &sims, tau, &z, form)
    }

    /// Z has to be known before the pass that yields the gradient. Once it is frozen it is; an estimate from this
    /// batch's negatives takes a pass of its own, which reads the rows a second time.
    fn by_kernel(&mut self, batch: &Batch) -> Graded {
        let Batch { index, bank, seed, step, .. } = *batch;
        let (n, tau, rows, feats) = (bank.len(), self.tau, bank.tensor(), batch.feats().detach());
        let own = numbers(index);
        let negatives = draw_rows(n, self.m, self.own_slot, &own, seed, step);
        self.hits.copy_(&own_slot_hits_of(&negatives, &own));
        let sample = InMemory::new(&feats, rows, own, negatives);
        let z = self.normaliser.observe(
            || mean_exp(&sample.similarities(), tau) * n as f64,
            || exact_z(&feats, rows, tau),
        );
        sample.grade(rule(&z, self.m, n), tau)
    }
}

/// Eq. 7 for this Z, in the kernel.
fn rule(z: &Tensor, m: usize, n: usize) -> onepass::Nce {
    // ln Z + ln(m/n), in double until it meets the logits.
    onepass::Nce { shift: (z.double_value(&[]).ln() + (m as f64 / n as f64).ln()) as f32 }
}

impl Objective for Nce {
    fn noise(&self, instances: &[i64], step: u64, seed: u64) -> Option<Tensor> {
        let Route::Tensors(_) = self.route else { return None };
        let own: Vec<u32> = instances.iter().map(|&instance| instance as u32).collect();
        Some(draw(self.n, self.m, self.own_slot, &own, (seed, step), self.device))
    }

    fn is_steady(&self) -> bool {
        matches!(self.route, Route::Tensors(_)) && self.normaliser.is_steady()
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        let graded = tch::no_grad(|| match self.route {
            Route::OnePass => self.by_kernel(batch),
            Route::Tensors(form) => self.by_tensors(batch, form),
        });
        graded.attach(batch.feats())
    }

    /// With P = 1/n everywhere, h = 1/(1+m), and J = ln(1+m) + m ln(1+1/m). That takes a Z that follows the
    /// features: with Z frozen while the bank was random, a run that collapses later sits far above this.
    fn chance(&self, _n: usize, _b: usize) -> Option<f64> {
        let m = self.m as f64;
        Some(m.ln_1p() + m * (1.0 / m).ln_1p())
    }

    fn metrics(&self) -> Vec<(MetricInfo, f64)> {
        vec![
            (metric::info("z"), self.normaliser.z(self.device).double_value(&[])),
            (metric::info("negatives/own_slot"), self.hits.double_value(&[])),
        ]
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.normaliser.save(&mut state);
        state
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        self.normaliser.load(state, self.device)
    }
}

/// J for given negatives and Z: `feats` (B, D), `index` (B,), constant rows `bank` (n, D), `negatives` (B, m), `z` a
/// scalar tensor.
pub fn nce(
    feats: &Tensor,
    index: &Tensor,
    bank: &Tensor,
    negatives: &Tensor,
    tau: f64,
    z: &Tensor,
    route: Route,
) -> Graded {
    tch::no_grad(|| match route {
        Route::OnePass => {
            let (m, n) = (negatives.size()[1] as usize, bank.size()[0] as usize);
            InMemory::of(feats, index, bank, negatives).grade(rule(z, m, n), tau)
        }
        Route::Tensors(form) => {
            let feats = feats.detach();
            let sims = form.similarities(&feats, bank, negatives); // (B, m)
            grade(&feats, index, bank, negatives, &sims, tau, z, form)
        }
    })
}

/// The loss and its gradient, with the negatives' similarities `sims` (B, m) already at hand.
#[expect(clippy::too_many_arguments, reason = "the equation has that many quantities")]
fn grade(
    feats: &Tensor,
    index: &Tensor,
    bank: &Tensor,
    negatives: &Tensor,
    sims: &Tensor,
    tau: f64,
    z: &Tensor,
    form: Form,
) -> Graded {
    let (b, m, n) = (feats.size()[0] as f64, negatives.size()[1] as f64, bank.size()[0] as f64);
    let kind = feats.kind();
    let own = bank.index_select(0, index); // (B, D)
    // ln Z + ln(m/n), in double until it meets the logits.
    let shift = (z.to_kind(Kind::Double).log() + (m / n).ln()).to_kind(kind);
    let u_own = (feats * &own).sum_dim_intlist([1i64].as_slice(), true, kind) / tau - &shift; // (B, 1)
    let u_noise = sims / tau - &shift; // (B, m)
    let loss = (u_own.neg().softplus().sum(kind) + u_noise.softplus().sum(kind)) / b;
    // ∂softplus(−u)/∂u = −σ(−u), ∂softplus(u)/∂u = σ(u), and ∂u/∂f = v/τ.
    let pull = u_own.neg().sigmoid() * own; // (B, D)
    let push = form.weighted_rows(&u_noise.sigmoid(), bank, negatives); // (B, D)
    Graded { loss, grad: (push - pull) / (tau * b) }
}

/// Mean of exp(s/τ) over all of `sims`, a double scalar. Through the logarithm, because e^(1/τ) leaves fp32 at
/// τ < 0.012.
pub(super) fn mean_exp(sims: &Tensor, tau: f64) -> Tensor {
    let log_sum = (sims / tau).reshape([-1]).logsumexp([0i64].as_slice(), false);
    log_sum.to_kind(Kind::Double).exp() / sims.numel() as f64
}

/// Mean over the batch of Σ_j exp(v_j·f/τ): the one constant that the sampled estimates are estimates of.
pub fn exact_z(feats: &Tensor, bank: &Tensor, tau: f64) -> Tensor {
    let (b, n) = (feats.size()[0], bank.size()[0]);
    let log_sums: Vec<Tensor> = chunks(b, n * bank.kind().elt_size_in_bytes() as i64)
        .map(|(start, rows)| {
            let logits = feats.narrow(0, start, rows).matmul(&bank.tr()) / tau; // (b, n)
            logits.logsumexp([1i64].as_slice(), false) // (b)
        })
        .collect();
    Tensor::cat(&log_sums, 0).to_kind(Kind::Double).exp().mean(Kind::Double)
}
