//! An encoder out of a checkpoint: images in, features out, nothing to learn.

use tch::{Device, Tensor};

use super::augment::Augment;
use super::checkpoint::Loaded;
use super::eval::encode::{encode_split, on_device, sample};
use super::models::{Arithmetic, Encoded, Mode, Model};
use super::params::Params;
use crate::config::RunSpec;
use crate::data::{DataError, Dataset, Split};

/// Numbers of a feature map that a linear probe sees. The papers' probes see about 9,000.
const MAP_FEATURES: i64 = 2048;
/// Images whose maps or views are computed together.
const AT_ONCE: usize = 250;

/// The network of a run, as of a checkpoint.
pub struct Encoder {
    params: Params,
    model: Model,
    augment: Augment,
    device: Device,
    seed: u64,
}

impl Encoder {
    /// `trained_on` gives what images are normalised by.
    ///
    /// # Errors
    /// The tensor that is missing or has another shape.
    pub fn new(
        spec: &RunSpec,
        trained_on: &Dataset,
        device: Device,
        arithmetic: Arithmetic,
        loaded: &Loaded,
    ) -> Result<Encoder, String> {
        let nothing = |_: &Model, _: &mut Params| ();
        let (params, model, ()) =
            network(spec, trained_on.side, arithmetic, device, loaded, nothing)?;
        let Dataset { mean, std, side, .. } = *trained_on;
        let augment = Augment::new(&spec.augment, mean, std, side, device);
        Ok(Encoder { params, model, augment, device, seed: spec.seed })
    }

    /// Features of `split`'s images, `side` pixels square, as they are.
    ///
    /// # Errors
    /// A file that is no image.
    pub fn features(&self, split: &Split, side: usize) -> Result<Encoded, DataError> {
        encode_split(&self.model, &self.params, &self.augment, split, side)
    }

    /// Feature maps of `layer` (one of [`LAYERS`](super::models::LAYERS)), of `rows` of `split`, at least one: (N, F) fp32,
    /// average-pooled to the largest square that leaves at most 2,048 numbers (as Zhang et al. 2016 bring layers to one
    /// size). All layers of 60,000 images would be 2.4 GB, so each is asked for by itself.
    ///
    /// # Errors
    /// A file that is no image.
    pub fn map(
        &self,
        layer: &str,
        split: &Split,
        rows: &[u32],
        side: usize,
    ) -> Result<Tensor, DataError> {
        let mut maps = Tensor::new();
        for (rows_at, rows_now) in (0..).step_by(AT_ONCE).zip(rows.chunks(AT_ONCE)) {
            let mut bytes = vec![0; rows_now.len() * 3 * side * side];
            split.read(rows_now, &mut bytes)?;
            let images = self.augment.clean(&on_device(&bytes, side, self.device));
            let stage = || flat(&self.model.stage(&self.params, &images, Mode::Eval, layer));
            let part = tch::no_grad(stage); // (B, F)
            if rows_at == 0 {
                maps = Tensor::empty(
                    [rows.len() as i64, part.size()[1]],
                    (part.kind(), part.device()),
                );
            }
            maps.narrow(0, rows_at, part.size()[0]).copy_(&part);
        }
        Ok(maps)
    }

    /// Embeddings of two augmentations of `n` of the images, (n, D) each, by the running statistics; all where there are
    /// no more. The draws are those of an epoch that no run reaches.
    ///
    /// # Errors
    /// A file that is no image.
    pub fn two_views(
        &self,
        split: &Split,
        side: usize,
        n: usize,
    ) -> Result<[Tensor; 2], DataError> {
        let mut parts = [Vec::new(), Vec::new()];
        for instances in sample(split.len(), n).chunks(AT_ONCE) {
            let rows: Vec<u32> = instances.iter().map(|&row| row as u32).collect();
            let mut bytes = vec![0; rows.len() * 3 * side * side];
            split.read(&rows, &mut bytes)?;
            let images = on_device(&bytes, side, self.device);
            for (view, parts) in (0..).zip(&mut parts) {
                let draws = self.augment.draw(self.seed, u64::from(u32::MAX), view, instances);
                let images = self.augment.apply(&images, &draws);
                let forward = || self.model.forward(&self.params, &images, Mode::Eval).embedding;
                parts.push(tch::no_grad(forward));
            }
        }
        Ok(parts.map(|parts| Tensor::cat(&parts, 0)))
    }
}

/// The network of a run as of a checkpoint, for images of `side` pixels, and what `more` declares beside it, which keeps
/// its initial values.
///
/// # Errors
/// The tensor that is missing or has another shape.
pub(super) fn network<T>(
    spec: &RunSpec,
    side: usize,
    arithmetic: Arithmetic,
    device: Device,
    Loaded { tensors, .. }: &Loaded,
    more: impl FnOnce(&Model, &mut Params) -> T,
) -> Result<(Params, Model, T), String> {
    let mut params = Params::new(device);
    let model = Model::new(&spec.model, side, arithmetic, spec.seed, &mut params)
        .map_err(|error| error.to_string())?;
    let n_params = params.len();
    let more = more(&model, &mut params);
    params.freeze();
    let own: Vec<(String, Tensor)> = params.named(params.flat()).split_off(n_params);
    params.fill(|name| {
        let saved = || tensors.get(&format!("model.{name}")).map(Tensor::shallow_clone);
        let own = own.iter().find(|(known, _)| known == name);
        own.map(|(_, tensor)| tensor.copy()).or_else(saved)
    })?;
    Ok((params, model, more))
}

/// (B, C, H, W) → (B, C·s·s), s ≤ H.
pub(super) fn flat(map: &Tensor) -> Tensor {
    let (channels, height) = (map.size()[1], map.size()[2]);
    let side = ((MAP_FEATURES / channels) as f64).sqrt().floor().clamp(1.0, height as f64) as i64;
    map.adaptive_avg_pool2d([side, side]).flatten(1, -1)
}
