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

    /// Square convolution without bias: N(0, 2 / (k² · c_out)), He et al. 2015 by fan-out as torchvision's ResNet and
    /// VGG.
    pub fn conv(&mut self, name: &str, c_in: i64, c_out: i64, k: i64, stride: i64) -> Conv {
        let std = (2.0 / (k * k * c_out) as f32).sqrt();
        let mut stream = self.stream();
        let w: Vec<f32> = (0..c_out * c_in * k * k).map(|_| std * stream.normal()).collect();
        let init = Tensor::from_slice(&w).view([c_out, c_in, k, k]);
        let weight = self.params.add(format!("{name}.weight"), init);
        Conv { weight, bias: None, stride, padding: k / 2 }
    }

    /// The same with a bias, which starts at 0.
    pub fn conv_bias(&mut self, name: &str, c_in: i64, c_out: i64, k: i64, stride: i64) -> Conv {
        let conv = self.conv(name, c_in, c_out, k, stride);
        let zeros = Tensor::zeros([c_out], (Kind::Float, Device::Cpu));
        Conv { bias: Some(self.params.add(format!("{name}.bias"), zeros)), ..conv }
    }

    /// A fully connected layer inside a network: weight N(0, 2 / c_in), He et al. 2015 by fan-in, bias 0. At VGG's 25,088
    /// inputs that is the 0.01 that torchvision writes as a constant, which would starve the 512 inputs that a 32-pixel
    /// image leaves.
    pub fn hidden(&mut self, name: &str, c_in: i64, c_out: i64) -> Linear {
        let std = (2.0 / c_in as f32).sqrt();
        let mut stream = self.stream();
        let w: Vec<f32> = (0..c_out * c_in).map(|_| std * stream.normal()).collect();
        let weight = Tensor::from_slice(&w).view([c_out, c_in]);
        let bias = Tensor::zeros([c_out], (Kind::Float, Device::Cpu));
        Linear {
            weight: self.params.add(format!("{name}.weight"), weight),
            bias: self.params.add(format!("{name}.bias"), bias),
        }
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
    pub fn linear(&mut self, name: &str, c_in: i64, c_out: i64) -> Linear {
        let bound = 1.0 / (c_in as f32).sqrt();
        let mut stream = self.stream();
        let mut draw =
            |n: i64| -> Vec<f32> { (0..n).map(|_| stream.range(-bound, bound)).collect() };
        let weight = Tensor::from_slice(&draw(c_out * c_in)).view([c_out, c_in]);
        let bias = Tensor::from_slice(&draw(c_out));
        Linear {
            weight: self.params.add(format!("{name}.weight"), weight),
            bias: self.params.add(format!("{name}.bias"), bias),
        }
    }
}

/// y = x Wᵀ + b in fp32; weight (c_out, c_in), bias (c_out).
pub struct Linear {
    pub weight: ParamId,
    pub bias: ParamId,
}

impl Linear {
    /// (B, c_in) → (B, c_out).
    pub fn forward(&self, params: &Params, xs: &Tensor) -> Tensor {
        xs.linear(params.get(self.weight), Some(params.get(self.bias)))
    }
}

pub struct Conv {
    weight: ParamId,
    bias: Option<ParamId>,
    stride: i64,
    padding: i64,
}

impl Conv {
    /// `xs` must already be of the convolutions' arithmetic; the fp32 master weight is cast here.
    pub fn forward(&self, params: &Params, xs: &Tensor, arithmetic: Arithmetic) -> Tensor {
        let kind = arithmetic.kind();
        let weight = params.get(self.weight).to_kind(kind);
        let bias = self.bias.map(|bias| params.get(bias).to_kind(kind));
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        xs.conv2d(&weight, bias.as_ref(), stride, padding, [1, 1], 1)
    }

    /// With another padding than half the kernel.
    pub fn padded(self, padding: i64) -> Self {
        Self { padding, ..self }
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
