//! `stl10` in its authors' binary form: 96×96 images, 5,000 with labels to train on, 100,000 without, 8,000 to test on.
//!
//! Looked for under `data.root` or in `stl10_binary` below it, unpacked: its archive is 2.6 GB, too much to unzip at
//! every start. Pixels go by planes and each plane by columns; labels count from 1.
//! <https://cs.stanford.edu/~acoates/stl10/>

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use image::RgbImage;
use rayon::prelude::*;

use super::archive::{self, Remote};
use super::files::decode;
use super::{DataError, Part, Pixels, Source, UNLABELLED};
use crate::config::spec::{DataSpec, TrainingSplit};

pub const REMOTE: Remote = Remote {
    file: "stl10_binary.tar.gz",
    base: "http://ai.stanford.edu/~acoates/stl10/",
    md5: "91f7769df0f17e558f3565bffb0c7dfb",
    megabytes: 2_518,
};
/// The folder in the archive.
pub const FOLDER: &str = "stl10_binary";

/// In the order of `class_names.txt`.
const CLASSES: [&str; 10] =
    ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"];
const SIDE: usize = 96;
const PIXELS: usize = SIDE * SIDE;
const IMAGE: usize = 3 * PIXELS;
/// Images read at once: 14 MB.
const CHUNK: usize = 512;

/// Images in each file.
#[derive(Clone, Copy)]
struct Counts {
    train: usize,
    unlabelled: usize,
    test: usize,
}

const PUBLISHED: Counts = Counts { train: 5_000, unlabelled: 100_000, test: 8_000 };

pub(super) struct Stl10 {
    classes: Vec<String>,
    side: usize,
    train: Records,
    test: Records,
}

/// Images of one or two files in a row, and their labels.
struct Records {
    files: Vec<(PathBuf, usize)>,
    labels: Vec<u16>,
}

/// The folder that holds the files, if there is one.
pub fn find(root: &Path) -> Option<PathBuf> {
    let folders = [root.to_owned(), root.join(FOLDER)];
    folders.into_iter().find(|folder| folder.join("test_X.bin").is_file())
}

impl Stl10 {
    pub fn open(root: &Path, spec: &DataSpec) -> Result<Self, DataError> {
        Self::open_of(root, spec, PUBLISHED)
    }

    fn open_of(root: &Path, spec: &DataSpec, counts: Counts) -> Result<Self, DataError> {
        let folder = find(root).ok_or_else(|| DataError::Missing {
            path: root.to_owned(),
            expected: format!("test_X.bin and its fellows, or the folder {FOLDER}"),
            cure: "get it with `instdisc-lab data fetch stl10` (2.5 GB)".to_owned(),
        })?;
        let labelled = || Records::labelled(&folder, "train", counts.train);
        let unlabelled = || Records::unlabelled(&folder, counts.unlabelled);
        let train = match spec.split.unwrap_or(TrainingSplit::Train) {
            TrainingSplit::Train => labelled()?,
            TrainingSplit::Unlabelled => unlabelled()?,
            TrainingSplit::All => labelled()?.followed_by(unlabelled()?),
        };
        Ok(Self {
            classes: CLASSES.map(str::to_owned).to_vec(),
            side: spec.side.map_or(SIDE, |side| side as usize),
            train,
            test: Records::labelled(&folder, "test", counts.test)?,
        })
    }

    fn records(&self, part: Part) -> &Records {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }
}

impl Source for Stl10 {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn side(&self) -> usize {
        self.side
    }

    fn labels(&self, part: Part) -> &[u16] {
        &self.records(part).labels
    }

    fn images(&self, part: Part, rows: &[u32]) -> Result<Pixels, DataError> {
        let size = 3 * self.side * self.side;
        let mut images = vec![0; rows.len() * size];
        let mut records = vec![0; CHUNK.min(rows.len()) * IMAGE];
        for (rows, images) in rows.chunks(CHUNK).zip(images.chunks_mut(CHUNK * size)) {
            self.records(part).read(rows, &mut records)?;
            let records = records.par_chunks_exact(IMAGE);
            images.par_chunks_exact_mut(size).zip(records).for_each(|(image, record)| {
                let turned = turned(record);
                if self.side == SIDE {
                    image.copy_from_slice(&turned);
                } else if let Some(whole) = RgbImage::from_raw(SIDE as u32, SIDE as u32, turned) {
                    decode::fit(&whole, self.side as u32, 1.0, image);
                }
            });
        }
        Ok(images.into())
    }
}

