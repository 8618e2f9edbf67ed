//! What is said afterwards of a network and a bank that were trained.

use super::*;
use crate::config::evaluation::Evaluation;
use crate::data::Split;
use crate::engine::ages::ages;
use crate::engine::encoder::{Encoder, flat, network};
use crate::engine::eval::encode::on_device;
use crate::engine::eval::suite::Finding;
use crate::engine::examine::Examinee;
use crate::engine::models::{LAYERS, Mode};

/// Every training step leaves all rows of the bank as they are but those of its batch; runs are stopped and resumed at
/// each, also between two epochs.
#[test]
fn a_row_is_as_old_as_the_last_step_that_changed_it() {
    let spec = spec();
    let data = dataset(&spec);
    let n = data.train.len();
    let dir = tempfile::tempdir().unwrap();
    let rows = |loaded: &Loaded| -> Vec<Vec<f32>> {
        Vec::try_from(loaded.tensors["bank"].to_kind(tch::Kind::Float)).unwrap()
    };
    let (mut before, mut replayed) = (Vec::new(), vec![0; n]);
    for step in 1..=9 {
        let from = (1 < step).then(|| newest(dir.path()));
        train(&spec, &data, dir.path(), from, Some(0)).unwrap();
        let loaded = newest(dir.path());
        assert_eq!(loaded.meta.step, step);
        let after = rows(&loaded);
        for (row, age) in replayed.iter_mut().enumerate() {
            let changed = before.get(row).is_none_or(|before| *before != after[row]);
            *age = if changed { 0 } else { *age + 1 };
        }
        let found = ages(spec.seed, n, spec.train.batch_size, step);
        // What the first step changed nobody saw before it; from the second epoch on every row was written.
        let known = (0..n).filter(|&row| found[row] != step);
        for row in known.filter(|&row| 1 < step || found[row] == 0) {
            assert_eq!(found[row], replayed[row], "row {row} at step {step}");
        }
        before = after;
    }
    assert!(ages(spec.seed, n, 32, 9).iter().all(|&age| age < 8), "two epochs of four steps");
}

/// As all maps of all images were held at once.
#[test]
fn maps_of_one_layer_at_a_time_are_those_of_all_together() {
    let mut spec = spec();
    spec.data.fraction = 0.03;
    (spec.train.epochs, spec.eval.every) = (1, 1);
    let mut data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    train(&spec, &data, dir.path(), None, None).unwrap();
    let (loaded, side, fp32) = (newest(dir.path()), data.side, Arithmetic::Fp32);
    let (params, model, ()) = network(&spec, side, fp32, Device::Cpu, &loaded, |_, _| ()).unwrap();
    let augment = Augment::new(&spec.augment, data.mean, data.std, side, Device::Cpu);
    let together = |split: &Split| -> Vec<Tensor> {
        let images = augment.clean(&on_device(&split.images, side, Device::Cpu));
        let of = |images: &Tensor| tch::no_grad(|| model.stages(&params, images, Mode::Eval));
        let parts: Vec<_> = images.split(250, 0).iter().map(of).collect();
        let of_layer = |i: usize| parts.iter().map(|maps| flat(&maps[i].1)).collect::<Vec<_>>();
        (0..LAYERS.len()).map(|i| Tensor::cat(&of_layer(i), 0)).collect()
    };
    let encoder = Encoder::new(&spec, &data, Device::Cpu, fp32, &loaded).unwrap();
    assert_eq!(data.train.len(), 300, "more than go through the network at once");
    let all: Vec<u32> = (0..300).collect();
    for (layer, expected) in LAYERS.into_iter().zip(together(&data.train)) {
        assert_eq!(encoder.map(layer, &data.train, &all, side).unwrap(), expected, "{layer}");
        let some = [7, 250, 299];
        let rows = expected.index_select(0, &Tensor::from_slice(&some.map(i64::from)));
        let off = (encoder.map(layer, &data.train, &some, side).unwrap() - rows).abs().max();
        assert!(off.double_value(&[]) < 1e-5, "{layer}");
    }

    // Images without a label have no say in the probe.
    let found = examine(&spec, &data, &loaded, &[Evaluation::Layers]);
    let names: Vec<&str> = found.iter().map(|it| it.metric.name.as_str()).collect();
    assert_eq!(names, LAYERS.map(|layer| format!("linear_top1/{layer}")));
    assert!(found.iter().all(|it| it.settings["solver"]["steps"].as_u64().unwrap() > 0));
    data.train.labels[..10].fill(UNLABELLED);
    let fewer = examine(&spec, &data, &loaded, &[Evaluation::Layers]);
    assert!(found.iter().zip(&fewer).all(|(a, b)| a.settings != b.settings));
}

fn examine(spec: &RunSpec, data: &Dataset, loaded: &Loaded, what: &[Evaluation]) -> Vec<Finding> {
    let (device, arithmetic) = (Device::Cpu, Arithmetic::Fp32);
    let examinee = Examinee { spec, trained_on: data, other: None, device, arithmetic, loaded };
    examinee.examine(what, &|_| true).unwrap().unwrap()
}

#[test]
fn the_age_of_the_bank_is_told_of_a_net_that_was_trained_and_of_no_other() {
    let mut spec = spec();
    let data = dataset(&spec);
    let age = |spec: &RunSpec| {
        let dir = tempfile::tempdir().unwrap();
        train(spec, &data, dir.path(), None, None).unwrap();
        let found = examine(spec, &data, &newest(dir.path()), &[Evaluation::Diagnostics]);
        assert!(found.iter().any(|it| it.metric.name == "slot_cosine"));
        found.into_iter().find(|it| it.metric.name == "slot_age")
    };
    let found = age(&spec).unwrap();
    // The last epoch's four steps wrote 32, 32, 32 and 4 rows: 3, 2, 1 and 0 steps ago.
    assert_eq!(found.value, (3.0 * 32.0 + 2.0 * 32.0 + 32.0) / 100.0);
    assert_eq!((found.metric.unit.as_str(), &found.settings["oldest"]), ("steps", &3.into()));
    assert_eq!(found.settings["never_written"], 0);
    let bins = found.settings["cosine_by_age"].as_array().unwrap();
    let counts: Vec<u64> = bins.iter().map(|bin| bin["n"].as_u64().unwrap()).collect();
    assert_eq!(counts, [4, 32, 32, 32]);
    assert!(bins.iter().all(|bin| bin["cosine"].as_f64().unwrap() <= 1.0 + 1e-6));
    spec.objective.kind = ObjectiveKind::Random {};
    assert!(age(&spec).is_none());
}
