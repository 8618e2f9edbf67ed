//! A resumed run equals an unbroken one bit for bit, and every part of the state is needed for that.

mod examined;
mod files;
mod held_out;
mod objectives;
mod recipe;
mod refusals;
mod replay;
mod tuned;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Tensor};

use super::images::{Images, ViewKey};
use super::{Events, Job, Outcome, TrainError, Trainer};
use crate::config::RunSpec;
use crate::config::spec::{BankInit, DataSpec, DatasetKind, ObjectiveKind, Residence};
use crate::data::{self, Dataset, UNLABELLED};
use crate::engine::augment::Augment;
use crate::engine::checkpoint::{self, Loaded};
use crate::engine::models::Arithmetic;
use crate::engine::objectives::View;
use crate::engine::recorder::EpochLoss;
use crate::journal::event::Event;
use crate::journal::writer::WriteError;
use crate::lab::Home;

/// 100 images, 4 steps an epoch (the last one short), 3 epochs.
fn spec() -> RunSpec {
    serde_json::from_value(serde_json::json!({
        "data": {"dataset": "shapes", "fraction": 0.01, "subset_seed": 0},
        "model": {"backbone": "resnet_small", "dim": 8, "width": 0.125,
                  "head_init": "centred", "head_norm": "batch"},
        "objective": {"kind": "nce", "m": 8, "tau": 0.2, "z": "ema", "z_batches": 2, "own_slot": "keep",
                      "lambda": 10.0, "lambda_from": 1, "bank_momentum": 0.5, "bank_init": "encoded"},
        "augment": {"crop_min": 0.2, "jitter": 0.4, "grayscale": 0.2, "flip": true, "rotation": 0.0},
        "train": {"epochs": 3, "batch_size": 32, "lr": 0.03, "lr_drops": [0.6], "momentum": 0.9,
                  "weight_decay": 5e-4, "precision": "fp32", "threads": 1, "checkpoint_every": 1},
        "eval": {"knn_k": 20, "knn_tau": 0.07, "every": 2},
        "seed": 3
    }))
    .unwrap()
}

/// The test split is cut down: evaluation is not what these tests are about.
fn dataset(spec: &RunSpec) -> Dataset {
    let mut data = data::load(&spec.data, &Home::new("unused")).unwrap();
    data.test.labels.truncate(50);
    data.test.images.truncate(50 * data.side * data.side * 3);
    data
}

#[derive(Default)]
struct Told(Vec<Event>);

impl Events for Told {
    fn write(&mut self, event: Event) -> Result<(), WriteError> {
        self.0.push(event);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
}

impl Told {
    /// Every logged value but the rate, by (step, metric), as bits.
    fn values(&self) -> BTreeMap<(u64, String), u64> {
        let points = self.0.iter().filter_map(|event| match event {
            Event::Point(point) => Some(point),
            _ => None,
        });
        let mut values = BTreeMap::new();
        for point in points {
            for (name, value) in point.m.iter().filter(|(name, _)| *name != "images_per_second") {
                values.insert((point.step, name.clone()), value.0.to_bits());
            }
        }
        values
    }

    fn warns(&self, code: &str) -> bool {
        self.warning(code).is_some()
    }

    fn warning(&self, code: &str) -> Option<&str> {
        self.0.iter().find_map(|event| match event {
            Event::Warn(warn) if warn.code == code => Some(warn.message.as_str()),
            _ => None,
        })
    }
}

/// On the CPU, in fp32, that nobody stops.
fn job<'a>(spec: &'a RunSpec, data: &'a Dataset, dir: &'a Path) -> Job<'a> {
    Job {
        spec,
        spec_fingerprint: "spec".to_owned(),
        data,
        device: Device::Cpu,
        arithmetic: Arithmetic::Fp32,
        checkpoints: dir,
        clock: &|| 0.0,
        stop: &|| false,
        graphs: false,
    }
}

