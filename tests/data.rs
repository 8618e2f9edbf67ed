//! Data sets and `doctor` as a person meets them: the program itself, exit codes, messages; and real images where the
//! machine has some.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use instdisc_lab::config::spec::{BadImages, DataSpec, DatasetKind};
use instdisc_lab::data::{self, Dataset};
use instdisc_lab::lab::Home;
use tempfile::TempDir;

fn lab(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_instdisc-lab"));
    command.arg("--home").arg(home).args(arguments).current_dir(home);
    command.env_remove("INSTDISC_LAB_HOME").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn what_is_not_there_is_named_with_its_cure() {
    let home = tempfile::tempdir().unwrap();
    let output = lab(home.path(), &["data", "verify", "cifar10"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = stderr(&output);
    assert!(
        said.contains("data/cifar10: found nothing, allowed: cifar-10-binary.tar.gz"),
        "{said}"
    );
    assert!(said.contains("`instdisc-lab data fetch cifar10`"), "{said}");
}

#[test]
fn bad_images_are_listed_all_at_once() {
    let home = tempfile::tempdir().unwrap();
    for file in ["train/ant/a.png", "train/bee/a.png", "test/ant/a.png", "test/bee/a.png"] {
        let path = home.path().join("data/folder").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(8, 8).save(&path).unwrap();
        std::fs::write(path.with_file_name("b.jpg"), "no image").unwrap();
    }
    let output = lab(home.path(), &["data", "verify", "folder"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for file in ["train/ant/b.jpg", "train/bee/b.jpg", "test/ant/b.jpg", "test/bee/b.jpg"] {
        assert!(said.contains(file), "{said}");
    }
    assert!(said.contains("found 4 unreadable images"), "{said}");
}

#[test]
fn data_ls_is_json_alone_on_stdout() {
    let home = tempfile::tempdir().unwrap();
    let part = home.path().join("data/cifar10/cifar-10-binary.tar.gz.part");
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(part, [0; 2048]).unwrap();
    let list = json(&lab(home.path(), &["data", "ls", "--format", "json"]));
    let names: Vec<_> = list.as_array().unwrap().iter().map(|row| &row["dataset"]).collect();
    assert_eq!(names, instdisc_lab::config::keys::DATASETS);
    let state = list[1]["state"].as_str().unwrap();
    assert!(state.starts_with("2.00 KiB fetched; `data fetch cifar10` goes on"), "{state}");
    // The sentences as numbers, for programs alone.
    let numbers = |row: &serde_json::Value| {
        ["train", "test", "side", "megabytes", "fetched"].map(|name| row[name].as_u64())
    };
    assert_eq!(numbers(&list[1]), [Some(50_000), Some(10_000), Some(32), Some(162), Some(2048)]);
    assert_eq!(numbers(&list[0]), [Some(10_000), Some(2_000), Some(32), None, None]);
    let folder = list.as_array().unwrap().iter().find(|row| row["dataset"] == "folder").unwrap();
    assert_eq!((numbers(folder), folder["train"].is_null()), ([None; 5], true));
    assert!(
        !String::from_utf8(lab(home.path(), &["data", "ls"]).stdout).unwrap().contains("MEGABYTES")
    );
}

#[test]
fn doctor_looks_at_everything_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let output = lab(home.path(), &["doctor", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let findings = json(&output);
    let what: Vec<_> = findings.as_array().unwrap().iter().map(|f| f["what"].as_str()).collect();
    let expected = [
        "libtorch",
        "cuda",
        "processor",
        "home",
        "workers",
        "run log",
        "sqlite",
        "disk",
        "colours",
        "characters",
        "images",
    ];
    assert_eq!(what, expected.map(Some));
    #[cfg(feature = "engine")]
    assert_eq!(findings[0]["state"], "ok", "{findings:#}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn doctor_check_fails_on_a_file_that_is_no_run_log() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("lab.db"), "certainly no database of ours\n".repeat(9))
        .unwrap();
    let output = lab(home.path(), &["doctor", "--check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("need a cure"), "{}", stderr(&output));
    assert_eq!(
        lab(home.path(), &["doctor"]).status.code(),
        Some(0),
        "without --check it only says so"
    );
}

/// CIFAR-10 as images in folders: `INSTDISC_TEST_CIFAR10` names the folder, or a tar archive of it.
fn cifar10_images() -> Option<(PathBuf, Option<TempDir>)> {
    let Some(place) = std::env::var_os("INSTDISC_TEST_CIFAR10").map(PathBuf::from) else {
        // Past the capture of test output: a skipped check has to be seen.
        let message = "skipped: the test on real images (INSTDISC_TEST_CIFAR10 is not set)\n";
        std::io::stderr().write_all(message.as_bytes()).unwrap();
        return None;
    };
    if place.is_dir() {
        return Some((place, None));
    }
    let dir = tempfile::tempdir().unwrap();
    let tar = Command::new("tar").arg("xf").arg(&place).arg("-C").arg(dir.path()).status().unwrap();
    assert!(tar.success(), "tar xf {}", place.display());
    Some((dir.path().to_owned(), Some(dir)))
}

fn load(root: &Path, fraction: f64) -> Dataset {
    let spec = DataSpec {
        root: Some(root.to_owned()),
        fraction,
        side: Some(32),
        bad_images: Some(BadImages::Refuse),
        ..DataSpec::whole(DatasetKind::Folder)
    };
    data::load(&spec, &Home::new("unused")).unwrap()
}

#[test]
fn real_images_load_as_their_authors_describe_them() {
    let Some((root, _keep)) = cifar10_images() else { return };
    let tenth = load(&root, 0.1);
    assert_eq!((tenth.side, tenth.train.len(), tenth.test.len()), (32, 5_000, 10_000));
    let names =
        ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    assert_eq!(tenth.classes, names);
    for class in 0..10 {
        assert_eq!(tenth.train.labels.iter().filter(|&&label| label == class).count(), 500);
    }
    // The channel statistics of CIFAR-10 over all pixels: .4914 .4822 .4465 and .2470 .2435 .2616.
    let close = |found: [f32; 3], known: [f32; 3]| {
        found.iter().zip(known).all(|(found, known)| (found - known).abs() < 0.01)
    };
    assert!(close(tenth.mean, [0.4914, 0.4822, 0.4465]), "{:?}", tenth.mean);
    assert!(close(tenth.std, [0.2470, 0.2435, 0.2616]), "{:?}", tenth.std);
    // A fiftieth is part of the tenth, image for image.
    let fiftieth = load(&root, 0.02);
    let size = 32 * 32 * 3;
    let tenth: std::collections::HashSet<&[u8]> = tenth.train.images.chunks(size).collect();
    assert_eq!(fiftieth.train.len(), 1_000);
    assert!(fiftieth.train.images.chunks(size).all(|image| tenth.contains(image)));
}