impl Records {
    fn labelled(folder: &Path, split: &str, n: usize) -> Result<Self, DataError> {
        let path = folder.join(format!("{split}_y.bin"));
        let bytes = archive::part(&path, "one of the files of STL-10")?;
        if bytes.len() != n {
            let found = format!("{} labels", bytes.len());
            return Err(DataError::malformed(path, found, format!("{n}, a byte each")));
        }
        if let Some(i) = bytes.iter().position(|label| !(1..=10).contains(label)) {
            let found = format!("the label {} at {i}", bytes[i]);
            return Err(DataError::malformed(path, found, "1 to 10"));
        }
        let labels = bytes.iter().map(|label| u16::from(label - 1)).collect();
        let images = folder.join(format!("{split}_X.bin"));
        Ok(Self { files: vec![(checked(images, n)?, n)], labels })
    }

    fn unlabelled(folder: &Path, n: usize) -> Result<Self, DataError> {
        let images = checked(folder.join("unlabeled_X.bin"), n)?;
        Ok(Self { files: vec![(images, n)], labels: vec![UNLABELLED; n] })
    }

    fn followed_by(mut self, mut next: Self) -> Self {
        self.files.append(&mut next.files);
        self.labels.append(&mut next.labels);
        self
    }

    /// Fills the beginning of `records` with those of `rows`.
    fn read(&self, rows: &[u32], records: &mut [u8]) -> Result<(), DataError> {
        let mut open: Option<(usize, File)> = None;
        for (&row, record) in rows.iter().zip(records.chunks_exact_mut(IMAGE)) {
            let (mut file, mut row) = (0, row as usize);
            while self.files[file].1 <= row {
                row -= self.files[file].1;
                file += 1;
            }
            let path = &self.files[file].0;
            if open.as_ref().is_none_or(|(number, _)| *number != file) {
                open = Some((file, File::open(path).map_err(DataError::read(path))?));
            }
            let Some((_, handle)) = &mut open else { continue };
            let start = SeekFrom::Start((row * IMAGE) as u64);
            handle.seek(start).map_err(DataError::read(path))?;
            handle.read_exact(record).map_err(DataError::read(path))?;
        }
        Ok(())
    }
}

/// A file of `n` images, by its length.
fn checked(path: PathBuf, n: usize) -> Result<PathBuf, DataError> {
    let Ok(metadata) = path.metadata() else {
        let expected = "one of the files of STL-10".to_owned();
        return Err(DataError::Missing {
            path,
            expected,
            cure: "unpack the archive again".to_owned(),
        });
    };
    if metadata.len() != (n * IMAGE) as u64 {
        let found = format!("{} bytes instead of {}", metadata.len(), n * IMAGE);
        return Err(DataError::malformed(path, found, format!("{n} images of STL-10")));
    }
    Ok(path)
}

