//! ResNet of basic blocks (He et al. 2016) with the CIFAR stem: 3×3, stride 1, no pooling.
//!
//! The ImageNet stem (7×7 stride 2, then pooling) throws most of a 32-pixel image away before the first block.

use tch::{Kind, Tensor};

use super::layers::{BatchNorm, Conv, Init};
use super::{Arithmetic, Mode};
use crate::engine::params::Params;

pub struct Resnet {
    arithmetic: Arithmetic,
    conv1: Conv,
    bn1: BatchNorm,
    blocks: Vec<BasicBlock>,
}

struct BasicBlock {
    conv1: Conv,
    bn1: BatchNorm,
    conv2: Conv,
    bn2: BatchNorm,
    downsample: Option<(Conv, BatchNorm)>,
}

impl Resnet {
    pub fn new(init: &mut Init, n_blocks: i64, widths: [i64; 4], arithmetic: Arithmetic) -> Self {
        let conv1 = init.conv("conv1", 3, widths[0], 3, 1);
        let bn1 = init.batch_norm("bn1", widths[0]);
        let mut blocks = Vec::new();
        let mut c_in = widths[0];
        for (stage, &c_out) in widths.iter().enumerate() {
            for block in 0..n_blocks {
                let stride = if 0 < stage && block == 0 { 2 } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                blocks.push(BasicBlock::new(init, &name, c_in, c_out, stride));
                c_in = c_out;
            }
        }
        Self { arithmetic, conv1, bn1, blocks }
    }

    /// (B, 3, S, S) fp32 → globally pooled features (B, C) fp32.
    pub fn forward(&self, params: &Params, images: &Tensor, mode: Mode) -> Tensor {
        let xs = images.to_kind(self.arithmetic.kind());
        let xs = self.conv1.forward(params, &xs, self.arithmetic);
        let mut xs = self.bn1.forward(params, &xs, mode).relu(); // (B, W, S, S)
        for block in &self.blocks {
            xs = block.forward(params, &xs, mode, self.arithmetic);
        }
        xs.to_kind(Kind::Float).mean_dim([2i64, 3].as_slice(), false, Kind::Float)
    }
}

impl BasicBlock {
    fn new(init: &mut Init, name: &str, c_in: i64, c_out: i64, stride: i64) -> Self {
        let conv1 = init.conv(&format!("{name}.conv1"), c_in, c_out, 3, stride);
        let bn1 = init.batch_norm(&format!("{name}.bn1"), c_out);
        let conv2 = init.conv(&format!("{name}.conv2"), c_out, c_out, 3, 1);
        let bn2 = init.batch_norm(&format!("{name}.bn2"), c_out);
        let downsample = (stride != 1 || c_in != c_out).then(|| {
            let conv = init.conv(&format!("{name}.downsample.0"), c_in, c_out, 1, stride);
            (conv, init.batch_norm(&format!("{name}.downsample.1"), c_out))
        });
        Self { conv1, bn1, conv2, bn2, downsample }
    }

    fn forward(&self, params: &Params, xs: &Tensor, mode: Mode, arithmetic: Arithmetic) -> Tensor {
        let ys = self.conv1.forward(params, xs, arithmetic);
        let ys = self.bn1.forward(params, &ys, mode).relu_();
        let ys = self.conv2.forward(params, &ys, arithmetic);
        let ys = self.bn2.forward(params, &ys, mode);
        let residual = match &self.downsample {
            None => xs.shallow_clone(),
            Some((conv, bn)) => bn.forward(params, &conv.forward(params, xs, arithmetic), mode),
        };
        (ys + residual).relu_()
    }
}
