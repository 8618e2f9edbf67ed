//! `cifar10` and `cifar100` as their authors distribute them: the binary or the Python version, as an archive or unpacked.
//!
//! Looked for under `data.root` (a folder, or an archive itself), unpacked before packed and binary before Python. An
//! archive has to have the authors' md5; unpacked files have to have the right size and labels. CIFAR-100's labels are
//! the 100 fine ones. <https://www.cs.toronto.edu/~kriz/cifar.html>

mod names;
mod pickle;

use std::path::{Path, PathBuf};

use super::archive::{self, Remote};
use super::{DataError, Part, Pixels, Source};

const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
/// Bytes of an image: one plane a channel.
const IMAGE: usize = 3 * PIXELS;

const BASE: &str = "https://www.cs.toronto.edu/~kriz/";

/// A data set, whichever version of it lies here.
#[derive(Debug)]
pub struct Family {
    /// As `data.dataset` names it.
    pub name: &'static str,
    title: &'static str,
    classes: &'static [&'static str],
    mean: [f32; 3],
    std: [f32; 3],
    /// The binary one, which `data fetch` gets, and the Python one, which most Python code has left behind.
    pub versions: [Version; 2],
}

/// One of the two versions that the authors distribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    pub remote: Remote,
    folder: &'static str,
    /// Name and number of images of each file, in order; the last one is the test split.
    files: &'static [(&'static str, usize)],
    labels: Labels,
}

/// Where a file keeps its labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Labels {
    /// Before the pixels of each record, this many bytes of which the last one counts.
    Bytes(usize),
    /// In a pickled list under this key.
    Key(&'static str),
}

/// The means are the channels' own. The deviations are means of per-image deviations, not those of all pixels
/// (.247 .243 .262): kept because every published recipe uses them (kuangliu/pytorch-cifar, the released InstDisc code).
pub static CIFAR10: Family = Family {
    name: "cifar10",
    title: "CIFAR-10",
    classes: &names::CIFAR10,
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2023, 0.1994, 0.2010],
    versions: [
        Version {
            remote: Remote {
                file: "cifar-10-binary.tar.gz",
                base: BASE,
                md5: "c32a1d4ab5d03f1284b67883e8d87530",
                megabytes: 162,
            },
            folder: "cifar-10-batches-bin",
            files: &[
                ("data_batch_1.bin", 10_000),
                ("data_batch_2.bin", 10_000),
                ("data_batch_3.bin", 10_000),
                ("data_batch_4.bin", 10_000),
                ("data_batch_5.bin", 10_000),
                ("test_batch.bin", 10_000),
            ],
            labels: Labels::Bytes(1),
        },
        Version {
            remote: Remote {
                file: "cifar-10-python.tar.gz",
                base: BASE,
                md5: "c58f30108f718f92721af3b95e74349a",
                megabytes: 163,
            },
            folder: "cifar-10-batches-py",
            files: &[
                ("data_batch_1", 10_000),
                ("data_batch_2", 10_000),
                ("data_batch_3", 10_000),
                ("data_batch_4", 10_000),
                ("data_batch_5", 10_000),
                ("test_batch", 10_000),
            ],
            labels: Labels::Key("labels"),
        },
    ],
};

/// Means and deviations over all pixels, as weiaicunzai/pytorch-cifar100 and most recipes since have them.
pub static CIFAR100: Family = Family {
    name: "cifar100",
    title: "CIFAR-100",
    classes: &names::CIFAR100,
    mean: [0.5071, 0.4865, 0.4409],
    std: [0.2673, 0.2564, 0.2762],
    versions: [
        Version {
            remote: Remote {
                file: "cifar-100-binary.tar.gz",
                base: BASE,
                md5: "03b5dce01913d631647c71ecec9e9cb8",
                megabytes: 161,
            },
            folder: "cifar-100-binary",
            files: &[("train.bin", 50_000), ("test.bin", 10_000)],
            labels: Labels::Bytes(2),
        },
        Version {
            remote: Remote {
                file: "cifar-100-python.tar.gz",
                base: BASE,
                md5: "eb9058c3a382ffc7106e4002c42a8d85",
                megabytes: 161,
            },
            folder: "cifar-100-python",
            files: &[("train", 50_000), ("test", 10_000)],
            labels: Labels::Key("fine_labels"),
        },
    ],
};

/// Where a copy lies, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub version: Version,
    /// The archive or the folder of the files.
    pub path: PathBuf,
    pub packed: bool,
}

