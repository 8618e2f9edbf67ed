//! Invariant and spreading instance features (Ye et al. 2019), within the batch and without a bank.
//!
//! As printed, with f_i the feature of image i and f̂_i that of its augmentation:
//!
//! ```text
//! P(i|x̂_i) = exp(f_i·f̂_i/τ) / Σ_k exp(f_k·f̂_i/τ)                      Eq. 3, invariant
//! P(i|x_j) = exp(f_i·f_j/τ) / Σ_k exp(f_k·f_j/τ),  j ≠ i               Eq. 4, spreading
//! J        = −Σ_i ln P(i|x̂_i) − Σ_i Σ_{j≠i} ln(1 − P(i|x_j))           Eq. 6–7, divided by B
//! ```
//!
//! As released (<https://github.com/mangye16/Unsupervised_Embedding_Learning>), with two augmentations: all 2B features
//! are rows alike, each with its partner for the positive and the 2B − 2 others for the spreading part, divided by 2B.
//! There the gradient reaches the row's feature alone and a feature's product with itself leaves the denominators;
//! both are switches here, in either form. With half of the negatives, the others leave sum and denominators; the authors'
//! first release then divides the positive term by 129 and half of the negative one too, which weighs the positive twice as
//! high against the chosen negatives as this does.

use std::f64::consts::LN_2;

use tch::{Kind, Tensor};

use super::in_batch::{Key, Share, choose, same_instance};
use super::{Batch, Objective, View, pair};
use crate::config::spec::{BatchNegatives, Diagonal, Gradient, ViewPair};

/// Largest ln P under 1 − P: fp32 has nothing between this and 1.
const NEARLY_SURE: f64 = -1e-7;

#[derive(Clone, Copy)]
pub struct Invaspread {
    pub tau: f64,
    pub views: ViewPair,
    pub gradient: Gradient,
    pub diagonal: Diagonal,
    pub negatives: BatchNegatives,
}

impl Objective for Invaspread {
    fn views(&self) -> &'static [View] {
        pair(self.views)
    }

    /// Random negatives are drawn on the host at every step.
    fn is_steady(&self) -> bool {
        self.negatives != BatchNegatives::Random
    }

    fn loss(&mut self, batch: &Batch) -> Tensor {
        let key = Key { seed: batch.seed, step: batch.step };
        self.spread(&batch.views[0], &batch.views[1], key)
    }

    /// With equal similarities among all that count.
    fn chance(&self, _n: usize, b: usize) -> Option<f64> {
        let half = |n: f64| {
            if self.negatives == BatchNegatives::All { n } else { (n / 2.0).floor().max(1.0) }
        };
        let own = if self.diagonal == Diagonal::Keep { 1.0 } else { 0.0 };
        let b = b as f64;
        let (positive, spreading, n) = match self.views {
            ViewPair::OriginalAugmented => {
                let n = half(b - 1.0);
                (n + 1.0, n + own, n)
            }
            ViewPair::TwoAugmented => {
                let n = half(2.0 * b - 2.0);
                (n + 1.0 + own, n + 1.0 + own, n)
            }
        };
        (1.0 < b).then(|| positive.ln() - n * (-1.0 / spreading).ln_1p())
    }
}

impl Invaspread {
    /// J for the features of two views, (B, D) each.
    pub fn spread(&self, first: &Tensor, second: &Tensor, key: Key) -> Tensor {
        match self.views {
            ViewPair::OriginalAugmented => self.as_printed(first, second, key),
            ViewPair::TwoAugmented => self.as_released(first, second, key),
        }
    }

    fn as_printed(&self, f: &Tensor, hat: &Tensor, key: Key) -> Tensor {
        let (b, kind) = (f.size()[0], f.kind());
        let own = same_instance(b, b, f.device()); // (B, B)
        let others = own.logical_not();

        let sims = self.similarities(hat, f); // (B, B), row: x̂_i, column: instance
        let chosen = self.choose(&sims, &others, b - 1, key);
        let counted = chosen.logical_or(&own);
        let invariant = sims.diagonal(0, 0, 1) - log_sum(&sims, &counted); // (B)

        let sims = self.similarities(f, f); // (B, B), row: x_j, column: instance
        let chosen = self.choose(&sims, &others, b - 1, key);
        let counted = self.with_diagonal(&chosen, &own);
        let log_p = &sims - log_sum(&sims, &counted).unsqueeze(1); // (B, B)
        -(invariant.sum(kind) + log_not(&log_p, &chosen).sum(kind)) / b as f64
    }

