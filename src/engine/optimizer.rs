//! Stochastic gradient descent with momentum, over the flat buffer.
//!
//! torch's rule: d = g + wd·θ; u ← μu + d; θ ← θ − lr·u. Dampening and Nesterov are not used by the papers.

use tch::{Device, Tensor};

use super::params::Params;

/// Elements that are updated together on a CPU: the six passes over them stay in cache.
const BLOCK: i64 = 1 << 17;

pub struct Sgd {
    momentum: f64,
    weight_decay: f64,
    /// u, (P,) fp32, in the order of [`Params::flat`].
    velocity: Tensor,
}

impl Sgd {
    pub fn new(momentum: f64, weight_decay: f64, params: &Params) -> Self {
        Self { momentum, weight_decay, velocity: params.flat().zeros_like() }
    }

    /// One step along `gradient`, (P,) fp32; overwrites `gradient`.
    pub fn step(&mut self, params: &Params, gradient: &Tensor, lr: f64) {
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
                let _ = theta.g_sub_(&(&u * lr));
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
