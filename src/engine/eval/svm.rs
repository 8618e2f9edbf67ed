//! Linear support vector machines, one class against the rest (the "linear SVM" of InstDisc, Table 1).
//!
//! Minimises ½‖w‖² + C Σ_i max(0, 1 − y_i w·x_i)² for each class, the problem of LIBLINEAR's default; the bias is one
//! more feature of value 1, regularised as there. By Newton's method with conjugate gradients in the primal (Chapelle
//! 2007), all classes at once: their vectors are the columns of one matrix, so that a step is two products.

use tch::{Kind, Tensor};

use super::linear::{Linear, Solved, with_bias};

const MOST_STEPS: usize = 100;
const MOST_CONJUGATE: usize = 250;
const MOST_HALVINGS: usize = 20;
/// Ends when every class's gradient is this much shorter than it was at the start.
const TOLERANCE: f64 = 1e-4;
/// How far each linear system is solved, relative to its right side.
const INEXACT: f64 = 0.05;
/// Share of the promised descent that a step has to keep (Armijo).
const KEPT: f64 = 1e-4;

/// Fits `rows` (N, D) of classes `labels` (N) i64 in 0..n_classes with cost `c` > 0.
pub fn fit(rows: &Tensor, labels: &Tensor, n_classes: i64, c: f64) -> Linear {
    tch::no_grad(|| {
        let rows = with_bias(&rows.to_kind(Kind::Double)); // (N, D + 1)
        let signs = labels.one_hot(n_classes).to_kind(Kind::Double) * 2.0 - 1.0; // (N, C)
        Problem { rows, signs, c }.solve(MOST_STEPS)
    })
}

struct Problem {
    /// (N, D + 1)
    rows: Tensor,
    /// (N, C), 1 where the row is of the class, else −1.
    signs: Tensor,
    c: f64,
}

impl Problem {
    fn solve(&self, most: usize) -> Linear {
        let size = [self.rows.size()[1], self.signs.size()[1]];
        let mut w = Tensor::zeros(size, (Kind::Double, self.rows.device())); // (D + 1, C)
        let mut first = None;
        let mut steps = 0;
        let solved = loop {
            let short = self.short(&w); // (N, C)
            let gradient = &w - self.rows.tr().matmul(&(&self.signs * &short)) * (2.0 * self.c);
            let length = squares(&gradient).sqrt(); // (C)
            let first = first.get_or_insert_with(|| length.clamp_min(f64::MIN_POSITIVE));
            let left = (&length / &*first).max().double_value(&[]);
            let solved = Solved { steps, gradient: left, tolerance: TOLERANCE };
            if solved.converged() || steps == most {
                break solved;
            }
            steps += 1;
            let active = short.gt(0.0).to_kind(Kind::Double);
            let direction = self.newton(&active, &gradient);
            w = self.descend(&w, &short, &gradient, &direction);
        };
        Linear { weight: w, solved }
    }

    /// How much each row falls short of its margin, (N, C).
    fn short(&self, w: &Tensor) -> Tensor {
        let margins: Tensor = &self.signs * self.rows.matmul(w);
        (margins.neg() + 1.0).relu()
    }

    /// (C)
    fn value(&self, w: &Tensor, short: &Tensor) -> Tensor {
        squares(w) * 0.5 + squares(short) * self.c
    }

    /// Solves (I + 2C Xᵀ A X) d = −g, a system a column, A diagonal with ones where a row is `active`.
    fn newton(&self, active: &Tensor, gradient: &Tensor) -> Tensor {
        let hessian = |v: &Tensor| {
            v + self.rows.tr().matmul(&(active * self.rows.matmul(v))) * (2.0 * self.c)
        };
        let mut d = gradient.zeros_like();
        let mut residual = -gradient;
        let mut direction = residual.copy();
        let mut square = squares(&residual); // (C)
        let enough = &square * (INEXACT * INEXACT);
        for _ in 0..MOST_CONJUGATE {
            if bool::try_from(square.le_tensor(&enough).all()).unwrap_or(true) {
                break;
            }
            let image = hessian(&direction);
            // A solved column stays as it is: its quotients are 0/0 otherwise.
            let curvature = columns(&direction, &image).clamp_min(f64::MIN_POSITIVE);
            let step = &square / curvature; // (C)
            d += &direction * &step;
            residual -= image * step;
            let new = squares(&residual);
            direction = &residual + &direction * (&new / square.clamp_min(f64::MIN_POSITIVE));
            square = new;
        }
        d
    }

    /// The longest of the steps 1, ½, ¼, … that keeps its promise, for each column.
    fn descend(&self, w: &Tensor, short: &Tensor, gradient: &Tensor, direction: &Tensor) -> Tensor {
        let (before, slope) = (self.value(w, short), columns(gradient, direction)); // (C)
        let mut step = before.ones_like();
        for _ in 0..MOST_HALVINGS {
            let there = w + direction * &step;
            let value = self.value(&there, &self.short(&there));
            let good = value.le_tensor(&(&before + &slope * &step * KEPT));
            if bool::try_from(good.all()).unwrap_or(true) {
                return there;
            }
            step = step.where_self(&good, &(&step * 0.5));
        }
        w + direction * step
    }
}

/// Inner products of the columns, (R, C), (R, C) → (C).
fn columns(a: &Tensor, b: &Tensor) -> Tensor {
    (a * b).sum_dim_intlist([0i64].as_slice(), false, Kind::Double)
}

fn squares(a: &Tensor) -> Tensor {
    columns(a, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::eval::parity::Fixture;

    #[test]
    fn hyperplanes_are_scikit_learns() {
        let fixture = Fixture::load();
        for c in ["0.1", "1.0", "10.0"] {
            let found =
                fit(&fixture.rows(), &fixture.labels(), fixture.n_classes, c.parse().unwrap());
            let expected = fixture.tensor(&format!("svm.{c}")).tr(); // (D + 1, C)
            let off = (&found.weight - &expected).abs().max() / expected.abs().max();
            let off = off.double_value(&[]);
            assert!(off < 1e-4, "C = {c}: off by {off:e}");
            assert!(found.solved.converged(), "C = {c}: {:?}", found.solved);
        }
    }

    #[test]
    fn who_runs_out_of_steps_says_so() {
        let fixture = Fixture::load();
        let rows = with_bias(&fixture.rows().to_kind(Kind::Double));
        let signs = fixture.labels().one_hot(fixture.n_classes).to_kind(Kind::Double) * 2.0 - 1.0;
        let problem = Problem { rows, signs, c: 10.0 };
        let (few, enough) = (problem.solve(1).solved, problem.solve(MOST_STEPS).solved);
        assert!(!few.converged() && few.steps == 1, "{few:?}");
        assert!(enough.converged() && 1 < enough.steps && enough.steps < MOST_STEPS, "{enough:?}");
        assert_eq!(problem.solve(enough.steps).solved, enough);
    }
}
