//! `sop`: Stanford Online Products as unpacked. Its own two lists are the class split: 11,318 products to train on (59,551
//! images), 11,316 others to test on (60,502). <https://cvgl.stanford.edu/projects/lifted_struct/>

use std::path::{Path, PathBuf};

use super::{Files, Listed, below, find_by};
use crate::config::spec::DataSpec;
use crate::data::DataError;
use crate::data::archive::{self, Remote};

pub const REMOTE: Remote = Remote {
    file: "Stanford_Online_Products.zip",
    base: "http://ftp.cs.stanford.edu/cs/cvgl/",
    md5: "7f73d41a2f44250d4779881525aea32e",
    megabytes: 2_934,
};
/// The folder in the archive.
const FOLDER: &str = "Stanford_Online_Products";
const HEADER: &str = "image_id class_id super_class_id path";

/// The folder that holds the lists, if there is one.
pub fn find(root: &Path) -> Option<PathBuf> {
    find_by(root, FOLDER, "Ebay_train.txt")
}

/// # Errors
/// A list that is missing or malformed; products that are in both.
pub fn open(root: &Path, spec: &DataSpec) -> Result<Files, DataError> {
    let folder = find(root).ok_or_else(|| DataError::Missing {
        path: root.to_owned(),
        expected: format!("Ebay_train.txt and Ebay_test.txt, or the folder {FOLDER}"),
        cure: "get it with `instdisc-lab data fetch sop` (2.9 GB) and unzip it there".to_owned(),
    })?;
    let mut classes = Vec::new();
    let train = list(&folder, "Ebay_train.txt", &mut classes)?;
    let n_train = classes.len();
    let test = list(&folder, "Ebay_test.txt", &mut classes)?;
    if let Some(class) = classes[n_train..].iter().find(|class| classes[..n_train].contains(class))
    {
        let found = format!("class {class}, which Ebay_train.txt has");
        return Err(DataError::malformed(folder.join("Ebay_test.txt"), found, "other classes"));
    }
    Ok(Files::new(&folder, classes, [train, test], spec))
}

/// The images of one list; classes are numbered as they first appear.
fn list(folder: &Path, name: &str, classes: &mut Vec<String>) -> Result<Listed, DataError> {
    let path = folder.join(name);
    let text = archive::text(&path, "one of the lists of Stanford Online Products")?;
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, line)| line.trim());
    if header != HEADER {
        let found = format!("a first line `{header}`");
        return Err(DataError::malformed(path, found, format!("`{HEADER}`")));
    }
    let mut files = Listed::default();
    let first = classes.len();
    for (i, line) in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        let row = match fields[..] {
            [_, class, _, image] => below(folder, image).map(|image| (class, image)),
            _ => None,
        };
        let Some((class, image)) = row else {
            let found = format!("`{line}` in line {}", i + 1);
            return Err(DataError::malformed(path, found, format!("{HEADER}, the path inside")));
        };
        // Lists are sorted by class; one that comes back is still one class.
        let known = match classes[first..].last() {
            Some(last) if last == class => Some(classes.len() - 1),
            _ => classes[first..].iter().position(|known| known == class).map(|at| first + at),
        };
        let label = known.unwrap_or_else(|| {
            classes.push(class.to_owned());
            classes.len() - 1
        });
        let Ok(label) = u16::try_from(label) else {
            return Err(DataError::malformed(path, "more than 65,535 classes", "fewer"));
        };
        files.push(image, label);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{Rgb, RgbImage};

    use super::*;
    use crate::config::spec::DatasetKind;
    use crate::data::{Part, Source};

    fn small() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        for (i, name) in [
            "bicycle_final/1_0",
            "bicycle_final/1_1",
            "mug_final/2_0",
            "sofa_final/3_0",
            "sofa_final/4_0",
        ]
        .iter()
        .enumerate()
        {
            let path = folder.join(format!("{name}.JPG"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let image = RgbImage::from_pixel(8, 8, Rgb([50 * i as u8; 3]));
            image.save_with_format(path, image::ImageFormat::Jpeg).unwrap();
        }
        let train =
            "1 1 1 bicycle_final/1_0.JPG\n2 1 1 bicycle_final/1_1.JPG\n3 2 7 mug_final/2_0.JPG\n";
        let test = "4 11319 9 sofa_final/3_0.JPG\n5 11320 9 sofa_final/4_0.JPG\n";
        fs::write(folder.join("Ebay_train.txt"), format!("{HEADER}\n{train}")).unwrap();
        fs::write(folder.join("Ebay_test.txt"), format!("{HEADER}\n{test}")).unwrap();
        dir
    }

    fn read(root: &Path) -> Result<Files, DataError> {
        open(root, &DataSpec { side: Some(8), ..DataSpec::whole(DatasetKind::Sop) })
    }

    #[test]
    fn the_two_lists_are_the_two_splits() {
        let dir = small();
        for root in [dir.path().to_owned(), dir.path().join(FOLDER)] {
            let data = read(&root).unwrap();
            assert_eq!(data.classes(), ["1", "2", "11319", "11320"]);
            assert_eq!(data.labels(Part::Train), [0, 0, 1]);
            assert_eq!(data.labels(Part::Test), [2, 3]);
            let images = data.images(Part::Test, &[1]).unwrap().images;
            assert_eq!(images[0], 200);
        }
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
            error_with("Ebay_train.txt", "1 1 1 a.JPG\n"),
            format!("ROOT/Ebay_train.txt: found a first line `1 1 1 a.JPG`, allowed: `{HEADER}`")
        );
        let row = |row: &str| format!("{HEADER}\n{row}\n");
        assert!(
            error_with("Ebay_train.txt", &row("1 1 a.JPG")).contains("found `1 1 a.JPG` in line 2")
        );
        let outside = row("1 1 1 /etc/passwd");
        assert!(
            error_with("Ebay_train.txt", &outside).contains("found `1 1 1 /etc/passwd` in line 2")
        );
        assert!(
            error_with("Ebay_test.txt", &row("9 2 1 a.JPG"))
                .contains("found class 2, which Ebay_train.txt has")
        );
    }
}
