//! Embeddings of whole splits, without augmentation: the clean bank of the papers' evaluation.

use tch::{Device, Kind, Tensor};

use crate::data::{DataError, Split};
use crate::engine::augment::Augment;
use crate::engine::models::{Encoded, Mode, Model};
use crate::engine::params::Params;
use crate::random::{self, Purpose};

/// Images encoded at once; an evaluation has no gradients to keep.
const BATCH: i64 = 500;
/// Pixels encoded at once on CUDA, where it is launches of operations that count: 2,500 images of 32×32, of which
/// ResNet-18's first maps are 335 MB each.
const CUDA_PIXELS: i64 = 2500 * 32 * 32;
/// Images on disk that are encoded at once: 224 pixels a side, 128 of them, are 77 MB.
const AT_ONCE: usize = 128;

/// Pooled features (N, C) and unit embeddings (N, D), fp32, on the device, of `images` (N, S, S, 3) u8, by the running
/// batch statistics.
pub fn encode(model: &Model, params: &Params, augment: &Augment, images: &Tensor) -> Encoded {
    let (n, side) = (images.size()[0], images.size()[1]);
    let cuda = images.device().is_cuda();
    let batch = if cuda { (CUDA_PIXELS / (side * side)).max(1) } else { BATCH };
    let part = |start: i64| {
        let images = images.narrow(0, start, batch.min(n - start));
        let Encoded { pooled, embedding } =
            model.forward(params, &augment.clean(&images), Mode::Eval);
        (pooled, embedding)
    };
    tch::no_grad(|| {
        let (pooled, embedding): (Vec<_>, Vec<_>) =
            (0..n).step_by(batch as usize).map(part).unzip();
        Encoded { pooled: Tensor::cat(&pooled, 0), embedding: Tensor::cat(&embedding, 0) }
    })
}

/// `most` of `n` rows, rising, and all of them where there are no more: the same ones at every call, and no run of
/// neighbours, as data sets are often sorted by class.
pub fn sample(n: usize, most: usize) -> Vec<i64> {
    let mut rows: Vec<i64> = (0..n as i64).collect();
    if most < n {
        random::stream(0, Purpose::Evaluation, 5, n as u64).shuffle(&mut rows);
        rows.truncate(most);
        rows.sort_unstable();
    }
    rows
}

/// Features of all of a split as it is, wherever its images lie.
///
/// # Errors
/// A file that is no image.
pub fn encode_split(
    model: &Model,
    params: &Params,
    augment: &Augment,
    split: &Split,
    side: usize,
) -> Result<Encoded, DataError> {
    if split.is_resident() {
        let images = on_device(&split.images, side, augment.device());
        return Ok(encode(model, params, augment, &images));
    }
    let (mut pooled, mut embedding) = (Vec::new(), Vec::new());
    let rows: Vec<u32> = (0..split.len() as u32).collect();
    let mut bytes = vec![0; AT_ONCE * 3 * side * side];
    for rows in rows.chunks(AT_ONCE) {
        let bytes = &mut bytes[..rows.len() * 3 * side * side];
        split.read(rows, bytes)?;
        let part = encode(model, params, augment, &on_device(bytes, side, augment.device()));
        pooled.push(part.pooled);
        embedding.push(part.embedding);
    }
    Ok(Encoded { pooled: Tensor::cat(&pooled, 0), embedding: Tensor::cat(&embedding, 0) })
}

/// (N, S, S, 3) u8.
pub fn on_device(images: &[u8], side: usize, device: Device) -> Tensor {
    let side = side as i64;
    Tensor::from_slice(images).view([-1, side, side, 3]).to_kind(Kind::Uint8).to_device(device)
}

/// The numbers of a tensor, row by row. A sync point.
pub fn to_vec(xs: &Tensor) -> Vec<f32> {
    let xs = xs.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut out = vec![0f32; xs.numel()];
    xs.copy_data(&mut out, xs.numel());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_no_run_of_neighbours_and_of_no_one_class() {
        assert_eq!(sample(5, 5), [0, 1, 2, 3, 4]);
        assert_eq!(sample(5, 9).len(), 5);
        let rows = sample(5000, 1000);
        assert_eq!(rows, sample(5000, 1000));
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
        // Sorted by class, or class after class in turn: a tenth of each either way, four standard deviations wide.
        for class in [|row: i64| row / 500, |row: i64| row % 10] {
            for c in 0..10 {
                let n = rows.iter().filter(|&&row| class(row) == c).count();
                assert!((62..=138).contains(&n), "{n} of class {c}");
            }
        }
    }
}