/// Trains from `from` until the end, or until `stop_after` steps.
fn train(
    spec: &RunSpec,
    data: &Dataset,
    dir: &Path,
    from: Option<Loaded>,
    stop_after: Option<u64>,
) -> Result<(Outcome, Told), TrainError> {
    // One thread a test: the tests run side by side, and waiting threads would spin on each other's cores.
    tch::set_num_threads(1);
    let done = Cell::new(from.as_ref().map_or(0, |loaded| loaded.meta.step));
    let stop = || {
        done.set(done.get() + 1);
        stop_after.is_some_and(|after| after <= done.get())
    };
    let job = Job { stop: &stop, ..job(spec, data, dir) };
    let mut told = Told::default();
    let outcome = Trainer::new(job, from)?.run(&mut told)?;
    Ok((outcome, told))
}

fn newest(dir: &Path) -> Loaded {
    checkpoint::load_newest(dir).0.unwrap()
}

#[test]
fn a_resumed_run_equals_an_unbroken_one_wherever_it_stopped() {
    let spec = spec();
    let data = dataset(&spec);
    let unbroken = tempfile::tempdir().unwrap();
    let (outcome, told) = train(&spec, &data, unbroken.path(), None, None).unwrap();
    assert_eq!(outcome, Outcome::Finished { step: 12 });
    let (expected, last) = (told.values(), newest(unbroken.path()).meta);

    for stop_after in [1, 3, 5, 11] {
        let dir = tempfile::tempdir().unwrap();
        let (outcome, before) = train(&spec, &data, dir.path(), None, Some(stop_after)).unwrap();
        let Outcome::Stopped { step } = outcome else { panic!("did not stop at {stop_after}") };
        let (outcome, after) =
            train(&spec, &data, dir.path(), Some(newest(dir.path())), None).unwrap();
        assert_eq!(outcome, Outcome::Finished { step: 12 });
        let mut values = before.values();
        values.extend(after.values());
        assert_eq!(values, expected, "stopped at step {step}");
        let resumed = newest(dir.path()).meta;
        assert_eq!(resumed, last, "hash of all tensors, stopped at step {step}");
    }
}

