//! Non-parametric softmax over the whole bank (InstDisc Eq. 2): P(i|f) = exp(v_i·f/τ) / Σ_j exp(v_j·f/τ).
//!
//! One (B, n) product forward and one back. At CIFAR size that is cheaper than drawing thousands of negatives.

use tch::Tensor;

use super::graded::{Graded, chunks};
use super::{Batch, Objective};

pub struct Nonparametric {
    pub tau: f64,
}

impl Objective for Nonparametric {
    fn is_steady(&self) -> bool {
        true
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        softmax(batch.feats(), batch.index, batch.bank.tensor(), self.tau).attach(batch.feats())
    }

    /// ln n.
    fn chance(&self, n: usize, _b: usize) -> Option<f64> {
        Some((n as f64).ln())
    }
}

/// Mean over B of −ln P(index | feats), for `feats` (B, D), `index` (B,) and constant rows `bank` (n, D).
pub fn softmax(feats: &Tensor, index: &Tensor, bank: &Tensor, tau: f64) -> Graded {
    tch::no_grad(|| {
        let (feats, kind) = (feats.detach(), feats.kind());
        let (b, n) = (feats.size()[0], bank.size()[0]);
        let mut loss = Tensor::zeros([], (kind, feats.device()));
        let mut grads = Vec::new();
        for (start, rows) in chunks(b, n * kind.elt_size_in_bytes() as i64) {
            let own = index.narrow(0, start, rows); // (b)
            let logits = feats.narrow(0, start, rows).matmul(&bank.tr()) / tau; // (b, n)
            let log_p = logits.log_softmax(-1, kind);
            loss -= log_p.gather(1, &own.unsqueeze(1), false).sum(kind);
            // ∂/∂f of −ln P(i|f) is (Σ_j P(j|f) v_j − v_i) / τ.
            grads.push(log_p.exp().matmul(bank) - bank.index_select(0, &own)); // (b, D)
        }
        let b = b as f64;
        Graded { loss: loss / b, grad: Tensor::cat(&grads, 0) / (tau * b) }
    })
}
