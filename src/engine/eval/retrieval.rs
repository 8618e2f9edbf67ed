//! Retrieval within a set (Song et al. 2016, as InvaSpread §4.2 evaluates): is one of an image's K nearest others of its
//! class?

use crate::search::top_k;

/// Recall@K in percent (0–100) for each of `ks`, over all `rows` (N·dim, unit) with `labels` (N); a row is no neighbour
/// of itself. A class of one image can never be found and counts as a miss. NaN without rows.
pub fn recall(rows: &[f32], labels: &[u16], dim: usize, ks: &[usize]) -> Vec<f64> {
    let most = ks.iter().copied().max().unwrap_or(0) + 1;
    let n = labels.len();
    let k = most.min(n);
    if k == 0 {
        return vec![f64::NAN; ks.len()];
    }
    let found = top_k(rows, rows, dim, k); // (N, k)
    // The rank, from 0 and without the image itself, of the first neighbour of its class.
    let first = |(i, near): (usize, &[crate::search::Neighbour])| {
        let others = near.iter().map(|neighbour| neighbour.row as usize).filter(|&row| row != i);
        others.take(most - 1).position(|row| labels[row] == labels[i])
    };
    let firsts: Vec<Option<usize>> = found.chunks_exact(k).enumerate().map(first).collect();
    let within = |&k: &usize| {
        let hits = firsts.iter().flatten().filter(|&&rank| rank < k).count();
        100.0 * hits as f64 / n as f64
    };
    ks.iter().map(within).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_an_other_image_of_the_class_within_k() {
        // On a circle, in degrees: 0 and 5 and 60 of class 0, 10 and 50 of class 1, 180 alone of class 2.
        let rows: Vec<f32> = [0f32, 5.0, 60.0, 10.0, 50.0, 180.0]
            .iter()
            .flat_map(|a| [a.to_radians().cos(), a.to_radians().sin()])
            .collect();
        let labels = [0, 0, 0, 1, 1, 2];
        // Ranks of the first of its class: 0 → 0; 5 → 0; 60 → third of (50, 10, 5, 0); 10 → third of (5, 0, 50);
        // 50 → second of (60, 10); 180 never.
        let found = recall(&rows, &labels, 2, &[1, 2, 3]);
        let expected = [2.0, 3.0, 5.0].map(|hits| 100.0 * hits / 6.0);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        assert!(recall(&[], &[], 2, &[1])[0].is_nan());
    }
}
