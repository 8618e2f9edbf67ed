//! A map of a memory bank: its rows as points of a plane, near each other where their embeddings are.

use bhtsne::{Neighbor, tSNE};

use super::Array;
use super::neighbours::nearest_others;
use crate::search::Neighbour;

/// The effective number of neighbours that a point keeps near: the usual choice (van der Maaten and Hinton 2008 give 5 to
/// 50).
const PERPLEXITY: usize = 30;

/// Rows that say more than noise.
const FEWEST: usize = 10;

/// Steps of the optimiser, and how many of them pull neighbours together more strongly than they are.
const STEPS: usize = 500;
const EXAGGERATED: usize = 150;

/// Accuracy of the Barnes–Hut approximation (van der Maaten 2014).
const THETA: f32 = 0.5;

/// Points of a map: more than a screen has room for, mapped in two or three seconds.
pub const MAP_POINTS: usize = 4000;

/// `most` of `n` rows, spread evenly over them; all where there are no more.
pub fn spread_over(n: usize, most: usize) -> impl ExactSizeIterator<Item = usize> {
    let most = most.min(n);
    (0..most).map(move |i| i * n / most)
}

/// t-SNE of `rows` of `bank` (n, D): a place (x, y) for each, both in [0, 1]. It starts from the spectrum of the
/// neighbourhood graph and draws no random numbers, so that one bank gives one map. `None` where there is nothing to
/// see: fewer than ten rows, or rows that do not differ.
///
/// # Panics
/// When one of `rows` is no row of the bank.
pub fn map(bank: &Array, rows: &[u32]) -> Option<Vec<[f32; 2]>> {
    let dim = bank.shape[1];
    if rows.len() < FEWEST {
        return None;
    }
    let samples: Vec<&[f32]> =
        rows.iter().map(|&row| &bank.numbers[row as usize * dim..][..dim]).collect();
    // Three neighbours for each unit of perplexity, as the method has it.
    let perplexity = PERPLEXITY.min((rows.len() - 1) / 3);
    let all: Vec<usize> = (0..rows.len()).collect();
    let near = nearest_others(&samples.concat(), dim, &all, 3 * perplexity);
    // ‖a − b‖² = 2 − 2 a·b on the unit sphere.
    let neighbor = |other: &Neighbour| Neighbor {
        index: other.row as usize,
        distance: (2.0 - 2.0 * other.similarity).max(0.0).sqrt(),
    };
    let near: Vec<Vec<Neighbor<f32>>> =
        near.iter().map(|near| near.iter().map(neighbor).collect()).collect();
    if near.iter().flatten().all(|other| other.distance < 1e-3) {
        return None;
    }
    let fit = || {
        let mut tsne = tSNE::<f32, &[f32]>::new(&samples);
        tsne.perplexity(perplexity as f32)
            .epochs(STEPS)
            .stop_lying_epoch(EXAGGERATED)
            .momentum_switch_epoch(EXAGGERATED)
            .spectral_init()
            .barnes_hut_with_neighbors(THETA, &near);
        tsne.embedding()
    };
    // Several threads would add up in another order each time, and trainers want them more.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().ok()?;
    let mut places: Vec<[f32; 2]> = alone.install(fit).as_chunks().0.to_vec();
    for axis in 0..2 {
        fill(&mut places, axis)?;
    }
    Some(places)
}

/// Stretches one axis to [0, 1]; `None` where that cannot be.
fn fill(places: &mut [[f32; 2]], axis: usize) -> Option<()> {
    let along = || places.iter().map(|place| place[axis]);
    let (low, high) =
        along().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let width = high - low;
    if along().any(|x| !x.is_finite()) || width <= 0.0 {
        return None;
    }
    places.iter_mut().for_each(|place| place[axis] = (place[axis] - low) / width);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `per` unit rows around each of three axes of a space of eight dimensions, in turn.
    fn clusters(per: usize) -> Array {
        let mut numbers = Vec::new();
        for i in 0..3 * per {
            let mut row = [0f32; 8];
            row[i % 3] = 1.0;
            for (at, x) in row.iter_mut().enumerate().skip(3) {
                *x = 0.1 * ((i * (2 * at + 1)) as f32).sin();
            }
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            numbers.extend(row.map(|x| x / norm));
        }
        Array { shape: vec![3 * per, 8], numbers }
    }

    #[test]
    fn what_is_near_on_the_sphere_is_near_on_the_map() {
        let rows: Vec<u32> = (0..90).collect();
        let places = map(&clusters(30), &rows).unwrap();
        assert!(places.iter().flatten().all(|x| (0.0..=1.0).contains(x)));
        let far = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
        let kept = (0..90).filter(|&i| {
            let others = (0..90).filter(|&j| j != i);
            let nearest = others
                .min_by(|&a, &b| far(places[i], places[a]).total_cmp(&far(places[i], places[b])));
            nearest.is_some_and(|j| j % 3 == i % 3)
        });
        assert_eq!(kept.count(), 90);
    }

    #[test]
    fn one_bank_gives_one_map() {
        let rows: Vec<u32> = (0..60).collect();
        assert_eq!(map(&clusters(20), &rows), map(&clusters(20), &rows));
    }

    #[test]
    fn there_is_no_map_of_nothing() {
        assert_eq!(map(&clusters(30), &[0, 1, 2]), None, "too few");
        let same = Array { shape: vec![40, 2], numbers: [1.0, 0.0].repeat(40) };
        assert_eq!(map(&same, &(0..40).collect::<Vec<_>>()), None, "collapsed");
    }
}
