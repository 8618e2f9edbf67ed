//! `shapes`: ten classes of procedural 32×32 images, so that a first run needs no download.
//!
//! A class is a silhouette together with a texture. Everything else is random: colours and which of them is the lighter,
//! position, size, rotation, texture phase and scale, a shaded ground, distractors behind the figure, pixel noise.
//! Colour therefore says nothing, pixel-wise distance says little, and a crop without the outline still shows the
//! texture: what instance discrimination has to find.
//!
//! Image `index` of a split is a pure function of (split, index). Only `+ - * /`, `sqrt` and `floor` are used, which IEEE
//! 754 rounds alike everywhere, so the images are the same bytes on every machine.

use rayon::prelude::*;

use super::{DataError, Part, Pixels, Source};
use crate::random::{self, Purpose, Stream};

/// Images in the training split.
pub(super) const TRAIN: usize = 10_000;
/// Images in the test split.
pub(super) const TEST: usize = 2_000;
/// Height and width in pixels.
const SIDE: usize = 32;
/// Samples a pixel: a grid of 2×2 turned by atan(1/2), so that no two share a row or a column.
const SAMPLES: [(f32, f32); 4] = [(0.375, 0.125), (0.875, 0.375), (0.125, 0.625), (0.625, 0.875)];
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

type Rgb = [f32; 3];

/// Everything random about one image but its pixel noise.
struct Scene {
    /// The ground runs from one colour to the other along a direction.
    ground: [Rgb; 2],
    slope: (f32, f32),
    distractors: Vec<Distractor>,
    figure: Figure,
}

/// A short bar behind the figure, round at its ends.
struct Distractor {
    x: f32,
    y: f32,
    along: (f32, f32),
    half_length: f32,
    radius: f32,
    colour: Rgb,
}

/// The thing itself, in its own frame: turned, and scaled so that it about fills the unit disc.
struct Figure {
    class: u16,
    x: f32,
    y: f32,
    /// One over the radius in pixels.
    scale: f32,
    turn: (f32, f32),
    inks: [Rgb; 2],
    /// Texture periods in a unit of the figure's frame.
    frequency: f32,
    phase: (f32, f32),
    /// Where the shaded texture grows lighter.
    shading: (f32, f32),
    /// Random heights for the blotches.
    lattice: [f32; 64],
}

impl Scene {
    fn draw(class: u16, stream: &mut Stream) -> Self {
        // A ground of middle lightness, one ink darker and one lighter: grayscale loses nothing, and the mean over a
        // texture tells little. Which ink comes first is random.
        let ground = stream.range(0.42, 0.58);
        let mut inks = [ground - stream.range(0.3, 0.4), ground + stream.range(0.3, 0.4)];
        stream.shuffle(&mut inks);
        let inks = inks.map(|lightness| colour(lightness, stream));
        let ground = [0, 1].map(|_| colour(ground + stream.range(-0.2, 0.2), stream));
        let slope = direction(stream.range(-1.0, 1.0), stream.unit() < 0.5);
        let n_distractors = 1 + stream.below(3);
        let distractors = (0..n_distractors).map(|_| Distractor::draw(stream)).collect();
        let radius = stream.range(8.0, 12.0);
        let middle = SIDE as f32 / 2.0;
        let figure = Figure {
            class,
            x: middle + stream.range(-9.0, 9.0),
            y: middle + stream.range(-9.0, 9.0),
            scale: 1.0 / radius,
            turn: direction(stream.range(-0.36, 0.36), false),
            inks,
            frequency: radius / stream.range(2.6, 3.4),
            phase: (stream.unit(), stream.unit()),
            shading: direction(stream.range(-1.0, 1.0), stream.unit() < 0.5),
            lattice: std::array::from_fn(|_| stream.unit()),
        };
        Self { ground, slope, distractors, figure }
    }

    fn render(&self, image: &mut [u8], stream: &mut Stream) {
        for (i, pixel) in image.chunks_exact_mut(3).enumerate() {
            let (x, y) = ((i % SIDE) as f32, (i / SIDE) as f32);
            let mean = self.mean_around(x, y);
            let noise = stream.u32();
            for c in 0..3 {
                // Ten bits a channel, up to ±0.03.
                let grain = ((noise >> (10 * c)) & 1023) as f32 / 1023.0 - 0.5;
                let value = mean[c] + 0.06 * grain;
                pixel[c] = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            }
        }
    }