/// The copy that [`super::load`] would read, if there is one.
pub fn find(family: &Family, root: &Path) -> Option<Place> {
    find_among(root, &family.versions)
}

fn find_among(root: &Path, versions: &[Version]) -> Option<Place> {
    let is_archive = |version: &&Version| root.ends_with(version.remote.file) && root.is_file();
    if let Some(&version) = versions.iter().find(is_archive) {
        return Some(Place { version, path: root.to_owned(), packed: true });
    }
    for &version in versions {
        for folder in [root.to_owned(), root.join(version.folder)] {
            if version.files.iter().any(|(file, _)| folder.join(file).is_file()) {
                return Some(Place { version, path: folder, packed: false });
            }
        }
    }
    let archived = versions.iter().find(|version| root.join(version.remote.file).is_file());
    archived.map(|&version| Place { version, path: root.join(version.remote.file), packed: true })
}

pub(super) struct Cifar {
    family: &'static Family,
    classes: Vec<String>,
    train: Records,
    test: Records,
}

/// Images as the authors store them, one plane a channel.
#[derive(Debug, Default, PartialEq)]
struct Records {
    planes: Vec<u8>,
    labels: Vec<u16>,
}

impl Cifar {
    pub fn open(family: &'static Family, root: &Path) -> Result<Self, DataError> {
        Self::open_among(family, root, &family.versions)
    }

    fn open_among(
        family: &'static Family,
        root: &Path,
        versions: &[Version],
    ) -> Result<Self, DataError> {
        let place = find_among(root, versions).ok_or_else(|| {
            let names: Vec<_> = versions.iter().map(|version| version.remote.file).collect();
            let (name, size) = (family.name, versions[0].remote.megabytes);
            DataError::Missing {
                path: root.to_owned(),
                expected: format!("{}, or their unpacked folders", names.join(" or ")),
                cure: format!("get it with `instdisc-lab data fetch {name}` ({size} MB)"),
            }
        })?;
        let version = place.version;
        let files: Vec<(PathBuf, Vec<u8>)> = if place.packed {
            archive::check(&place.path, &version.remote, family.name)?;
            let member = |(file, _): &(&str, usize)| Path::new(version.folder).join(file);
            let wanted: Vec<PathBuf> = version.files.iter().map(member).collect();
            let bytes = archive::members(&place.path, &wanted)?;
            wanted.iter().map(|name| place.path.join(name)).zip(bytes).collect()
        } else {
            let what = format!("one of the {} files of {}", version.files.len(), family.title);
            let read = |(file, _): &(&str, usize)| {
                let path = place.path.join(file);
                let bytes = archive::part(&path, &what)?;
                Ok((path, bytes))
            };
            version.files.iter().map(read).collect::<Result<_, DataError>>()?
        };
        let (mut train, mut test) = (Records::default(), Records::default());
        let n_files = files.len();
        for (i, ((path, bytes), (_, n))) in files.into_iter().zip(version.files).enumerate() {
            let split = if i + 1 < n_files { &mut train } else { &mut test };
            let complain = |found: String| {
                DataError::malformed(&path, found, format!("{n} images of {}", family.title))
            };
            split.add(&bytes, version.labels, *n, family.classes.len()).map_err(complain)?;
        }
        let classes = family.classes.iter().map(|&name| name.to_owned()).collect();
        Ok(Self { family, classes, train, test })
    }

    fn records(&self, part: Part) -> &Records {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }
}

impl Source for Cifar {
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
        Some((self.family.mean, self.family.std))
    }
}

impl Records {
    /// Appends one of the files, of `n` images; what is wrong with it in words.
    fn add(
        &mut self,
        bytes: &[u8],
        labels: Labels,
        n: usize,
        n_classes: usize,
    ) -> Result<(), String> {
        let before = match labels {
            Labels::Bytes(before) => before,
            Labels::Key(key) => {
                let batch = pickle::batch(bytes, key, n_classes as u8)?;
                if batch.labels.len() != n {
                    return Err(format!("{} images", batch.labels.len()));
                }
                self.planes.extend_from_slice(&batch.data);
                self.labels.extend(batch.labels.into_iter().map(u16::from));
                return Ok(());
            }
        };
        let record = before + IMAGE;
        if bytes.len() != n * record {
            return Err(format!("{} bytes instead of {}", bytes.len(), n * record));
        }
        for (i, record) in bytes.chunks_exact(record).enumerate() {
            let label = record[before - 1];
            if n_classes <= usize::from(label) {
                return Err(format!("the label {label} in record {i}"));
            }
            self.labels.push(label.into());
            self.planes.extend_from_slice(&record[before..]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
