//! What is drawn for each sample, as plain numbers. Knows no tensors and no pixels.

use rayon::prelude::*;

use crate::config::spec::AugmentSpec;
use crate::random::{self, Purpose, Stream};

/// Tries that RandomResizedCrop gives to rejection sampling before it falls back (torchvision).
const CROP_TRIES: u32 = 10;
/// Width over height of a crop lies between these; uniform on the logarithmic scale.
const CROP_RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

/// Samples from which on several threads draw: a sample takes about a microsecond.
const MANY: usize = 512;

/// A box in pixels; inside the image, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    pub top: u32,
    pub left: u32,
    pub height: u32,
    pub width: u32,
}

/// One of the four operations of colour jitter, numbered as torchvision numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Brightness = 0,
    Contrast = 1,
    Saturation = 2,
    Hue = 3,
}

/// Colour jitter of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    pub order: [Operation; 4],
    /// Factor; 1 changes nothing. So too contrast and saturation.
    pub brightness: f32,
    pub contrast: f32,
    pub saturation: f32,
    /// Share of a full turn, in [-0.5, 0.5]; 0 changes nothing.
    pub hue: f32,
}

/// All that happens to one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    pub crop: Crop,
    /// Degrees, counter-clockwise.
    pub angle: f32,
    pub colour: Colour,
    pub grayscale: bool,
    pub flip: bool,
}

/// What happens to each sample of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws {
    pub samples: Vec<Draw>,
}

impl Draws {
    pub(super) fn new(
        spec: &AugmentSpec,
        side: usize,
        seed: u64,
        epoch: u64,
        view: u64,
        instances: &[i64],
    ) -> Self {
        // View 0 keeps a = epoch; 2³² epochs are out of reach.
        let a = epoch | view << 32;
        let draw = |&instance: &i64| {
            let mut stream = random::stream(seed, Purpose::Augment, a, instance as u64);
            let draw = Draw::new(spec, side as u32, side as u32, &mut stream);
            if 1.0 <= spec.jitter_p {
                return draw;
            }
            let mut stream = random::stream(seed, Purpose::Jitter, a, instance as u64);
            let colour = draw.colour.kept(spec.jitter_p, &mut stream);
            Draw { colour, ..draw }
        };
        let samples = match instances.len() {
            0..MANY => instances.iter().map(draw).collect(),
            _ => instances.par_iter().map(draw).collect(),
        };
        Self { samples }
    }

