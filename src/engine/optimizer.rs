//! Stochastic gradient descent with momentum, over the flat buffer.
//!
//! torch's rule: d = g + wd·θ; u ← μu + d; θ ← θ − lr·u. Dampening and Nesterov are not used by the papers.

use tch::{Device, Kind, Tensor};

use super::cuda;
use super::params::Params;

/// Elements that are updated together on a CPU: the six passes over them stay in cache.
const BLOCK: i64 = 1 << 17;

pub struct Sgd {
    momentum: f64,
    weight_decay: f64,
    /// u, (P,) fp32, in the order of [`Params::flat`].
    velocity: Tensor,
    /// lr, and the same as a scalar on the device, where a recorded step finds it.
    rate: (f64, Tensor),
}

impl Sgd {
    pub fn new(momentum: f64, weight_decay: f64, params: &Params) -> Self {
        let velocity = params.flat().zeros_like();
        let rate = (0.0, Tensor::zeros([0i64; 0], (Kind::Float, params.device())));
        Self { momentum, weight_decay, velocity, rate }
    }

    /// The learning rate of the steps that follow; 0 before the first call.
    pub fn set_rate(&mut self, lr: f64) {
        if self.rate.0 != lr {
            self.rate.0 = lr;
            // Not filled: libtorch refuses a number beyond fp32 there, which a run has to get to say so itself.
            self.rate.1.copy_(&Tensor::from(lr as f32));
        }
    }

    /// One step along `gradient`, (P,) fp32; may overwrite `gradient`.
    pub fn step(&mut self, params: &Params, gradient: &Tensor) {
        tch::no_grad(|| {
            let on_cpu = params.device() == Device::Cpu;
            if on_cpu || !self.at_once(params, gradient) {
                let n = gradient.numel() as i64;
                self.by_operations(params, gradient, if on_cpu { BLOCK } else { n.max(1) });
            }
        });
    }

    /// In one pass, where six would each take the rows through a device's memory; on a CPU the blocks stay in its cache.
    /// Equal to [`Sgd::by_operations`] but for rounding. Whether it could be done.
    fn at_once(&self, params: &Params, gradient: &Tensor) -> bool {
        let (u, rate) = (&self.velocity, &self.rate.1);
        // On CUDA libtorch takes no momentum of 0, and complains on stderr each time.
        0.0 < self.momentum
            && cuda::sgd(params.flat(), gradient, u, rate, self.momentum, self.weight_decay)
    }

    fn by_operations(&self, params: &Params, gradient: &Tensor, block: i64) {
        let n = gradient.numel() as i64;
        for start in (0..n).step_by(block as usize) {
            let len = block.min(n - start);
            let mut theta = params.flat().narrow(0, start, len);
            let mut u = self.velocity.narrow(0, start, len);
            let mut d = gradient.narrow(0, start, len);
            let _ = d.g_add_(&(&theta * self.weight_decay));
            let _ = u.g_mul_scalar_(self.momentum);
            let _ = u.g_add_(&d);
            let _ = theta.g_sub_(&(&u * &self.rate.1));
        }
    }

    pub fn velocity(&self) -> &Tensor {
        &self.velocity
    }

    pub fn load(&mut self, velocity: &Tensor) {
        self.velocity.copy_(velocity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_goes_where_six_operations_go() {
        let n = 1000;
        let row = |k: i64| {
            let xs: Vec<f32> = (0..n).map(|i| ((i * k % 997) as f32 - 498.0) / 500.0).collect();
            Tensor::from_slice(&xs)
        };
        let start = || {
            let mut params = Params::new(Device::Cpu);
            params.add("w", row(7919));
            params.freeze();
            let mut sgd = Sgd::new(0.9, 5e-4, &params);
            sgd.set_rate(0.03);
            (params, sgd)
        };
        let ((once, mut one), (plain, mut six)) = (start(), start());
        for step in [31, 577, 4409] {
            assert!(tch::no_grad(|| one.at_once(&once, &row(step))));
            six.step(&plain, &row(step));
            one.set_rate(0.003);
            six.set_rate(0.003);
        }
        let away = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(away(once.flat(), plain.flat()) < 1e-6);
        assert!(away(one.velocity(), six.velocity()) < 1e-6);
        assert!(0.02 < away(once.flat(), &row(7919)), "nothing moved");
        let heavy = Sgd::new(0.0, 5e-4, &once);
        assert!(!heavy.at_once(&once, &row(31)), "libtorch would complain at every step");
    }
}
