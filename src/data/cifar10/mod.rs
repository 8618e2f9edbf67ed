//! `cifar10` as its authors distribute it: the binary or the Python version, as an archive or unpacked.
//!
//! Looked for under `data.root` (a folder, or an archive itself), unpacked before packed and binary before Python. An
//! archive has to have the authors' md5; unpacked files have to have the right size and labels.
//! <https://www.cs.toronto.edu/~kriz/cifar.html>

mod pickle;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use md5::{Digest, Md5};

use super::{DataError, Part, Pixels, Source, stats};

const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
/// Bytes of an image: one plane a channel.
const IMAGE: usize = 3 * PIXELS;
/// The usual constants (kuangliu/pytorch-cifar and the released InstDisc code). The deviations are means of per-image
/// deviations, not those of all pixels (.247 .243 .262): kept because every published recipe uses them.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const STD: [f32; 3] = [0.2023, 0.1994, 0.2010];

/// One of the two versions that the authors distribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub archive: &'static str,
    pub url: &'static str,
    pub md5: &'static str,
    folder: &'static str,
    extension: &'static str,
    /// Images in each of the six files.
    per_file: usize,
}

/// The version that `data fetch` gets.
pub const BINARY: Version = Version {
    archive: "cifar-10-binary.tar.gz",
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
    folder: "cifar-10-batches-bin",
    extension: ".bin",
    per_file: 10_000,
};

/// The version that most Python code has left behind on a machine.
pub const PYTHON: Version = Version {
    archive: "cifar-10-python.tar.gz",
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    md5: "c58f30108f718f92721af3b95e74349a",
    folder: "cifar-10-batches-py",
    extension: "",
    per_file: 10_000,
};

impl Version {
    /// The six files, in order; the last one is the test split.
    fn files(&self) -> [String; 6] {
        let name = |i: usize| match i {
            5 => format!("test_batch{}", self.extension),
            _ => format!("data_batch_{}{}", i + 1, self.extension),
        };
        std::array::from_fn(name)
    }

    fn file_size(&self) -> usize {
        self.per_file * (1 + IMAGE)
    }
}

/// Where a copy lies, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub version: Version,
    /// The archive or the folder of the six files.
    pub path: PathBuf,
    pub packed: bool,
}

/// The copy that [`super::load`] would read, if there is one.
pub fn find(root: &Path) -> Option<Place> {
    find_among(root, &[BINARY, PYTHON])
}

fn find_among(root: &Path, versions: &[Version]) -> Option<Place> {
    let is_archive = |version: &&Version| root.ends_with(version.archive) && root.is_file();
    if let Some(&version) = versions.iter().find(is_archive) {
        return Some(Place { version, path: root.to_owned(), packed: true });
    }
    for &version in versions {
        for folder in [root.to_owned(), root.join(version.folder)] {
            if version.files().iter().any(|file| folder.join(file).is_file()) {
                return Some(Place { version, path: folder, packed: false });
            }
        }
    }
    let archived = versions.iter().find(|version| root.join(version.archive).is_file());
    archived.map(|&version| Place { version, path: root.join(version.archive), packed: true })
}

pub(super) struct Cifar10 {
    classes: Vec<String>,
    train: Records,
    test: Records,
}

/// Images as the authors store them, one plane a channel.
#[derive(Default)]
struct Records {
    planes: Vec<u8>,
    labels: Vec<u16>,
}

impl Cifar10 {
    pub fn open(root: &Path) -> Result<Self, DataError> {
        Self::open_among(root, &[BINARY, PYTHON])
    }

    fn open_among(root: &Path, versions: &[Version]) -> Result<Self, DataError> {
        let place = find_among(root, versions).ok_or_else(|| {
            let names: Vec<_> = versions.iter().map(|version| version.archive).collect();
            DataError::Missing {
                path: root.to_owned(),
                expected: format!("{}, or their unpacked folders", names.join(" or ")),
                cure: "get it with `instdisc-lab data fetch cifar10` (162 MB)".to_owned(),
            }
        })?;
        let files = if place.packed { unpack(&place)? } else { read(&place)? };
        let mut train = Records::default();
        let mut test = Records::default();
        for (i, (path, bytes)) in files.into_iter().enumerate() {
            let split = if i < 5 { &mut train } else { &mut test };
            let complain = |found: String| {
                let allowed = format!("{} images of CIFAR-10", place.version.per_file);
                DataError::malformed(&path, found, allowed)
            };
            split.add(&bytes, &place.version).map_err(complain)?;
        }
        Ok(Self { classes: CLASSES.map(str::to_owned).to_vec(), train, test })
    }

