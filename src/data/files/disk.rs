//! Files that are decoded each time they are asked for.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{decode, no_image};
use crate::data::DataError;
use crate::data::loader::{Loader, Look};

/// The files of one split, in order.
#[derive(Debug)]
pub(super) struct Disk {
    paths: Vec<PathBuf>,
    side: u32,
    /// Share of the shorter side that a whole image shows.
    kept: f64,
    stamp: Vec<u8>,
}

impl Disk {
    /// # Errors
    /// A file that is not there.
    pub fn new(
        root: &Path,
        paths: Vec<PathBuf>,
        (side, kept): (u32, f64),
    ) -> Result<Self, DataError> {
        let stamp = |path: &PathBuf| {
            let length = fs::metadata(path).map_err(DataError::read(path))?.len();
            let name = path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes();
            Ok([name, &[0], &length.to_le_bytes()].concat())
        };
        let stamps = paths.par_iter().map(stamp).collect::<Result<Vec<Vec<u8>>, DataError>>()?;
        Ok(Self { paths, side, kept, stamp: stamps.concat() })
    }
}

impl Loader for Disk {
    fn side(&self) -> usize {
        self.side as usize
    }

    fn len(&self) -> usize {
        self.paths.len()
    }

    fn read(&self, rows: &[u32], look: Look, out: &mut [u8]) -> Result<(), DataError> {
        let size = 3 * self.side() * self.side();
        assert_eq!(out.len(), rows.len() * size, "one slot a row");
        out.par_chunks_exact_mut(size).zip(rows).try_for_each(|(slot, &row)| {
            let path = &self.paths[row as usize];
            let image = decode::open(path).map_err(|reason| no_image(path, &reason))?;
            match look {
                Look::Whole => decode::fit(&image, self.side, self.kept, slot),
                Look::Regions(choose) => {
                    let region = choose(row, image.width(), image.height());
                    decode::cut(&image, region, self.side, slot);
                }
            }
            Ok(())
        })
    }

    fn stamp(&self) -> &[u8] {
        &self.stamp
    }
}
