//! `mnist`, `fashion_mnist` and `kmnist`: IDX files, gzipped or not, grey images shown as three equal channels.
//!
//! Looked for under `data.root` and where torchvision leaves them (`<Name>/raw`, `raw`); `train-images-idx3-ubyte` or
//! `train-images.idx3-ubyte`, with `.gz` or without. An IDX file is two zero bytes, the type of its elements (8 =
//! unsigned byte), the number of dimensions, each dimension as a big-endian u32, and the elements by rows.
//! <http://yann.lecun.com/exdb/mnist/>

use std::path::{Path, PathBuf};

use super::archive::{self, Remote};
use super::{DataError, Part, Pixels, Source};

/// A data set in the form of MNIST.
pub struct Family {
    /// As `data.dataset` names it.
    pub name: &'static str,
    /// torchvision's folder.
    folder: &'static str,
    classes: [&'static str; 10],
    /// Training images and labels, test images and labels.
    pub remotes: [Remote; 4],
}

/// `megabytes` are those of training and test images; labels are a few kilobytes.
const fn remotes(base: &'static str, megabytes: [u32; 2], md5s: [&'static str; 4]) -> [Remote; 4] {
    let [images, labels, test_images, test_labels] = md5s;
    [
        Remote { file: "train-images-idx3-ubyte.gz", base, md5: images, megabytes: megabytes[0] },
        Remote { file: "train-labels-idx1-ubyte.gz", base, md5: labels, megabytes: 0 },
        Remote {
            file: "t10k-images-idx3-ubyte.gz",
            base,
            md5: test_images,
            megabytes: megabytes[1],
        },
        Remote { file: "t10k-labels-idx1-ubyte.gz", base, md5: test_labels, megabytes: 0 },
    ]
}

/// Handwritten digits (LeCun et al. 1998); the mirror is the one that torchvision asks first.
pub static MNIST: Family = Family {
    name: "mnist",
    folder: "MNIST",
    classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    remotes: remotes(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        [10, 2],
        [
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ],
    ),
};

/// Clothes (Xiao et al. 2017).
pub static FASHION_MNIST: Family = Family {
    name: "fashion_mnist",
    folder: "FashionMNIST",
    classes: [
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle-boot",
    ],
    remotes: remotes(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        [26, 5],
        [
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ],
    ),
};

/// Cursive kana (Clanuwat et al. 2018).
pub static KMNIST: Family = Family {
    name: "kmnist",
    folder: "KMNIST",
    classes: ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    remotes: remotes(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        [18, 3],
        [
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ],
    ),
};

/// All of this form, whose files have the same names.
static FAMILIES: [&Family; 3] = [&MNIST, &FASHION_MNIST, &KMNIST];

impl Family {
    /// A packed file that is another family's by its published md5: under one `data.root` a grid over the three would find
    /// the same images three times. Others may be anybody's own.
    fn refuse_kin(&self, path: &Path, families: &[&Family]) -> Result<(), DataError> {
        if path.extension().is_none_or(|extension| extension != "gz") {
            return Ok(());
        }
        let (md5, _) = archive::md5_of(path)?;
        let known = |family: &&&Family| family.remotes.iter().any(|remote| remote.md5 == md5);
        match families.iter().find(known) {
            Some(kin) if kin.name != self.name => {
                let allowed = format!("files of {}", self.name);
                Err(DataError::malformed(path, format!("a file of {}", kin.name), allowed))
            }
            _ => Ok(()),
        }
    }
}

/// Type of the elements: unsigned bytes.
const BYTES: u8 = 8;

pub(super) struct Idx {
    classes: Vec<String>,
    side: usize,
    train: Grey,
    test: Grey,
}

struct Grey {
    /// (N, side, side).
    pixels: Vec<u8>,
    labels: Vec<u16>,
}

/// Each of the four files, where it lies.
pub fn find(family: &Family, root: &Path) -> [Option<PathBuf>; 4] {
    let below = root.join(family.folder);
    let folders = [root.to_owned(), root.join("raw"), below.join("raw"), below];
    let place = |remote: &Remote| {
        let plain = remote.file.trim_end_matches(".gz");
        // As torchvision unpacks it, as the author's page named it once, and packed.
        let names = [plain.to_owned(), plain.replace("-idx", ".idx"), remote.file.to_owned()];
        let paths = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        paths.into_iter().find(|path| path.is_file())
    };
    family.remotes.each_ref().map(place)
}

