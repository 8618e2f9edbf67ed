//! One image: a ground, what lies behind the figure, the figure, and grain.

use super::SIDE;
use super::figure::Figure;
use crate::random::Stream;

/// Samples a pixel: a grid of 2×2 turned by atan(1/2), so that no two share a row or a column.
const SAMPLES: [(f32, f32); 4] = [(0.375, 0.125), (0.875, 0.375), (0.125, 0.625), (0.625, 0.875)];

pub type Rgb = [f32; 3];

/// Everything random about one image but its pixel noise.
pub struct Scene {
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

impl Scene {
    pub fn draw(class: u16, stream: &mut Stream) -> Self {
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
        let figure = Figure::draw(class, inks, stream);
        Self { ground, slope, distractors, figure }
    }

    pub fn render(&self, image: &mut [u8], stream: &mut Stream) {
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
pub fn direction(t: f32, opposite: bool) -> (f32, f32) {
    let sign = if opposite { -1.0 } else { 1.0 };
    let n = sign / (1.0 + t * t);
    ((1.0 - t * t) * n, 2.0 * t * n)
}
