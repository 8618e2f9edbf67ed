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

/// Losses that may still be on the device. Reading one waits for everything queued there, so on CUDA they are read in
/// groups; on the CPU a group is one.
pub struct Pending {
    group: usize,
    steps: Vec<(u64, f64, bool)>,
    values: Vec<Tensor>,
}

impl Pending {
    pub fn new(group: usize) -> Self {
        Self { group, steps: Vec::new(), values: Vec::new() }
    }

    pub fn push(&mut self, step: u64, sec: f64, instance: &Tensor, proximal: Option<&Tensor>) {
        self.steps.push((step, sec, proximal.is_some()));
        let instance = instance.detach();
        let second = proximal.map_or_else(|| instance.zeros_like(), Tensor::detach);
        self.values.push(Tensor::stack(&[instance, second], 0)); // (2)
    }

    pub fn is_due(&self) -> bool {
        self.group <= self.steps.len()
    }

    /// Everything pushed since the last call. A sync point.
    pub fn take(&mut self) -> Vec<StepLoss> {
        if self.steps.is_empty() {
            return Vec::new();
        }
        let values = Tensor::stack(&self.values, 0).to_kind(Kind::Double); // (N, 2)
        let values = values.to_device(tch::Device::Cpu).contiguous();
        let mut flat = vec![0f64; values.numel()];
        values.copy_data(&mut flat, values.numel());
        self.values.clear();
        let steps = self.steps.drain(..).zip(flat.chunks_exact(2));
        let read = |((step, sec, has_proximal), pair): ((u64, f64, bool), &[f64])| StepLoss {
            step,
            sec,
            instance: pair[0],
            proximal: has_proximal.then_some(pair[1]),
        };
        steps.map(read).collect()
    }
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
    fn grouped_losses_come_back_in_order() {
        let mut pending = Pending::new(2);
        pending.push(1, 0.5, &Tensor::from(1.5f32), None);
        assert!(!pending.is_due());
        pending.push(2, 0.6, &Tensor::from(2.5f32), Some(&Tensor::from(0.25f32)));
        assert!(pending.is_due());
        let read = pending.take();
        assert_eq!(read[0], StepLoss { step: 1, sec: 0.5, instance: 1.5, proximal: None });
        assert_eq!(read[1], StepLoss { step: 2, sec: 0.6, instance: 2.5, proximal: Some(0.25) });
        assert!(pending.take().is_empty());
    }
}
