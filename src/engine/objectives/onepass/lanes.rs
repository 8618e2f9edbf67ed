//! Sixteen rows at a time: products with them, sums of them, and the functions that stand between.
//!
//! Products and sums use the processor's widest registers through `pulp`. The functions are loops over arrays, which
//! the compiler turns into vectors of whatever it is compiled for; they are inlined into code that `pulp` compiles for
//! each instruction set, so no function here may be left as a call.

use pulp::Simd;

pub const LANES: usize = 16;

/// Rows whose products run side by side, to hide the latency of each one's chain of additions.
const ABREAST: usize = 4;

/// feat · row for each of `rows`.
#[inline(always)]
pub fn dots<S: Simd>(simd: S, feat: &[f32], rows: &[&[f32]; LANES]) -> [f32; LANES] {
    let (feat, _) = S::as_simd_f32s(feat);
    let mut out = [0.0; LANES];
    for (out, rows) in out.chunks_exact_mut(ABREAST).zip(rows.chunks_exact(ABREAST)) {
        let row = |i: usize| &S::as_simd_f32s(rows[i]).0[..feat.len()];
        let rows: [_; ABREAST] = [row(0), row(1), row(2), row(3)];
        let mut sums = [simd.splat_f32s(0.0); ABREAST];
        for (c, &f) in feat.iter().enumerate() {
            for (sum, row) in sums.iter_mut().zip(&rows) {
                *sum = simd.mul_add_e_f32s(f, row[c], *sum);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = simd.reduce_sum_f32s(sum);
        }
    }
    out
}

/// sum ← earlier · sum + Σ weights · rows.
#[inline(always)]
pub fn add<S: Simd>(
    simd: S,
    sum: &mut [f32],
    earlier: f32,
    weights: &[f32; LANES],
    rows: &[&[f32]; LANES],
) {
    let (sum, _) = S::as_mut_simd_f32s(sum);
    let rows = rows.map(|row| &S::as_simd_f32s(row).0[..sum.len()]);
    let weights = weights.map(|weight| simd.splat_f32s(weight));
    let earlier = simd.splat_f32s(earlier);
    for (c, sum) in sum.iter_mut().enumerate() {
        let mut now = simd.mul_f32s(*sum, earlier);
        for lane in 0..LANES {
            now = simd.mul_add_e_f32s(weights[lane], rows[lane][c], now);
        }
        *sum = now;
    }
}

/// All lanes brought together by `f`, in pairs, so that it is not one chain of sixteen.
#[inline(always)]
pub fn fold(mut xs: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            xs[lane] = f(xs[lane], xs[lane + half]);
        }
    }
    xs[0]
}

/// e^x for x ≤ 0, to 2 units in the last place; what is below e^−87 is e^−87. NaN stays.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it leaves the nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first short enough that multiples of it are exact (Cody and Waite).
    const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2.0) - n * LN2.1;
    // Cephes' expf.
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = p * r + c;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23)); // 2ⁿ
    (p * r * r + r + 1.0) * power
}

/// ln(1 + t) for t in [0, 1], to 3 units in the last place, small t included.
#[inline(always)]
pub fn ln_1p(t: f32) -> f32 {
    let z = t / (2.0 + t);
    let w = z * z; // at most 1/9
    let mut p = 1.0 / 15.0;
    for c in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        p = p * w + c;
    }
    2.0 * z * p
}

/// (softplus(u), σ(u)) = (ln(1 + e^u), 1/(1 + e^−u)), neither of which overflows.
#[inline(always)]
pub fn softplus(u: f32) -> (f32, f32) {
    let t = exp(-u.abs());
    let (positive, above) = if 0.0 < u { (u, 1.0) } else { (0.0, t) };
    (positive + ln_1p(t), above / (1.0 + t))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_those_of_the_library() {
        for i in 0..=870_000 {
            let x = -f64::from(i) / 10_000.0;
            let off = f64::from(exp(x as f32)) / f64::from(x as f32).exp() - 1.0;
            assert!(off.abs() < 2.5e-7, "e^{x} is off by {off:e}");
            let t = x.exp();
            let off = f64::from(ln_1p(t as f32)) / f64::from(t as f32).ln_1p() - 1.0;
            assert!(off.abs() < 3.5e-7, "ln(1 + {t}) is off by {off:e}");
        }
        for u in [-80.0f32, -20.0, -1.0, 0.0, 0.3, 5.0, 40.0, 300.0] {
            let (loss, slope) = softplus(u);
            let (u, t) = (f64::from(u), (-f64::from(u).abs()).exp());
            let expected = (u.max(0.0) + t.ln_1p(), if u < 0.0 { t } else { 1.0 } / (1.0 + t));
            assert!((f64::from(loss) / expected.0 - 1.0).abs() < 1e-6, "softplus({u}) = {loss}");
            assert!((f64::from(slope) / expected.1 - 1.0).abs() < 1e-6, "σ({u}) = {slope}");
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so_and_minus_infinity_weighs_nothing() {
        assert!(exp(f32::NAN).is_nan() && ln_1p(f32::NAN).is_nan());
        let (loss, slope) = softplus(f32::NAN);
        assert!(loss.is_nan() && slope.is_nan());
        let (loss, slope) = softplus(f32::NEG_INFINITY);
        assert!(loss < 1e-37 && slope < 1e-37);
    }
}