    fn records(&self, part: Part) -> &Records {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }
}

impl Source for Cifar10 {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn side(&self) -> usize {
        SIDE
    }

    fn labels(&self, part: Part) -> &[u16] {
        &self.records(part).labels
    }

    fn images(&self, part: Part, rows: &[u32]) -> Result<Pixels, DataError> {
        let planes = &self.records(part).planes;
        let mut images = vec![0; rows.len() * IMAGE];
        for (image, &row) in images.chunks_exact_mut(IMAGE).zip(rows) {
            let record = &planes[row as usize * IMAGE..][..IMAGE];
            for (i, pixel) in image.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&[record[i], record[PIXELS + i], record[2 * PIXELS + i]]);
            }
        }
        Ok(images.into())
    }

    fn normalisation(&self) -> Option<([f32; 3], [f32; 3])> {
        Some((MEAN, STD))
    }
}

impl Records {
    /// Appends one of the six files; what is wrong with it in words.
    fn add(&mut self, bytes: &[u8], version: &Version) -> Result<(), String> {
        if version.extension.is_empty() {
            let batch = pickle::batch(bytes)?;
            if batch.labels.len() != version.per_file {
                return Err(format!("{} images", batch.labels.len()));
            }
            self.planes.extend_from_slice(&batch.data);
            self.labels.extend(batch.labels.into_iter().map(u16::from));
            return Ok(());
        }
        if bytes.len() != version.file_size() {
            return Err(format!("{} bytes instead of {}", bytes.len(), version.file_size()));
        }
        for (i, record) in bytes.chunks_exact(1 + IMAGE).enumerate() {
            if 9 < record[0] {
                return Err(format!("the label {} in record {i}", record[0]));
            }
            self.labels.push(record[0].into());
            self.planes.extend_from_slice(&record[1..]);
        }
        Ok(())
    }
}

/// The six files of an unpacked folder, with their paths.
fn read(place: &Place) -> Result<Vec<(PathBuf, Vec<u8>)>, DataError> {
    let file = |name: String| {
        let path = place.path.join(name);
        if !path.is_file() {
            let expected = "one of the six files of CIFAR-10".to_owned();
            let cure = "unpack the archive again".to_owned();
            return Err(DataError::Missing { path, expected, cure });
        }
        let bytes = fs::read(&path).map_err(DataError::read(&path))?;
        Ok((path, bytes))
    };
    place.version.files().into_iter().map(file).collect()
}

/// The six files of an archive, under paths that say so.
fn unpack(place: &Place) -> Result<Vec<(PathBuf, Vec<u8>)>, DataError> {
    check(&place.path, &place.version)?;
    let read_error = || DataError::read(&place.path);
    let wanted = place.version.files();
    let mut found = BTreeMap::new();
    let file = File::open(&place.path).map_err(read_error())?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    for entry in archive.entries().map_err(read_error())? {
        let mut entry = entry.map_err(read_error())?;
        let name = entry.path().map_err(read_error())?.into_owned();
        let is_wanted = |file: &String| name == Path::new(place.version.folder).join(file);
        let Some(position) = wanted.iter().position(is_wanted) else { continue };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(read_error())?;
        found.insert(position, (place.path.join(name), bytes));
    }
    if let Some(missing) = (0..wanted.len()).find(|position| !found.contains_key(position)) {
        let found = format!("no {}/{}", place.version.folder, wanted[missing]);
        return Err(DataError::malformed(&place.path, found, "the authors' archive"));
    }
    Ok(found.into_values().collect())
}

/// Is this the archive that the authors published?
fn check(path: &Path, version: &Version) -> Result<(), DataError> {
    let (md5, bytes) = md5_of(path)?;
    if md5 == version.md5 {
        return Ok(());
    }
    let found = format!("md5 {md5} in {bytes} bytes");
    let allowed = format!(
        "md5 {}; remove it and get it again with `instdisc-lab data fetch cifar10`",
        version.md5
    );
    Err(DataError::malformed(path, found, allowed))
}

/// The md5 of a file and its length in bytes.
pub(super) fn md5_of(path: &Path) -> Result<(String, u64), DataError> {
    let mut file = File::open(path).map_err(DataError::read(path))?;
    let mut hash = Md5::new();
    let mut length = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(DataError::read(path))?;
        if n == 0 {
            return Ok((stats::hex(&hash.finalize()), length));
        }
        hash.update(&buffer[..n]);
        length += n as u64;
    }
}

#[cfg(test)]
mod tests;
