//! Small files in the authors' formats, written byte for byte.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// Two images a file.
const N: usize = 2;

/// What the `image`-th image of the `file`-th file holds: every plane its own value.
fn planes(file: usize, image: usize) -> Vec<u8> {
    let value = |channel: usize| (40 * file + 4 * image + channel) as u8;
    let mut bytes: Vec<u8> = (0..3).flat_map(|c| [value(c)].repeat(PIXELS)).collect();
    // One pixel in the second row, so that rows and columns cannot be mixed up.
    bytes[SIDE + 3] = 255;
    bytes
}

fn label(file: usize, image: usize) -> u8 {
    ((file * N + image) % 10) as u8
}

fn contents(version: &Version, file: usize) -> Vec<u8> {
    let labels: Vec<u8> = (0..N).map(|i| label(file, i)).collect();
    let images: Vec<Vec<u8>> = (0..N).map(|i| planes(file, i)).collect();
    if version.extension.is_empty() {
        return pickle::tests::write(&images.concat(), &labels);
    }
    labels.iter().zip(images).flat_map(|(&label, image)| [vec![label], image].concat()).collect()
}

fn small(version: Version) -> Version {
    Version { per_file: N, ..version }
}

fn unpacked(version: &Version, root: &Path) -> PathBuf {
    let folder = root.join(version.folder);
    fs::create_dir_all(&folder).unwrap();
    for (i, name) in version.files().iter().enumerate() {
        fs::write(folder.join(name), contents(version, i)).unwrap();
    }
    folder
}

/// An archive and the version that has its md5. `test_batch` comes first, as in the authors' binary archive nothing is
/// sorted.
fn archive(version: Version, root: &Path) -> Version {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |name: String, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{}/{name}", version.folder), bytes).unwrap();
    };
    add("readme.html".to_owned(), b"<html>");
    for (i, name) in version.files().into_iter().enumerate().rev() {
        add(name, &contents(&version, i));
    }
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let path = root.join(version.archive);
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    let md5 = md5_of(&path).unwrap().0.leak();
    Version { md5, ..version }
}

fn assert_reads(root: &Path, version: Version) {
    let data = Cifar10::open_among(root, &[version]).unwrap();
    let expected: Vec<u16> = (0..5).flat_map(|f| (0..N).map(move |i| label(f, i).into())).collect();
    assert_eq!(data.labels(Part::Train), expected);
    assert_eq!(data.labels(Part::Test), [label(5, 0).into(), u16::from(label(5, 1))]);
    // The second image of the second file, then the first of all: rows come as asked.
    let images = data.images(Part::Train, &[3, 0]).unwrap().images;
    assert_eq!(images.len(), 2 * IMAGE);
    assert_eq!(images[..3], [44, 45, 46]);
    assert_eq!(images[3 * (SIDE + 3)..][..3], [255, 45, 46]);
    assert_eq!(images[IMAGE..][..3], [0, 1, 2]);
}

#[test]
fn both_versions_read_unpacked_from_the_root_or_beside_it_and_from_the_archive() {
    for version in [small(BINARY), small(PYTHON)] {
        let dir = tempfile::tempdir().unwrap();
        let folder = unpacked(&version, dir.path());
        assert_reads(dir.path(), version);
        assert_reads(&folder, version);
        fs::remove_dir_all(folder).unwrap();
        let version = archive(version, dir.path());
        assert_reads(dir.path(), version);
        assert_reads(&dir.path().join(version.archive), version);
    }
}

#[test]
fn the_two_versions_hold_the_same_data_set() {
    let dir = tempfile::tempdir().unwrap();
    let read = |version: Version| {
        unpacked(&version, dir.path());
        let data = Cifar10::open_among(dir.path(), &[version]).unwrap();
        (data.train.planes, data.train.labels, data.test.planes, data.test.labels)
    };
    assert_eq!(read(small(BINARY)), read(small(PYTHON)));
}

fn error(root: &Path, version: Version) -> String {
    let message = Cifar10::open_among(root, &[version]).err().unwrap().to_string();
    message.replace(root.to_str().unwrap(), "ROOT")
}

#[test]
fn nothing_there_names_both_archives_and_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let message = Cifar10::open(dir.path()).err().unwrap().to_string();
    assert!(message.contains("found nothing, allowed: cifar-10-binary.tar.gz or"), "{message}");
    assert!(message.contains("`instdisc-lab data fetch cifar10`"), "{message}");
}

#[test]
fn a_missing_file_a_truncated_one_and_a_label_out_of_range_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let version = small(BINARY);
    let folder = unpacked(&version, dir.path());
    let mut bytes = contents(&version, 2);
    bytes[1 + IMAGE] = 10;
    fs::write(folder.join("data_batch_3.bin"), &bytes).unwrap();
    assert_eq!(
        error(dir.path(), version),
        "ROOT/cifar-10-batches-bin/data_batch_3.bin: found the label 10 in record 1, allowed: 2 images of CIFAR-10"
    );
    fs::write(folder.join("data_batch_3.bin"), &bytes[..5000]).unwrap();
    assert_eq!(
        error(dir.path(), version),
        "ROOT/cifar-10-batches-bin/data_batch_3.bin: found 5000 bytes instead of 6146, allowed: 2 images of CIFAR-10"
    );
    fs::remove_file(folder.join("data_batch_3.bin")).unwrap();
    let message = error(dir.path(), version);
    assert!(
        message.starts_with("ROOT/cifar-10-batches-bin/data_batch_3.bin: found nothing"),
        "{message}"
    );
}

#[test]
fn a_truncated_pickle_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let version = small(PYTHON);
    let folder = unpacked(&version, dir.path());
    fs::write(folder.join("test_batch"), &contents(&version, 5)[..4000]).unwrap();
    assert_eq!(
        error(dir.path(), version),
        "ROOT/cifar-10-batches-py/test_batch: found a file that ends too early, allowed: 2 images of CIFAR-10"
    );
}

#[test]
fn an_archive_with_another_md5_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let version = archive(small(BINARY), dir.path());
    let path = dir.path().join(version.archive);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let message = error(dir.path(), version);
    let half = format!("in {} bytes, allowed: md5 {}", whole.len() / 2, version.md5);
    assert!(message.starts_with("ROOT/cifar-10-binary.tar.gz: found md5 "), "{message}");
    assert!(message.contains(&half), "{message}");
}

#[test]
fn an_archive_without_one_of_the_files_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let other = Version { folder: "another-folder", ..small(BINARY) };
    let version = Version { folder: BINARY.folder, ..archive(other, dir.path()) };
    assert_eq!(
        error(dir.path(), version),
        "ROOT/cifar-10-binary.tar.gz: found no cifar-10-batches-bin/data_batch_1.bin, allowed: the authors' archive"
    );
}
