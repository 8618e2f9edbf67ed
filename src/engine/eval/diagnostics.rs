//! What features look like without labels: how near an image's views lie, how evenly images fill the sphere, how many
//! directions they use, how far the bank lags behind.

use tch::{Device, Kind, Tensor};

/// Rows of the pairwise distances that are held at once.
const CHUNK: i64 = 1024;
/// Added to the share of each singular value, as the reference implementation has it.
const RANKME_EPS: f64 = 1e-7;

/// Mean ‖f − g‖² over pairs of unit rows (N, D) that belong together (Wang & Isola 2020, α = 2): 0 when all views of an
/// image coincide, 2 when they know nothing of one another.
pub fn alignment(first: &Tensor, second: &Tensor) -> f64 {
    let square = (first - second).square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
    square.mean(Kind::Double).double_value(&[])
}

/// ln mean exp(−2‖f_i − f_j‖²) over distinct pairs of unit rows (N, D) (Wang & Isola 2020, t = 2): 0 when all coincide,
/// about −4 + 8/D on a full sphere. NaN below two rows.
pub fn uniformity(rows: &Tensor) -> f64 {
    let n = rows.size()[0];
    if n < 2 {
        return f64::NAN;
    }
    let rows = rows.to_kind(Kind::Double);
    let sums = (0..n).step_by(CHUNK as usize).map(|start| {
        let part = rows.narrow(0, start, CHUNK.min(n - start));
        // ‖f − g‖² = 2 − 2 f·g on the sphere.
        ((part.matmul(&rows.tr()) - 1.0) * 4.0).exp().sum(Kind::Double).double_value(&[])
    });
    let all: f64 = sums.sum();
    let own = ((rows.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double) - 1.0) * 4.0)
        .exp()
        .sum(Kind::Double)
        .double_value(&[]);
    ((all - own) / (n * (n - 1)) as f64).ln()
}

/// RankMe (Garrido et al. 2023): exp of the entropy of the singular values' shares, of rows (N, D) as they are; between
/// 1 and min(N, D).
pub fn rankme(rows: &Tensor) -> f64 {
    // From the smaller Gram matrix: its eigenvalues are the squares.
    let rows = rows.to_kind(Kind::Double);
    let (n, d) = (rows.size()[0], rows.size()[1]);
    let gram = if d <= n { rows.tr().matmul(&rows) } else { rows.matmul(&rows.tr()) };
    // Small, and libtorch's CUDA half would load another library for it.
    let values = gram.to_device(Device::Cpu).linalg_eigvalsh("L").clamp_min(0.0).sqrt();
    let shares = &values / values.sum(Kind::Double) + RANKME_EPS;
    let entropy = -(&shares * shares.log()).sum(Kind::Double);
    entropy.exp().double_value(&[])
}

/// Mean over D of the standard deviation of unit rows (N, D), over 1/√D: 1 for an even spread, 0 after a collapse.
pub fn spread(rows: &Tensor) -> f64 {
    let std = rows.std_dim([0i64].as_slice(), false, false).mean(Kind::Double).double_value(&[]);
    std * (rows.size()[1] as f64).sqrt()
}

/// Mean cosine of unit rows (N, D) with their rows in the memory bank (N, D): how stale the bank is.
pub fn slot_cosine(rows: &Tensor, bank: &Tensor) -> f64 {
    slot_cosines(rows, bank).mean(Kind::Double).double_value(&[])
}

/// The cosine of each of unit rows (N, D) with its row in the memory bank (N, D): (N) fp64.
pub fn slot_cosines(rows: &Tensor, bank: &Tensor) -> Tensor {
    (rows * bank).sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
}

/// Cosines between −1 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Cosines {
    /// NaN where there are none.
    pub mean: f64,
    /// How many there are in each of [`COSINE_BINS`] equal parts of −1 to 1.
    pub counts: Vec<u64>,
}

/// Parts that cosines are counted in: 0.05 each.
pub const COSINE_BINS: i64 = 40;

impl Cosines {
    fn of(cosines: &Tensor) -> Self {
        // A diverged run has some that are none. Twins, whom rounding may take a little beyond 1, belong to the last bin.
        let counted = cosines.masked_select(&cosines.isfinite());
        let bins = (counted.to_kind(Kind::Double) + 1.0) * (0.5 * COSINE_BINS as f64);
        let bins = bins.floor().clamp(0.0, (COSINE_BINS - 1) as f64).to_kind(Kind::Int64);
        let counts = bins.bincount(None::<&Tensor>, COSINE_BINS).to_device(Device::Cpu);
        let counts = Vec::<i64>::try_from(counts).unwrap_or_default();
        Cosines {
            mean: cosines.mean(Kind::Double).double_value(&[]),
            counts: counts.into_iter().map(i64::cast_unsigned).collect(),
        }
    }
}

