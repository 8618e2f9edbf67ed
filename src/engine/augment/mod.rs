//! Random views of a batch: what may change about an image while its instance stays the same.
//!
//! Owns RandomResizedCrop, rotation, ColorJitter, grayscale and flip as batched tensor operations, and the mapping from
//! bytes to normalised tensors. Must never know data sets, models or the training loop, and never draws from libtorch.
//!
//! The order is that of the released CIFAR code: crop, jitter, grayscale, flip
//! (<https://github.com/zhirongw/lemniscate.pytorch>, cifar.py; the flip is commented out there, hence a switch).
//! A rotation, which that code has not, follows the crop. What is drawn ([`Draws`]) is apart from how it is applied, so
//! that a sample's parameters are a pure function of (seed, epoch, view, instance) and of nothing else in its batch.

mod draw;
mod jitter;
mod resample;

#[cfg(test)]
mod parity;

pub use draw::{Colour, Crop, Draw, Draws, Operation};

use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::config::spec::AugmentSpec;
use crate::data::files::decode::Region;
use crate::data::loader::Choose;
use crate::engine::device::upload;

/// Turns batches of bytes into normalised views of themselves.
#[derive(Debug)]
pub struct Augment {
    spec: AugmentSpec,
    side: usize,
    device: Device,
    /// 1 / std. // (3)
    scale: Tensor,
    /// -mean / std. // (3)
    shift: Tensor,
}

/// Weights of the luminance of (red, green, blue), as torchvision has them for tensors: they sum to 0.9999. PIL's are
/// .299, .587, .114; the difference is below a tenth of an 8-bit step.
const LUMINANCE: [f32; 3] = [0.2989, 0.587, 0.114];

impl Augment {
    /// `mean` and `std` are those of the data set's channels on the scale [0, 1]; `side` is the images' side in pixels.
    pub fn new(
        spec: &AugmentSpec,
        mean: [f32; 3],
        std: [f32; 3],
        side: usize,
        device: Device,
    ) -> Self {
        let shift = [0, 1, 2].map(|c| -mean[c] / std[c]);
        Self {
            spec: spec.clone(),
            side,
            device,
            scale: Tensor::from_slice(&std.map(|s| 1.0 / s)).to_device(device),
            shift: Tensor::from_slice(&shift).to_device(device),
        }
    }

    /// Where views are made.
    pub fn device(&self) -> Device {
        self.device
    }

    /// What happens to each of `instances` (their numbers in the training set) in `epoch`. `view` tells apart the
    /// several views that two-view methods take of one image in one epoch; methods with one view pass 0.
    pub fn draw(&self, seed: u64, epoch: u64, view: u64, instances: &[i64]) -> Draws {
        Draws::new(&self.spec, self.side, seed, epoch, view, instances)
    }

    /// The same for images that come cut out already, by [`Augment::law`].
    pub fn draw_cut(&self, seed: u64, epoch: u64, view: u64, instances: &[i64]) -> Draws {
        self.draw(seed, epoch, view, instances).without_crops(self.side)
    }

    /// What [`Augment::draw`] would cut out of an image of any size, for whoever opens the file; nothing where
    /// nothing is cropped. Not the same pixels as of a resident square, which has lost what lies outside of it.
    pub fn law(&self, seed: u64, epoch: u64, view: u64) -> Option<Arc<Choose>> {
        let spec = self.spec.clone();
        let law = move |row: u32, width: u32, height: u32| {
            let crop = draw::crop(&spec, seed, (epoch, view), row.into(), (width, height));
            Region { left: crop.left, top: crop.top, width: crop.width, height: crop.height }
        };
        (self.spec.crop_min < 1.0).then(|| Arc::new(law) as Arc<Choose>)
    }

    /// Applies `draws[i]` to `images[i]`.
    ///
    /// `images` is (B, S, S, 3) u8, rows of RGB pixels, on the device; the result is (B, 3, S, S) f32, normalised, with
    /// channels-last strides. Where all of `augment.*` is off this is [`Augment::clean`], bit for bit.
    ///
    /// # Panics
    /// When the number of draws or the side of the images is not that of the batch.
    pub fn apply(&self, images: &Tensor, draws: &Draws) -> Tensor {
        let side = self.side as i64;
        assert_eq!(images.size(), [draws.len() as i64, side, side, 3], "one draw an image");
        if self.is_off() {
            return self.clean(images);
        }
        let plan = jitter::Plan::new(draws);
        let (sorted, original) = plan.indices(self.device);
        let images = images.index_select(0, &sorted);
        let mut planes = resample::crop(&images, &plan.draws, self.device); // (B, 3, S, S)
        if self.spec.rotation > 0.0 {
            planes = resample::rotate(&planes, &plan.draws, self.device);
        }
        let mut xs = planes.view([-1, 3, side * side]); // (B, 3, P)
        if self.spec.jitters() {
            xs = jitter::apply(xs, &plan, self.device);
        }
        self.finish(&xs, &plan.draws) // (B, 3, P)
            .index_select(0, &original)
            .permute([0, 2, 1])
            .contiguous() // (B, P, 3)
            .view([-1, side, side, 3])
            .permute([0, 3, 1, 2])
    }

