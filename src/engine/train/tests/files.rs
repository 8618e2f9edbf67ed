//! Runs on images that stay on disk.

use super::objectives::with_objective;
use super::*;

/// Forty PNG files of two classes to train on and eight to test on, each of its own size and colours.
fn files(root: &Path) {
    for (split, n) in [("train", 20), ("test", 4)] {
        for (class, hue) in [("ant", 0u32), ("bee", 90)] {
            let folder = root.join(split).join(class);
            std::fs::create_dir_all(&folder).unwrap();
            for i in 0..n {
                let image = image::RgbImage::from_fn(24 + i, 40 - i, |x, y| {
                    image::Rgb([hue + 5 * i, 9 * x, 6 * y].map(|value| (value % 256) as u8))
                });
                image.save(folder.join(format!("{i:02}.png"))).unwrap();
            }
        }
    }
}

fn on_disk(root: &Path) -> RunSpec {
    let mut spec = spec();
    spec.data = DataSpec {
        root: Some(root.to_owned()),
        side: Some(16),
        resident: Residence::Disk,
        ..DataSpec::whole(DatasetKind::Folder)
    };
    spec.train.batch_size = 16;
    spec.train.epochs = 2;
    spec
}

#[test]
fn a_run_on_files_goes_on_after_a_stop_as_if_nothing_had_been_read_ahead() {
    let root = tempfile::tempdir().unwrap();
    files(root.path());
    // Two views of each image, one of them as it is.
    let two_views =
        r#""kind": "triplet", "margin": 0.5, "views": "original_augmented", "negatives": "all""#;
    let spec = RunSpec { objective: with_objective(two_views).objective, ..on_disk(root.path()) };
    let data = data::load(&spec.data, &Home::new("unused")).unwrap();
    assert!(!data.train.is_resident() && !data.test.is_resident());
    let unbroken = tempfile::tempdir().unwrap();
    let (outcome, told) = train(&spec, &data, unbroken.path(), None, None).unwrap();
    assert_eq!(outcome, Outcome::Finished { step: 6 });
    assert!(told.values().contains_key(&(6, "knn_top1".to_owned())));
    for stop_after in [1, 4] {
        let dir = tempfile::tempdir().unwrap();
        train(&spec, &data, dir.path(), None, Some(stop_after)).unwrap();
        train(&spec, &data, dir.path(), Some(newest(dir.path())), None).unwrap();
        assert_eq!(newest(dir.path()).meta, newest(unbroken.path()).meta, "after {stop_after}");
    }
}

#[test]
fn a_file_that_is_no_image_ends_the_run_by_name() {
    let root = tempfile::tempdir().unwrap();
    files(root.path());
    let spec = on_disk(root.path());
    std::fs::write(root.path().join("train/bee/07.png"), "no image").unwrap();
    let data = data::load(&spec.data, &Home::new("unused")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = train(&spec, &data, dir.path(), None, None).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("train/bee/07.png: found no readable image"), "{text}");
    assert_eq!(crate::engine::attempt::AttemptError::from(error).exit_code(), 2);
}

/// Files that already have the side: the same crops, cut by the decoder here and by matrices there.
#[test]
fn views_of_files_are_those_of_the_same_images_in_memory() {
    let root = tempfile::tempdir().unwrap();
    files(root.path());
    let mut spec = on_disk(root.path());
    for path in ["train", "test"].map(|split| root.path().join(split)) {
        for class in ["ant", "bee"].map(|class| path.join(class)) {
            for entry in std::fs::read_dir(class).unwrap() {
                let path = entry.unwrap().path();
                let image = image::open(&path).unwrap().resize_exact(
                    16,
                    16,
                    image::imageops::FilterType::Triangle,
                );
                image.save(path).unwrap();
            }
        }
    }
    let disk = data::load(&spec.data, &Home::new("unused")).unwrap();
    spec.data.resident = Residence::Memory;
    let memory = data::load(&spec.data, &Home::new("unused")).unwrap();
    let augment = Augment::new(&spec.augment, disk.mean, disk.std, 16, Device::Cpu);
    let images = [&disk, &memory].map(|data| Images::new(&data.train, 16, Device::Cpu).unwrap());
    for view in [View::Original, View::Augmented] {
        let key = ViewKey { step: 3, number: 1, view, transform: 5 };
        let [a, b] = images.each_ref().map(|of| of.view(&augment, 7, key, &[39, 0, 12]).unwrap());
        let worst = (a - b).abs().max().double_value(&[]);
        // Bytes are rounded once more on the way from disk, and jitter may stretch that.
        assert!(worst < 3.0 / 255.0 / 0.224, "{view:?}: {worst}");
    }
}
