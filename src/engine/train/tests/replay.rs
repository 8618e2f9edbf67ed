//! A step is taken back to the bit, as a recording is held against the step it recorded; and steps that CUDA records and
//! launches whole are those that it does one operation at a time. The second needs a device; without one there is nothing
//! to hold against one another, and that is said.

use super::objectives::{OBJECTIVES, with_objective};
use super::*;

#[test]
fn a_step_taken_back_is_the_same_again() {
    for objective in OBJECTIVES.into_iter().chain([
        r#""kind": "nce", "m": 8, "tau": 0.2, "z": "ema", "z_batches": 1, "own_slot": "keep""#,
    ]) {
        let spec = with_objective(objective);
        let (data, dir) = (dataset(&spec), tempfile::tempdir().unwrap());
        let mut trainer = Trainer::new(job(&spec, &data, dir.path()), None).unwrap();
        let order: Vec<i64> = (0..data.train.len() as i64).collect();
        trainer.begin_epoch(0).unwrap();
        for _ in 0..2 {
            trainer.train_step(0, &order).unwrap();
        }
        if !trainer.objective.is_steady() {
            continue;
        }
        let inputs = trainer.inputs(0, &order).unwrap();
        let before = trainer.remember();
        let mut ends = Vec::new();
        for _ in 0..2 {
            let loss = trainer.compute(&inputs, 10.0).instance.double_value(&[]);
            let weights = (trainer.params.flat().copy(), trainer.bank.tensor().copy());
            ends.push((loss.to_bits(), weights, trainer.objective.state().scalars));
            trainer.rewind(&before);
        }
        assert!(ends[0] == ends[1], "{objective}");
        assert_ne!(&ends[0].1.0, trainer.params.flat(), "{objective}: nothing was taken back");
    }
}

/// Recording is held against the same step from the same state, step by step: two runs would part by rounding alone, as
/// batches of four images make much of it.
#[test]
fn on_cuda_recorded_steps_are_the_steps_that_were_recorded() {
    let Ok(device) = crate::engine::device::parse("cuda") else {
        eprintln!("no CUDA device: recorded steps are not tested");
        return;
    };
    let all_negatives = r#""kind": "invaspread", "tau": 0.2, "views": "two_augmented", "gradient": "one_sided",
        "diagonal": "drop", "negatives": "all""#;
    for objective in OBJECTIVES.into_iter().chain([all_negatives]) {
        for (arithmetic, tolerance) in [(Arithmetic::Fp32, 1e-3), (Arithmetic::Bf16, 0.05)] {
            let spec = with_objective(objective);
            let (data, dir) = (dataset(&spec), tempfile::tempdir().unwrap());
            let job = Job { device, graphs: true, arithmetic, ..job(&spec, &data, dir.path()) };
            let mut trainer = Trainer::new(job, None).unwrap();
            let order: Vec<i64> = (0..data.train.len() as i64).collect();
            let (steps, lambda) = (trainer.steps_per_epoch(), 10.0);
            trainer.sgd.set_rate(0.003);
            for step in 0..8 * steps {
                let epoch = (step / steps) as u32;
                if step.is_multiple_of(steps) {
                    trainer.begin_epoch(epoch).unwrap();
                }
                let inputs = trainer.inputs(epoch, &order).unwrap();
                let expected = trainer.objective.is_steady().then(|| {
                    let before = trainer.remember();
                    let loss = trainer.compute(&inputs, lambda).instance.double_value(&[]);
                    let after = trainer.remember();
                    trainer.rewind(&before);
                    (before, loss, after)
                });
                let loss = trainer.descend(inputs, lambda).instance.double_value(&[]);
                trainer.step += 1;
                let Some((before, expected, after)) = expected else { continue };
                let what = format!("{objective}, {arithmetic:?}, step {step}");
                assert!(
                    (loss - expected).abs() < tolerance * expected.abs().max(0.1),
                    "{what}: {loss}, {expected}"
                );
                let away = before.distance(&after, &trainer.remember());
                assert!(away < tolerance, "{what}: {away} of its way from where it should be");
            }
            let refusal = trainer.replays.refusal();
            assert!(refusal.is_none(), "{objective}: {}", refusal.unwrap());
            // The whole batches and the short one at an epoch's end.
            let recorded = if trainer.objective.is_steady() { 2 } else { 0 };
            assert_eq!(trainer.replays.recorded(), recorded, "{objective}");
        }
    }
}

#[test]
fn on_cuda_a_run_of_recorded_steps_trains_to_its_end() {
    let Ok(device) = crate::engine::device::parse("cuda") else {
        eprintln!("no CUDA device: recorded steps are not tested");
        return;
    };
    let mut spec = with_objective(OBJECTIVES[0]);
    spec.train.epochs = 8;
    let (data, dir) = (dataset(&spec), tempfile::tempdir().unwrap());
    let job = Job { device, graphs: true, ..job(&spec, &data, dir.path()) };
    let mut told = Told::default();
    let outcome = Trainer::new(job, None).unwrap().run(&mut told).unwrap();
    assert_eq!(outcome, Outcome::Finished { step: 32 });
    assert!(!told.warns("no_graphs"));
}