/// How like one another views are that belong together, and views of different images.
pub struct Similarity {
    /// Of the two views of each image (InvaSpread, Ye et al. 2019, draws these two distributions).
    pub positive: Cosines,
    /// Of every first view with the second views of all other images.
    pub negative: Cosines,
    /// First views, in percent, whose nearest second view is that of the same image: the discrimination of instances
    /// itself.
    pub recognised: f64,
}

/// Of two views of N images, unit rows (N, D) each.
pub fn similarity(first: &Tensor, second: &Tensor) -> Similarity {
    let n = first.size()[0];
    let all = first.matmul(&second.tr());
    let own = Tensor::eye(n, (Kind::Bool, first.device()));
    let nearest = all.argmax(1, false);
    let right = nearest.eq_tensor(&Tensor::arange(n, (Kind::Int64, first.device())));
    Similarity {
        positive: Cosines::of(&all.masked_select(&own)),
        negative: Cosines::of(&all.masked_select(&own.logical_not())),
        recognised: 100.0 * right.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bank::MemoryBank;

    fn sphere(n: usize, dim: usize) -> Tensor {
        MemoryBank::random(n, dim, 3, Device::Cpu).tensor().copy()
    }

    #[test]
    fn a_full_sphere_is_uniform_and_a_collapse_is_not() {
        // The exact value for independent directions in 128 dimensions is −3.9375.
        let found = uniformity(&sphere(3000, 128));
        assert!((found + 3.9375).abs() < 2e-3, "{found}");
        let one = sphere(1, 128).repeat([10, 1]);
        assert!(uniformity(&one).abs() < 1e-5);
        assert!(uniformity(&one.narrow(0, 0, 1)).is_nan());
        assert!((spread(&sphere(3000, 128)) - 1.0).abs() < 0.01);
        assert!(spread(&one) < 1e-6);
    }

    #[test]
    fn strangers_are_two_apart_and_twins_are_not() {
        let (a, b) = (sphere(2000, 64), sphere(4000, 64).narrow(0, 2000, 2000));
        assert!((alignment(&a, &b) - 2.0).abs() < 0.02);
        assert!(alignment(&a, &a) < 1e-12);
        assert!((slot_cosine(&a, &a) - 1.0).abs() < 1e-6 && slot_cosine(&a, &b).abs() < 0.02);
    }

    #[test]
    fn twins_are_recognised_and_strangers_counted_where_they_lie() {
        // Four directions and the same turned by 60 degrees towards the next one.
        let eye = Tensor::eye(4, (Kind::Float, Device::Cpu));
        let (near, far) = (0.5, 0.75f64.sqrt());
        let turned = &eye * near + eye.roll([1], [1]) * far;
        let found = similarity(&eye, &turned);
        assert!((found.positive.mean - near).abs() < 1e-6);
        assert!((found.negative.mean - far / 3.0).abs() < 1e-6);
        assert_eq!(found.recognised, 0.0);
        // 0.5 begins the bin 30, 0.866 is in bin 37, right angles begin bin 20.
        let at = |bin: usize, n| {
            (0..COSINE_BINS as usize).map(|i| if i == bin { n } else { 0 }).collect::<Vec<u64>>()
        };
        assert_eq!(found.positive.counts, at(30, 4));
        let mut negative = at(37, 4);
        negative[20] = 8;
        assert_eq!(found.negative.counts, negative);
        let broken = similarity(&(&eye * f64::NAN), &eye);
        assert!(broken.positive.mean.is_nan() && broken.negative.counts.iter().all(|&n| n == 0));
        let same = similarity(&eye, &eye);
        assert_eq!((same.recognised, same.positive.counts[39]), (100.0, 4));
    }

    #[test]
    fn rankme_counts_the_directions_in_use() {
        // Three orthogonal directions, equally often; then one alone; wide as well as tall.
        let eye = Tensor::eye(3, (Kind::Float, Device::Cpu));
        let three = Tensor::cat(&[&eye, &eye.zeros_like()], 1).repeat([4, 1]); // (12, 6)
        assert!((rankme(&three) - 3.0).abs() < 1e-4, "{}", rankme(&three));
        assert!((rankme(&three.tr()) - 3.0).abs() < 1e-4);
        assert!((rankme(&three.narrow(0, 0, 1)) - 1.0).abs() < 1e-4);
    }
}
