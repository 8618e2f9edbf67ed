//! The figure of an image: one silhouette and one texture a class.

use super::SIDE;
use super::scene::{Rgb, direction};
use crate::random::Stream;

/// The thing itself, in its own frame: turned, and scaled so that it about fills the unit disc.
pub struct Figure {
    class: u16,
    x: f32,
    y: f32,
    /// One over the radius in pixels.
    scale: f32,
    turn: (f32, f32),
    pub inks: [Rgb; 2],
    /// Texture periods in a unit of the figure's frame.
    frequency: f32,
    phase: (f32, f32),
    /// Where the shaded texture grows lighter.
    shading: (f32, f32),
    /// Random heights for the blotches.
    lattice: [f32; 64],
}

impl Figure {
    pub fn draw(class: u16, inks: [Rgb; 2], stream: &mut Stream) -> Self {
        let radius = stream.range(8.0, 12.0);
        let middle = SIDE as f32 / 2.0;
        Self {
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
        }
    }

    /// Whether a pixel with this middle may show some of it; every silhouette lies within 1.2 radii.
    pub fn is_near(&self, x: f32, y: f32) -> bool {
        let (dx, dy) = (x - self.x, y - self.y);
        let reach = 1.2 / self.scale + 1.0;
        dx * dx + dy * dy <= reach * reach
    }

    /// How much of the second ink the figure shows at a point of the image, in 0..=1; `None` outside of it.
    pub fn ink_at(&self, x: f32, y: f32) -> Option<f32> {
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
