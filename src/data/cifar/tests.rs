//! Small files in the authors' formats, written byte for byte.

use std::fs::{self, File};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::data::archive::md5_of;

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
    // The coarse labels of CIFAR-100, which are to be passed over.
    let coarse = [17; N];
    match version.labels {
        Labels::Key("labels") => pickle::tests::write(&images.concat(), &[("labels", &labels)]),
        Labels::Key(key) => {
            let lists: [(&str, &[u8]); 2] = [(key, &labels), ("coarse_labels", &coarse)];
            pickle::tests::write(&images.concat(), &lists)
        }
        Labels::Bytes(n) => {
            let record = |(&label, image): (&u8, Vec<u8>)| {
                let before = if n == 2 { vec![coarse[0], label] } else { vec![label] };
                [before, image].concat()
            };
            labels.iter().zip(images).flat_map(record).collect()
        }
    }
}

fn small(version: Version) -> Version {
    let files = version.files.iter().map(|(name, _)| (*name, N)).collect::<Vec<_>>();
    Version { files: files.leak(), ..version }
}

/// The binary version of CIFAR-10.
fn binary() -> Version {
    small(CIFAR10.versions[0])
}

fn all() -> Vec<(&'static Family, Version)> {
    let versions = |family: &'static Family| family.versions.map(|v| (family, small(v)));
    [&CIFAR10, &CIFAR100].into_iter().flat_map(versions).collect()
}

fn unpacked(version: &Version, root: &Path) -> PathBuf {
    let folder = root.join(version.folder);
    fs::create_dir_all(&folder).unwrap();
    for (i, (name, _)) in version.files.iter().enumerate() {
        fs::write(folder.join(name), contents(version, i)).unwrap();
    }
    folder
}

/// An archive and the version that has its md5. The test split comes first, as in the authors' binary archive nothing is
/// sorted.
fn archive(version: Version, root: &Path) -> Version {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("{}/{name}", version.folder), bytes).unwrap();
    };
    add("readme.html", b"<html>");
    for (i, (name, _)) in version.files.iter().enumerate().rev() {
        add(name, &contents(&version, i));
    }
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    let path = root.join(version.remote.file);
    File::create(&path).unwrap().write_all(&bytes).unwrap();
    let md5 = md5_of(&path).unwrap().0.leak();
    Version { remote: Remote { md5, ..version.remote }, ..version }
}

fn assert_reads(family: &'static Family, root: &Path, version: Version) {
    let data = Cifar::open_among(family, root, &[version]).unwrap();
    let test = version.files.len() - 1;
    let expected: Vec<u16> =
        (0..test).flat_map(|f| (0..N).map(move |i| label(f, i).into())).collect();
    assert_eq!(data.labels(Part::Train), expected);
    assert_eq!(data.labels(Part::Test), [label(test, 0).into(), u16::from(label(test, 1))]);
    // The second image of the last training file, then the first of all: rows come as asked.
    let last = (N * test - 1) as u32;
    let value = (40 * (test - 1) + 4) as u8;
    let images = data.images(Part::Train, &[last, 0]).unwrap().images;
    assert_eq!(images.len(), 2 * IMAGE);
    assert_eq!(images[..3], [value, value + 1, value + 2]);
    assert_eq!(images[3 * (SIDE + 3)..][..3], [255, value + 1, value + 2]);
    assert_eq!(images[IMAGE..][..3], [0, 1, 2]);
}

#[test]
fn every_version_reads_unpacked_from_the_root_or_beside_it_and_from_the_archive() {
    for (family, version) in all() {
        let dir = tempfile::tempdir().unwrap();
        let folder = unpacked(&version, dir.path());
        assert_reads(family, dir.path(), version);
        assert_reads(family, &folder, version);
        fs::remove_dir_all(folder).unwrap();
        let version = archive(version, dir.path());
        assert_reads(family, dir.path(), version);
        assert_reads(family, &dir.path().join(version.remote.file), version);
    }
}

#[test]
fn the_two_versions_hold_the_same_data_set() {
    for family in [&CIFAR10, &CIFAR100] {
        let dir = tempfile::tempdir().unwrap();
        let [binary, python] = family.versions.map(|version| {
            let version = small(version);
            unpacked(&version, dir.path());
            let data = Cifar::open_among(family, dir.path(), &[version]).unwrap();
            (data.train, data.test)
        });
        assert_eq!(binary, python);
    }
}

fn error(root: &Path, version: Version) -> String {
    let message = Cifar::open_among(&CIFAR10, root, &[version]).err().unwrap().to_string();
    message.replace(root.to_str().unwrap(), "ROOT")
}

#[test]
fn nothing_there_names_both_archives_and_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let message = Cifar::open(&CIFAR10, dir.path()).err().unwrap().to_string();
    assert!(message.contains("found nothing, allowed: cifar-10-binary.tar.gz or"), "{message}");
    assert!(message.contains("`instdisc-lab data fetch cifar10`"), "{message}");
    let message = Cifar::open(&CIFAR100, dir.path()).err().unwrap().to_string();
    assert!(message.contains("`instdisc-lab data fetch cifar100` (161 MB)"), "{message}");
}

#[test]
fn a_missing_file_a_truncated_one_and_a_label_out_of_range_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let version = binary();
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
fn a_fine_label_out_of_range_is_named_and_a_coarse_one_is_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let version = small(CIFAR100.versions[0]);
    let folder = unpacked(&version, dir.path());
    let mut bytes = contents(&version, 0);
    bytes[2 + IMAGE + 1] = 100;
    fs::write(folder.join("train.bin"), &bytes).unwrap();
    let message = Cifar::open_among(&CIFAR100, dir.path(), &[version]).err().unwrap().to_string();
    assert!(
        message.ends_with(
            "train.bin: found the label 100 in record 1, allowed: 2 images of CIFAR-100"
        )
    );
}

#[test]
fn a_truncated_pickle_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let version = small(CIFAR10.versions[1]);
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
    let version = archive(binary(), dir.path());
    let path = dir.path().join(version.remote.file);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let message = error(dir.path(), version);
    let half = format!("in {} bytes, allowed: md5 {}", whole.len() / 2, version.remote.md5);
    assert!(message.starts_with("ROOT/cifar-10-binary.tar.gz: found md5 "), "{message}");
    assert!(message.contains(&half), "{message}");
}

#[test]
fn an_archive_without_one_of_the_files_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let other = Version { folder: "another-folder", ..binary() };
    let version = Version { folder: binary().folder, ..archive(other, dir.path()) };
    assert_eq!(
        error(dir.path(), version),
        "ROOT/cifar-10-binary.tar.gz: found no cifar-10-batches-bin/data_batch_1.bin, allowed: the authors' archive"
    );
}
