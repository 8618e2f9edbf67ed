//! Fine-tuning goes on from a checkpoint that was trained.

use super::*;
use crate::data::Split;
use crate::engine::finetune::finetune;

/// The test images are the training images: whoever learns the labels names them.
#[test]
fn fine_tuning_learns_the_labels_it_is_given_and_no_others() {
    let mut spec = spec();
    let classes = ["striped-disc", "checked-square", "halved-heart"];
    spec.data.classes = Some(classes.map(str::to_owned).to_vec());
    spec.augment.crop_min = 1.0;
    (spec.augment.jitter, spec.augment.grayscale, spec.augment.flip) = (0.0, 0.0, false);
    (spec.train.epochs, spec.train.batch_size) = (1, 10);
    let mut data = dataset(&spec);
    let (images, labels) = (data.train.images.clone(), data.train.labels.clone());
    data.test = Split { images, labels, disk: None };
    let dir = tempfile::tempdir().unwrap();
    train(&spec, &data, dir.path(), None, None).unwrap();
    let loaded = newest(dir.path());
    let tuned = |data: &Dataset, share| {
        let of = (&spec, data, data);
        finetune(of, Device::Cpu, Arithmetic::Fp32, &loaded, share).unwrap()
    };
    let all = tuned(&data, 1.0);
    assert_eq!(all.n_labels, 30);
    assert!(60.0 < all.top1, "{all:?}");
    let few = tuned(&data, 0.1);
    assert_eq!(few.n_labels, 3);
    assert!(few.top1 < all.top1, "{few:?} {all:?}");
    assert_eq!(few, tuned(&data, 0.1));
    assert_eq!(all.top5, None, "among five of three classes is every class");
    // Told that every class is another one, it names none rightly.
    data.train.labels.iter_mut().for_each(|label| *label = (*label + 1) % 3);
    let misled = tuned(&data, 1.0);
    assert!(misled.top1 < 20.0, "{misled:?}");
}
