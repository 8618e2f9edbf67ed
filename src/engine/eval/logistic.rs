//! The linear probe: multinomial logistic regression on frozen features.
//!
//! Minimises the mean cross-entropy plus l2/2·‖W‖² (bias free) over the whole set, by accelerated gradient descent with
//! restarts (Nesterov 1983; O'Donoghue & Candès 2015). The problem is convex, so that the probe's accuracy is a property
//! of the features and not of a schedule, which is what probes by SGD with learning rates of 10 to 30 ask one to tune.

use tch::{Kind, Tensor};

use super::linear::{Linear, Solved, with_bias};

/// Gradient steps at most, and the largest entry of the gradient at which it is over.
const MOST_STEPS: usize = 2000;
const TOLERANCE: f64 = 1e-5;
/// Power iterations for the curvature.
const POWER: usize = 50;

/// Fits `rows` (N, D) fp32 of classes `labels` (N) i64 in 0..n_classes.
pub fn fit(rows: &Tensor, labels: &Tensor, n_classes: i64, l2: f64) -> Linear {
    tch::no_grad(|| descend(&with_bias(rows), labels, n_classes, l2, MOST_STEPS))
}

/// `rows` (N, D + 1), the ones last.
fn descend(rows: &Tensor, labels: &Tensor, n_classes: i64, l2: f64, most: usize) -> Linear {
    let (n, width) = (rows.size()[0] as f64, rows.size()[1]);
    let target = labels.one_hot(n_classes).to_kind(rows.kind()); // (N, C)
    let penalty = Tensor::full([width, 1], l2, (rows.kind(), rows.device())); // (D + 1, 1)
    let _ = penalty.narrow(0, width - 1, 1).fill_(0.0);
    let gradient = |w: &Tensor| {
        let p = rows.matmul(w).softmax(-1, rows.kind()); // (N, C)
        rows.tr().matmul(&(p - &target)) / n + &penalty * w // (D + 1, C)
    };
    let step = 1.0 / (0.5 * largest_eigenvalue(rows) / n + l2);
    let mut w = Tensor::zeros([width, n_classes], (rows.kind(), rows.device()));
    let (mut ahead, mut t) = (w.copy(), 1.0f64);
    let mut steps = 0;
    let solved = loop {
        let slope = gradient(&ahead);
        let largest = slope.abs().max().double_value(&[]);
        let solved = Solved { steps, gradient: largest, tolerance: TOLERANCE };
        if solved.converged() || steps == most {
            break solved;
        }
        steps += 1;
        let new = &ahead - &slope * step;
        let moved = &new - &w;
        // Momentum that points uphill is dropped.
        let uphill = 0.0 < (&slope * &moved).sum(Kind::Double).double_value(&[]);
        let next = if uphill { 1.0 } else { 0.5 * (1.0 + (1.0 + 4.0 * t * t).sqrt()) };
        ahead = if uphill { new.copy() } else { &new + moved * ((t - 1.0) / next) };
        (w, t) = (new, next);
    };
    Linear { weight: w, solved }
}

/// Of XᵀX, by power iteration from a fixed start; a little more than that, to be on the safe side.
fn largest_eigenvalue(rows: &Tensor) -> f64 {
    let mut v = Tensor::ones([rows.size()[1], 1], (rows.kind(), rows.device()));
    let mut value = 0.0;
    for _ in 0..POWER {
        let next = rows.tr().matmul(&rows.matmul(&v));
        value = next.norm().double_value(&[]);
        v = next / value.max(f64::MIN_POSITIVE);
    }
    1.05 * value
}

#[cfg(test)]
mod tests {
    use tch::Reduction;

    use super::*;
    use crate::engine::eval::parity::Fixture;

    #[test]
    fn the_optimum_is_scikit_learns() {
        let fixture = Fixture::load();
        let (rows, labels) = (fixture.rows(), fixture.labels());
        for l2 in ["0.01", "0.0001"] {
            let (n_classes, l2_) = (fixture.n_classes, l2.parse().unwrap());
            let fitted = fit(&rows, &labels, n_classes, l2_);
            let expected = fixture.numbers(&format!("logistic.{l2}"));
            assert!(fitted.solved.converged(), "{l2}: {:?}", fitted.solved);
            let scores = fitted.scores(&rows);
            let found = scores
                .cross_entropy_loss(&labels, None::<&Tensor>, Reduction::Mean, -100, 0.0)
                .double_value(&[]);
            assert!((found - expected[0]).abs() < 1e-4, "{l2}: {found}, expected {}", expected[0]);
            let probabilities = scores.softmax(-1, Kind::Double);
            let of = fixture.tensor(&format!("logistic.p.{l2}"));
            let off = (probabilities - of).abs().max().double_value(&[]);
            assert!(off < 2e-3, "{l2}: probabilities off by {off:e}");
        }
    }

    #[test]
    fn who_runs_out_of_steps_says_so() {
        let fixture = Fixture::load();
        let rows = with_bias(&fixture.rows());
        let descend = |most| descend(&rows, &fixture.labels(), fixture.n_classes, 0.01, most);
        let (few, enough) = (descend(3).solved, descend(MOST_STEPS).solved);
        assert!(!few.converged() && few.steps == 3, "{few:?}");
        assert!(enough.converged() && 3 < enough.steps && enough.steps < MOST_STEPS, "{enough:?}");
        assert!(enough.gradient < few.gradient);
        let one = descend(enough.steps - 1).solved;
        assert!(!one.converged(), "one step less is not enough: {one:?}");
        assert_eq!(descend(enough.steps).solved, enough);
    }
}