    /// The colour of the pixel whose corner is (x, y). Where there is only ground, which is linear, its middle will do.
    fn mean_around(&self, x: f32, y: f32) -> Rgb {
        let (middle_x, middle_y) = (x + 0.5, y + 0.5);
        let near = |d: &Distractor| d.is_near(middle_x, middle_y);
        if !self.figure.is_near(middle_x, middle_y) && !self.distractors.iter().any(near) {
            return self.ground_at(middle_x, middle_y);
        }
        let mut sum = [0.0; 3];
        for (dx, dy) in SAMPLES {
            let colour = self.colour_at(x + dx, y + dy);
            for c in 0..3 {
                sum[c] += colour[c];
            }
        }
        sum.map(|channel| channel / SAMPLES.len() as f32)
    }

    fn colour_at(&self, x: f32, y: f32) -> Rgb {
        if let Some(ink) = self.figure.ink_at(x, y) {
            return mix(&self.figure.inks, ink);
        }
        if let Some(hit) = self.distractors.iter().find(|d| d.covers(x, y)) {
            return hit.colour;
        }
        self.ground_at(x, y)
    }

    fn ground_at(&self, x: f32, y: f32) -> Rgb {
        let middle = SIDE as f32 / 2.0;
        let along = (x - middle) * self.slope.0 + (y - middle) * self.slope.1;
        mix(&self.ground, (along / SIDE as f32 + 0.5).clamp(0.0, 1.0))
    }
}

impl Distractor {
    fn draw(stream: &mut Stream) -> Self {
        let lightness = stream.range(0.1, 0.9);
        Self {
            x: stream.range(0.0, SIDE as f32),
            y: stream.range(0.0, SIDE as f32),
            along: direction(stream.range(-1.0, 1.0), false),
            half_length: stream.range(0.0, 5.0),
            radius: stream.range(0.8, 2.0),
            colour: colour(lightness, stream),
        }
    }

    /// Whether a pixel with this middle may show some of it.
    fn is_near(&self, x: f32, y: f32) -> bool {
        let (dx, dy) = (x - self.x, y - self.y);
        let reach = self.half_length + self.radius + 1.0;
        dx * dx + dy * dy <= reach * reach
    }

    fn covers(&self, x: f32, y: f32) -> bool {
        let (dx, dy) = (x - self.x, y - self.y);
        let t = (dx * self.along.0 + dy * self.along.1).clamp(-self.half_length, self.half_length);
        let (rx, ry) = (dx - t * self.along.0, dy - t * self.along.1);
        rx * rx + ry * ry <= self.radius * self.radius
    }
}

impl Figure {
    /// Whether a pixel with this middle may show some of it; every silhouette lies within 1.2 radii.
    fn is_near(&self, x: f32, y: f32) -> bool {
        let (dx, dy) = (x - self.x, y - self.y);
        let reach = 1.2 / self.scale + 1.0;
        dx * dx + dy * dy <= reach * reach
    }

    /// How much of the second ink the figure shows at a point of the image, in 0..=1; `None` outside of it.
    fn ink_at(&self, x: f32, y: f32) -> Option<f32> {
        let (dx, dy) = ((x - self.x) * self.scale, (y - self.y) * self.scale);
        let (cos, sin) = self.turn;
        let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
        if !inside(self.class, u, v) {
            return None;
        }
        Some(self.texture(u, v))
    }

    /// The texture of the class, in texture periods but for those that have a centre.
    fn texture(&self, u: f32, v: f32) -> f32 {
        let (s, t) = (u * self.frequency + self.phase.0, v * self.frequency + self.phase.1);
        match self.class {
            0 => odd(t),
            1 => odd(s.floor() + t.floor()),
            2 => {
                let (a, b) = (cell(0.5 * s) - 0.5, cell(0.5 * t) - 0.5);
                f32::from(a * a + b * b < 0.1)
            }
            3 => odd((u * u + v * v).sqrt() * self.frequency + self.phase.0),
            4 => f32::from(cell(0.5 * s) < 0.36 || cell(0.5 * t) < 0.36),
            5 => f32::from((u * v * (u - v) * (u + v)) < 0.0),
            6 => odd(t + 2.0 * (cell(0.33 * s) - 0.5).abs()),
            7 => f32::from(0.5 < self.height(0.45 * s, 0.45 * t)),
            8 => {
                let (a, b) = self.shading;
                (0.5 + 0.6 * (a * u + b * v)).clamp(0.0, 1.0)
            }
            _ => f32::from(u < 0.0),
        }
    }