    fn as_released(&self, f: &Tensor, hat: &Tensor, key: Key) -> Tensor {
        let (b, kind) = (f.size()[0], f.kind());
        let n = 2 * b;
        let rows = Tensor::cat(&[f, hat], 0); // (2B, D)
        let sims = self.similarities(&rows, &rows); // (2B, 2B)
        let own = same_instance(n, n, f.device());
        let instance = same_instance(n, b, f.device());
        let partner = instance.logical_xor(&own);
        let chosen = self.choose(&sims, &instance.logical_not(), n - 2, key);
        let counted = self.with_diagonal(&chosen.logical_or(&partner), &own);
        let log_p = &sims - log_sum(&sims, &counted).unsqueeze(1); // (2B, 2B)
        let of = (Tensor::arange(n, (Kind::Int64, f.device())) + b).remainder(n).unsqueeze(1);
        let positive = log_p.gather(1, &of, false).sum(kind); // (2B, 1) before the sum
        -(positive + log_not(&log_p, &chosen).sum(kind)) / n as f64
    }

    /// Products over τ, (R, C), of rows (R, D) with the features that they are compared with (C, D).
    fn similarities(&self, rows: &Tensor, with: &Tensor) -> Tensor {
        let with = match self.gradient {
            Gradient::TwoSided => with.shallow_clone(),
            Gradient::OneSided => with.detach(),
        };
        rows.matmul(&with.tr()) / self.tau
    }

    fn choose(&self, sims: &Tensor, candidates: &Tensor, n: i64, key: Key) -> Tensor {
        choose(self.negatives, Share::Half, sims, candidates, n, key)
    }

    fn with_diagonal(&self, counted: &Tensor, own: &Tensor) -> Tensor {
        match self.diagonal {
            Diagonal::Keep => counted.logical_or(own),
            Diagonal::Drop => counted.shallow_clone(),
        }
    }
}

/// ln Σ exp of the counted entries of each row: (R, C) → (R).
fn log_sum(sims: &Tensor, counted: &Tensor) -> Tensor {
    sims.masked_fill(&counted.logical_not(), f64::NEG_INFINITY).logsumexp([1i64].as_slice(), false)
}

/// ln(1 − exp(x)) of the chosen entries, 0 elsewhere. x ≤ 0; by whichever form keeps its digits.
fn log_not(log_p: &Tensor, chosen: &Tensor) -> Tensor {
    // What is not chosen is set to a harmless value first, or its gradient would be 0·∞.
    let x = log_p.clamp_max(NEARLY_SURE).masked_fill(&chosen.logical_not(), -1.0);
    let near_one = x.gt(-LN_2);
    let close = x.masked_fill(&near_one.logical_not(), -LN_2).expm1().neg().log();
    let far = x.masked_fill(&near_one, -LN_2).exp().neg().log1p();
    close.where_self(&near_one, &far).masked_fill(&chosen.logical_not(), 0.0)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn a_collapse_of_256_features_costs_what_the_closed_form_says() {
        let one = Tensor::ones([128, 4], (Kind::Double, Device::Cpu)) * 0.5;
        let key = Key { seed: 0, step: 0 };
        for views in [ViewPair::TwoAugmented, ViewPair::OriginalAugmented] {
            for diagonal in [Diagonal::Drop, Diagonal::Keep] {
                for negatives in [BatchNegatives::All, BatchNegatives::Hardest] {
                    let gradient = Gradient::OneSided;
                    let objective = Invaspread { tau: 0.1, views, gradient, diagonal, negatives };
                    let loss = objective.spread(&one, &one, key).double_value(&[]);
                    let chance = objective.chance(0, 128).unwrap();
                    assert!(
                        (loss - chance).abs() < 1e-9,
                        "{views:?} {diagonal:?}: {loss} {chance}"
                    );
                }
            }
        }
        let released = Invaspread {
            tau: 0.1,
            views: ViewPair::TwoAugmented,
            gradient: Gradient::OneSided,
            diagonal: Diagonal::Drop,
            negatives: BatchNegatives::All,
        };
        // ln 255 − 254 ln(1 − 1/255)
        assert!((released.chance(0, 128).unwrap() - 6.5393).abs() < 1e-4);
    }

    #[test]
    fn a_sure_negative_costs_much_and_nothing_infinite() {
        let log_p = Tensor::from_slice(&[0.0f32, -1e-9, -0.1, -30.0, -5.0]).set_requires_grad(true);
        let chosen = Tensor::from_slice(&[true, true, true, true, false]);
        let cost = log_not(&log_p, &chosen);
        let values: Vec<f32> = Vec::try_from(&cost).unwrap();
        assert!((values[0] - 1e-7f32.ln()).abs() < 0.1 && -1e-12 < values[3] && values[4] == 0.0);
        assert!((values[2] - (1.0 - (-0.1f32).exp()).ln()).abs() < 1e-6);
        let grad = &Tensor::run_backward(&[cost.sum(Kind::Float)], &[&log_p], false, false)[0];
        assert!(bool::try_from(grad.isfinite().all()).unwrap());
    }
}
