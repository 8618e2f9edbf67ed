//! Linear classifiers of frozen features, however they were fitted.

use tch::{Kind, Tensor};

/// Scores of C classes, linear in features (·, D) with a bias; the highest wins.
pub struct Linear {
    /// (D + 1, C), the bias last.
    pub weight: Tensor,
    pub solved: Solved,
}

/// How near a solver came to the optimum of its convex problem.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solved {
    /// Steps that were made.
    pub steps: usize,
    /// What is left of the gradient at the end, in the measure that the solver's tolerance has.
    pub gradient: f64,
    pub tolerance: f64,
}

impl Solved {
    /// Else it ended for want of steps. A gradient that is no number never gets there.
    pub fn converged(self) -> bool {
        self.gradient < self.tolerance
    }
}

impl Linear {
    /// (Q, D) → (Q, C).
    pub fn scores(&self, rows: &Tensor) -> Tensor {
        with_bias(&rows.to_kind(self.weight.kind())).matmul(&self.weight)
    }

    /// Percentage (0–100) of `rows` (Q, D) that get their label, (Q) i64.
    pub fn accuracy(&self, rows: &Tensor, labels: &Tensor) -> f64 {
        let found = self.scores(rows).argmax(1, false); // (Q)
        100.0 * found.eq_tensor(labels).to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
    }
}

/// Percentage (0–100) of rows whose label, (Q) i64, is among the five highest of their `scores` (Q, C). None where that
/// is no question, as there are no more than five classes.
pub fn top5(scores: &Tensor, labels: &Tensor) -> Option<f64> {
    if scores.size()[1] <= 5 {
        return None;
    }
    let (_, found) = scores.topk(5, 1, true, false); // (Q, 5)
    let is_in = found.eq_tensor(&labels.unsqueeze(1)).any_dim(1, false); // (Q)
    Some(100.0 * is_in.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]))
}

/// One more column, of ones: (N, D) → (N, D + 1).
pub(super) fn with_bias(rows: &Tensor) -> Tensor {
    let ones = Tensor::ones([rows.size()[0], 1], (rows.kind(), rows.device()));
    Tensor::cat(&[rows, &ones], 1)
}

/// Columns of `rows` shifted and scaled to mean 0 and deviation 1 over `by`, (·, D); a constant column becomes 0.
pub fn standardise(rows: &Tensor, by: &Tensor) -> Tensor {
    let mean = by.mean_dim([0i64].as_slice(), true, Kind::Float); // (1, D)
    let std = by.std_dim([0i64].as_slice(), false, true); // (1, D)
    let scale = std.gt(1e-8).to_kind(Kind::Float) / std.clamp_min(1e-8);
    // In place: feature maps are hundreds of megabytes.
    let mut shifted = rows - mean;
    shifted *= scale;
    shifted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_in_the_top_five_where_fewer_than_five_classes_score_higher() {
        // Row r has the classes in the order r, r + 1, …, 6, 0, …: its label 0 is in place (7 − r) % 7.
        let row = |r: i64| (0..7).map(move |c| -((c - r).rem_euclid(7)) as f32);
        let scores: Vec<f32> = (0..7).flat_map(row).collect();
        let scores = Tensor::from_slice(&scores).view([7, 7]);
        let labels = Tensor::zeros([7], (Kind::Int64, tch::Device::Cpu));
        let found = top5(&scores, &labels).unwrap();
        assert!((found - 100.0 * 5.0 / 7.0).abs() < 1e-9, "{found}");
        assert_eq!(top5(&scores.narrow(1, 0, 5), &labels), None);
    }

    #[test]
    fn standardised_columns_have_mean_0_and_deviation_1_and_constants_vanish() {
        let x = Tensor::from_slice2(&[[1.0f32, 5.0], [3.0, 5.0], [5.0, 5.0]]);
        let found: Vec<Vec<f32>> = Vec::try_from(standardise(&x, &x)).unwrap();
        let side = 1.5f32.sqrt();
        for (row, expected) in found.iter().zip([[-side, 0.0], [0.0, 0.0], [side, 0.0]]) {
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
