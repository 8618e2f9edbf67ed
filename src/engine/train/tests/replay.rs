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

/// Instance losses of every step on the first CUDA device, and whether recording was refused.
fn losses(spec: &RunSpec, data: &Dataset, device: Device, graphs: bool) -> (Vec<f64>, bool) {
    let dir = tempfile::tempdir().unwrap();
    let job = Job { device, graphs, ..job(spec, data, dir.path()) };
    let mut told = Told::default();
    Trainer::new(job, None).unwrap().run(&mut told).unwrap();
    let values = told.values().into_iter().filter(|((_, name), _)| name == "loss/instance");
    (values.map(|(_, bits)| f64::from_bits(bits)).collect(), told.warns("no_graphs"))
}

#[test]
fn on_cuda_recorded_steps_are_the_steps_that_were_recorded() {
    let Ok(device) = crate::engine::device::parse("cuda") else {
        eprintln!("no CUDA device: recorded steps are not tested");
        return;
    };
    for objective in OBJECTIVES {
        let mut spec = with_objective(objective);
        spec.train.epochs = 6;
        // Small steps: rounding grows from one to the next, and a wrong step shows at once.
        spec.train.lr = 0.003;
        let data = dataset(&spec);
        let (one_by_one, _) = losses(&spec, &data, device, false);
        let (whole, refused) = losses(&spec, &data, device, true);
        assert!(!refused, "{objective}: not recorded");
        assert_eq!(whole.len(), one_by_one.len());
        for (step, (a, b)) in whole.iter().zip(&one_by_one).enumerate() {
            assert!((a - b).abs() < 0.02 * b.abs().max(0.1), "{objective}: step {step}: {a}, {b}");
        }
    }
}
