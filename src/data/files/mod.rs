//! Data sets that are image files: which files, which class each has, and their pixels.
//!
//! Four layouts (`folder`, `cub`, `cars`, `sop`) make one list each; decoding, bad files and the choice between
//! memory and disk are the same for all.

pub(super) mod cars;
pub(super) mod cub;
pub mod decode;
mod disk;
pub(super) mod folder;
mod mat;
pub(super) mod sop;

#[cfg(test)]
mod modes;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::loader::Loader;
use super::{DataError, OnDisk, Part, Pixels, Source};
use crate::config::keys;
use crate::config::spec::{BadImages, DataSpec};
use disk::Disk;

pub(super) struct Files {
    root: PathBuf,
    classes: Vec<String>,
    side: u32,
    /// Share of the shorter side that is seen where nothing is cropped at random.
    kept: f64,
    bad_images: BadImages,
    train: Listed,
    test: Listed,
}

/// The images of one split.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Listed {
    pub paths: Vec<PathBuf>,
    pub labels: Vec<u16>,
}

impl Listed {
    fn push(&mut self, path: PathBuf, label: u16) {
        self.paths.push(path);
        self.labels.push(label);
    }
}

/// The folder that holds `list`: `root`, or what its archive unpacks to below it.
fn find_by(root: &Path, folder: &str, list: &str) -> Option<PathBuf> {
    [root.to_owned(), root.join(folder)].into_iter().find(|folder| folder.join(list).is_file())
}

impl Files {
    fn new(root: &Path, classes: Vec<String>, [train, test]: [Listed; 2], spec: &DataSpec) -> Self {
        let default = || {
            let key = keys::key("data.side")?;
            key.default.under(super::name(spec.dataset))?.as_u64()
        };
        Self {
            root: root.to_owned(),
            classes,
            side: spec.side.or_else(|| default().map(|side| side as u32)).unwrap_or(32),
            kept: spec.crop,
            bad_images: spec.bad_images.unwrap_or(BadImages::Refuse),
            train,
            test,
        }
    }

    fn listed(&self, part: Part) -> &Listed {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }

    /// Positions in `rows` of the files that are no images, with the reason; an error where none may be, or where no
    /// image is left.
    fn bad(
        &self,
        part: Part,
        rows: &[u32],
        reasons: Vec<Option<String>>,
    ) -> Result<Vec<(usize, String)>, DataError> {
        let paths = &self.listed(part).paths;
        let mut bad = Vec::new();
        for (position, reason) in reasons.into_iter().enumerate() {
            let Some(reason) = reason else { continue };
            let path = &paths[rows[position] as usize];
            if self.bad_images == BadImages::Refuse {
                return Err(no_image(path, &reason));
            }
            bad.push((position, format!("{}: {reason}", path.display())));
        }
        if !rows.is_empty() && bad.len() == rows.len() {
            let folder = paths[rows[0] as usize].parent().unwrap_or(Path::new(""));
            return Err(DataError::malformed(folder, "no readable image at all", "some"));
        }
        Ok(bad)
    }
}

impl Source for Files {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn side(&self) -> usize {
        self.side as usize
    }

    fn labels(&self, part: Part) -> &[u16] {
        &self.listed(part).labels
    }

    fn images(&self, part: Part, rows: &[u32]) -> Result<Pixels, DataError> {
        let paths = &self.listed(part).paths;
        let size = self.side() * self.side() * 3;
        let mut images = vec![0; rows.len() * size];
        let slots = images.par_chunks_exact_mut(size).zip(rows);
        let read = |(slot, &row): (&mut [u8], &u32)| {
            let image = decode::open(&paths[row as usize])?;
            decode::fit(&image, self.side, self.kept, slot);
            Ok(())
        };
        let reasons = slots.map(read).map(|result: Result<(), String>| result.err()).collect();
        let bad = self.bad(part, rows, reasons)?;
        leave_out(&mut images, size, &bad);
        Ok(Pixels { images, bad })
    }

    /// Instances are numbered before a run begins, so files to be skipped have to be known by then: that costs reading
    /// every file once. Where bad files are refused, the first one stops the run when its turn comes.
    fn on_disk(&self, part: Part, rows: &[u32]) -> Result<Option<OnDisk>, DataError> {
        let paths = &self.listed(part).paths;
        let bad = match self.bad_images {
            BadImages::Refuse => Vec::new(),
            BadImages::Skip => {
                let check = |&row: &u32| decode::open(&paths[row as usize]).err();
                self.bad(part, rows, rows.par_iter().map(check).collect())?
            }
        };
        let is_bad = |position: usize| bad.binary_search_by_key(&position, |(p, _)| *p).is_ok();
        let kept = (0..rows.len()).filter(|&position| !is_bad(position));
        let paths = kept.map(|position| paths[rows[position] as usize].clone()).collect();
        let loader: Arc<dyn Loader> =
            Arc::new(Disk::new(&self.root, paths, (self.side, self.kept))?);
        Ok(Some(OnDisk { loader, bad }))
    }
}

/// Moves what is kept together, once: each of the `bad` images, in order of their positions, takes `size` bytes.
fn leave_out(images: &mut Vec<u8>, size: usize, bad: &[(usize, String)]) {
    let ends = bad.iter().skip(1).map(|(next, _)| next * size).chain([images.len()]);
    let mut kept = bad.first().map_or(images.len(), |(first, _)| first * size);
    for ((position, _), end) in bad.iter().zip(ends) {
        let begin = (position + 1) * size;
        images.copy_within(begin..end, kept);
        kept += end - begin;
    }
    images.truncate(kept);
}

fn no_image(path: &Path, reason: &str) -> DataError {
    let found = format!("no readable image ({reason})");
    let allowed = "a JPEG or PNG image; data.bad_images = \"skip\" leaves it out";
    DataError::malformed(path, found, allowed)
}

/// `relative` below `root`, as a list of files names it. Nothing outside of the data set can be named.
fn below(root: &Path, relative: &str) -> Option<PathBuf> {
    let path = Path::new(relative);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !relative.is_empty()).then(|| root.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_takes_its_own_bytes_and_no_others() {
        for bad in [&[][..], &[0], &[4], &[0, 1, 3], &[1, 2, 4], &[0, 1, 2, 3, 4]] {
            let mut images: Vec<u8> = (0..5).flat_map(|image| [image; 3]).collect();
            let listed: Vec<(usize, String)> = bad.iter().map(|&at| (at, String::new())).collect();
            leave_out(&mut images, 3, &listed);
            let kept = (0..5).filter(|&image| !bad.contains(&usize::from(image)));
            assert_eq!(images, kept.flat_map(|image| [image; 3]).collect::<Vec<u8>>(), "{bad:?}");
        }
    }
}