    /// Value noise: bilinear between the corners of the cell that holds (s, t).
    fn height(&self, s: f32, t: f32) -> f32 {
        let corner = |i: f32, j: f32| {
            let (i, j) = ((i as i32).rem_euclid(8), (j as i32).rem_euclid(8));
            self.lattice[(8 * j + i) as usize]
        };
        let (i, j) = (s.floor(), t.floor());
        let (a, b) = (cell(s), cell(t));
        let near = corner(i, j) * (1.0 - a) + corner(i + 1.0, j) * a;
        let far = corner(i, j + 1.0) * (1.0 - a) + corner(i + 1.0, j + 1.0) * a;
        near * (1.0 - b) + far * b
    }
}

/// Does the silhouette of `class` cover (u, v)? v points down, the unit disc about fits.
fn inside(class: u16, u: f32, v: f32) -> bool {
    let rr = u * u + v * v;
    match class {
        0 => rr < 0.9,
        1 => u.abs().max(v.abs()) < 0.8,
        2 => v < 0.65 && 1.732 * u.abs() - v < 1.0,
        3 => star(u, v),
        4 => u.abs().min(v.abs()) < 0.34 && u.abs().max(v.abs()) < 1.0,
        5 => 0.25 < rr && rr < 1.05,
        6 => rr < 1.0 && 0.5 < (u - 0.5) * (u - 0.5) + v * v,
        7 => (0.866 * u.abs() + 0.5 * v.abs()).max(v.abs()) < 0.86,
        8 => 1.4 * u.abs() + v.abs() < 1.1,
        _ => {
            // The heart curve (x² + y² − 1)³ = x² y³, y upwards.
            let (x, y) = (1.2 * u, 0.1 - 1.2 * v);
            let a = x * x + y * y - 1.0;
            a * a * a < x * x * y * y * y
        }
    }
}

/// A five-pointed star: within at least four of the five half-planes whose edges make the pentagram.
fn star(u: f32, v: f32) -> bool {
    // Outward normals at 90°, 18°, -54° and mirrored; v down.
    const NORMALS: [(f32, f32); 5] = [
        (0.0, 1.0),
        (0.951_056_5, 0.309_017),
        (0.587_785_25, -0.809_017),
        (-0.587_785_25, -0.809_017),
        (-0.951_056_5, 0.309_017),
    ];
    NORMALS.iter().filter(|(a, b)| a * u + b * v < 0.36).count() >= 4
}

/// Where in its period: x modulo 1.
fn cell(x: f32) -> f32 {
    x - x.floor()
}

/// 1 in every second unit interval.
fn odd(x: f32) -> f32 {
    f32::from(0.5 <= cell(0.5 * x.floor()))
}

fn mix(colours: &[Rgb; 2], share: f32) -> Rgb {
    std::array::from_fn(|c| colours[0][c] + (colours[1][c] - colours[0][c]) * share)
}

/// A random hue at about the given lightness (the mean that grayscale takes: 0.299 R + 0.587 G + 0.114 B).
fn colour(lightness: f32, stream: &mut Stream) -> Rgb {
    let rgb: Rgb = std::array::from_fn(|_| stream.range(-0.25, 0.25));
    let grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    rgb.map(|c| (lightness + c - grey).clamp(0.0, 1.0))
}

/// A unit vector from the tangent of half its angle, which needs no sine: t in ±1 covers ±90°.
fn direction(t: f32, opposite: bool) -> (f32, f32) {
    let sign = if opposite { -1.0 } else { 1.0 };
    let n = sign / (1.0 + t * t);
    ((1.0 - t * t) * n, 2.0 * t * n)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::data::stats;
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
        let hash = stats::hex(&Sha256::digest(&images));
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
