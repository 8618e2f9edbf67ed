//! `shapes`: ten classes of procedural 32×32 images, so that a first run needs no download.
//!
//! A class is a silhouette together with a texture. Everything else is random: colours and which of them is the lighter,
//! position, size, rotation, texture phase and scale, a shaded ground, distractors behind the figure, pixel noise.
//! Colour therefore says nothing, pixel-wise distance says little, and a crop without the outline still shows the
//! texture: what instance discrimination has to find.
//!
//! Image `index` of a split is a pure function of (split, index). Only `+ - * /`, `sqrt` and `floor` are used, which IEEE
//! 754 rounds alike everywhere, so the images are the same bytes on every machine.

mod figure;
mod scene;

use rayon::prelude::*;

use self::scene::Scene;
use super::{DataError, Part, Pixels, Source};
use crate::random::{self, Purpose};

/// Images in the training split.
pub(super) const TRAIN: usize = 10_000;
/// Images in the test split.
pub(super) const TEST: usize = 2_000;
/// Height and width in pixels.
const SIDE: usize = 32;
/// Seed of the images: part of what the data set is.
const SEED: u64 = 1;

/// Index = label.
const CLASSES: [&str; 10] = [
    "striped-disc",
    "checked-square",
    "dotted-triangle",
    "ringed-star",
    "latticed-cross",
    "spoked-ring",
    "zigzag-crescent",
    "blotched-hexagon",
    "shaded-diamond",
    "halved-heart",
];

pub(super) struct Shapes {
    classes: Vec<String>,
    train: Vec<u16>,
    test: Vec<u16>,
}

impl Shapes {
    /// 10,000 training and 2,000 test images, equally many of each class.
    pub fn standard() -> Self {
        let labels = |n: usize| (0..n).map(|i| (i % CLASSES.len()) as u16).collect();
        let classes = CLASSES.map(str::to_owned).to_vec();
        Self { classes, train: labels(TRAIN), test: labels(TEST) }
    }
}

impl Source for Shapes {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn side(&self) -> usize {
        SIDE
    }

    fn labels(&self, part: Part) -> &[u16] {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }

    fn images(&self, part: Part, rows: &[u32]) -> Result<Pixels, DataError> {
        let split = match part {
            Part::Train => 0,
            Part::Test => 1,
        };
        let mut images = vec![0; rows.len() * SIDE * SIDE * 3];
        images.par_chunks_exact_mut(SIDE * SIDE * 3).zip(rows).for_each(|(image, &row)| {
            let class = self.labels(part)[row as usize];
            let mut stream = random::stream(SEED, Purpose::Shapes, split, u64::from(row));
            Scene::draw(class, &mut stream).render(image, &mut stream);
        });
        Ok(images.into())
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::search;

    fn first(part: Part, n: u32) -> (Vec<u8>, Vec<u16>) {
        let shapes = Shapes::standard();
        let rows: Vec<u32> = (0..n).collect();
        let images = shapes.images(part, &rows).unwrap().images;
        (images, shapes.labels(part)[..n as usize].to_vec())
    }

    /// A change here changes every number that was ever measured on this data set.
    #[test]
    fn the_images_are_these_bytes_on_every_machine() {
        let (images, _) = first(Part::Test, 100);
        let hash = crate::files::hex(&Sha256::digest(&images));
        assert_eq!(hash, "3765fd9f27143ad8e0123f05b8d073272d3e54e474eb5fb221a4e33817a21529");
    }

    #[test]
    fn every_figure_shows_and_no_two_images_are_alike() {
        let (images, _) = first(Part::Train, 200);
        let mut images: Vec<&[u8]> = images.chunks(SIDE * SIDE * 3).collect();
        for image in &images {
            let (low, high) = (image.iter().min().unwrap(), image.iter().max().unwrap());
            assert!(90 < high - low, "an image from {low} to {high}");
        }
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), 200);
    }

    /// Weighted k-NN on centred pixels: what a run has to beat before it has learned anything.
    #[test]
    fn pixels_alone_say_little_about_the_class() {
        let (bank, bank_labels) = first(Part::Train, 1_000);
        let (queries, labels) = first(Part::Test, 500);
        let dim = SIDE * SIDE * 3;
        let mut mean = vec![0.0; dim];
        for (i, &value) in bank.iter().enumerate() {
            mean[i % dim] += f32::from(value) / bank_labels.len() as f32;
        }
        let rows = |images: &[u8]| -> Vec<f32> {
            let unit = |image: &[u8]| {
                let row: Vec<f32> =
                    image.iter().zip(&mean).map(|(&x, m)| f32::from(x) - m).collect();
                let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                row.into_iter().map(move |x| x / norm)
            };
            images.chunks(dim).flat_map(unit).collect()
        };
        let k = 200;
        let found = search::top_k(&rows(&queries), &rows(&bank), dim, k);
        let right = found.chunks(k).zip(&labels).filter(|(neighbours, label)| {
            let mut votes = [0.0f32; CLASSES.len()];
            for near in *neighbours {
                votes[usize::from(bank_labels[near.row as usize])] +=
                    (near.similarity / 0.07).exp();
            }
            let best = (0..CLASSES.len()).max_by(|&a, &b| votes[a].total_cmp(&votes[b]));
            best == Some(usize::from(**label))
        });
        let share = right.count() as f64 / labels.len() as f64;
        assert!(share < 0.35, "{share}");
    }
}
