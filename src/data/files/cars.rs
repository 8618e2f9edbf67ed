//! `cars196`: Stanford Cars as unpacked, with the class split of metric learning: the first 98 classes to train on (8,054
//! images), the other 98 to test on (8,131).
//!
//! Two layouts are about. `car_ims/` with `cars_annos.mat` is the one that metric learning uses; `cars_train/`,
//! `cars_test/` and `devkit/` the one for classification, whose two splits are put together here (its test labels are in
//! `cars_test_annos_withlabels.mat`, beside the devkit or in it). The authors' addresses have gone, so nothing fetches it.

use std::path::{Path, PathBuf};

use super::mat::{self, Structs, Value};
use super::{Files, Listed, below};
use crate::config::spec::DataSpec;
use crate::data::DataError;
use crate::data::archive;

const WHAT: &str = "the annotations of Cars196";

/// Published md5s, for people who look for a copy: archive of the images, annotations.
pub const PUBLISHED: [(&str, &str); 2] = [
    ("car_ims.tgz", "d5c8f0aa497503f355e17dc7886c3f14"),
    ("cars_annos.mat", "b407c6086d669747186bd1d764ff9dbc"),
];

/// The annotations that are here: a file and the folder that its names are meant from.
pub fn find(root: &Path) -> Vec<(PathBuf, PathBuf)> {
    for root in [root.to_owned(), root.join("stanford_cars")] {
        let whole = root.join("cars_annos.mat");
        if whole.is_file() {
            return vec![(whole, root)];
        }
        let train = root.join("devkit/cars_train_annos.mat");
        let test = ["cars_test_annos_withlabels.mat", "devkit/cars_test_annos_withlabels.mat"];
        let test = test.map(|name| root.join(name)).into_iter().find(|path| path.is_file());
        if let (true, Some(test)) = (train.is_file(), test) {
            return vec![(train, root.join("cars_train")), (test, root.join("cars_test"))];
        }
    }
    Vec::new()
}

/// # Errors
/// Annotations that are missing, malformed or name no class.
pub fn open(root: &Path, spec: &DataSpec) -> Result<Files, DataError> {
    let annotations = find(root);
    if annotations.is_empty() {
        let [(archive, _), (mat, _)] = PUBLISHED;
        return Err(DataError::Missing {
            path: root.to_owned(),
            expected: format!("{mat} and car_ims/, or devkit/, cars_train/ and cars_test/"),
            cure: format!("its authors' site is gone: unpack a copy of {archive} there"),
        });
    }
    let mut images = Vec::new();
    let mut classes = Vec::new();
    for (path, folder) in &annotations {
        let complain = |found: String| DataError::malformed(path, found, WHAT);
        let variables = mat::read(&archive::part(path, WHAT)?).map_err(complain)?;
        let of = |name: &str| variables.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        if let Some(names) = of("class_names") {
            classes = texts(names).map_err(complain)?;
        }
        let Some(Value::Structs(rows)) = of("annotations") else {
            return Err(complain("no array of structures `annotations`".to_owned()));
        };
        images.extend(read(rows, folder).map_err(complain)?);
    }
    if classes.is_empty() {
        let path = root.join("devkit/cars_meta.mat");
        let complain =
            |found: String| DataError::malformed(&path, found, "the names of the classes");
        let variables = mat::read(&archive::part(&path, WHAT)?).map_err(complain)?;
        let names = variables.iter().find(|(name, _)| name == "class_names");
        let names = names.ok_or_else(|| complain("no `class_names`".to_owned()))?;
        classes = texts(&names.1).map_err(complain)?;
    }
    let (mut train, mut test) = (Listed::default(), Listed::default());
    for (path, class) in images {
        if classes.len() < class {
            let found = format!("class {class} of {}", path.display());
            let allowed = format!("1 to {}", classes.len());
            return Err(DataError::malformed(&annotations[0].0, found, allowed));
        }
        let split = if class <= classes.len() / 2 { &mut train } else { &mut test };
        split.push(path, (class - 1) as u16);
    }
    Ok(Files::new(root, classes, [train, test], spec))
}

