//! The learning rate as a pure function of the step.

use std::f64::consts::PI;

use crate::config::spec::{Schedule, TrainSpec};

/// The rate of a step, counted from 0, of a run with `per_epoch` steps an epoch: a straight rise over the warm-up, whose
/// last step has `train.lr` (Goyal et al. 2017, section 2.2), then what the schedule has at the step's epoch.
pub fn rate(train: &TrainSpec, step: u64, per_epoch: u64) -> f64 {
    let warmup = epochs_of(train.warmup, train.epochs);
    let rising = (warmup * per_epoch as f64).round();
    let next = step as f64 + 1.0;
    if next <= rising {
        return train.lr * next / rising;
    }
    let epoch = (step / per_epoch.max(1)) as u32;
    match train.schedule {
        Schedule::Steps => {
            in_steps(train.lr, (&train.lr_drops, &train.lr_factors), train.epochs, epoch)
        }
        Schedule::Cosine => {
            let past = (f64::from(epoch) - warmup) / (f64::from(train.epochs) - warmup);
            cosine(train.lr, past.clamp(0.0, 1.0))
        }
    }
}

/// Below 1 a share of a run's epochs, from 1 on epochs.
fn epochs_of(length: f64, epochs: u32) -> f64 {
    if length < 1.0 { length * f64::from(epochs) } else { length }
}

/// Half a cosine from `lr` down to 0, a share of it past (Loshchilov & Hutter 2017, Eq. 5 with one period); taken once an
/// epoch, as MoCo's released code has it.
fn cosine(lr: f64, past: f64) -> f64 {
    lr * 0.5 * (1.0 + (PI * past).cos())
}

/// `lr` divided by ten at every drop that lies at or before `epoch` (InstDisc §4: 0.03, ×0.1 in steps).
///
/// A drop below 1 is a share of the run's `epochs`, from 1 on an epoch: `[0.6, 0.8]` of 200 epochs and `[120, 160]` are
/// the same schedule.
pub fn learning_rate(lr: f64, drops: &[f64], epochs: u32, epoch: u32) -> f64 {
    in_steps(lr, (drops, &[]), epochs, epoch)
}

/// The same with what is left of `lr` from each drop on, as far as `factors` say.
fn in_steps(lr: f64, (drops, factors): (&[f64], &[f64]), epochs: u32, epoch: u32) -> f64 {
    let start = |drop: f64| if drop < 1.0 { epochs_of(drop, epochs).round() } else { drop };
    let n_past = drops.iter().filter(|&&drop| start(drop) <= f64::from(epoch)).count();
    let said = &factors[..factors.len().min(n_past)];
    lr * said.last().unwrap_or(&1.0) / 10f64.powi((n_past - said.len()) as i32)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The paper's, with `settings` over it.
    fn train(settings: Value) -> TrainSpec {
        let mut spec = json!({
            "epochs": 200, "batch_size": 128, "lr": 0.03, "lr_drops": [0.6, 0.8], "momentum": 0.9,
            "weight_decay": 5e-4, "precision": "auto", "threads": 0, "checkpoint_every": 1,
        });
        let more = settings.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(more);
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn the_released_cifar_schedule_falls_at_120_and_160() {
        for drops in [[0.6, 0.8], [120.0, 160.0]] {
            let lr = |epoch| learning_rate(0.03, &drops, 200, epoch);
            assert_eq!(lr(0), 0.03);
            assert_eq!(lr(119), 0.03);
            assert!((lr(120) - 0.003).abs() < 1e-12);
            assert!((lr(159) - 0.003).abs() < 1e-12);
            assert!((lr(160) - 0.0003).abs() < 1e-12);
        }
        let plain = train(json!({}));
        assert_eq!(rate(&plain, 390 * 119 + 389, 390), 0.03);
        assert_eq!(rate(&plain, 390 * 120, 390), learning_rate(0.03, &[0.6, 0.8], 200, 120));
    }

    #[test]
    fn drops_may_say_what_they_leave() {
        // As the authors of InvaSpread run it: 301 epochs; 0.1, 0.05 and 0.01 of the rate from 120, 160 and 200 on.
        let (drops, factors) = ([120.0 / 301.0, 160.0 / 301.0, 200.0 / 301.0], [0.1, 0.05, 0.01]);
        let shares = train(json!({"epochs": 301, "lr_drops": drops, "lr_factors": factors}));
        for (epoch, left) in
            [(0, 1.0), (119, 1.0), (120, 0.1), (159, 0.1), (160, 0.05), (199, 0.05), (200, 0.01)]
        {
            assert!((rate(&shares, epoch, 1) - 0.03 * left).abs() < 1e-12, "{epoch}");
        }
        let one = train(json!({"lr_drops": [10, 20, 30], "lr_factors": [0.5]}));
        let rates = [15, 25, 35].map(|epoch| rate(&one, epoch, 1));
        for (found, left) in rates.into_iter().zip([0.5, 0.05, 0.005]) {
            assert!((found - 0.03 * left).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn a_cosine_starts_at_the_rate_is_half_of_it_half_way_and_ends_near_nothing() {
        let train = train(json!({"schedule": "cosine"}));
        let lr = |epoch: u64| rate(&train, 390 * epoch, 390);
        assert_eq!(lr(0), 0.03);
        assert!((lr(100) - 0.015).abs() < 1e-12);
        // torch.optim.lr_scheduler.CosineAnnealingLR(T_max=200) after 50 and after 199 epochs.
        assert!((lr(50) - 0.02560660171779821).abs() < 1e-12);
        assert!((lr(199) - 1.8505e-6).abs() < 1e-9, "{}", lr(199));
        assert_eq!(lr(7), rate(&train, 390 * 7 + 389, 390), "once an epoch");
    }

    #[test]
    fn a_warm_up_rises_in_a_straight_line_and_then_the_schedule_begins() {
        for warmup in [10.0, 0.05] {
            let settings = json!({"schedule": "cosine", "warmup": warmup});
            let train = train(settings);
            let lr = |step: u64| rate(&train, step, 100);
            assert!((lr(0) - 0.03 / 1000.0).abs() < 1e-15);
            assert!((lr(499) - 0.015).abs() < 1e-12);
            assert_eq!(lr(999), 0.03);
            assert_eq!(lr(1000), 0.03);
            assert!((lr(100 * 105) - 0.015).abs() < 1e-12, "half way of what is left");
        }
        let endless = train(json!({"warmup": 400}));
        assert!((rate(&endless, 19_999, 100) - 0.015).abs() < 1e-12, "longer than the run");
    }
}
