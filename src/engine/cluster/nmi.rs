//! Normalised mutual information of two groupings of the same rows.

use std::collections::BTreeMap;

/// 2 I(A; B) / (H(A) + H(B)) in [0, 1], labels being any numbers: 1 when one grouping is the other renamed, 0 when
/// they know nothing of one another. Two groupings of one group each are alike (1), as scikit-learn has it.
///
/// # Panics
/// When the two differ in length.
pub fn nmi(a: &[i64], b: &[i64]) -> f64 {
    assert_eq!(a.len(), b.len(), "groupings of the same rows");
    let n = a.len() as f64;
    let mut joint: BTreeMap<(i64, i64), f64> = BTreeMap::new();
    let (mut of_a, mut of_b): (BTreeMap<i64, f64>, BTreeMap<i64, f64>) = Default::default();
    for (&x, &y) in a.iter().zip(b) {
        *joint.entry((x, y)).or_default() += 1.0;
        *of_a.entry(x).or_default() += 1.0;
        *of_b.entry(y).or_default() += 1.0;
    }
    let entropy = |counts: &BTreeMap<i64, f64>| -> f64 {
        counts.values().map(|count| -(count / n) * (count / n).ln()).sum()
    };
    let (h_a, h_b) = (entropy(&of_a), entropy(&of_b));
    if h_a + h_b == 0.0 {
        return 1.0;
    }
    let information: f64 = joint
        .iter()
        .map(|((x, y), count)| count / n * (count * n / (of_a[x] * of_b[y])).ln())
        .sum();
    (2.0 * information / (h_a + h_b)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renaming_changes_nothing_and_independence_is_zero() {
        assert!((nmi(&[0, 0, 1, 1, 2], &[7, 7, 3, 3, 9]) - 1.0).abs() < 1e-12);
        assert!(nmi(&[0, 0, 1, 1], &[0, 1, 0, 1]).abs() < 1e-12);
        assert_eq!(nmi(&[4, 4], &[1, 1]), 1.0);
        // One group split in halves: I = ln 2, H = ln 2 and ln 4.
        assert!((nmi(&[0, 0, 1, 1], &[0, 1, 2, 3]) - 2.0 / 3.0).abs() < 1e-12);
    }
}
