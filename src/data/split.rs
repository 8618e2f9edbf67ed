//! One part of a data set: images in memory or on disk, and their labels.

use std::sync::Arc;

use super::loader::{Loader, Look};
use super::{DataError, UNLABELLED};

/// Images and their labels, in a fixed order.
#[derive(Clone, Debug, Default)]
pub struct Split {
    /// (N, side, side, 3), row-major RGB. Empty where images stay on disk: [`Split::read`] knows both.
    pub images: Vec<u8>,
    /// (N,), indices into [`Dataset::classes`](super::Dataset::classes), or [`UNLABELLED`].
    pub labels: Vec<u16>,
    /// What decodes the images where they stay on disk.
    pub disk: Option<Arc<dyn Loader>>,
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether all images are in memory.
    pub fn is_resident(&self) -> bool {
        self.disk.is_none()
    }

    /// Rows that have a label, ascending: those that can vote.
    pub fn labelled(&self) -> Vec<u32> {
        let rows = (0u32..).zip(&self.labels).filter(|(_, label)| **label != UNLABELLED);
        rows.map(|(row, _)| row).collect()
    }

    /// Fills `out`, (B, side, side, 3), with `rows` (B) as evaluation sees them, from memory or from disk.
    ///
    /// # Errors
    /// A file that is no image.
    ///
    /// # Panics
    /// When `out` is of another size, or a row is beyond the end.
    pub fn read(&self, rows: &[u32], out: &mut [u8]) -> Result<(), DataError> {
        if let Some(disk) = &self.disk {
            return disk.read(rows, Look::Whole, out);
        }
        let size = self.images.len() / self.len().max(1);
        assert_eq!(out.len(), rows.len() * size, "one slot a row");
        for (slot, &row) in out.chunks_exact_mut(size.max(1)).zip(rows) {
            slot.copy_from_slice(&self.images[row as usize * size..][..size]);
        }
        Ok(())
    }
}
