//! InfoNCE over the memory bank: a softmax over the own slot and m sampled negatives.
//!
//! ```text
//! J = −ln [ exp(v_i·f/τ) / (exp(v_i·f/τ) + Σ_k exp(v_jk·f/τ)) ]      k = 1..m, j_k uniform with replacement
//! ```
//!
//! It needs no Z, because it normalises over what it drew. The authors' code took it up in 2020 in place of NCE.

use tch::{Device, Tensor};

use super::graded::Graded;
use super::negatives::{
    draw, draw_rows, negatives_of, numbers, own_slot_hits, own_slot_hits_of, unknown,
};
use super::sampled::{InMemory, Route};
use super::{Batch, Objective, onepass};
use crate::config::spec::OwnSlot;
use crate::journal::event::MetricInfo;
use crate::journal::metric;

pub struct Infonce {
    /// Rows of the bank.
    n: usize,
    m: usize,
    tau: f64,
    own_slot: OwnSlot,
    route: Route,
    device: Device,
    /// Own-slot hits per instance in the last batch, on the device.
    hits: Tensor,
}

impl Infonce {
    /// `m` negatives an instance, out of a bank of (n, D).
    pub fn new(
        m: u32,
        tau: f64,
        own_slot: OwnSlot,
        (n, dim): (usize, usize),
        device: Device,
    ) -> Infonce {
        let route = Route::cheaper(n, m as usize, dim, device);
        Infonce { n, m: m as usize, tau, own_slot, route, device, hits: unknown(device) }
    }
}

impl Objective for Infonce {
    fn noise(&self, instances: &[i64], step: u64, seed: u64) -> Option<Tensor> {
        let Route::Tensors(_) = self.route else { return None };
        let own: Vec<u32> = instances.iter().map(|&instance| instance as u32).collect();
        Some(draw(self.n, self.m, self.own_slot, &own, (seed, step), self.device))
    }

    fn is_steady(&self) -> bool {
        matches!(self.route, Route::Tensors(_))
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        let Batch { index, bank, seed, step, .. } = *batch;
        let (feats, n, m) = (batch.feats(), bank.len(), self.m);
        if self.route == Route::OnePass {
            let own = numbers(index);
            let negatives = draw_rows(n, m, self.own_slot, &own, seed, step);
            self.hits.copy_(&own_slot_hits_of(&negatives, &own));
            let sample = InMemory::new(feats, bank.tensor(), own, negatives);
            return sample.grade(onepass::InfoNce, self.tau).attach(feats);
        }
        let negatives = negatives_of(batch, m, self.own_slot); // (B, m)
        self.hits.copy_(&own_slot_hits(&negatives, index));
        infonce(feats, index, bank.tensor(), &negatives, self.tau, self.route).attach(feats)
    }

    /// ln(m + 1).
    fn chance(&self, _n: usize, _b: usize) -> Option<f64> {
        Some((self.m as f64).ln_1p())
    }

    fn metrics(&self) -> Vec<(MetricInfo, f64)> {
        vec![(metric::info("negatives/own_slot"), self.hits.double_value(&[]))]
    }
}

/// J for given negatives: `feats` (B, D), `index` (B,), constant rows `bank` (n, D), `negatives` (B, m).
pub fn infonce(
    feats: &Tensor,
    index: &Tensor,
    bank: &Tensor,
    negatives: &Tensor,
    tau: f64,
    route: Route,
) -> Graded {
    let form = match route {
        Route::OnePass => {
            return InMemory::of(feats, index, bank, negatives).grade(onepass::InfoNce, tau);
        }
        Route::Tensors(form) => form,
    };
    tch::no_grad(|| {
        let (feats, kind, b) = (feats.detach(), feats.kind(), feats.size()[0] as f64);
        let own = bank.index_select(0, index); // (B, D)
        let s_own = (&feats * &own).sum_dim_intlist([1i64].as_slice(), true, kind); // (B, 1)
        let s_noise = form.similarities(&feats, bank, negatives); // (B, m)
        let log_p = (Tensor::cat(&[s_own, s_noise], 1) / tau).log_softmax(-1, kind); // (B, 1 + m)
        let p = log_p.exp();
        // ∂J/∂f = (Σ_j P_j v_j − v_i)/τ, the own slot's P included in the sum.
        let push = form.weighted_rows(&p.narrow(1, 1, p.size()[1] - 1), bank, negatives); // (B, D)
        let pull = (1.0 - p.narrow(1, 0, 1)) * own; // (B, D)
        Graded { loss: -log_p.narrow(1, 0, 1).sum(kind) / b, grad: (push - pull) / (tau * b) }
    })
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::engine::objectives::sampled::Form;

    #[test]
    fn equal_logits_give_the_chance_value() {
        let rows = Tensor::ones([30, 4], (Kind::Float, Device::Cpu)) * 0.5;
        let index = Tensor::from_slice(&[0i64, 3]);
        let negatives =
            draw(30, 9, OwnSlot::Keep, &[0, 3], (0, 0), Device::Cpu).to_kind(Kind::Int64);
        let feats = rows.index_select(0, &index);
        let gather = Route::Tensors(Form::Gather);
        let loss = infonce(&feats, &index, &rows, &negatives, 0.1, gather).loss;
        assert!((loss.double_value(&[]) - 10f64.ln()).abs() < 1e-5);
    }
}
