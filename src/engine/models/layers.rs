//! Convolution, batch normalisation and linear layers over [`Params`], with torchvision's initial values.

use tch::{Device, Kind, Tensor};

use super::{Arithmetic, Mode};
use crate::engine::params::{BufferId, ParamId, Params};
use crate::random::{self, Purpose};

/// Declares layers; each parameter draws from a stream of its own, numbered in order of declaration.
pub struct Init<'a> {
    pub seed: u64,
    pub params: &'a mut Params,
    pub n_drawn: u64,
}

impl Init<'_> {
    fn stream(&mut self) -> random::Stream {
        self.n_drawn += 1;
        random::stream(self.seed, Purpose::Weights, self.n_drawn - 1, 0)
    }

    /// Square convolution without bias: N(0, 2 / (k² · c_out)), He et al. 2015 by fan-out as torchvision's ResNet.
    pub fn conv(&mut self, name: &str, c_in: i64, c_out: i64, k: i64, stride: i64) -> Conv {
        let std = (2.0 / (k * k * c_out) as f32).sqrt();
        let mut stream = self.stream();
        let w: Vec<f32> = (0..c_out * c_in * k * k).map(|_| std * stream.normal()).collect();
        let init = Tensor::from_slice(&w).view([c_out, c_in, k, k]);
        Conv { weight: self.params.add(format!("{name}.weight"), init), stride, padding: k / 2 }
    }

    pub fn batch_norm(&mut self, name: &str, channels: i64) -> BatchNorm {
        let cpu = (Kind::Float, Device::Cpu);
        BatchNorm {
            weight: self.params.add(format!("{name}.weight"), Tensor::ones([channels], cpu)),
            bias: self.params.add(format!("{name}.bias"), Tensor::zeros([channels], cpu)),
            statistics: self.statistics(name, channels),
        }
    }

    pub fn statistics(&mut self, name: &str, channels: i64) -> Statistics {
        let cpu = (Kind::Float, Device::Cpu);
        let (mean, var) = (Tensor::zeros([channels], cpu), Tensor::ones([channels], cpu));
        Statistics {
            mean: self.params.add_buffer(format!("{name}.running_mean"), mean),
            var: self.params.add_buffer(format!("{name}.running_var"), var),
        }
    }

    /// Weight (c_out, c_in) and bias (c_out), both uniform within ± 1/√c_in, as torch starts a linear layer.
    pub fn linear(&mut self, name: &str, c_in: i64, c_out: i64) -> (ParamId, ParamId) {
        let bound = 1.0 / (c_in as f32).sqrt();
        let mut stream = self.stream();
        let mut draw =
            |n: i64| -> Vec<f32> { (0..n).map(|_| stream.range(-bound, bound)).collect() };
        let weight = Tensor::from_slice(&draw(c_out * c_in)).view([c_out, c_in]);
        let bias = Tensor::from_slice(&draw(c_out));
        let weight = self.params.add(format!("{name}.weight"), weight);
        (weight, self.params.add(format!("{name}.bias"), bias))
    }
}

pub struct Conv {
    weight: ParamId,
    stride: i64,
    padding: i64,
}

impl Conv {
    /// `xs` must already be of the convolutions' arithmetic; the fp32 master weight is cast here.
    pub fn forward(&self, params: &Params, xs: &Tensor, arithmetic: Arithmetic) -> Tensor {
        let weight = params.get(self.weight);
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        let bias = None::<&Tensor>;
        match arithmetic {
            Arithmetic::Fp32 => xs.conv2d(weight, bias, stride, padding, [1, 1], 1),
            Arithmetic::Bf16 => {
                xs.conv2d(&weight.to_kind(Kind::BFloat16), bias, stride, padding, [1, 1], 1)
            }
        }
    }
}

/// Running mean and variance, (C) each: batch normalisation without learned scale and shift.
pub struct Statistics {
    mean: BufferId,
    var: BufferId,
}

impl Statistics {
    pub fn forward(&self, params: &Params, xs: &Tensor, mode: Mode) -> Tensor {
        self.affine(params, xs, None, None, mode)
    }

    fn affine(
        &self,
        params: &Params,
        xs: &Tensor,
        w: Option<&Tensor>,
        b: Option<&Tensor>,
        mode: Mode,
    ) -> Tensor {
        let (mean, var) = (Some(params.buffer(self.mean)), Some(params.buffer(self.var)));
        xs.batch_norm(w, b, mean, var, mode == Mode::Train, 0.1, 1e-5, true)
    }
}

/// Parameters and statistics in fp32 whatever the arithmetic of its input.
pub struct BatchNorm {
    weight: ParamId,
    bias: ParamId,
    statistics: Statistics,
}

impl BatchNorm {
    pub fn forward(&self, params: &Params, xs: &Tensor, mode: Mode) -> Tensor {
        let (weight, bias) = (params.get(self.weight), params.get(self.bias));
        self.statistics.affine(params, xs, Some(weight), Some(bias), mode)
    }
}
