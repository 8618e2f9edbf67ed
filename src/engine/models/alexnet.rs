//! AlexNet as torchvision has it (Krizhevsky 2014, the one-column form), without dropout.
//!
//! CIFAR stem: the first convolution is 3×3 at stride 1 instead of 11×11 at stride 4, which leaves the three poolings a
//! map of 3×3 (32 → 15 → 7 → 3) instead of 6×6; the classifier's first layer is as much narrower. All other names and
//! shapes are torchvision's.
//!
//! No dropout: a feature is written into the memory bank and compared with later, so a mask would be noise in the
//! target as well as in the query, and the papers' only randomness between two looks at an image is augmentation.

use tch::Tensor;

use super::hidden::Hidden;
use super::layers::{Conv, Init};
use super::{Arithmetic, LAYERS, Mode, Network, See};
use crate::config::spec::Stem;
use crate::engine::params::Params;

/// Kernel, channels and index among torchvision's `features` of the convolutions.
const CONVS: [(i64, i64, usize); 5] =
    [(11, 64, 0), (5, 192, 3), (3, 384, 6), (3, 256, 8), (3, 256, 10)];

pub struct Alexnet {
    arithmetic: Arithmetic,
    convs: Vec<Conv>,
    hidden: Hidden,
}

impl Alexnet {
    /// Channels and hidden units are `scaled`.
    pub fn new(
        init: &mut Init,
        scaled: impl Fn(i64) -> i64,
        stem: Stem,
        arithmetic: Arithmetic,
    ) -> Self {
        let imagenet = stem == Stem::Imagenet;
        let map = if imagenet { 6 } else { 3 };
        let (mut convs, mut c_in) = (Vec::new(), 3);
        for (i, (k, channels, at)) in CONVS.into_iter().enumerate() {
            let c_out = scaled(channels);
            let name = format!("features.{at}");
            convs.push(match (i, imagenet) {
                (0, true) => init.conv_bias(&name, c_in, c_out, k, 4).padded(2),
                (0, false) => init.conv_bias(&name, c_in, c_out, 3, 1),
                _ => init.conv_bias(&name, c_in, c_out, k, 1),
            });
            c_in = c_out;
        }
        let hidden = Hidden::new(init, ["classifier.1", "classifier.4"], c_in, map, scaled(4096));
        Self { arithmetic, convs, hidden }
    }
}

impl Network for Alexnet {
    fn features(&self) -> i64 {
        self.hidden.features
    }

    fn forward(&self, params: &Params, images: &Tensor, _: Mode, see: See) -> Tensor {
        let mut xs = images.to_kind(self.arithmetic.kind());
        for (i, (conv, name)) in self.convs.iter().zip(LAYERS).enumerate() {
            xs = conv.forward(params, &xs, self.arithmetic).relu_();
            if see(name, &xs).is_break() {
                return xs;
            }
            if matches!(i, 0 | 1 | 4) {
                xs = xs.max_pool2d([3, 3], [2, 2], [0, 0], [1, 1], false);
            }
        }
        self.hidden.forward(params, &xs) // (B, 4096)
    }
}
