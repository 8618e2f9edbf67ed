//! Random views of a batch of 32 × 32 images, as training makes them: RandomResizedCrop, ColorJitter, grayscale, flip.

use std::hint::black_box;

use instdisc_lab::config::spec::AugmentSpec;
use instdisc_lab::engine::augment::Augment;
use tch::{Device, Tensor};

use crate::{Measured, median};

const B: i64 = 128;

/// Images a second, drawing and normalising included.
pub fn images_per_second() -> Measured {
    let spec =
        AugmentSpec { crop_min: 0.2, jitter: 0.4, grayscale: 0.2, flip: true, ..AugmentSpec::NONE };
    let augment =
        Augment::new(&spec, [0.491, 0.482, 0.447], [0.202, 0.199, 0.201], 32, Device::Cpu);
    let bytes: Vec<u8> = (0..B * 32 * 32 * 3).map(|i| ((i * 2_654_435_761) >> 13) as u8).collect();
    let images = Tensor::from_slice(&bytes).view([B, 32, 32, 3]);
    let instances: Vec<i64> = (0..B).collect();
    let mut epoch = 0;
    let seconds = median(50, || {
        epoch += 1;
        let _ = black_box(augment.apply(&images, &augment.draw(1, epoch, 0, &instances)));
    });
    Measured { value: B as f64 / seconds, unit: "images/s" }
}