impl Idx {
    pub fn open(family: &Family, root: &Path) -> Result<Self, DataError> {
        let places = find(family, root);
        let mut paths = Vec::new();
        for (place, remote) in places.into_iter().zip(&family.remotes) {
            paths.push(place.ok_or_else(|| DataError::Missing {
                path: root.join(remote.file),
                expected: "an IDX file, gzipped or not".to_owned(),
                cure: format!("get it with `instdisc-lab data fetch {}`", family.name),
            })?);
        }
        for path in &paths {
            family.refuse_kin(path, &FAMILIES)?;
        }
        let (train, side) = Grey::read(&paths[0], &paths[1], family.classes.len())?;
        let (test, test_side) = Grey::read(&paths[2], &paths[3], family.classes.len())?;
        if side != test_side {
            let found = format!("images of {test_side}×{test_side} pixels");
            let allowed = format!("{side}×{side}, as the training images are");
            return Err(DataError::malformed(&paths[2], found, allowed));
        }
        let classes = family.classes.map(str::to_owned).to_vec();
        Ok(Self { classes, side, train, test })
    }

    fn grey(&self, part: Part) -> &Grey {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }
}

impl Source for Idx {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn side(&self) -> usize {
        self.side
    }

    fn labels(&self, part: Part) -> &[u16] {
        &self.grey(part).labels
    }

    fn images(&self, part: Part, rows: &[u32]) -> Result<Pixels, DataError> {
        let (pixels, size) = (&self.grey(part).pixels, self.side * self.side);
        let image = |&row: &u32| &pixels[row as usize * size..][..size];
        let images: Vec<u8> = rows.iter().flat_map(image).flat_map(|&grey| [grey; 3]).collect();
        Ok(images.into())
    }
}

impl Grey {
    /// Images and labels of one split, and the images' side.
    fn read(images: &Path, labels: &Path, n_classes: usize) -> Result<(Self, usize), DataError> {
        let (shape, pixels) = idx(images, 3)?;
        let (n, side) = (shape[0], shape[1]);
        if shape[1] != shape[2] || side == 0 {
            let found = format!("images of {}×{} pixels", shape[1], shape[2]);
            return Err(DataError::malformed(images, found, "square ones"));
        }
        let (shape, bytes) = idx(labels, 1)?;
        if shape[0] != n {
            let found = format!("{} labels for {n} images", shape[0]);
            return Err(DataError::malformed(labels, found, "a label an image"));
        }
        if let Some(i) = bytes.iter().position(|&label| n_classes <= usize::from(label)) {
            let found = format!("the label {} at {i}", bytes[i]);
            return Err(DataError::malformed(labels, found, format!("0 to {}", n_classes - 1)));
        }
        Ok((Self { pixels, labels: bytes.into_iter().map(u16::from).collect() }, side))
    }
}

