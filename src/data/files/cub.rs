//! `cub200`: Caltech-UCSD Birds 200-2011 as unpacked, with the class split of metric learning: the first 100 classes to
//! train on (5,864 images), the other 100 to test on (5,924). Its `train_test_split.txt` is for classification and not
//! read. <https://data.caltech.edu/records/65de6-vp158>

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Files, Listed, below, find_by};
use crate::config::spec::DataSpec;
use crate::data::DataError;
use crate::data::archive::{self, Remote};

pub const REMOTE: Remote = Remote {
    file: "CUB_200_2011.tgz",
    base: "https://data.caltech.edu/records/65de6-vp158/files/",
    md5: "97eceeb196236b17998738112f37df78",
    megabytes: 1_098,
};
/// The folder in the archive.
const FOLDER: &str = "CUB_200_2011";
const WHAT: &str = "one of the lists of CUB-200-2011";

/// The folder that holds the lists, if there is one.
pub fn find(root: &Path) -> Option<PathBuf> {
    find_by(root, FOLDER, "images.txt")
}

/// # Errors
/// A list that is missing or does not fit the others.
pub fn open(root: &Path, spec: &DataSpec) -> Result<Files, DataError> {
    let folder = find(root).ok_or_else(|| DataError::Missing {
        path: root.to_owned(),
        expected: format!("images.txt and its fellows, or the folder {FOLDER}"),
        cure: "get it with `instdisc-lab data fetch cub200` (1.1 GB)".to_owned(),
    })?;
    let classes: Vec<(usize, String)> = pairs(&folder.join("classes.txt"))?;
    for (i, (number, _)) in classes.iter().enumerate() {
        if *number != i + 1 {
            let found = format!("class {number} in line {}", i + 1);
            return Err(DataError::malformed(folder.join("classes.txt"), found, "1, 2, 3, …"));
        }
    }
    let labels_path = folder.join("image_class_labels.txt");
    let labels: HashMap<usize, usize> = pairs(&labels_path)?.into_iter().collect();
    let (mut train, mut test) = (Listed::default(), Listed::default());
    let images_path = folder.join("images.txt");
    for (number, name) in pairs::<String>(&images_path)? {
        let Some(&class) = labels.get(&number) else {
            let found = format!("no class for image {number}");
            return Err(DataError::malformed(labels_path, found, "one for each in images.txt"));
        };
        if class == 0 || classes.len() < class {
            let found = format!("class {class} for image {number}");
            return Err(DataError::malformed(
                labels_path,
                found,
                format!("1 to {}", classes.len()),
            ));
        }
        let Some(path) = below(&folder.join("images"), &name) else {
            let found = format!("the file name `{name}`");
            return Err(DataError::malformed(images_path, found, "a path below images/"));
        };
        let split = if class <= classes.len() / 2 { &mut train } else { &mut test };
        split.push(path, (class - 1) as u16);
    }
    let classes = classes.into_iter().map(|(_, name)| name).collect();
    Ok(Files::new(&folder, classes, [train, test], spec))
}

/// Lines of a number and a value.
fn pairs<T: FromStr>(path: &Path) -> Result<Vec<(usize, T)>, DataError> {
    let text = archive::text(path, WHAT)?;
    let pair = |(i, line): (usize, &str)| {
        let parsed = line
            .split_once(' ')
            .and_then(|(number, value)| Some((number.parse().ok()?, value.trim().parse().ok()?)));
        parsed.ok_or_else(|| {
            let found = format!("`{line}` in line {}", i + 1);
            DataError::malformed(path, found, "a number, a space and a value")
        })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};

    use super::*;
    use crate::config::spec::DatasetKind;
    use crate::data::{Part, Source};

    /// Four classes, an image or two each, in the authors' form.
    fn small() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        let names = [
            "001.Auk/Auk_0046_18.jpg",
            "001.Auk/Auk_0009_34.jpg",
            "002.Wren/Wren_1.jpg",
            "003.Crow/Crow_1.jpg",
            "004.Tern/Tern_1.jpg",
            "004.Tern/Tern_2.jpg",
        ];
        for (i, name) in names.iter().enumerate() {
            let path = folder.join("images").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_pixel(9, 7, Rgb([40 * i as u8; 3])).save(path).unwrap();
        }
        let files = [
            ("classes.txt", "1 001.Auk\n2 002.Wren\n3 003.Crow\n4 004.Tern\n".to_owned()),
            ("image_class_labels.txt", "1 1\n2 1\n3 2\n4 3\n5 4\n6 4\n".to_owned()),
            ("images.txt", (1..).zip(names).map(|(i, name)| format!("{i} {name}\n")).collect()),
            ("train_test_split.txt", "1 0\n2 1\n3 1\n4 0\n5 1\n6 0\n".to_owned()),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        dir
    }

    fn read(root: &Path) -> Result<Files, DataError> {
        open(root, &DataSpec { side: Some(8), ..DataSpec::whole(DatasetKind::Cub200) })
    }

    #[test]
    fn the_first_half_of_the_classes_trains_and_the_other_tests() {
        let dir = small();
        for root in [dir.path().to_owned(), dir.path().join(FOLDER)] {
            let data = read(&root).unwrap();
            assert_eq!(data.classes(), ["001.Auk", "002.Wren", "003.Crow", "004.Tern"]);
            assert_eq!(data.labels(Part::Train), [0, 0, 1]);
            assert_eq!(data.labels(Part::Test), [2, 3, 3]);
            let images = data.images(Part::Train, &[2, 1]).unwrap().images;
            assert_eq!([images[0], images[8 * 8 * 3]], [80, 40]);
        }
    }

    #[test]
    fn the_side_that_nobody_chose_is_the_one_that_the_key_promises() {
        let dir = small();
        let data = open(dir.path(), &DataSpec::whole(DatasetKind::Cub200)).unwrap();
        assert_eq!(data.side(), 224);
    }

    #[test]
    fn lists_that_do_not_fit_are_named() {
        let dir = small();
        let folder = dir.path().join(FOLDER);
        let error_with = |file: &str, text: &str| {
            let path = folder.join(file);
            let before = fs::read(&path).unwrap();
            fs::write(&path, text).unwrap();
            let message = read(dir.path()).err().unwrap().to_string();
            fs::write(&path, before).unwrap();
            message.replace(folder.to_str().unwrap(), "ROOT")
        };
        assert_eq!(
            error_with("image_class_labels.txt", "1 1\n"),
            "ROOT/image_class_labels.txt: found no class for image 2, allowed: one for each in images.txt"
        );
        assert_eq!(
            error_with("image_class_labels.txt", "1 5\n"),
            "ROOT/image_class_labels.txt: found class 5 for image 1, allowed: 1 to 4"
        );
        assert_eq!(
            error_with("images.txt", "1 ../../secret.jpg\n"),
            "ROOT/images.txt: found the file name `../../secret.jpg`, allowed: a path below images/"
        );
        assert_eq!(
            error_with("images.txt", "1 a.jpg\nnonsense\n"),
            "ROOT/images.txt: found `nonsense` in line 2, allowed: a number, a space and a value"
        );
        assert!(error_with("classes.txt", "2 b\n").contains("found class 2 in line 1"));
        fs::remove_file(folder.join("classes.txt")).unwrap();
        let message = read(dir.path()).err().unwrap().to_string();
        assert!(message.contains("classes.txt: found nothing"), "{message}");
    }
}
