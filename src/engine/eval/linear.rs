//! Linear classifiers of frozen features, however they were fitted.

use tch::{Kind, Tensor};

/// Scores of C classes, linear in features (·, D) with a bias; the highest wins.
pub struct Linear {
    /// (D + 1, C), the bias last.
    pub weight: Tensor,
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
    (rows - mean) * scale
}

#[cfg(test)]
mod tests {
    use super::*;

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
