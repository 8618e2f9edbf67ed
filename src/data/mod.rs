//! Data sets as bytes and labels: 8-bit RGB images of one size, and which class each belongs to.
//!
//! Owns every file format and where the files are looked for. Knows nothing of tensors, of training or of the run log.
//! Augmentation and normalisation are the engine's: images leave here as they were read. The same specification and
//! files give the same bytes in the same order on every machine; that is what the fingerprint vouches for.
//!
//! A new data set is one file with a `Source` and one line in `open`.

pub mod archive;
pub mod cifar;
mod error;
pub mod fetch;
pub mod files;
pub mod idx;
pub mod loader;
pub mod published;
mod shapes;
mod split;
mod stats;
pub mod stl10;
mod subset;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::DataError;
pub use split::Split;

use crate::config::spec::{DataSpec, DatasetKind, Residence};
use crate::lab::Home;
use loader::Loader;

/// The label of an image that has none.
pub const UNLABELLED: u16 = u16::MAX;

/// Bytes of decoded images up to which `data.resident = "auto"` keeps a set of files in memory.
const RESIDENT_LIMIT: u64 = 2 << 30;

/// A loaded data set, training images already restricted to `data.classes` and `data.fraction`.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// As `data.dataset` names it.
    pub name: String,
    /// Height and width of every image, in pixels.
    pub side: usize,
    /// Class names; labels index into them.
    pub classes: Vec<String>,
    pub train: Split,
    /// Training images that are not trained on, to choose an epoch by (`data.held_out`). Empty where none was asked for.
    pub held_out: Split,
    pub test: Split,
    /// Channel means to normalise by, on the scale 0..1: published constants for CIFAR and for sets that stay on disk
    /// (ImageNet's), else computed from the training images that stayed.
    pub mean: [f32; 3],
    /// Channel standard deviations to normalise by, on the scale 0..1.
    pub std: [f32; 3],
    /// SHA-256 (hexadecimal) of classes, labels and pixels, in order; of names and sizes of the files instead of pixels
    /// where images stay on disk.
    pub fingerprint: String,
    /// Files left out because `data.bad_images = "skip"`, each with its reason.
    pub skipped: Vec<String>,
}

impl Dataset {
    /// The name of a label's class.
    pub fn class(&self, label: u16) -> &str {
        self.classes.get(usize::from(label)).map_or("unlabelled", String::as_str)
    }

    /// Whether two training images are known to be of one class. An image is like itself.
    pub fn alike(&self, a: usize, b: usize) -> bool {
        let labels = &self.train.labels;
        a == b || (labels[a] == labels[b] && labels[a] != UNLABELLED)
    }

