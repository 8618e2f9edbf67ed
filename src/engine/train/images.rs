//! Where a step's views come from: images that lie on the device, or files that are read ahead of the step.
//!
//! Resident images are squares of `data.side` pixels, and views are cut out of those. Images on disk are cut out of the
//! whole file at its own resolution, by the same law of (seed, epoch, view, instance). Either way a view is a pure
//! function of that key, so how far ahead files were read shows in no number.

use std::cell::RefCell;
use std::sync::Arc;

use tch::{Device, Tensor};

use super::TrainError;
use crate::data::loader::{Choose, Order, Prefetch};
use crate::data::{DataError, Dataset, Split};
use crate::engine::augment::Augment;
use crate::engine::device::upload;
use crate::engine::eval::encode::{encode, encode_split, on_device};
use crate::engine::models::{Encoded, Model};
use crate::engine::objectives::View;
use crate::engine::params::Params;

/// Steps that are read ahead.
pub(super) const AHEAD: u64 = 3;

/// Which view of which step.
#[derive(Clone, Copy)]
pub(super) struct ViewKey {
    pub step: u64,
    /// Its place among the objective's views.
    pub number: u64,
    pub view: View,
    /// The number under which augmentations are drawn.
    pub transform: u64,
}

/// The training images.
pub(super) enum Images {
    /// (N, S, S, 3) u8, on the device.
    Resident(Tensor),
    Disk {
        side: i64,
        files: RefCell<Prefetch>,
    },
}

impl Images {
    pub fn new(split: &Split, side: usize, device: Device) -> Result<Self, TrainError> {
        Ok(match &split.disk {
            None => Self::Resident(on_device(&split.images, side, device)),
            Some(loader) => {
                let files = Prefetch::new(Arc::clone(loader)).map_err(TrainError::Thread)?;
                Self::Disk { side: side as i64, files: RefCell::new(files) }
            }
        })
    }

    /// Whether all of them lie on the device.
    pub fn is_resident(&self) -> bool {
        matches!(self, Self::Resident(_))
    }

    /// A view of `instances`: (B, 3, S, S) fp32, normalised.
    ///
    /// # Errors
    /// A file that is no image.
    pub fn view(
        &self,
        augment: &Augment,
        seed: u64,
        key: ViewKey,
        instances: &[i64],
    ) -> Result<Tensor, DataError> {
        let (images, draws) = match self {
            Self::Resident(images) => {
                let images = images.index_select(0, &upload(instances, images.device()));
                (images, augment.draw(seed, key.transform, key.number, instances))
            }
            Self::Disk { side, files } => {
                let bytes = files.borrow_mut().take(&order(augment, seed, key, instances))?;
                let images = upload(&bytes, augment.device()).view([-1, *side, *side, 3]);
                (images, augment.draw_cut(seed, key.transform, key.number, instances))
            }
        };
        Ok(match key.view {
            View::Original => augment.clean(&images),
            View::Augmented | View::Key => augment.apply(&images, &draws),
        })
    }

    /// Features of all training images as they are, by the running statistics.
    ///
    /// # Errors
    /// A file that is no image.
    pub fn encode(
        &self,
        model: &Model,
        params: &Params,
        augment: &Augment,
        data: &Dataset,
    ) -> Result<Encoded, DataError> {
        match self {
            Self::Resident(images) => Ok(encode(model, params, augment, images)),
            Self::Disk { .. } => encode_split(model, params, augment, &data.train, data.side),
        }
    }

    /// Says which view will be wanted, in the order in which it will be. Files begin to be read.
    pub fn foresee(&self, augment: &Augment, seed: u64, key: ViewKey, instances: &[i64]) {
        if let Self::Disk { files, .. } = self {
            let mut files = files.borrow_mut();
            let order = order(augment, seed, key, instances);
            if !files.expects(order.key) {
                files.ask(order);
            }
        }
    }
}

/// Views of one step are told apart by their low bits: no objective has 16.
fn order(augment: &Augment, seed: u64, key: ViewKey, instances: &[i64]) -> Order {
    let regions: Option<Arc<Choose>> = match key.view {
        View::Original => None,
        View::Augmented | View::Key => augment.law(seed, key.transform, key.number),
    };
    let rows = instances.iter().map(|&instance| instance as u32).collect();
    Order { key: key.step << 4 | key.number, rows, regions }
}
