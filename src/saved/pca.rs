//! Principal components of rows: the two directions in which they differ most. Linear, without any choice, at once.

use nalgebra::{DMatrix, SymmetricEigen};

use super::Array;

/// Rows of which less than this is left of their variance, along one direction, lie in one point or on one line.
const LEAST: f64 = 1e-9;

/// Rows on their first two principal components.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Unit vectors of D numbers. A direction and its opposite are as good; of the two, the one whose largest number, its
    /// sign apart, is positive.
    pub directions: [Vec<f64>; 2],
    /// Share of the rows' variance along each, in [0, 1].
    pub shares: [f64; 2],
    /// Of each row: how far it lies from the mean, along each.
    pub scores: Vec<[f64; 2]>,
}

/// The first two principal components of `rows` of `bank` (n, D), by the eigenvectors of their covariance. `None` where
/// rows differ in fewer directions.
///
/// # Panics
/// When one of `rows` is no row of the bank.
pub fn components(bank: &Array, rows: &[u32]) -> Option<Components> {
    let dim = bank.shape[1];
    if rows.len() < 3 || dim < 2 {
        return None;
    }
    let row = |&row: &u32| bank.numbers[row as usize * dim..][..dim].iter().map(|&x| f64::from(x));
    let numbers: Vec<f64> = rows.iter().flat_map(row).collect();
    // A row of the bank a column, which is how the numbers lie.
    let mut centred = DMatrix::from_vec(dim, rows.len(), numbers); // (D, n)
    let mean = centred.column_mean();
    centred.column_iter_mut().for_each(|mut column| column -= &mean);
    let scatter = &centred * centred.transpose(); // (D, D)
    let total = scatter.trace();
    let eigen = SymmetricEigen::new(scatter);
    let mut order: Vec<usize> = (0..dim).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let [first, second] = [order[0], order[1]];
    // A bank that has collapsed: unit rows, all the same.
    if !(total > LEAST * rows.len() as f64 && eigen.eigenvalues[second] > LEAST * total) {
        return None;
    }
    let directions = [first, second].map(|at| signed(eigen.eigenvectors.column(at).as_slice()));
    let along = |column: &[f64], direction: &[f64]| -> f64 {
        column.iter().zip(direction).map(|(x, d)| x * d).sum()
    };
    let columns = centred.as_slice().chunks_exact(dim);
    let scores = columns.map(|x| [along(x, &directions[0]), along(x, &directions[1])]).collect();
    let shares = [first, second].map(|at| eigen.eigenvalues[at] / total);
    Some(Components { directions, shares, scores })
}

/// The direction or its opposite: see [`Components::directions`].
fn signed(direction: &[f64]) -> Vec<f64> {
    let largest =
        direction.iter().fold(0.0, |most: f64, x| if x.abs() > most.abs() { *x } else { most });
    direction.iter().map(|x| if largest < 0.0 { -x } else { *x }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use safetensors::SafeTensors;

    use super::*;

    /// `assets/fixtures/map/generate.py` has how NumPy made the expected values.
    #[test]
    fn components_are_those_of_numpys_singular_values() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/map/pca.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let doubles = |name: &str| -> Vec<f64> {
            let data = file.tensor(name).unwrap().data();
            data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
        };
        let rows = file.tensor("rows").unwrap();
        let numbers = rows.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let bank = Array { shape: rows.shape().to_vec(), numbers: numbers.collect() };
        // The bank has rows that are not asked for, between those that are.
        let asked: Vec<u32> = (0..bank.shape[0] as u32).filter(|row| row % 4 != 3).collect();
        let found = components(&bank, &asked).unwrap();
        let close = |name: &str, found: &[f64]| {
            let expected = doubles(name);
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-12, "{name}: {found} for {expected}");
            }
        };
        close("directions", &found.directions.concat());
        close("shares", &found.shares);
        close("scores", found.scores.as_flattened());
    }

    #[test]
    fn rows_in_a_point_or_on_a_line_have_no_plane() {
        let of = |numbers: Vec<f32>, dim: usize| {
            let n = numbers.len() / dim;
            components(&Array { shape: vec![n, dim], numbers }, &(0..n as u32).collect::<Vec<_>>())
        };
        assert_eq!(of([0.6, 0.8].repeat(20), 2), None, "a point");
        assert_eq!(
            of((0..20).flat_map(|i| [i as f32, 2.0 * i as f32]).collect(), 2),
            None,
            "a line"
        );
        assert_eq!(of(vec![1.0, -1.0, 1.0, -1.0], 1), None, "one number each");
        assert_eq!(of(vec![f32::NAN; 40], 2), None);
        assert!(of(vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0], 2).is_some());
    }
}
