//! Stochastic gradient descent with momentum, over the flat buffer.
//!
//! torch's rule: d = g + wd·θ; u ← μu + d; θ ← θ − lr·u. Dampening and Nesterov are not used by the papers.

use tch::{Device, Kind, Tensor};

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

    /// One step along `gradient`, (P,) fp32; overwrites `gradient`.
    pub fn step(&mut self, params: &Params, gradient: &Tensor) {
        let n = gradient.numel() as i64;
        let block = if params.device() == Device::Cpu { BLOCK } else { n.max(1) };
        tch::no_grad(|| {
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
        });
    }

    pub fn velocity(&self) -> &Tensor {
        &self.velocity
    }

    pub fn load(&mut self, velocity: &Tensor) {
        self.velocity.copy_(velocity);
    }
}