/// Path and class, from 1, of every annotated image.
fn read(rows: &Structs, folder: &Path) -> Result<Vec<(PathBuf, usize)>, String> {
    let names = ["relative_im_path", "fname"].into_iter().find_map(|field| rows.column(field));
    let names = names.ok_or("annotations without `relative_im_path` or `fname`")?;
    let classes = rows.column("class").ok_or("annotations without `class`")?;
    let one = |(i, (name, class)): (usize, (&Value, &Value))| {
        let path = match name {
            Value::Text(name) => below(folder, name),
            _ => None,
        };
        let path = path.ok_or_else(|| format!("no file name in annotation {}", i + 1))?;
        match class {
            Value::Numbers(class) if matches!(class[..], [class] if 1.0 <= class) => {
                Ok((path, class[0] as usize))
            }
            _ => Err(format!("no class in annotation {}", i + 1)),
        }
    };
    names.zip(classes).enumerate().map(one).collect()
}

fn texts(cell: &Value) -> Result<Vec<String>, String> {
    let Value::Cell(items) = cell else { return Err("class names that are no cell".to_owned()) };
    let text = |item: &Value| match item {
        Value::Text(text) => Ok(text.clone()),
        _ => Err("a class name that is no text".to_owned()),
    };
    items.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};

    use super::*;
    use crate::config::spec::DatasetKind;
    use crate::data::{Part, Source};

    fn fixture(name: &str) -> Vec<u8> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fixtures/data/");
        fs::read(format!("{root}{name}")).unwrap()
    }

    fn read(root: &Path) -> Result<Files, DataError> {
        open(root, &DataSpec { side: Some(8), ..DataSpec::whole(DatasetKind::Cars196) })
    }

    fn images(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        for (i, name) in names.iter().enumerate() {
            RgbImage::from_pixel(9, 7, Rgb([40 * i as u8; 3])).save(folder.join(name)).unwrap();
        }
    }

    /// Four classes, five images, as generate.py writes their annotations.
    #[test]
    fn the_layout_of_metric_learning_splits_by_class() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cars_annos.mat"), fixture("cars_annos.mat")).unwrap();
        let names = ["000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg", "000005.jpg"];
        images(&dir.path().join("car_ims"), &names);
        let data = read(dir.path()).unwrap();
        let expected = [
            "AM General Hummer SUV 2000",
            "Acura RL Sedan 2012",
            "Acura TL Sedan 2012",
            "Citroën DS 1955",
        ];
        assert_eq!(data.classes(), expected);
        assert_eq!(
            (data.labels(Part::Train), data.labels(Part::Test)),
            (&[0, 1][..], &[2, 3, 2][..])
        );
        let pixels = data.images(Part::Test, &[2, 0]).unwrap().images;
        assert_eq!([pixels[0], pixels[8 * 8 * 3]], [160, 80]);
    }

    #[test]
    fn the_layout_of_classification_is_put_together() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("devkit")).unwrap();
        for name in ["cars_train_annos.mat", "cars_test_annos_withlabels.mat", "cars_meta.mat"] {
            fs::write(root.join("devkit").join(name), fixture(name)).unwrap();
        }
        images(&root.join("cars_train"), &["00001.jpg", "00002.jpg", "00003.jpg"]);
        images(&root.join("cars_test"), &["00001.jpg", "00002.jpg"]);
        let data = read(root).unwrap();
        assert_eq!(
            (data.labels(Part::Train), data.labels(Part::Test)),
            (&[0, 1][..], &[3, 2, 2][..])
        );
        let pixels = data.images(Part::Train, &[0, 1]).unwrap().images;
        // The first is cars_train/00001.jpg, the second cars_train/00003.jpg.
        assert_eq!([pixels[0], pixels[8 * 8 * 3]], [0, 80]);
        // Without the test labels there is nothing to split.
        fs::remove_file(root.join("devkit/cars_test_annos_withlabels.mat")).unwrap();
        let message = read(root).err().unwrap().to_string();
        assert!(message.contains("found nothing") && message.contains("car_ims.tgz"), "{message}");
    }

    #[test]
    fn annotations_that_are_torn_or_say_nothing_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let error_with = |bytes: &[u8]| {
            fs::write(dir.path().join("cars_annos.mat"), bytes).unwrap();
            let message = read(dir.path()).err().unwrap().to_string();
            message.replace(dir.path().to_str().unwrap(), "ROOT")
        };
        let whole = fixture("cars_annos.mat");
        let torn = error_with(&whole[..200]);
        assert!(torn.starts_with("ROOT/cars_annos.mat: found "), "{torn}");
        assert!(torn.ends_with("allowed: the annotations of Cars196"), "{torn}");
        let other = error_with(&fixture("cars_meta.mat"));
        assert!(other.contains("found no array of structures `annotations`"), "{other}");
    }
}
