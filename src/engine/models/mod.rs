//! Encoders: images in, unit embeddings out, with torchvision's parameter names so that weights interchange.

mod layers;
mod resnet;

#[cfg(test)]
mod parity;

use tch::{Kind, Tensor};

use crate::config::spec::{Backbone, HeadNorm, ModelSpec};
use crate::engine::params::{ParamId, Params};

use resnet::Resnet;

/// What an encoder makes of a batch.
pub struct Encoded {
    /// Globally pooled backbone features, (B, C) fp32.
    pub pooled: Tensor,
    /// The embedding v = f_θ(x), (B, D) fp32, unit rows.
    pub embedding: Tensor,
}

/// Arithmetic of the convolutions; everything after the pooling is fp32 in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Fp32,
    Bf16,
}

impl Arithmetic {
    pub fn as_str(self) -> &'static str {
        match self {
            Arithmetic::Fp32 => "fp32",
            Arithmetic::Bf16 => "bf16",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Arithmetic::Fp32 => Kind::Float,
            Arithmetic::Bf16 => Kind::BFloat16,
        }
    }
}

/// Batch normalisation by the batch (and its running statistics updated), or by the running statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Train,
    Eval,
}

/// Backbone, linear head of D outputs, L2 normalisation (InstDisc §3).
pub struct Model {
    backbone: Resnet,
    /// (D, C)
    head_weight: ParamId,
    /// (D)
    head_bias: ParamId,
    head_norm: Option<layers::Statistics>,
}

impl Model {
    /// Declares the parameters, with initial values that depend on `seed` alone.
    pub fn new(spec: &ModelSpec, arithmetic: Arithmetic, seed: u64, params: &mut Params) -> Self {
        let (blocks, widths): (i64, [i64; 4]) = match spec.backbone {
            Backbone::Resnet18 => (2, [64, 128, 256, 512]),
            Backbone::ResnetSmall => (1, [32, 64, 128, 256]),
        };
        let widths = widths.map(|w| ((w as f64 * spec.width).round() as i64).max(1));
        let mut init = layers::Init { seed, params, n_drawn: 0 };
        let backbone = Resnet::new(&mut init, blocks, widths, arithmetic);
        let dim = i64::from(spec.dim);
        let (head_weight, head_bias) = init.linear("fc", widths[3], dim);
        let head_norm = match spec.head_norm {
            HeadNorm::None => None,
            HeadNorm::Batch => Some(init.statistics("head_norm", dim)),
        };
        Self { backbone, head_weight, head_bias, head_norm }
    }

    /// `images` is (B, 3, S, S) fp32, normalised.
    pub fn forward(&self, params: &Params, images: &Tensor, mode: Mode) -> Encoded {
        let pooled = self.backbone.forward(params, images, mode); // (B, C)
        let bias = Some(params.get(self.head_bias));
        let mut projected = pooled.linear(params.get(self.head_weight), bias); // (B, D)
        if let Some(norm) = &self.head_norm {
            projected = norm.forward(params, &projected, mode);
        }
        Encoded { embedding: unit(&projected), pooled }
    }

    /// Scales and shifts the head so that on `pooled` (N, C) each output has mean 0 and standard deviation 1.
    pub fn centre_head(&self, params: &Params, pooled: &Tensor) {
        tch::no_grad(|| {
            let mut weight = params.get(self.head_weight).shallow_clone(); // (D, C)
            let mut bias = params.get(self.head_bias).shallow_clone();
            let outputs = pooled.matmul(&weight.tr()); // (N, D)
            let std = outputs.std_dim(0, true, false).clamp_min(1e-6); // (D)
            let _ = weight.g_div_(&std.unsqueeze(1));
            let mean = pooled.mean_dim(0i64, false, Kind::Float); // (C)
            bias.copy_(&-weight.mv(&mean));
        });
    }
}

/// Rows scaled to length one; a zero row stays zero. (B, D) → (B, D).
pub fn unit(xs: &Tensor) -> Tensor {
    let norm = xs.norm_scalaropt_dim(2.0, [-1i64], true).clamp_min(1e-12); // (B, 1)
    xs / norm
}
