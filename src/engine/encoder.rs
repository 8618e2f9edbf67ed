//! An encoder out of a checkpoint: images in, features out, nothing to learn.

use std::collections::BTreeMap;

use tch::{Device, Tensor};

use super::augment::Augment;
use super::checkpoint::Loaded;
use super::models::{Arithmetic, Encoded, Mode, Model};
use super::params::Params;
use super::train::images::{encode_split, on_device};
use crate::config::RunSpec;
use crate::data::{DataError, Dataset, Split};

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
        Loaded { tensors, .. }: &Loaded,
    ) -> Result<Encoder, String> {
        let mut params = Params::new(device);
        let model = Model::new(&spec.model, trained_on.side, arithmetic, spec.seed, &mut params)
            .map_err(|error| error.to_string())?;
        params.freeze();
        fill(&mut params, tensors)?;
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

    /// Embeddings of two augmentations of the first `n` images, (n, D) each, by the running statistics. The draws are
    /// those of an epoch that no run reaches.
    ///
    /// # Errors
    /// A file that is no image.
    pub fn two_views(
        &self,
        split: &Split,
        side: usize,
        n: usize,
    ) -> Result<[Tensor; 2], DataError> {
        let rows: Vec<u32> = (0..n.min(split.len()) as u32).collect();
        let mut bytes = vec![0; rows.len() * 3 * side * side];
        split.read(&rows, &mut bytes)?;
        let images = on_device(&bytes, side, self.device);
        let instances: Vec<i64> = rows.into_iter().map(i64::from).collect();
        Ok([0, 1].map(|view| {
            let draws = self.augment.draw(self.seed, u64::from(u32::MAX), view, &instances);
            let images = self.augment.apply(&images, &draws);
            tch::no_grad(|| self.model.forward(&self.params, &images, Mode::Eval).embedding)
        }))
    }
}

/// Parameters and statistics by name.
fn fill(params: &mut Params, tensors: &BTreeMap<String, Tensor>) -> Result<(), String> {
    let find = |name: &str| tensors.get(&format!("model.{name}")).map(Tensor::shallow_clone);
    let row = params.row(find)?;
    params.load(&row);
    for (name, buffer) in params.buffers() {
        let saved = find(name).ok_or_else(|| format!("{name} is missing"))?;
        if saved.size() != buffer.size() {
            return Err(format!("{name} has another shape"));
        }
        buffer.shallow_clone().copy_(&saved);
    }
    Ok(())
}
