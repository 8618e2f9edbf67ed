//! What becomes of a negative's logit: its part of the loss, and the weight of its row in the gradient.

use super::lanes::{LANES, exp, fold, softplus};

/// A loss over an own logit and negatives that come in sets of `LANES`.
pub trait Rule: Copy + Send + Sync {
    /// What is known of an instance so far.
    type Tally: Send;

    /// `own` is v_i·f/τ.
    fn begin(self, own: f32) -> Self::Tally;

    /// Takes in a set of logits v_j·f/τ and leaves in their place the weights of their rows in the gradient. The
    /// gradient gathered so far has to be multiplied by what is returned.
    fn weigh(self, tally: &mut Self::Tally, logits: &mut [f32; LANES]) -> f32;

    fn finish(self, tally: &Self::Tally, own: f32) -> End;
}

/// J of one instance; ∂J/∂f = (push · Σ weights · v_j − pull · v_i)/τ.
pub struct End {
    pub loss: f64,
    pub push: f32,
    pub pull: f32,
}

/// InstDisc Eq. 7 in the form of `objectives::nce`: u = v·f/τ − ln Z − ln(m/n).
#[derive(Clone, Copy)]
pub struct Nce {
    /// ln Z + ln(m/n)
    pub shift: f32,
}

impl Rule for Nce {
    /// Σ softplus(u)
    type Tally = f64;

    #[inline(always)]
    fn begin(self, _own: f32) -> f64 {
        0.0
    }

    #[inline(always)]
    fn weigh(self, tally: &mut f64, logits: &mut [f32; LANES]) -> f32 {
        let mut losses = [0f32; LANES];
        for (logit, loss) in logits.iter_mut().zip(&mut losses) {
            (*loss, *logit) = softplus(*logit - self.shift);
        }
        *tally += f64::from(fold(losses, |a, b| a + b));
        1.0
    }

    #[inline(always)]
    fn finish(self, tally: &f64, own: f32) -> End {
        let (loss, pull) = softplus(self.shift - own);
        End { loss: tally + f64::from(loss), push: 1.0, pull }
    }
}

/// A softmax over the own slot and the negatives, whose greatest logit is found on the way (Milakov and Gimelshein
/// 2018, arXiv:1805.02867).
#[derive(Clone, Copy)]
pub struct InfoNce;

/// The greatest logit so far, and Σ e^(logit − greatest) over the own one and those seen.
pub struct Softmax {
    greatest: f32,
    sum: f64,
}

impl Rule for InfoNce {
    type Tally = Softmax;

    #[inline(always)]
    fn begin(self, own: f32) -> Softmax {
        Softmax { greatest: own, sum: 1.0 }
    }

    #[inline(always)]
    fn weigh(self, tally: &mut Softmax, logits: &mut [f32; LANES]) -> f32 {
        let greatest = fold(*logits, |a, b| if a < b { b } else { a });
        let mut earlier = 1.0;
        if tally.greatest < greatest {
            earlier = exp(tally.greatest - greatest);
            tally.sum *= f64::from(earlier);
            tally.greatest = greatest;
        }
        for logit in logits.iter_mut() {
            *logit = exp(*logit - tally.greatest);
        }
        tally.sum += f64::from(fold(*logits, |a, b| a + b));
        earlier
    }

    #[inline(always)]
    fn finish(self, tally: &Softmax, own: f32) -> End {
        let away = f64::from(tally.greatest) - f64::from(own);
        // The others' share of the probability.
        let pull = 1.0 - (-away).exp() / tally.sum;
        End { loss: tally.sum.ln() + away, push: (1.0 / tally.sum) as f32, pull: pull as f32 }
    }
}
