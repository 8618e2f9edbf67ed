//! Groups among features: whitening, k-means, and how alike two groupings are.
//!
//! Plain algebra on (N, D) rows. Knows no networks, images or objectives; random numbers come from the caller's key.

mod kmeans;
mod nmi;

#[cfg(test)]
mod parity;

pub use kmeans::{Clusters, best_of, kmeans};
pub use nmi::nmi;

use tch::{Kind, Tensor};

/// Directions whose variance is below this share of the largest are noise and are left out.
const NEGLIGIBLE: f64 = 1e-8;

/// Centred, rotated onto its principal axes, each scaled to variance 1, rows then to length 1: what DeepCluster does to
/// features before it clusters them. (N, D) fp32 → (N, R) fp32, R ≤ D the number of directions that have a variance.
pub fn whiten(rows: &Tensor) -> Tensor {
    let wide = rows.to_kind(Kind::Double);
    let centred = &wide - wide.mean_dim([0i64].as_slice(), true, Kind::Double); // (N, D)
    let covariance = centred.tr().matmul(&centred) / rows.size()[0] as f64; // (D, D)
    let (values, vectors) = covariance.linalg_eigh("L"); // ascending: (D), (D, D)
    let largest = values.max().double_value(&[]).max(f64::MIN_POSITIVE);
    let n_left_out = values.lt(largest * NEGLIGIBLE).sum(Kind::Int64).int64_value(&[]);
    let n_kept = values.size()[0] - n_left_out;
    let (values, vectors) =
        (values.narrow(0, n_left_out, n_kept), vectors.narrow(1, n_left_out, n_kept));
    let scaled = centred.matmul(&(vectors / values.sqrt())); // (N, R)
    let length = scaled.norm_scalaropt_dim(2, [1], true).clamp_min(1e-12); // (N, 1)
    (scaled / length).to_kind(Kind::Float)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn whitened_rows_have_unit_length_and_directions_without_variance_are_gone() {
        let i = Tensor::arange(400, (Kind::Float, Device::Cpu));
        let (a, b) = ((&i * 0.7).sin(), (&i * 1.3 + 0.5).cos());
        let rows = Tensor::stack(&[&a * 10.0 + 3.0, b.shallow_clone(), &a + &b, b.zeros_like()], 1);
        let white = whiten(&rows);
        assert_eq!(white.size(), [400, 2]);
        let length = white.norm_scalaropt_dim(2, [1], false);
        assert!((length - 1.0).abs().max().double_value(&[]) < 1e-5);
    }
}
