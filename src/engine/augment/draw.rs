//! What is drawn for each sample, as plain numbers. Knows no tensors and no pixels.

use crate::config::spec::AugmentSpec;
use crate::random::{self, Purpose, Stream};

/// Tries that RandomResizedCrop gives to rejection sampling before it falls back (torchvision).
const CROP_TRIES: u32 = 10;
/// Width over height of a crop lies between these; uniform on the logarithmic scale.
const CROP_RATIO: (f64, f64) = (3.0 / 4.0, 4.0 / 3.0);

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
            Draw::new(spec, side as u32, &mut stream)
        };
        Self { samples: instances.iter().map(draw).collect() }
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
    fn new(spec: &AugmentSpec, side: u32, stream: &mut Stream) -> Self {
        let flip = stream.unit() < 0.5;
        let grayscale = f64::from(stream.unit()) < spec.grayscale;
        let angle = spec.rotation as f32 * stream.range(-1.0, 1.0);
        let colour = Colour::new(spec.jitter as f32, stream);
        let crop = Crop::new(spec.crop_min, side, stream);
        Self { crop, angle, colour, grayscale, flip: flip && spec.flip }
    }
}

impl Colour {
    fn new(strength: f32, stream: &mut Stream) -> Self {
        let mut order =
            [Operation::Brightness, Operation::Contrast, Operation::Saturation, Operation::Hue];
        stream.shuffle(&mut order);
        let mut factor = || 1.0 + strength * stream.range(-1.0, 1.0);
        Self {
            order,
            brightness: factor(),
            contrast: factor(),
            saturation: factor(),
            hue: factor() - 1.0,
        }
    }
}

impl Crop {
    /// RandomResizedCrop as torchvision draws it: the area uniform in [`smallest`, 1] of the image, the log of the
    /// aspect ratio uniform, both thrown again while the box is larger than the image, the place uniform. After ten
    /// tries the largest central box whose ratio is allowed, which in a square image is the image.
    fn new(smallest: f64, side: u32, stream: &mut Stream) -> Self {
        let whole = Self { top: 0, left: 0, height: side, width: side };
        if smallest >= 1.0 {
            return whole;
        }
        let area = f64::from(side) * f64::from(side);
        let (low, high) = (CROP_RATIO.0.ln(), CROP_RATIO.1.ln());
        for _ in 0..CROP_TRIES {
            let target = area * (smallest + (1.0 - smallest) * f64::from(stream.unit()));
            let ratio = (low + (high - low) * f64::from(stream.unit())).exp();
            let width = (target * ratio).sqrt().round() as u32;
            let height = (target / ratio).sqrt().round() as u32;
            if (1..=side).contains(&width) && (1..=side).contains(&height) {
                let top = stream.below(side - height + 1);
                let left = stream.below(side - width + 1);
                return Self { top, left, height, width };
            }
        }
        whole
    }
}