/// Planes by columns → pixels by rows.
fn turned(record: &[u8]) -> Vec<u8> {
    let mut image = vec![0; IMAGE];
    for (i, pixel) in image.chunks_exact_mut(3).enumerate() {
        let at = i % SIDE * SIDE + i / SIDE;
        pixel.copy_from_slice(&[record[at], record[PIXELS + at], record[2 * PIXELS + at]]);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::DatasetKind;

    const FEW: Counts = Counts { train: 3, unlabelled: 4, test: 2 };

    /// An image as the authors write one: every plane its own value but for the pixel in row 2, column 5.
    fn record(value: u8) -> Vec<u8> {
        let mut planes: Vec<u8> = (0..3).flat_map(|c| [value + c].repeat(PIXELS)).collect();
        planes[5 * SIDE + 2] = 255;
        planes
    }

    fn small() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        let images =
            |from: u8, n: u8| (from..from + n).flat_map(|i| record(10 * i)).collect::<Vec<_>>();
        let files = [
            ("train_X.bin", images(0, 3)),
            ("train_y.bin", vec![1, 10, 2]),
            ("unlabeled_X.bin", images(3, 4)),
            ("test_X.bin", images(7, 2)),
            ("test_y.bin", vec![7, 8]),
            ("class_names.txt", b"airplane\nbird\n".to_vec()),
            ("fold_indices.txt", b"0 1 2\n".to_vec()),
        ];
        for (name, bytes) in files {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        dir
    }

    fn open(root: &Path, split: TrainingSplit, side: Option<u32>) -> Result<Stl10, DataError> {
        let spec = DataSpec { split: Some(split), side, ..DataSpec::whole(DatasetKind::Stl10) };
        Stl10::open_of(root, &spec, FEW)
    }

    #[test]
    fn labels_count_from_nought_and_columns_become_rows() {
        let dir = small();
        for root in [dir.path().to_owned(), dir.path().join(FOLDER)] {
            let data = open(&root, TrainingSplit::Train, None).unwrap();
            assert_eq!(data.labels(Part::Train), [0, 9, 1]);
            assert_eq!(data.labels(Part::Test), [6, 7]);
            let images = data.images(Part::Train, &[2, 0]).unwrap().images;
            assert_eq!(images.len(), 2 * IMAGE);
            assert_eq!(images[..3], [20, 21, 22]);
            assert_eq!(images[3 * (2 * SIDE + 5)..][..3], [255, 21, 22]);
            assert_eq!(images[IMAGE..][..3], [0, 1, 2]);
        }
    }

    #[test]
    fn unlabelled_images_come_alone_or_after_the_labelled_ones() {
        let dir = small();
        let data = open(dir.path(), TrainingSplit::Unlabelled, None).unwrap();
        assert_eq!(data.labels(Part::Train), [UNLABELLED; 4]);
        assert_eq!(data.images(Part::Train, &[1]).unwrap().images[0], 40);
        let data = open(dir.path(), TrainingSplit::All, None).unwrap();
        assert_eq!(
            data.labels(Part::Train),
            [0, 9, 1, UNLABELLED, UNLABELLED, UNLABELLED, UNLABELLED]
        );
        let images = data.images(Part::Train, &[6, 2, 3]).unwrap().images;
        assert_eq!([images[0], images[IMAGE], images[2 * IMAGE]], [60, 20, 30]);
    }

    #[test]
    fn a_side_scales_the_images() {
        let dir = small();
        let data = open(dir.path(), TrainingSplit::Train, Some(32)).unwrap();
        let images = data.images(Part::Test, &[0, 1]).unwrap().images;
        assert_eq!((data.side(), images.len()), (32, 2 * 32 * 32 * 3));
        // Far from the marked pixel the image is one colour.
        assert_eq!(images[32 * 32 * 3 - 3..][..3], [70, 71, 72]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let dir = small();
        let error = |split| {
            let message = open(dir.path(), split, None).err().unwrap().to_string();
            message.replace(dir.path().join(FOLDER).to_str().unwrap(), "ROOT")
        };
        let file = |name: &str| dir.path().join(FOLDER).join(name);
        std::fs::write(file("train_y.bin"), [1, 11, 2]).unwrap();
        assert_eq!(
            error(TrainingSplit::All),
            "ROOT/train_y.bin: found the label 11 at 1, allowed: 1 to 10"
        );
        std::fs::write(file("train_y.bin"), [1, 2]).unwrap();
        assert_eq!(
            error(TrainingSplit::All),
            "ROOT/train_y.bin: found 2 labels, allowed: 3, a byte each"
        );
        std::fs::write(file("unlabeled_X.bin"), [0; 5000]).unwrap();
        assert_eq!(
            error(TrainingSplit::Unlabelled),
            "ROOT/unlabeled_X.bin: found 5000 bytes instead of 110592, allowed: 4 images of STL-10"
        );
        std::fs::remove_file(file("unlabeled_X.bin")).unwrap();
        assert!(
            error(TrainingSplit::Unlabelled).starts_with("ROOT/unlabeled_X.bin: found nothing")
        );
        let nowhere = tempfile::tempdir().unwrap();
        let message = open(nowhere.path(), TrainingSplit::Train, None).err().unwrap().to_string();
        assert!(message.contains("`instdisc-lab data fetch stl10`"), "{message}");
    }
}
