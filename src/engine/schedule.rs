//! The learning rate as a pure function of the epoch.

/// `lr` divided by ten at every drop that lies at or before `epoch` (InstDisc §4: 0.03, ×0.1 in steps).
///
/// A drop below 1 is a share of the run's `epochs`, from 1 on an epoch: `[0.6, 0.8]` of 200 epochs and `[120, 160]` are
/// the same schedule.
pub fn learning_rate(lr: f64, drops: &[f64], epochs: u32, epoch: u32) -> f64 {
    let start = |drop: f64| if drop < 1.0 { (drop * f64::from(epochs)).round() } else { drop };
    let n_past = drops.iter().filter(|&&drop| start(drop) <= f64::from(epoch)).count();
    lr / 10f64.powi(n_past as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