#[test]
fn a_resume_of_a_resume_is_no_different() {
    let spec = spec();
    let data = dataset(&spec);
    let unbroken = tempfile::tempdir().unwrap();
    train(&spec, &data, unbroken.path(), None, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    train(&spec, &data, dir.path(), None, Some(2)).unwrap();
    train(&spec, &data, dir.path(), Some(newest(dir.path())), Some(7)).unwrap();
    train(&spec, &data, dir.path(), Some(newest(dir.path())), None).unwrap();
    assert_eq!(newest(dir.path()).meta, newest(unbroken.path()).meta);
}

/// Drops one part of the state at the stop; the end must then differ.
fn end_differs_without(part: &str, spoil: impl Fn(&mut Loaded)) {
    let spec = spec();
    let data = dataset(&spec);
    let unbroken = tempfile::tempdir().unwrap();
    let (_, told) = train(&spec, &data, unbroken.path(), None, None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    train(&spec, &data, dir.path(), None, Some(6)).unwrap();
    let mut loaded = newest(dir.path());
    spoil(&mut loaded);
    let (_, after) = train(&spec, &data, dir.path(), Some(loaded), None).unwrap();
    let same_end = newest(dir.path()).meta == newest(unbroken.path()).meta;
    let expected = told.values();
    let same_values = after.values().iter().all(|(key, value)| expected.get(key) == Some(value));
    assert!(!(same_end && same_values), "a resume without the {part} went unnoticed");
}

fn zero(loaded: &mut Loaded, prefix: &str) {
    for (name, tensor) in &mut loaded.tensors {
        if name.starts_with(prefix) {
            *tensor = tensor.zeros_like();
        }
    }
}

#[test]
fn the_momentum_is_needed() {
    end_differs_without("momentum", |loaded| zero(loaded, "momentum."));
}

#[test]
fn the_batch_statistics_are_needed() {
    end_differs_without("running mean", |loaded| zero(loaded, "model.bn1.running_mean"));
}

#[test]
fn the_memory_bank_is_needed() {
    end_differs_without("memory bank", |loaded| {
        let bank: &Tensor = &loaded.tensors["bank"];
        let turned = bank.flip([0]);
        loaded.tensors.insert("bank".to_owned(), turned);
    });
}

#[test]
fn the_normaliser_is_needed() {
    end_differs_without("normaliser Z", |loaded| {
        for value in loaded.meta.objective.values_mut() {
            *value *= 2.0;
        }
    });
}

#[test]
fn the_position_is_needed() {
    end_differs_without("position", |loaded| loaded.meta.step -= 1);
}

#[test]
fn the_losses_of_the_epoch_are_needed() {
    end_differs_without("epoch's losses", |loaded| loaded.meta.epoch_loss = EpochLoss::default());
}

#[test]
fn only_images_with_a_label_vote() {
    let mut spec = spec();
    spec.train.epochs = 1;
    let mut data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    let knn = |data: &Dataset| {
        let told = train(&spec, data, dir.path(), None, None).unwrap().1;
        // What needs no labels is told either way.
        assert!(told.values().contains_key(&(4, "rankme".to_owned())));
        (told.values().contains_key(&(4, "knn_top1".to_owned())), told.warns("no_votes"))
    };
    for label in &mut data.train.labels[..50] {
        *label = UNLABELLED;
    }
    assert_eq!(knn(&data), (true, false));
    let labels = data.train.labels.clone();
    data.train.labels.fill(UNLABELLED);
    assert_eq!(knn(&data), (false, true));
    // Classes 0 to 4 to train on, the others to test on: as in metric learning.
    data.train.labels = labels.iter().enumerate().map(|(i, _)| (i % 5) as u16).collect();
    data.test.labels.iter_mut().enumerate().for_each(|(i, label)| *label = 5 + (i % 5) as u16);
    assert_eq!(knn(&data), (false, true));
}

/// 100 images in batches of 33: one row has no variance, and the running one would not be a number any more.
#[test]
fn a_single_image_left_over_joins_the_batch_before_it() {
    let mut spec = spec();
    spec.train.batch_size = 33;
    let data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    let (outcome, told) = train(&spec, &data, dir.path(), None, None).unwrap();
    assert_eq!(outcome, Outcome::Finished { step: 9 });
    assert!(told.values().values().all(|&bits| f64::from_bits(bits).is_finite()));
    let tensors = newest(dir.path()).tensors;
    assert!(tensors.values().all(|tensor| tensor.isfinite().all().int64_value(&[]) == 1));
}

/// Two parts of two views are one view each.
#[test]
fn parts_of_a_batch_have_statistics_of_their_own() {
    let whole = spec();
    let mut split = spec();
    split.train.bn_splits = 2;
    let data = dataset(&whole);
    let dir = tempfile::tempdir().unwrap();
    let new = |spec| Trainer::new(job(spec, &data, dir.path()), None).unwrap();
    let (whole, split) = (new(&whole), new(&split));
    let images = split.images.view(
        &split.augment,
        3,
        ViewKey { step: 0, number: 0, view: View::Augmented, transform: 0 },
        &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    let views = images.unwrap().chunk(2, 0);
    let alone: Vec<Tensor> =
        views.iter().map(|view| whole.embed(&[view.copy()]).remove(0)).collect();
    let away = |embedded: Vec<Tensor>| {
        let pairs = alone.iter().zip(&embedded);
        pairs.map(|(a, b)| (a - b).abs().max().double_value(&[])).fold(0.0, f64::max)
    };
    assert!(away(split.embed(&views)) < 1e-6);
    assert!(0.01 < away(whole.embed(&views)));
}
