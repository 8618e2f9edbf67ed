//! ResNet (He et al. 2016) of basic or bottleneck blocks, under torchvision's names.
//!
//! ImageNet stem: 7×7 at stride 2, then pooling. CIFAR stem: 3×3 at stride 1, no pooling, because the other throws most
//! of a 32-pixel image away before the first block. Bottlenecks take their stride in the 3×3 convolution, as
//! torchvision's do ("ResNet v1.5"), not in the first 1×1 as in the paper.

use tch::{Kind, Tensor};

use super::layers::{BatchNorm, Conv, Init};
use super::{Arithmetic, LAYERS, Mode, Network, See};
use crate::config::spec::Stem;
use crate::engine::params::Params;

/// Kind of block and how many a stage.
#[derive(Clone, Copy)]
pub struct Depth {
    pub bottleneck: bool,
    pub blocks: [i64; 4],
}

pub struct Resnet {
    arithmetic: Arithmetic,
    conv1: Conv,
    bn1: BatchNorm,
    pooled_stem: bool,
    stages: Vec<Vec<Block>>,
    features: i64,
}

/// Two or three convolutions around a shortcut.
struct Block {
    convs: Vec<(Conv, BatchNorm)>,
    downsample: Option<(Conv, BatchNorm)>,
}

impl Resnet {
    /// `widths` are the channels of the four stages' 3×3 convolutions; a bottleneck ends in four times as many.
    pub fn new(
        init: &mut Init,
        depth: Depth,
        widths: [i64; 4],
        stem: Stem,
        arithmetic: Arithmetic,
    ) -> Self {
        let pooled_stem = stem == Stem::Imagenet;
        let (k, stride) = if pooled_stem { (7, 2) } else { (3, 1) };
        let conv1 = init.conv("conv1", 3, widths[0], k, stride);
        let bn1 = init.batch_norm("bn1", widths[0]);
        let mut stages = Vec::new();
        let mut c_in = widths[0];
        for (stage, (&width, n_blocks)) in widths.iter().zip(depth.blocks).enumerate() {
            let mut blocks = Vec::new();
            for block in 0..n_blocks {
                let stride = if 0 < stage && block == 0 { 2 } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                blocks.push(Block::new(init, &name, c_in, width, stride, depth.bottleneck));
                c_in = if depth.bottleneck { 4 * width } else { width };
            }
            stages.push(blocks);
        }
        Self { arithmetic, conv1, bn1, pooled_stem, stages, features: c_in }
    }
}

impl Network for Resnet {
    fn features(&self) -> i64 {
        self.features
    }

    /// conv1 is the stem before its pooling, conv2 to conv5 are the four stages (the paper's conv2_x to conv5_x).
    fn forward(&self, params: &Params, images: &Tensor, mode: Mode, see: See) -> Tensor {
        let xs = images.to_kind(self.arithmetic.kind());
        let xs = self.conv1.forward(params, &xs, self.arithmetic);
        let mut xs = self.bn1.forward(params, &xs, mode).relu(); // (B, W, S, S)
        if see(LAYERS[0], &xs).is_break() {
            return xs;
        }
        if self.pooled_stem {
            xs = xs.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        }
        for (stage, name) in self.stages.iter().zip(&LAYERS[1..]) {
            for block in stage {
                xs = block.forward(params, &xs, mode, self.arithmetic);
            }
            if see(name, &xs).is_break() {
                return xs;
            }
        }
        xs.to_kind(Kind::Float).mean_dim([2i64, 3].as_slice(), false, Kind::Float)
    }
}

impl Block {
    fn new(
        init: &mut Init,
        name: &str,
        c_in: i64,
        width: i64,
        stride: i64,
        bottleneck: bool,
    ) -> Self {
        // (channels out, kernel, stride) of each convolution
        let shapes = match bottleneck {
            false => vec![(width, 3, stride), (width, 3, 1)],
            true => vec![(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)],
        };
        let (mut convs, mut c) = (Vec::new(), c_in);
        for (i, (c_out, k, stride)) in (1..).zip(shapes) {
            let conv = init.conv(&format!("{name}.conv{i}"), c, c_out, k, stride);
            convs.push((conv, init.batch_norm(&format!("{name}.bn{i}"), c_out)));
            c = c_out;
        }
        let downsample = (stride != 1 || c_in != c).then(|| {
            let conv = init.conv(&format!("{name}.downsample.0"), c_in, c, 1, stride);
            (conv, init.batch_norm(&format!("{name}.downsample.1"), c))
        });
        Self { convs, downsample }
    }

    fn forward(&self, params: &Params, xs: &Tensor, mode: Mode, arithmetic: Arithmetic) -> Tensor {
        let mut ys = xs.shallow_clone();
        for (i, (conv, bn)) in self.convs.iter().enumerate() {
            ys = bn.forward(params, &conv.forward(params, &ys, arithmetic), mode);
            if i + 1 < self.convs.len() {
                ys = ys.relu_();
            }
        }
        let residual = match &self.downsample {
            None => xs.shallow_clone(),
            Some((conv, bn)) => bn.forward(params, &conv.forward(params, xs, arithmetic), mode),
        };
        ys.g_add_(&residual).relu_()
    }
}