    /// Whether test images are of classes that were trained on. Not so in metric learning, whose splits share no class:
    /// there a vote among training images is always wrong, and retrieval within the test split is what counts.
    pub fn shares_classes(&self) -> bool {
        let mut trained = vec![false; self.classes.len()];
        for &label in &self.train.labels {
            if let Some(class) = trained.get_mut(usize::from(label)) {
                *class = true;
            }
        }
        // A set without any label shares whatever classes there are.
        let unlabelled = !trained.contains(&true);
        unlabelled || self.test.labels.iter().any(|&label| trained[usize::from(label)])
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

/// The same without the pixels: a loader for the rows that are images.
struct OnDisk {
    loader: Arc<dyn Loader>,
    bad: Vec<(usize, String)>,
}

/// A data set that knows its labels but has not necessarily made its images: a fraction pays for a fraction.
trait Source {
    fn classes(&self) -> &[String];
    fn side(&self) -> usize;
    fn labels(&self, part: Part) -> &[u16];
    /// Pixels of `rows` in that order, without the bad ones.
    fn images(&self, part: Part, rows: &[u32]) -> Result<Pixels, DataError>;
    /// The same, to be decoded as they are asked for; nothing where the set is no set of image files.
    fn on_disk(&self, _: Part, _: &[u32]) -> Result<Option<OnDisk>, DataError> {
        Ok(None)
    }
    /// Published constants to normalise by, where the field agrees on some.
    fn normalisation(&self) -> Option<([f32; 3], [f32; 3])> {
        None
    }
}

fn open(spec: &DataSpec, root: &Path) -> Result<Box<dyn Source>, DataError> {
    Ok(match spec.dataset {
        DatasetKind::Shapes => Box::new(shapes::Shapes::standard()),
        DatasetKind::Cifar10 => Box::new(cifar::Cifar::open(&cifar::CIFAR10, root)?),
        DatasetKind::Cifar100 => Box::new(cifar::Cifar::open(&cifar::CIFAR100, root)?),
        DatasetKind::Stl10 => Box::new(stl10::Stl10::open(root, spec)?),
        DatasetKind::Mnist => Box::new(idx::Idx::open(&idx::MNIST, root)?),
        DatasetKind::FashionMnist => Box::new(idx::Idx::open(&idx::FASHION_MNIST, root)?),
        DatasetKind::Kmnist => Box::new(idx::Idx::open(&idx::KMNIST, root)?),
        DatasetKind::Cub200 => Box::new(files::cub::open(root, spec)?),
        DatasetKind::Cars196 => Box::new(files::cars::open(root, spec)?),
        DatasetKind::Sop => Box::new(files::sop::open(root, spec)?),
        DatasetKind::Folder => Box::new(files::folder::open(root, spec)?),
    })
}

/// The name of a data set as `data.dataset` writes it.
pub fn name(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Shapes => "shapes",
        DatasetKind::Cifar10 => "cifar10",
        DatasetKind::Cifar100 => "cifar100",
        DatasetKind::Stl10 => "stl10",
        DatasetKind::Mnist => "mnist",
        DatasetKind::FashionMnist => "fashion_mnist",
        DatasetKind::Kmnist => "kmnist",
        DatasetKind::Cub200 => "cub200",
        DatasetKind::Cars196 => "cars196",
        DatasetKind::Sop => "sop",
        DatasetKind::Folder => "folder",
    }
}

/// Where the files of a data set are looked for: `data.root`, else `<home>/data/<name>`.
pub fn root(spec: &DataSpec, home: &Home) -> PathBuf {
    spec.root.clone().unwrap_or_else(|| home.data().join(name(spec.dataset)))
}

/// Loads what `spec` asks for. A large set of image files is only listed, and decoded as [`Split::read`] or its loader
/// is asked (`data.resident`).
///
/// # Errors
/// Missing, truncated or malformed files, classes that do not exist, fewer than two classes; each with the file's name.
pub fn load(spec: &DataSpec, home: &Home) -> Result<Dataset, DataError> {
    assemble(name(spec.dataset), &*open(spec, &root(spec, home))?, spec)
}

/// As [`load`], for a run that began with the data set of fingerprint `known`: where `data.resident` is left to us, images
/// stay where they were then, as the fingerprint of files is another than that of pixels and the rule for it has changed.
///
/// # Errors
/// As [`load`].
pub fn load_again(spec: &DataSpec, home: &Home, known: &str) -> Result<Dataset, DataError> {
    let found = load(spec, home)?;
    if known.is_empty() || found.fingerprint == known || spec.resident != Residence::Auto {
        return Ok(found);
    }
    let resident = if found.train.is_resident() { Residence::Disk } else { Residence::Memory };
    let other = load(&DataSpec { resident, ..spec.clone() }, home)?;
    Ok(if other.fingerprint == known { other } else { found })
}

fn assemble(name: &str, source: &dyn Source, spec: &DataSpec) -> Result<Dataset, DataError> {
    let kept = subset::classes(source.classes(), spec.classes.as_deref())?;
    let whole = kept.len() == source.classes().len();
    let of_classes = |part| subset::of_classes(source.labels(part), &kept, whole);
    let labels = source.labels(Part::Train);
    let (train_rows, held_rows) = subset::held_out(labels, of_classes(Part::Train), spec)?;
    let train_rows = subset::fraction(labels, train_rows, spec);
    let test_rows = of_classes(Part::Test);
    let side = source.side();
    // Of all the images, whatever share of them is asked for: crops are cut otherwise out of files than out of squares, and
    // the shares of one data set are to be compared.
    let all = [Part::Train, Part::Test].map(of_classes);
    let bytes = all.iter().map(Vec::len).sum::<usize>() as u64 * (3 * side * side) as u64;
    let stays_on_disk = match spec.resident {
        Residence::Disk => true,
        Residence::Memory => false,
        Residence::Auto => RESIDENT_LIMIT < bytes,
    };
    let mut skipped = Vec::new();
    let mut split = |part: Part, mut rows: Vec<u32>| -> Result<Split, DataError> {
        let on_disk = if stays_on_disk { source.on_disk(part, &rows)? } else { None };
        let (images, disk, bad) = match on_disk {
            Some(OnDisk { loader, bad }) => (Vec::new(), Some(loader), bad),
            None => {
                let Pixels { images, bad } = source.images(part, &rows)?;
                (images, None, bad)
            }
        };
        for &(position, _) in bad.iter().rev() {
            rows.remove(position);
        }
        skipped.extend(bad.into_iter().map(|(_, reason)| reason));
        let renumbered = |class: u16| match class {
            UNLABELLED => UNLABELLED,
            class => kept.partition_point(|&c| c < class) as u16,
        };
        let all = source.labels(part);
        let labels = rows.iter().map(|&row| renumbered(all[row as usize])).collect();
        Ok(Split { images, labels, disk })
    };
    for (rows, split) in [(&train_rows, "training"), (&test_rows, "test")] {
        if rows.is_empty() {
            let among = if whole { "" } else { " of the classes in data.classes" };
            return Err(DataError::Empty { dataset: name.to_owned(), split, among });
        }
    }
    let train = split(Part::Train, train_rows)?;
    let held_out = match held_rows.is_empty() {
        true => Split::default(),
        false => split(Part::Train, held_rows)?,
    };
    let test = split(Part::Test, test_rows)?;
    let classes: Vec<String> =
        kept.iter().map(|&c| source.classes()[usize::from(c)].clone()).collect();
    let computed = || match train.is_resident() {
        true => stats::channels(&train.images),
        false => stats::IMAGENET,
    };
    let (mean, std) = source.normalisation().unwrap_or_else(computed);
    let splits = [&train, &test, &held_out];
    let splits = if held_out.is_empty() { &splits[..2] } else { &splits[..] };
    let fingerprint = stats::fingerprint(&classes, side, splits);
    Ok(Dataset {
        name: name.to_owned(),
        side,
        classes,
        train,
        held_out,
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
        let again = load(&part, &home).unwrap();
        assert_eq!(loaded.train.images, again.train.images, "the same request, the same bytes");
        assert_eq!(loaded.fingerprint, again.fingerprint);
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

    #[test]
    fn every_name_that_a_specification_may_say_is_the_name_of_its_kind() {
        for name in crate::config::keys::DATASETS {
            let kind: DatasetKind = serde_json::from_value((*name).into()).unwrap();
            assert_eq!(super::name(kind), *name);
        }
    }

    /// Four images of two classes and two without a label; the test split has classes of its own where `open_set`.
    struct Mixed {
        classes: Vec<String>,
        train: Vec<u16>,
        test: Vec<u16>,
        side: usize,
        /// Whether it was asked for files instead of pixels.
        on_disk: std::cell::Cell<bool>,
    }

    impl Source for Mixed {
        fn classes(&self) -> &[String] {
            &self.classes
        }

        fn side(&self) -> usize {
            self.side
        }

        fn on_disk(&self, _: Part, _: &[u32]) -> Result<Option<OnDisk>, DataError> {
            self.on_disk.set(true);
            Ok(None)
        }

        fn labels(&self, part: Part) -> &[u16] {
            if part == Part::Train { &self.train } else { &self.test }
        }

        fn images(&self, _: Part, rows: &[u32]) -> Result<Pixels, DataError> {
            Ok(rows.iter().flat_map(|&row| [row as u8; 3]).collect::<Vec<u8>>().into())
        }
    }

    fn mixed(train: &[u16], test: &[u16]) -> Mixed {
        let classes = ["ant", "bee", "cat", "dog"].map(str::to_owned).to_vec();
        let (train, test) = (train.to_vec(), test.to_vec());
        Mixed { classes, train, test, side: 1, on_disk: false.into() }
    }

    /// 16,384 pixels a side are 805 MB an image: three of them are more than the limit, two are less.
    #[test]
    fn whether_images_stay_on_disk_does_not_depend_on_the_fraction() {
        let asked = |train: &[u16], resident: Residence, fraction: f64| {
            let source = Mixed { side: 16_384, ..mixed(train, &[0]) };
            assemble("mixed", &source, &DataSpec { resident, fraction, ..spec() }).unwrap();
            source.on_disk.get()
        };
        assert!(!asked(&[0], Residence::Auto, 1.0));
        assert!(asked(&[0; 4], Residence::Auto, 1.0));
        assert!(asked(&[0; 4], Residence::Auto, 0.25));
        assert!(!asked(&[0; 4], Residence::Memory, 1.0));
        assert!(asked(&[0], Residence::Disk, 1.0));
    }

    #[test]
    fn images_without_a_label_stay_unless_classes_are_chosen() {
        let source = mixed(&[0, UNLABELLED, 2, 3, UNLABELLED, 2], &[0, 2]);
        let all = assemble("mixed", &source, &spec()).unwrap();
        assert_eq!(all.train.labels, [0, UNLABELLED, 2, 3, UNLABELLED, 2]);
        assert_eq!(all.train.labelled(), [0, 2, 3, 5]);
        assert_eq!((all.class(2), all.class(UNLABELLED)), ("cat", "unlabelled"));
        assert!(all.alike(2, 5) && !all.alike(2, 3) && !all.alike(1, 4) && all.alike(1, 1));
        let some = DataSpec { classes: Some(vec!["cat".into(), "dog".into()]), ..spec() };
        let some = assemble("mixed", &source, &some).unwrap();
        assert_eq!(
            (&some.train.labels[..], &some.train.images[..3]),
            (&[0, 1, 0][..], &[2, 2, 2][..])
        );
        let half = DataSpec { fraction: 0.5, ..spec() };
        let half = assemble("mixed", &source, &half).unwrap();
        assert_eq!(half.train.labels.iter().filter(|&&l| l == UNLABELLED).count(), 1);
    }

    #[test]
    fn a_split_without_an_image_is_refused() {
        let error = |source: &Mixed, classes: Option<Vec<String>>| {
            assemble("mixed", source, &DataSpec { classes, ..spec() }).unwrap_err().to_string()
        };
        let source = mixed(&[0, 1], &[2, 3]);
        let chosen = Some(vec!["ant".to_owned(), "bee".to_owned()]);
        assert_eq!(
            error(&source, chosen),
            "mixed: found no test image of the classes in data.classes, allowed: one or more in either split"
        );
        let message = error(&mixed(&[], &[1]), None);
        assert!(message.starts_with("mixed: found no training image, "), "{message}");
    }

    #[test]
    fn splits_without_a_common_class_say_so() {
        let shares = |train: &[u16], test: &[u16]| {
            assemble("mixed", &mixed(train, test), &spec()).unwrap().shares_classes()
        };
        assert!(shares(&[0, 1], &[1, 2]));
        assert!(!shares(&[0, 1], &[2, 3]));
        assert!(shares(&[UNLABELLED], &[2, 3]), "nobody knows");
    }
}
