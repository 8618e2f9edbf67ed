//! Encoders: images in, unit embeddings out, with torchvision's parameter names so that weights interchange.

mod alexnet;
mod head;
mod hidden;
mod layers;
mod resnet;
mod vgg;
mod weights;

#[cfg(test)]
mod parity;

use std::ops::ControlFlow;
use std::path::PathBuf;

use tch::{Kind, Tensor};

use crate::config::spec::{Backbone, ModelSpec, Stem};
use crate::engine::params::Params;

use alexnet::Alexnet;
use head::Head;
use resnet::Resnet;
use vgg::Vgg;

/// What an encoder makes of a batch.
pub struct Encoded {
    /// What the head reads, (B, C) fp32: globally pooled features of a ResNet, the last hidden layer of the others.
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

    /// What the convolutions multiply.
    pub fn kind(self) -> Kind {
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

/// Names under which a network shows its feature maps, from the first: the columns of InstDisc's Table 2.
pub const LAYERS: [&str; 5] = ["conv1", "conv2", "conv3", "conv4", "conv5"];

/// Hears of each feature map (B, C, H, W) after its ReLU, in the convolutions' arithmetic. Where it breaks, the pass ends
/// there and yields that map.
type See<'a> = &'a mut dyn FnMut(&'static str, &Tensor) -> ControlFlow<()>;

/// Everything before the head.
trait Network {
    /// C, the number of features that the head reads.
    fn features(&self) -> i64;
    /// (B, 3, S, S) fp32 → (B, C) fp32; `see` hears of the maps of [`LAYERS`].
    fn forward(&self, params: &Params, images: &Tensor, mode: Mode, see: See) -> Tensor;
}

/// A network that cannot be built, or weights that do not fit it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error(
        "model.backbone: found {backbone} for images of {side}×{side} pixels, allowed: {least} or more a side{cure}"
    )]
    TooSmall { backbone: &'static str, side: usize, least: usize, cure: &'static str },
    #[error("model.weights: {}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("model.weights: {}: found {found}, allowed: {allowed}", path.display())]
    Weights { path: PathBuf, found: String, allowed: String },
}

/// Backbone, head of D outputs, L2 normalisation (InstDisc §3).
pub struct Model {
    backbone: Box<dyn Network>,
    name: &'static str,
    head: Head,
    /// How many of the first parameters and buffers in [`Params`] are this model's.
    n_params: usize,
    n_buffers: usize,
}

impl Model {
    /// Declares the parameters, with initial values that depend on `seed` alone, of a network for images of
    /// `side`×`side` pixels.
    ///
    /// # Errors
    /// Images too small for the backbone's poolings.
    pub fn new(
        spec: &ModelSpec,
        side: usize,
        arithmetic: Arithmetic,
        seed: u64,
        params: &mut Params,
    ) -> Result<Self, ModelError> {
        let stem = spec.stem.resolved(side);
        let name = backbone_name(spec.backbone);
        let least = least_side(spec.backbone, stem);
        if side < least {
            let smaller = stem == Stem::Imagenet && least_side(spec.backbone, Stem::Cifar) < least;
            let cure = if smaller { "; model.stem = \"cifar\" takes less" } else { "" };
            return Err(ModelError::TooSmall { backbone: name, side, least, cure });
        }
        let scaled = |channels: i64| ((channels as f64 * spec.width).round() as i64).max(1);
        let mut init = layers::Init { seed, weights: spec.init, params, n_drawn: 0 };
        let mut resnet = |bottleneck, blocks, widths: [i64; 4]| -> Box<dyn Network> {
            let depth = resnet::Depth { bottleneck, blocks };
            Box::new(Resnet::new(&mut init, depth, widths.map(scaled), stem, arithmetic))
        };
        let widths = [64, 128, 256, 512];
        let backbone: Box<dyn Network> = match spec.backbone {
            Backbone::Resnet18 => resnet(false, [2, 2, 2, 2], widths),
            Backbone::Resnet34 => resnet(false, [3, 4, 6, 3], widths),
            Backbone::Resnet50 => resnet(true, [3, 4, 6, 3], widths),
            Backbone::ResnetSmall => resnet(false, [1, 1, 1, 1], [32, 64, 128, 256]),
            Backbone::Alexnet => Box::new(Alexnet::new(&mut init, scaled, stem, arithmetic)),
            Backbone::Vgg16 => Box::new(Vgg::new(&mut init, scaled, false, stem, arithmetic)),
            Backbone::Vgg16Bn => Box::new(Vgg::new(&mut init, scaled, true, stem, arithmetic)),
        };
        let head_name = match spec.backbone {
            Backbone::Alexnet | Backbone::Vgg16 | Backbone::Vgg16Bn => "classifier.6",
            _ => "fc",
        };
        let head = Head::new(spec, head_name, backbone.features(), &mut init);
        let (n_params, n_buffers) = (params.len(), params.buffers().len());
        Ok(Self { backbone, name, head, n_params, n_buffers })
    }