    fn is_off(&self) -> bool {
        let AugmentSpec { crop_min, grayscale, flip, rotation, .. } = self.spec;
        let jitters = self.spec.jitters();
        crop_min >= 1.0 && !jitters && grayscale == 0.0 && !flip && rotation == 0.0
    }

    /// Grayscale where drawn, and normalisation, as one affine map of colours. `xs`: (B, 3, P) in [0, 1].
    fn finish(&self, xs: &Tensor, draws: &[&Draw]) -> Tensor {
        let mut matrices = Vec::with_capacity(9 * draws.len());
        for draw in draws {
            for entry in 0..9 {
                let (to, from) = (entry / 3, entry % 3);
                let identity = if to == from { 1.0 } else { 0.0 };
                matrices.push(if draw.grayscale { LUMINANCE[from] } else { identity });
            }
        }
        let matrices = upload(&matrices, self.device).view([-1, 3, 3]);
        let matrices = matrices * self.scale.view([1, 3, 1]); // (B, 3 out, 3 in)
        self.shift.view([1, 3, 1]).baddbmm(&matrices, xs, 1.0, 1.0)
    }

    /// Normalises without augmentation; shapes as in [`Augment::apply`].
    pub fn clean(&self, images: &Tensor) -> Tensor {
        let side = self.side as i64;
        // Channels repeat along a row of bytes; 3·S at a time vectorise where 3 would not.
        let rows = images.reshape([-1, 3 * side]).to_kind(Kind::Float); // (B·S, 3·S)
        let (scale, shift) = (&self.scale / 255.0, &self.shift);
        let xs = shift.repeat([side]).addcmul(&rows, &scale.repeat([side]));
        xs.view([-1, side, side, 3]).permute([0, 3, 1, 2]) // (B, 3, S, S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
    const STD: [f32; 3] = [0.2023, 0.1994, 0.2010];
    const ALL_ON: AugmentSpec = AugmentSpec {
        crop_min: 0.2,
        jitter: 0.4,
        hue: Some(0.1),
        jitter_p: 0.8,
        grayscale: 0.2,
        flip: true,
        rotation: 15.0,
    };

    fn augment(spec: AugmentSpec) -> Augment {
        Augment::new(&spec, MEAN, STD, 32, Device::Cpu)
    }

    fn images(n: i64) -> Tensor {
        let bytes: Vec<u8> =
            (0..n * 32 * 32 * 3).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
        Tensor::from_slice(&bytes).view([n, 32, 32, 3])
    }

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn clean_normalises_each_channel_into_channels_last() {
        let images = images(2);
        let xs = augment(AugmentSpec::NONE).clean(&images);
        assert_eq!(xs.size(), [2, 3, 32, 32]);
        assert_eq!(xs.stride(), [3072, 1, 96, 3]);
        for (c, (mean, std)) in MEAN.into_iter().zip(STD).enumerate() {
            let byte = images.double_value(&[1, 7, 9, c as i64]);
            let expected = (byte / 255.0 - f64::from(mean)) / f64::from(std);
            assert!((xs.double_value(&[1, c as i64, 7, 9]) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn with_every_switch_off_a_view_is_the_clean_image() {
        let (augment, images) = (augment(AugmentSpec::NONE), images(3));
        let view = augment.apply(&images, &augment.draw(1, 2, 0, &[4, 5, 6]));
        assert_eq!(view, augment.clean(&images));
    }

    #[test]
    fn a_sample_is_augmented_alike_in_any_batch() {
        let (augment, images) = (augment(ALL_ON), images(9));
        let batch = augment.apply(&images, &augment.draw(1, 2, 0, &[8, 7, 6, 5, 4, 3, 2, 1, 0]));
        assert_eq!(batch.stride(), [3072, 1, 96, 3]);
        for (row, instance) in [(0, 8), (4, 4), (8, 0)] {
            let alone =
                augment.apply(&images.narrow(0, row, 1), &augment.draw(1, 2, 0, &[instance]));
            assert!(largest_difference(&alone, &batch.narrow(0, row, 1)) < 1e-5);
        }
    }

    #[test]
    fn a_flip_alone_mirrors_the_clean_image() {
        let (augment, images) =
            (augment(AugmentSpec { flip: true, ..AugmentSpec::NONE }), images(8));
        let draws = augment.draw(1, 0, 0, &[0, 1, 2, 3, 4, 5, 6, 7]);
        let view = augment.apply(&images, &draws);
        let clean = augment.clean(&images);
        for (i, draw) in draws.samples.iter().enumerate() {
            let clean = clean.get(i as i64);
            let expected = if draw.flip { clean.flip([2]) } else { clean };
            assert!(largest_difference(&view.get(i as i64), &expected) < 1e-5);
        }
        assert!(draws.samples.iter().any(|d| d.flip) && draws.samples.iter().any(|d| !d.flip));
    }
}
