//! What the loop says about its losses: values read back when it is cheap, and how rough their curve is.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Running mean and variance of a sequence (Welford 1962).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    pub n: u64,
    pub mean: f64,
    m2: f64,
}

impl Moments {
    pub fn add(&mut self, x: f64) {
        self.n += 1;
        let delta = x - self.mean;
        self.mean += delta / self.n as f64;
        self.m2 += delta * (x - self.mean);
    }

    /// Standard deviation with n in the denominator; NaN without values.
    pub fn std(&self) -> f64 {
        (self.m2 / self.n as f64).sqrt()
    }
}

/// The instance loss of one epoch so far. Part of a checkpoint: a run resumed within an epoch reports the same number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochLoss {
    pub values: Moments,
    /// Differences of neighbouring steps; their standard deviation is `loss/roughness`.
    pub differences: Moments,
    last: Option<f64>,
}

impl EpochLoss {
    pub fn add(&mut self, loss: f64) {
        self.values.add(loss);
        if let Some(last) = self.last.replace(loss) {
            self.differences.add(loss - last);
        }
    }
}

/// Losses of one step, already on the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLoss {
    /// Steps done, this one included.
    pub step: u64,
    pub sec: f64,
    pub instance: f64,
    /// λ included; None where λ does not count.
    pub proximal: Option<f64>,
}

/// Losses that may still be on the device. Reading one waits for everything queued there, so on CUDA those of a window of
/// time are read together; on the CPU the window is 0 and each is read at once.
pub struct Pending {
    /// Seconds.
    window: f64,
    steps: Vec<(u64, f64)>,
    instances: Vec<Tensor>,
    /// As many as steps, or none.
    proximals: Vec<Tensor>,
}

impl Pending {
    pub fn new(window: f64) -> Self {
        Self { window, steps: Vec::new(), instances: Vec::new(), proximals: Vec::new() }
    }

    /// Steps of one window have a proximal loss all or none, because λ changes between epochs only. The scalars are
    /// copied: where they lie, the next step may write.
    pub fn push(&mut self, step: u64, sec: f64, instance: &Tensor, proximal: Option<&Tensor>) {
        self.steps.push((step, sec));
        self.instances.push(instance.copy());
        self.proximals.extend(proximal.map(Tensor::copy));
    }

    pub fn is_due(&self) -> bool {
        match (self.steps.first(), self.steps.last()) {
            (Some((_, first)), Some((_, last))) => self.window <= last - first,
            _ => false,
        }
    }

    /// Everything pushed since the last call. A sync point.
    pub fn take(&mut self) -> Vec<StepLoss> {
        let instances = read(&std::mem::take(&mut self.instances));
        let proximals = read(&std::mem::take(&mut self.proximals));
        let steps = self.steps.drain(..).zip(instances).enumerate();
        let joined = |(i, ((step, sec), instance))| StepLoss {
            step,
            sec,
            instance,
            proximal: proximals.get(i).copied(),
        };
        steps.map(joined).collect()
    }
}

/// The numbers of scalars. A sync point.
fn read(scalars: &[Tensor]) -> Vec<f64> {
    if scalars.is_empty() {
        return Vec::new();
    }
    let values = Tensor::stack(scalars, 0).to_kind(Kind::Double); // (N)
    let values = values.to_device(tch::Device::Cpu).contiguous();
    let mut numbers = vec![0f64; values.numel()];
    values.copy_data(&mut numbers, values.numel());
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roughness_is_the_deviation_of_differences() {
        let mut epoch = EpochLoss::default();
        for loss in [1.0, 3.0, 2.0, 2.0] {
            epoch.add(loss);
        }
        // Differences 2, -1, 0: mean 1/3, variance (25 + 16 + 1) / 27.
        assert!((epoch.differences.std() - (42.0f64 / 27.0).sqrt()).abs() < 1e-12);
        assert_eq!(epoch.values.mean, 2.0);
    }

    #[test]
    fn losses_of_a_window_come_back_in_order() {
        let mut pending = Pending::new(0.25);
        assert!(!pending.is_due());
        pending.push(1, 0.5, &Tensor::from(1.5f32), Some(&Tensor::from(0.25f32)));
        assert!(!pending.is_due());
        pending.push(2, 0.75, &Tensor::from(2.5f32), Some(&Tensor::from(0.5f32)));
        assert!(pending.is_due());
        let read = pending.take();
        assert_eq!(read[0], StepLoss { step: 1, sec: 0.5, instance: 1.5, proximal: Some(0.25) });
        assert_eq!(read[1], StepLoss { step: 2, sec: 0.75, instance: 2.5, proximal: Some(0.5) });
        assert!(pending.take().is_empty());

        let mut at_once = Pending::new(0.0);
        at_once.push(3, 0.7, &Tensor::from(1.0f32), None);
        assert!(at_once.is_due());
        assert_eq!(at_once.take()[0].proximal, None);
    }

    #[test]
    fn a_loss_is_kept_though_the_next_step_writes_where_it_lay() {
        let (mut pending, mut loss) = (Pending::new(9.0), Tensor::from(1.5f32));
        pending.push(1, 0.0, &loss, None);
        let _ = loss.fill_(7.0);
        assert_eq!(pending.take()[0].instance, 1.5);
    }
}
