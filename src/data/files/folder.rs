//! `folder`: `train/<class>/*.{jpg,jpeg,png}` and `test/<class>/*` (or `val/`, as ImageNet has it), images of any size.
//!
//! Classes and files are sorted by name (bytewise), so that the order is the same on every file system. Anything else in
//! the folders is ignored.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Files, Listed};
use crate::config::spec::DataSpec;
use crate::data::DataError;

/// # Errors
/// Folders that are missing, empty or do not match.
pub fn open(root: &Path, spec: &DataSpec) -> Result<Files, DataError> {
    if !root.is_dir() {
        let path = root.to_owned();
        let expected = "a folder with train/<class>/*.{jpg,png} and test/<class>/*".to_owned();
        let cure = "point data.root at it".to_owned();
        return Err(DataError::Missing { path, expected, cure });
    }
    let (train, mut test) = (root.join("train"), root.join("test"));
    if !test.is_dir() && root.join("val").is_dir() {
        test = root.join("val");
    }
    let classes = class_names(&train)?;
    let test_classes = class_names(&test)?;
    if classes != test_classes {
        let found = match classes.iter().find(|name| !test_classes.contains(name)) {
            Some(name) => format!("no class `{name}`, which train has"),
            None => {
                let extra = test_classes.iter().find(|name| !classes.contains(name));
                format!("a class `{}` that train does not have", extra.map_or("", |e| e))
            }
        };
        let allowed = format!("the classes of train: {}", classes.join(", "));
        return Err(DataError::malformed(test, found, allowed));
    }
    let splits = [list(&train, &classes)?, list(&test, &classes)?];
    Ok(Files::new(root, classes, splits, spec))
}

fn list(root: &Path, classes: &[String]) -> Result<Listed, DataError> {
    let mut files = Listed::default();
    for (label, class) in (0u16..).zip(classes) {
        let folder = root.join(class);
        let mut paths: Vec<PathBuf> =
            entries(&folder)?.into_iter().filter(|path| is_image_name(path)).collect();
        if paths.is_empty() {
            let found = "no .jpg, .jpeg or .png file";
            return Err(DataError::malformed(folder, found, "one image or more in a class"));
        }
        paths.sort_unstable();
        files.labels.extend(std::iter::repeat_n(label, paths.len()));
        files.paths.append(&mut paths);
    }
    Ok(files)
}