    /// C, the number of features that the head reads.
    pub fn n_features(&self) -> i64 {
        self.backbone.features()
    }

    /// `images` is (B, 3, S, S) fp32, normalised.
    pub fn forward(&self, params: &Params, images: &Tensor, mode: Mode) -> Encoded {
        let mut go_on = |_: &str, _: &Tensor| ControlFlow::Continue(());
        let pooled = self.backbone.forward(params, images, mode, &mut go_on); // (B, C)
        let projected = self.head.forward(params, &pooled, mode); // (B, D)
        Encoded { embedding: unit(&projected), pooled }
    }

    /// The feature maps that a linear probe reads, named as in [`LAYERS`], from the first: (B, C, H, W) fp32 after the
    /// ReLU and before any pooling that follows. `images` as in [`Model::forward`].
    pub fn stages(
        &self,
        params: &Params,
        images: &Tensor,
        mode: Mode,
    ) -> Vec<(&'static str, Tensor)> {
        let mut maps = Vec::new();
        let mut keep = |name, map: &Tensor| {
            maps.push((name, map.to_kind(Kind::Float)));
            ControlFlow::Continue(())
        };
        let _pooled = self.backbone.forward(params, images, mode, &mut keep);
        maps
    }

    /// One of [`Model::stages`], (B, C, H, W) fp32, by as much of the network as leads there. `layer` is one of
    /// [`LAYERS`].
    pub fn stage(&self, params: &Params, images: &Tensor, mode: Mode, layer: &str) -> Tensor {
        let mut until = |name, _: &Tensor| match name == layer {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        self.backbone.forward(params, images, mode, &mut until).to_kind(Kind::Float)
    }

    /// Scales and shifts the head so that on `pooled` (N, C) each output has mean 0 and standard deviation 1.
    pub fn centre_head(&self, params: &Params, pooled: &Tensor) {
        self.head.centre(params, pooled);
    }
}

/// The smallest image of which every pooling finds something left.
fn least_side(backbone: Backbone, stem: Stem) -> usize {
    match (backbone, stem) {
        (Backbone::Alexnet, Stem::Imagenet) => 63,
        (Backbone::Alexnet, _) => 15,
        (Backbone::Vgg16 | Backbone::Vgg16Bn, _) => 32,
        _ => 1,
    }
}

/// As `model.backbone` writes it.
fn backbone_name(backbone: Backbone) -> &'static str {
    match backbone {
        Backbone::Resnet18 => "resnet18",
        Backbone::Resnet34 => "resnet34",
        Backbone::Resnet50 => "resnet50",
        Backbone::Alexnet => "alexnet",
        Backbone::Vgg16 => "vgg16",
        Backbone::Vgg16Bn => "vgg16_bn",
        Backbone::ResnetSmall => "resnet_small",
    }
}

/// Rows scaled to length one; a zero row stays zero. (B, D) → (B, D).
pub fn unit(xs: &Tensor) -> Tensor {
    let norm = xs.norm_scalaropt_dim(2.0, [-1i64], true).clamp_min(1e-12); // (B, 1)
    xs / norm
}