/// Dimensions and elements of an IDX file of unsigned bytes.
fn idx(path: &Path, n_dimensions: u8) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let mut bytes = archive::maybe_gzipped(path)?;
    let expected = [0, 0, BYTES, n_dimensions];
    let shown = |magic: &[u8]| magic.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let magic = bytes.get(..4).unwrap_or(&bytes);
    if magic != expected {
        let found = format!("a file that begins with {}", shown(magic));
        return Err(DataError::malformed(
            path,
            found,
            format!("an IDX file, {}", shown(&expected)),
        ));
    }
    let header = 4 + 4 * usize::from(n_dimensions);
    let Some(dimensions) = bytes.get(4..header) else {
        return Err(DataError::malformed(path, "a header that ends too early", "an IDX file"));
    };
    let number = |b: &[u8]| b.iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
    let shape: Vec<usize> = dimensions.chunks_exact(4).map(number).collect();
    let n = shape.iter().try_fold(1usize, |n, &dimension| n.checked_mul(dimension));
    if n != Some(bytes.len() - header) {
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        let found = format!("{} elements for dimensions {}", bytes.len() - header, shape.join("×"));
        return Err(DataError::malformed(path, found, "as many as its header says"));
    }
    bytes.drain(..header);
    Ok((shape, bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An IDX file byte for byte.
    fn file(dimensions: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
        bytes.extend(dimensions.iter().flat_map(|d| d.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    /// Three training images and two test images of 4×4 pixels.
    fn contents() -> [(&'static str, Vec<u8>); 4] {
        let pixels = |n: u8| (0..n * 16).collect::<Vec<u8>>();
        [
            ("train-images-idx3-ubyte", file(&[3, 4, 4], &pixels(3))),
            ("train-labels-idx1-ubyte", file(&[3], &[7, 0, 9])),
            ("t10k-images-idx3-ubyte", file(&[2, 4, 4], &pixels(2))),
            ("t10k-labels-idx1-ubyte", file(&[2], &[1, 2])),
        ]
    }

    #[test]
    fn a_packed_file_that_is_another_familys_by_its_md5_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train-images-idx3-ubyte.gz");
        std::fs::write(&path, gzipped(b"kana")).unwrap();
        let md5: &'static str = archive::md5_of(&path).unwrap().0.leak();
        let kana = Family { remotes: remotes("", [0, 0], [md5; 4]), ..KMNIST };
        kana.refuse_kin(&path, &[&MNIST, &kana]).unwrap();
        let error = MNIST.refuse_kin(&path, &[&MNIST, &kana]).unwrap_err().to_string();
        let said = "train-images-idx3-ubyte.gz: found a file of kmnist, allowed: files of mnist";
        assert!(error.ends_with(said), "{error}");
        // Somebody's own.
        std::fs::write(&path, gzipped(b"runes")).unwrap();
        MNIST.refuse_kin(&path, &[&MNIST, &kana]).unwrap();
    }

    fn written(folder: &Path, gz: bool) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, bytes) in contents() {
            match gz {
                true => std::fs::write(folder.join(format!("{name}.gz")), gzipped(&bytes)),
                false => std::fs::write(folder.join(name), bytes),
            }
            .unwrap();
        }
    }

    #[test]
    fn plain_and_gzipped_files_read_alike_wherever_torchvision_leaves_them() {
        for (below, gz) in [("", true), ("raw", false), ("FashionMNIST/raw", true)] {
            let dir = tempfile::tempdir().unwrap();
            written(&dir.path().join(below), gz);
            let data = Idx::open(&FASHION_MNIST, dir.path()).unwrap();
            assert_eq!((data.side(), data.labels(Part::Train)), (4, &[7, 0, 9][..]));
            assert_eq!(data.labels(Part::Test), [1, 2]);
            let images = data.images(Part::Train, &[2, 0]).unwrap().images;
            assert_eq!(images.len(), 2 * 48);
            // The second pixel of the first row, in three equal channels.
            assert_eq!(images[3..6], [33, 33, 33]);
            assert_eq!(images[48..51], [0, 0, 0]);
        }
    }

    #[test]
    fn names_with_a_dot_are_the_same_files() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in contents() {
            std::fs::write(dir.path().join(name.replace("-idx", ".idx")), bytes).unwrap();
        }
        assert_eq!(Idx::open(&MNIST, dir.path()).unwrap().labels(Part::Test), [1, 2]);
    }

    fn error_with(name: &str, bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), false);
        std::fs::write(dir.path().join(name), bytes).unwrap();
        let message = Idx::open(&MNIST, dir.path()).err().unwrap().to_string();
        message.replace(dir.path().to_str().unwrap(), "ROOT")
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let images = &contents()[0].1;
        assert_eq!(
            error_with("train-images-idx3-ubyte", &images[..40]),
            "ROOT/train-images-idx3-ubyte: found 24 elements for dimensions 3×4×4, allowed: as many as its header says"
        );
        assert_eq!(
            error_with("train-images-idx3-ubyte", &images[..7]),
            "ROOT/train-images-idx3-ubyte: found a header that ends too early, allowed: an IDX file"
        );
        assert_eq!(
            error_with("train-images-idx3-ubyte", b"\x00\x00\x0d\x03rest"),
            "ROOT/train-images-idx3-ubyte: found a file that begins with 00000d03, allowed: an IDX file, 00000803"
        );
        assert_eq!(
            error_with("t10k-labels-idx1-ubyte", &file(&[2], &[1, 10])),
            "ROOT/t10k-labels-idx1-ubyte: found the label 10 at 1, allowed: 0 to 9"
        );
        assert_eq!(
            error_with("t10k-labels-idx1-ubyte", &file(&[3], &[1, 2, 3])),
            "ROOT/t10k-labels-idx1-ubyte: found 3 labels for 2 images, allowed: a label an image"
        );
        assert_eq!(
            error_with("t10k-images-idx3-ubyte", &file(&[2, 4, 3], &[0; 24])),
            "ROOT/t10k-images-idx3-ubyte: found images of 4×3 pixels, allowed: square ones"
        );
        assert_eq!(
            error_with("t10k-images-idx3-ubyte", &file(&[2, 5, 5], &[0; 50])),
            "ROOT/t10k-images-idx3-ubyte: found images of 5×5 pixels, allowed: 4×4, as the training images are"
        );
        // Dimensions whose product is beyond any number.
        let huge = file(&[u32::MAX, u32::MAX, u32::MAX], &[]);
        assert!(error_with("t10k-images-idx3-ubyte", &huge).contains("found 0 elements"));
    }

    #[test]
    fn a_missing_file_and_a_torn_gzip_are_named() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), true);
        let path = dir.path().join("t10k-images-idx3-ubyte.gz");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = || Idx::open(&KMNIST, dir.path()).err().unwrap().to_string();
        assert!(error().ends_with("found a gzip file that ends too early, allowed: a whole one"));
        std::fs::write(&path, b"certainly no gzip file").unwrap();
        assert!(error().contains("ubyte.gz: found no gzip file ("), "{}", error());
        std::fs::remove_file(path).unwrap();
        let message = error();
        assert!(message.contains("t10k-images-idx3-ubyte.gz: found nothing"), "{message}");
        assert!(message.contains("`instdisc-lab data fetch kmnist`"), "{message}");
    }
}
