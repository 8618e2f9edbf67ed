//! Data sets as bytes and labels: 8-bit RGB images of one size, and which class each belongs to.
//!
//! Owns every file format and where the files are looked for. Knows nothing of tensors, of training or of the run log.
//! Augmentation and normalisation are the engine's: images leave here as they were read. The same specification and
//! files give the same bytes in the same order on every machine; that is what the fingerprint vouches for.
//!
//! A new data set is one file with a `Source` and one line in `open`.

pub mod cifar10;
mod error;
pub mod fetch;
mod folder;
mod shapes;
mod stats;
mod subset;

use std::path::{Path, PathBuf};

pub use error::DataError;

use crate::config::spec::{DataSpec, DatasetKind};
use crate::lab::Home;

/// A loaded data set, training images already restricted to `data.classes` and `data.fraction`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// As `data.dataset` names it.
    pub name: String,
    /// Height and width of every image, in pixels.
    pub side: usize,
    /// Class names; labels index into them.
    pub classes: Vec<String>,
    pub train: Split,
    pub test: Split,
    /// Channel means to normalise by, on the scale 0..1: the published constants for CIFAR-10, else computed from the
    /// training images that stayed.
    pub mean: [f32; 3],
    /// Channel standard deviations to normalise by, on the scale 0..1.
    pub std: [f32; 3],
    /// SHA-256 (hexadecimal) of classes, labels and pixels, in order.
    pub fingerprint: String,
    /// Files left out because `data.bad_images = "skip"`, each with its reason.
    pub skipped: Vec<String>,
}

/// Images and their labels, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// (N, side, side, 3), row-major RGB.
    pub images: Vec<u8>,
    /// (N,), indices into [`Dataset::classes`].
    pub labels: Vec<u16>,
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Train,
    Test,
}

/// Images for the rows that were asked for; rows of `bad` (positions in the request) could not be read.
struct Pixels {
    images: Vec<u8>,
    bad: Vec<(usize, String)>,
}

impl From<Vec<u8>> for Pixels {
    fn from(images: Vec<u8>) -> Self {
        Self { images, bad: Vec::new() }
    }
}

/// A data set that knows its labels but has not necessarily made its images: a fraction pays for a fraction.
trait Source {
    fn classes(&self) -> &[String];
    fn side(&self) -> usize;
    fn labels(&self, part: Part) -> &[u16];
    /// Pixels of `rows` in that order, without the bad ones.
    fn images(&self, part: Part, rows: &[u32]) -> Result<Pixels, DataError>;
    /// Published constants to normalise by, where the field agrees on some.
    fn normalisation(&self) -> Option<([f32; 3], [f32; 3])> {
        None
    }
}

fn open(spec: &DataSpec, root: &Path) -> Result<Box<dyn Source>, DataError> {
    Ok(match spec.dataset {
        DatasetKind::Shapes => Box::new(shapes::Shapes::standard()),
        DatasetKind::Cifar10 => Box::new(cifar10::Cifar10::open(root)?),
        DatasetKind::Folder => Box::new(folder::Folder::open(root, spec)?),
    })
}

/// The name of a data set as `data.dataset` writes it.
pub fn name(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Shapes => "shapes",
        DatasetKind::Cifar10 => "cifar10",
        DatasetKind::Folder => "folder",
    }
}

/// Where the files of a data set are looked for: `data.root`, else `<home>/data/<name>`.
pub fn root(spec: &DataSpec, home: &Home) -> PathBuf {
    spec.root.clone().unwrap_or_else(|| home.data().join(name(spec.dataset)))
}

/// Loads what `spec` asks for.
///
/// # Errors
/// Missing, truncated or malformed files, classes that do not exist, fewer than two classes; each with the file's name.
pub fn load(spec: &DataSpec, home: &Home) -> Result<Dataset, DataError> {
    assemble(name(spec.dataset), &*open(spec, &root(spec, home))?, spec)
}

fn assemble(name: &str, source: &dyn Source, spec: &DataSpec) -> Result<Dataset, DataError> {
    let kept = subset::classes(source.classes(), spec.classes.as_deref())?;
    let mut skipped = Vec::new();
    let mut split = |part: Part, fraction: bool| -> Result<Split, DataError> {
        let all = source.labels(part);
        let mut rows = subset::of_classes(all, &kept);
        if fraction {
            rows = subset::fraction(all, rows, spec);
        }
        let Pixels { images, bad } = source.images(part, &rows)?;
        for &(position, _) in bad.iter().rev() {
            rows.remove(position);
        }
        skipped.extend(bad.into_iter().map(|(_, reason)| reason));
        let position = |class: u16| kept.partition_point(|&c| c < class) as u16;
        let labels = rows.iter().map(|&row| position(all[row as usize])).collect();
        Ok(Split { images, labels })
    };
    let train = split(Part::Train, true)?;
    let test = split(Part::Test, false)?;
    let classes: Vec<String> =
        kept.iter().map(|&c| source.classes()[usize::from(c)].clone()).collect();
    let (mean, std) = source.normalisation().unwrap_or_else(|| stats::channels(&train.images));
    let side = source.side();
    let fingerprint = stats::fingerprint(&classes, side, [&train, &test]);
    Ok(Dataset {
        name: name.to_owned(),
        side,
        classes,
        train,
        test,
        mean,
        std,
        fingerprint,
        skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of `shapes`: the specification that tests vary.
    pub(super) fn spec() -> DataSpec {
        DataSpec::whole(DatasetKind::Shapes)
    }

    #[test]
    fn a_fraction_restricts_training_images_and_leaves_evaluation_whole() {
        let home = Home::new("unused");
        let part = DataSpec { fraction: 0.01, ..spec() };
        let loaded = load(&part, &home).unwrap();
        assert_eq!(loaded.train.len(), shapes::TRAIN / 100);
        assert_eq!(loaded.test.len(), shapes::TEST);
        assert_eq!(loaded.train.images.len(), loaded.train.len() * 32 * 32 * 3);
        assert_eq!(loaded, load(&part, &home).unwrap(), "the same request gives the same bytes");
    }

    #[test]
    fn chosen_classes_are_renumbered_from_zero() {
        let wanted = vec!["halved-heart".to_owned(), "striped-disc".to_owned()];
        let some = DataSpec { classes: Some(wanted), fraction: 0.02, ..spec() };
        let loaded = load(&some, &Home::new("unused")).unwrap();
        assert_eq!(loaded.classes, ["striped-disc", "halved-heart"]);
        assert!(loaded.test.labels.iter().all(|&label| label < 2));
        assert_eq!(loaded.test.len(), shapes::TEST / 5);
    }
}
