//! Embeddings of whole splits, without augmentation: the clean bank of the papers' evaluation.

use tch::{Kind, Tensor};

use crate::engine::augment::Augment;
use crate::engine::models::{Encoded, Mode, Model};
use crate::engine::params::Params;

/// Images encoded at once; an evaluation has no gradients to keep.
const BATCH: i64 = 500;

/// Pooled features (N, C) and unit embeddings (N, D), fp32, on the device, of `images` (N, S, S, 3) u8, by the running
/// batch statistics.
pub fn encode(model: &Model, params: &Params, augment: &Augment, images: &Tensor) -> Encoded {
    let n = images.size()[0];
    let part = |start: i64| {
        let images = images.narrow(0, start, BATCH.min(n - start));
        let Encoded { pooled, embedding } =
            model.forward(params, &augment.clean(&images), Mode::Eval);
        (pooled, embedding)
    };
    tch::no_grad(|| {
        let (pooled, embedding): (Vec<_>, Vec<_>) =
            (0..n).step_by(BATCH as usize).map(part).unzip();
        Encoded { pooled: Tensor::cat(&pooled, 0), embedding: Tensor::cat(&embedding, 0) }
    })
}

/// The numbers of a tensor, row by row. A sync point.
pub fn to_vec(xs: &Tensor) -> Vec<f32> {
    let xs = xs.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut out = vec![0f32; xs.numel()];
    xs.copy_data(&mut out, xs.numel());
    out
}
