//! VGG16 (Simonyan and Zisserman 2015, configuration D) under torchvision's names, with batch normalisation after every
//! convolution or without, and without dropout (for the reason that `alexnet` gives).
//!
//! The stem decides only how large a map the classifier reads: 7×7, or 1×1 with the CIFAR stem, which is what five
//! poolings leave of 32 pixels. Convolutions are the same in both, so weights for ImageNet fit a 32-pixel network but
//! for `classifier.0`.

use tch::Tensor;

use super::hidden::Hidden;
use super::layers::{BatchNorm, Conv, Init};
use super::{Arithmetic, LAYERS, Mode, Network, See};
use crate::config::spec::Stem;
use crate::engine::params::Params;

/// Channels of the five stages and how many convolutions each has; a pooling ends a stage.
const STAGES: [(i64, usize); 5] = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];

pub struct Vgg {
    arithmetic: Arithmetic,
    stages: Vec<Vec<(Conv, Option<BatchNorm>)>>,
    hidden: Hidden,
}

impl Vgg {
    /// Channels and hidden units are `scaled`.
    pub fn new(
        init: &mut Init,
        scaled: impl Fn(i64) -> i64,
        batch_norm: bool,
        stem: Stem,
        arithmetic: Arithmetic,
    ) -> Self {
        let map = if stem == Stem::Imagenet { 7 } else { 1 };
        // Where torchvision's `features` has got to: convolution, normalisation if any, ReLU; pooling after a stage.
        let (mut at, mut c_in) = (0, 3);
        let mut stages = Vec::new();
        for (channels, n_convs) in STAGES {
            let c_out = scaled(channels);
            let mut convs = Vec::new();
            for _ in 0..n_convs {
                let conv = init.conv_bias(&format!("features.{at}"), c_in, c_out, 3, 1);
                let norm =
                    batch_norm.then(|| init.batch_norm(&format!("features.{}", at + 1), c_out));
                at += if batch_norm { 3 } else { 2 };
                convs.push((conv, norm));
                c_in = c_out;
            }
            at += 1;
            stages.push(convs);
        }
        let hidden = Hidden::new(init, ["classifier.0", "classifier.3"], c_in, map, scaled(4096));
        Self { arithmetic, stages, hidden }
    }
}

impl Network for Vgg {
    fn features(&self) -> i64 {
        self.hidden.features
    }

    /// A layer is a stage's last map, before its pooling.
    fn forward(&self, params: &Params, images: &Tensor, mode: Mode, see: See) -> Tensor {
        let mut xs = images.to_kind(self.arithmetic.kind());
        for (stage, name) in self.stages.iter().zip(LAYERS) {
            for (conv, norm) in stage {
                xs = conv.forward(params, &xs, self.arithmetic);
                if let Some(norm) = norm {
                    xs = norm.forward(params, &xs, mode);
                }
                xs = xs.relu_();
            }
            if see(name, &xs).is_break() {
                return xs;
            }
            xs = xs.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false);
        }
        self.hidden.forward(params, &xs) // (B, 4096)
    }
}