/// Folders that are not hidden, sorted; two or more.
fn class_names(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for path in entries(folder)? {
        if !path.is_dir() {
            continue;
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            let found = "a folder name that is not UTF-8";
            return Err(DataError::malformed(path, found, "class names in UTF-8"));
        };
        if !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    if names.len() < 2 {
        let found = match names.first() {
            Some(name) => format!("one class folder (`{name}`)"),
            None => "no class folder".to_owned(),
        };
        return Err(DataError::malformed(folder, found, "two or more, one a class"));
    }
    if usize::from(u16::MAX) < names.len() {
        let found = format!("{} class folders", names.len());
        return Err(DataError::malformed(folder, found, "up to 65,535"));
    }
    Ok(names)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read = fs::read_dir(folder).map_err(DataError::read(folder))?;
    read.map(|entry| Ok(entry.map_err(DataError::read(folder))?.path())).collect()
}

fn is_image_name(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let known = ["jpg", "jpeg", "png"];
    let extension = path.extension().and_then(|ext| ext.to_str()).map(str::to_ascii_lowercase);
    !hidden && extension.is_some_and(|ext| known.contains(&ext.as_str()))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use tempfile::TempDir;

    use super::*;
    use crate::config::spec::{BadImages, DatasetKind, Residence};
    use crate::data::{Dataset, load, load_again};
    use crate::lab::Home;

    fn solid(path: &Path, width: u32, height: u32, colour: [u8; 3]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(width, height, Rgb(colour)).save(path).unwrap();
    }

    /// Two classes; two training images and one test image each, 4×4 unless said otherwise.
    fn small() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (class, red) in [("ant", 10), ("bee", 20)] {
            for (file, shade) in [("train/C/b.png", 1), ("train/C/a.png", 2), ("test/C/a.png", 3)] {
                let path = dir.path().join(file.replace('C', class));
                solid(&path, 4, 4, [red, shade, 0]);
            }
        }
        dir
    }

    fn read(dir: &Path, bad_images: BadImages) -> Result<Dataset, DataError> {
        load(&spec(dir, bad_images, Residence::Auto), &Home::new("unused"))
    }

    fn spec(dir: &Path, bad_images: BadImages, resident: Residence) -> DataSpec {
        DataSpec {
            root: Some(dir.to_owned()),
            side: Some(4),
            bad_images: Some(bad_images),
            resident,
            ..DataSpec::whole(DatasetKind::Folder)
        }
    }

    fn error(dir: &TempDir) -> String {
        let message = read(dir.path(), BadImages::Refuse).unwrap_err().to_string();
        message.replace(dir.path().to_str().unwrap(), "ROOT")
    }

    #[test]
    fn classes_and_files_come_in_the_order_of_their_names() {
        let dir = small();
        fs::write(dir.path().join("train/ant/notes.txt"), "ignored").unwrap();
        fs::write(dir.path().join("train/ant/.hidden.png"), "ignored").unwrap();
        let loaded = read(dir.path(), BadImages::Refuse).unwrap();
        assert_eq!(loaded.classes, ["ant", "bee"]);
        assert_eq!(loaded.train.labels, [0, 0, 1, 1]);
        assert_eq!(loaded.test.labels, [0, 1]);
        let firsts: Vec<&[u8]> = loaded.train.images.chunks(4 * 4 * 3).map(|i| &i[..3]).collect();
        assert_eq!(firsts, [[10, 2, 0], [10, 1, 0], [20, 2, 0], [20, 1, 0]]);
    }

    #[test]
    fn an_image_of_the_right_size_passes_through_exactly() {
        let dir = small();
        let noise: Vec<u8> = (0..48u32).map(|i| (i * 97 % 256) as u8).collect();
        let image = RgbImage::from_raw(4, 4, noise.clone()).unwrap();
        image.save(dir.path().join("train/ant/a.png")).unwrap();
        let loaded = read(dir.path(), BadImages::Refuse).unwrap();
        assert_eq!(loaded.train.images[..48], noise);
    }

    #[test]
    fn a_wide_image_keeps_its_middle() {
        let dir = small();
        // Red, green, blue thirds of 8×8 each: the centre crop is the green one.
        let thirds = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
        let image = RgbImage::from_fn(24, 8, |x, _| Rgb(thirds[x as usize / 8]));
        image.save(dir.path().join("train/ant/a.png")).unwrap();
        let loaded = read(dir.path(), BadImages::Refuse).unwrap();
        let middle: Vec<&[u8]> = loaded.train.images[..48].chunks(3).collect();
        // Columns 1 and 2 lie wholly in the middle third; the filter mixes its neighbours into the outer two.
        for row in 0..4 {
            assert_eq!(middle[4 * row + 1], [0, 255, 0]);
            assert_eq!(middle[4 * row + 2], [0, 255, 0]);
        }
    }

    #[test]
    fn a_bad_image_is_named_and_refused_or_skipped() {
        let dir = small();
        fs::write(dir.path().join("train/ant/b.png"), "no image").unwrap();
        let message = error(&dir);
        assert!(
            message.starts_with("ROOT/train/ant/b.png: found no readable image ("),
            "{message}"
        );
        assert!(message.contains("data.bad_images = \"skip\""), "{message}");
        let loaded = read(dir.path(), BadImages::Skip).unwrap();
        assert_eq!(loaded.train.labels, [0, 1, 1]);
        assert_eq!(loaded.train.images.len(), 3 * 48);
        assert_eq!(loaded.train.images[..3], [10, 2, 0]);
        assert_eq!(loaded.train.images[48..51], [20, 2, 0]);
        assert_eq!(loaded.skipped.len(), 1);
        assert!(loaded.skipped[0].contains("train/ant/b.png"), "{:?}", loaded.skipped);
    }

    #[test]
    fn one_class_none_or_different_ones_are_refused() {
        let dir = small();
        fs::remove_dir_all(dir.path().join("test/bee")).unwrap();
        let found = "found one class folder (`ant`), allowed: two or more, one a class";
        assert_eq!(error(&dir), format!("ROOT/test: {found}"));
        solid(&dir.path().join("test/cat/a.png"), 4, 4, [0; 3]);
        let found =
            "found no class `bee`, which train has, allowed: the classes of train: ant, bee";
        assert_eq!(error(&dir), format!("ROOT/test: {found}"));
        fs::remove_dir_all(dir.path().join("train/ant")).unwrap();
        fs::remove_dir_all(dir.path().join("train/bee")).unwrap();
        let found = "found no class folder, allowed: two or more, one a class";
        assert_eq!(error(&dir), format!("ROOT/train: {found}"));
    }

    #[test]
    fn a_class_without_images_and_a_missing_root_are_refused() {
        let dir = small();
        fs::remove_file(dir.path().join("test/bee/a.png")).unwrap();
        let found = "found no .jpg, .jpeg or .png file, allowed: one image or more in a class";
        assert_eq!(error(&dir), format!("ROOT/test/bee: {found}"));
        let gone = read(&dir.path().join("nowhere"), BadImages::Refuse).unwrap_err().to_string();
        assert!(gone.contains("nowhere: found nothing") && gone.contains("data.root"), "{gone}");
    }

    #[test]
    fn imagenets_val_stands_for_test() {
        let dir = small();
        fs::rename(dir.path().join("test"), dir.path().join("val")).unwrap();
        assert_eq!(read(dir.path(), BadImages::Refuse).unwrap().test.labels, [0, 1]);
    }

    #[test]
    fn images_on_disk_are_those_in_memory() {
        let dir = small();
        solid(&dir.path().join("train/ant/a.png"), 12, 8, [7, 8, 9]);
        let home = Home::new("unused");
        let memory = load(&spec(dir.path(), BadImages::Refuse, Residence::Memory), &home).unwrap();
        let disk = load(&spec(dir.path(), BadImages::Refuse, Residence::Disk), &home).unwrap();
        assert!(memory.train.is_resident() && !disk.train.is_resident());
        assert!(disk.train.images.is_empty());
        assert_eq!((&disk.train.labels, &disk.classes), (&memory.train.labels, &memory.classes));
        for rows in [vec![0, 1, 2, 3], vec![3, 0]] {
            let [mut a, mut b] = [vec![0; rows.len() * 48], vec![1; rows.len() * 48]];
            memory.train.read(&rows, &mut a).unwrap();
            disk.train.read(&rows, &mut b).unwrap();
            assert_eq!(a, b);
        }
        // A run that began with them on disk goes on so, where nobody has said otherwise.
        let auto = spec(dir.path(), BadImages::Refuse, Residence::Auto);
        for began in [&memory, &disk] {
            let again = load_again(&auto, &home, &began.fingerprint).unwrap();
            assert_eq!(again.fingerprint, began.fingerprint);
        }
        // Another file of the same name is another data set.
        solid(&dir.path().join("train/ant/b.png"), 40, 30, [7, 8, 9]);
        let changed = load(&spec(dir.path(), BadImages::Refuse, Residence::Disk), &home).unwrap();
        assert_ne!(changed.fingerprint, disk.fingerprint);
    }

    #[test]
    fn a_bad_image_on_disk_is_refused_when_it_is_read_or_left_out_from_the_start() {
        let dir = small();
        fs::write(dir.path().join("train/bee/a.png"), "no image").unwrap();
        let load =
            |bad_images| load(&spec(dir.path(), bad_images, Residence::Disk), &Home::new("unused"));
        let refusing = load(BadImages::Refuse).unwrap();
        assert_eq!(refusing.train.labels, [0, 0, 1, 1]);
        let message = refusing.train.read(&[2], &mut [0; 48]).unwrap_err().to_string();
        assert!(message.contains("train/bee/a.png: found no readable image"), "{message}");
        let skipping = load(BadImages::Skip).unwrap();
        assert_eq!((&skipping.train.labels[..], skipping.skipped.len()), (&[0, 0, 1][..], 1));
        let mut pixels = [0; 48];
        skipping.train.read(&[2], &mut pixels).unwrap();
        assert_eq!(pixels[..3], [20, 1, 0]);
    }
}
