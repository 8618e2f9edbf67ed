//! A map of a memory bank: its rows as points of a plane, near each other where their embeddings are.

use bhtsne::{Neighbor, tSNE};

use super::Array;
use super::neighbours::nearest_others;
use super::pca::{Components, components};
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

/// How rows are brought onto a plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Principal components: linear, at once, and distances along its axes mean something.
    #[default]
    Pca,
    /// t-SNE: whom each row is near to, and nothing else.
    Tsne,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Pca => "PCA",
            Method::Tsne => "t-SNE",
        }
    }

    /// What the names of its files begin with.
    pub fn stem(self) -> &'static str {
        match self {
            Method::Pca => "pca",
            Method::Tsne => "map",
        }
    }
}

/// Rows on a plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// x to the right and y upwards of each row, each axis stretched to [0, 1].
    pub places: Vec<[f32; 2]>,
    /// Where it is one of principal components: these.
    pub components: Option<Components>,
}

impl Plane {
    /// How it was made: `PCA, 23 % and 11 % of the variance`.
    pub fn words(&self) -> String {
        match &self.components {
            Some(Components { shares: [x, y], .. }) => {
                format!("PCA, {:.0} % and {:.0} % of the variance", 100.0 * x, 100.0 * y)
            }
            None => "t-SNE".to_owned(),
        }
    }
}

/// Points of a map: more than a screen has room for, mapped in two or three seconds.
pub const MAP_POINTS: usize = 4000;

/// `most` of `n` rows, spread evenly over them; all where there are no more.
pub fn spread_over(n: usize, most: usize) -> impl ExactSizeIterator<Item = usize> {
    let most = most.min(n);
    (0..most).map(move |i| i * n / most)
}

/// `rows` of `bank` (n, D) on a plane. No random numbers are drawn, so that one bank gives one map. `None` where there is
/// nothing to see: fewer than ten rows, or rows that do not differ.
///
/// # Panics
/// When one of `rows` is no row of the bank.
pub fn map(method: Method, bank: &Array, rows: &[u32]) -> Option<Plane> {
    if rows.len() < FEWEST {
        return None;
    }
    let components = match method {
        Method::Pca => Some(components(bank, rows)?),
        Method::Tsne => None,
    };
    let mut places = match &components {
        Some(found) => found.scores.iter().map(|score| score.map(|x| x as f32)).collect(),
        None => tsne(bank, rows)?,
    };
    for axis in 0..2 {
        fill(&mut places, axis)?;
    }
    Some(Plane { places, components })
}

/// t-SNE, from the spectrum of the neighbourhood graph.
fn tsne(bank: &Array, rows: &[u32]) -> Option<Vec<[f32; 2]>> {
    let dim = bank.shape[1];
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
    Some(alone.install(fit).as_chunks().0.to_vec())
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
        let places = map(Method::Tsne, &clusters(30), &rows).unwrap().places;
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
    fn components_fill_the_plane_and_keep_what_lies_apart_apart() {
        let rows: Vec<u32> = (0..90).collect();
        let Plane { places, components } = map(Method::Pca, &clusters(30), &rows).unwrap();
        for axis in 0..2 {
            let along = || places.iter().map(|place| place[axis]);
            assert_eq!(along().fold(f32::INFINITY, f32::min), 0.0);
            assert_eq!(along().fold(0.0, f32::max), 1.0);
        }
        let [x, y] = components.unwrap().shares;
        assert!(0.4 < x && y <= x && 0.85 < x + y, "three axes: two directions between them");
        let middle = |class: usize| {
            let of = places.iter().skip(class).step_by(3);
            of.fold([0.0; 2], |sum, place| [sum[0] + place[0] / 30.0, sum[1] + place[1] / 30.0])
        };
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let ([x, y], [u, v]) = (middle(a), middle(b));
            assert!(0.5 < (x - u).hypot(y - v), "{a} and {b}");
        }
    }

    #[test]
    fn one_bank_gives_one_map() {
        let rows: Vec<u32> = (0..60).collect();
        for method in [Method::Pca, Method::Tsne] {
            let map = || map(method, &clusters(20), &rows).unwrap();
            assert_eq!(map(), map());
            assert_eq!(map().words().starts_with("PCA, "), method == Method::Pca);
        }
    }

    #[test]
    fn there_is_no_map_of_nothing() {
        for method in [Method::Pca, Method::Tsne] {
            assert_eq!(map(method, &clusters(30), &[0, 1, 2]), None, "too few");
            let same = Array { shape: vec![40, 2], numbers: [1.0, 0.0].repeat(40) };
            assert_eq!(map(method, &same, &(0..40).collect::<Vec<_>>()), None, "collapsed");
        }
    }
}