    /// The same for images that are already cut out and scaled to `side`.
    pub(super) fn without_crops(mut self, side: usize) -> Self {
        let side = side as u32;
        for draw in &mut self.samples {
            draw.crop = Crop { top: 0, left: 0, height: side, width: side };
        }
        self
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

impl Draw {
    /// Everything is drawn whether or not `spec` uses it, and the crop, whose number of tries varies, comes last: so
    /// two runs that differ in one switch see the same values of all others, and their difference is that switch.
    fn new(spec: &AugmentSpec, width: u32, height: u32, stream: &mut Stream) -> Self {
        let flip = stream.unit() < 0.5;
        let grayscale = f64::from(stream.unit()) < spec.grayscale;
        let angle = spec.rotation as f32 * stream.range(-1.0, 1.0);
        let colour = Colour::new(spec.jitter as f32, spec.hue() as f32, stream);
        let crop = Crop::new(spec.crop_min, width, height, stream);
        Self { crop, angle, colour, grayscale, flip: flip && spec.flip }
    }
}

/// The box that one sample's view is cut out of, in an image of any size: of the stream that [`Draws::new`] takes for
/// the same sample.
pub(super) fn crop(
    spec: &AugmentSpec,
    seed: u64,
    (epoch, view): (u64, u64),
    instance: u64,
    (width, height): (u32, u32),
) -> Crop {
    let mut stream = random::stream(seed, Purpose::Augment, epoch | view << 32, instance);
    Draw::new(spec, width, height, &mut stream).crop
}

impl Colour {
    fn new(strength: f32, hue: f32, stream: &mut Stream) -> Self {
        let mut order =
            [Operation::Brightness, Operation::Contrast, Operation::Saturation, Operation::Hue];
        stream.shuffle(&mut order);
        let mut factor = |strength: f32| 1.0 + strength * stream.range(-1.0, 1.0);
        Self {
            order,
            brightness: factor(strength),
            contrast: factor(strength),
            saturation: factor(strength),
            hue: factor(hue) - 1.0,
        }
    }

    /// Itself with probability `p`, else what changes nothing. By a stream of its own: the crop, which is drawn next, stays
    /// the same whatever `p` is.
    fn kept(self, p: f64, stream: &mut Stream) -> Self {
        if f64::from(stream.unit()) < p {
            return self;
        }
        Self { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.0, ..self }
    }
}

impl Crop {
    /// RandomResizedCrop as torchvision draws it: the area uniform in [`smallest`, 1] of the image, the log of the
    /// aspect ratio uniform, both thrown again while the box is larger than the image, the place uniform. After ten
    /// tries the largest central box whose ratio is allowed, which in a square image is the image.
    fn new(smallest: f64, width: u32, height: u32, stream: &mut Stream) -> Self {
        if smallest >= 1.0 {
            return Self { top: 0, left: 0, height, width };
        }
        let area = f64::from(width) * f64::from(height);
        let (low, high) = (CROP_RATIO.0.ln(), CROP_RATIO.1.ln());
        for _ in 0..CROP_TRIES {
            let target = area * (smallest + (1.0 - smallest) * f64::from(stream.unit()));
            let ratio = (low + (high - low) * f64::from(stream.unit())).exp();
            let w = (target * ratio).sqrt().round() as u32;
            let h = (target / ratio).sqrt().round() as u32;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = stream.below(height - h + 1);
                let left = stream.below(width - w + 1);
                return Self { top, left, height: h, width: w };
            }
        }
        let ratio = f64::from(width) / f64::from(height);
        let (w, h) = if ratio < CROP_RATIO.0 {
            (width, (f64::from(width) / CROP_RATIO.0).round() as u32)
        } else if CROP_RATIO.1 < ratio {
            ((f64::from(height) * CROP_RATIO.1).round() as u32, height)
        } else {
            (width, height)
        };
        Self { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const SPEC: AugmentSpec = AugmentSpec {
        crop_min: 0.2,
        jitter: 0.4,
        grayscale: 0.2,
        flip: true,
        rotation: 10.0,
        ..AugmentSpec::NONE
    };

    fn draws(spec: &AugmentSpec, epoch: u64, view: u64, instances: &[i64]) -> Vec<Draw> {
        Draws::new(spec, 32, 3, epoch, view, instances).samples
    }

    #[test]
    fn a_draw_depends_on_its_key_alone() {
        let batch = draws(&SPEC, 5, 0, &[9, 1, 4]);
        assert_eq!(batch[2], draws(&SPEC, 5, 0, &[4])[0]);
        assert_ne!(batch[2], draws(&SPEC, 6, 0, &[4])[0]);
        assert_ne!(batch[2], draws(&SPEC, 5, 1, &[4])[0]);
        assert_ne!(batch[2], Draws::new(&SPEC, 32, 4, 5, 0, &[4]).samples[0]);
    }

    #[test]
    fn a_switch_changes_only_what_it_switches() {
        let without_crop = AugmentSpec { crop_min: 1.0, ..SPEC };
        let without_jitter = AugmentSpec { jitter: 0.0, flip: false, ..SPEC };
        for instance in 0..50 {
            let [all] = draws(&SPEC, 0, 0, &[instance])[..] else { panic!("one draw") };
            let crop = Crop { top: 0, left: 0, height: 32, width: 32 };
            assert_eq!(draws(&without_crop, 0, 0, &[instance])[0], Draw { crop, ..all });
            let plain = draws(&without_jitter, 0, 0, &[instance])[0];
            assert_eq!((plain.crop, plain.grayscale), (all.crop, all.grayscale));
            assert_eq!((plain.colour.hue, plain.colour.contrast, plain.flip), (0.0, 1.0, false));
        }
    }

    #[test]
    fn jitter_may_be_seldom_and_have_another_hue() {
        let n = 24_000;
        let instances: Vec<i64> = (0..n).collect();
        let all = draws(&SPEC, 0, 0, &instances);
        let other = AugmentSpec { hue: Some(0.1), jitter_p: 0.8, ..SPEC };
        let mut n_kept = 0;
        for (all, other) in all.iter().zip(draws(&other, 0, 0, &instances)) {
            if other.colour.brightness == 1.0 {
                let Colour { contrast, saturation, hue, .. } = other.colour;
                assert_eq!((contrast, saturation, hue), (1.0, 1.0, 0.0));
            } else {
                n_kept += 1;
                assert_eq!(other.colour.brightness, all.colour.brightness);
                assert!((other.colour.hue - all.colour.hue / 4.0).abs() < 1e-6);
            }
            assert_eq!(Draw { colour: all.colour, ..other }, *all, "nothing else is touched");
        }
        // Four standard errors of the share.
        assert!((n_kept as f64 / n as f64 - 0.8).abs() < 0.011, "{n_kept}");
    }

    #[test]
    fn crops_lie_inside_the_image_and_keep_their_bounds() {
        let instances: Vec<i64> = (0..20_000).collect();
        for Draw { crop, .. } in draws(&SPEC, 0, 0, &instances) {
            assert!(crop.top + crop.height <= 32 && crop.left + crop.width <= 32);
            // Half a pixel of rounding on either side.
            let (height, width) = (f64::from(crop.height), f64::from(crop.width));
            assert!((height + 0.5) * (width + 0.5) >= 0.2 * 1024.0, "{crop:?}");
            assert!((width - 0.5) / (height + 0.5) <= 4.0 / 3.0, "{crop:?}");
            assert!((height - 0.5) / (width + 0.5) <= 4.0 / 3.0, "{crop:?}");
        }
    }

    #[test]
    fn crops_of_any_image_lie_inside_it_and_those_of_a_square_are_the_drawn_ones() {
        let of = |instance, size| crop(&SPEC, 3, (5, 1), instance, size);
        for instance in 0..2_000 {
            for (width, height) in [(500, 375), (40, 300), (300, 40), (1, 1), (2, 700)] {
                let crop = of(instance, (width, height));
                assert!(0 < crop.width && 0 < crop.height, "{crop:?}");
                assert!(crop.left + crop.width <= width && crop.top + crop.height <= height);
            }
            let drawn = draws(&SPEC, 5, 1, &[instance as i64])[0].crop;
            assert_eq!(of(instance, (32, 32)), drawn);
        }
        // So long a strip has no box of an allowed shape and a fifth of its area: the middle is left.
        let middle = Crop { top: 0, left: 123, height: 40, width: 53 };
        assert_eq!(of(0, (300, 40)), middle);
    }

    #[test]
    fn jitter_flip_and_grayscale_follow_their_laws() {
        let n = 24_000;
        let draws = draws(&SPEC, 0, 0, &(0..n).collect::<Vec<i64>>());
        let share = |hit: &dyn Fn(&Draw) -> bool| {
            draws.iter().filter(|draw| hit(draw)).count() as f64 / n as f64
        };
        // Four standard errors of a share at n = 24,000 are at most 0.013.
        assert!((share(&|d| d.flip) - 0.5).abs() < 0.013);
        assert!((share(&|d| d.grayscale) - 0.2).abs() < 0.011);
        assert!((share(&|d| d.colour.brightness < 0.8) - 0.25).abs() < 0.012);
        assert!((share(&|d| d.colour.contrast < 1.2) - 0.75).abs() < 0.012);
        assert!((share(&|d| d.colour.saturation < 1.0) - 0.5).abs() < 0.013);
        assert!((share(&|d| d.colour.hue > 0.2) - 0.25).abs() < 0.012);
        assert!((share(&|d| d.angle < -5.0) - 0.25).abs() < 0.012);
        assert!(draws.iter().all(|d| (0.6..=1.4).contains(&d.colour.brightness)));
        assert!(draws.iter().all(|d| d.colour.hue.abs() <= 0.4001 && d.angle.abs() <= 10.0));

        let mut orders: HashMap<[u8; 4], f64> = HashMap::new();
        for draw in &draws {
            *orders.entry(draw.colour.order.map(|operation| operation as u8)).or_default() += 1.0;
        }
        // 23 degrees of freedom: the 0.1 % point of chi-squared is 49.7.
        let chi2: f64 = orders.values().map(|count| (count - 1000.0).powi(2) / 1000.0).sum();
        assert!(orders.len() == 24 && chi2 < 49.7, "{} orders, chi-squared {chi2}", orders.len());
    }
}
