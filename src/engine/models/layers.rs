//! Convolution, batch normalisation and linear layers over [`Params`], with torchvision's initial values.

use tch::{Device, Kind, Tensor};

use super::{Arithmetic, Mode};
use crate::config::spec::WeightInit;
use crate::engine::params::{BufferId, ParamId, Params};
use crate::random::{self, Purpose};

/// Declares layers; each parameter draws from a stream of its own, numbered in order of declaration.
pub struct Init<'a> {
    pub seed: u64,
    /// Of convolutions and of fully connected layers inside a network.
    pub weights: WeightInit,
    pub params: &'a mut Params,
    pub n_drawn: u64,
}

impl Init<'_> {
    fn stream(&mut self) -> random::Stream {
        self.n_drawn += 1;
        random::stream(self.seed, Purpose::Weights, self.n_drawn - 1, 0)
    }

    /// Square convolution without bias: N(0, 2 / (k² · c_out)), He et al. 2015 by fan-out as torchvision's ResNet and
    /// VGG; or U(±1/√fan-in), as torch starts it.
    pub fn conv(&mut self, name: &str, c_in: i64, c_out: i64, k: i64, stride: i64) -> Conv {
        let n = c_out * c_in * k * k;
        let w: Vec<f32> = match self.weights {
            WeightInit::He => {
                let std = (2.0 / (k * k * c_out) as f32).sqrt();
                let mut stream = self.stream();
                (0..n).map(|_| std * stream.normal()).collect()
            }
            WeightInit::Torch => self.uniform(n, k * k * c_in),
        };
        let init = Tensor::from_slice(&w).view([c_out, c_in, k, k]);
        let weight = self.params.add(format!("{name}.weight"), init);
        Conv { weight, bias: None, kernel: k, stride, padding: k / 2 }
    }

    /// The same with a bias, which starts at 0, or as the weights do.
    pub fn conv_bias(&mut self, name: &str, c_in: i64, c_out: i64, k: i64, stride: i64) -> Conv {
        let conv = self.conv(name, c_in, c_out, k, stride);
        let bias = match self.weights {
            WeightInit::He => Tensor::zeros([c_out], (Kind::Float, Device::Cpu)),
            WeightInit::Torch => Tensor::from_slice(&self.uniform(c_out, k * k * c_in)),
        };
        Conv { bias: Some(self.params.add(format!("{name}.bias"), bias)), ..conv }
    }

    /// U(±1/√fan-in), variance 1 / (3 · fan-in), of a stream of its own.
    fn uniform(&mut self, n: i64, fan_in: i64) -> Vec<f32> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut stream = self.stream();
        (0..n).map(|_| stream.range(-bound, bound)).collect()
    }

    /// A fully connected layer inside a network: weight N(0, 2 / c_in), He et al. 2015 by fan-in, bias 0. At VGG's 25,088
    /// inputs that is the 0.01 that torchvision writes as a constant, which would starve the 512 inputs that a 32-pixel
    /// image leaves.
    pub fn hidden(&mut self, name: &str, c_in: i64, c_out: i64) -> Linear {
        if self.weights == WeightInit::Torch {
            return self.linear(name, c_in, c_out);
        }
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
    kernel: i64,
    stride: i64,
    padding: i64,
}

/// Maps of so few pixels are convolved in bf16 on a CPU as a product of patches. Milliseconds of one core for 512×512×3×3 at
/// batch 128 on 4×4, oneDNN 3.10 and product: weights' gradient 252 and 53, forward 67 and 47, input's gradient 86 and 52.
/// At 8×8 (256×256) the convolution wins, 57 and 185 in sum; in fp32 at 4×4 the two are near each other, 439 and 429. All
/// taken on a busy machine. The input's gradient adds up to nine terms in bf16.
const FEW_POSITIONS: i64 = 16;

/// Channels that oneDNN takes together, with the widest vectors. The weights' gradient of a 1×1 convolution at stride 2 of
/// fewer writes beyond its scratch memory: wrong numbers, a hang or a crash, seen as crashes on a processor with AVX2
/// (<https://github.com/uxlfoundation/oneDNN/issues/6035>, open). So the pixels that such a convolution sees are taken out
/// first, which is what oneDNN does too.
const ONEDNN_BLOCK: i64 = 16;

/// A convolution without bias as one matrix product: `xs` (B, I, H, W), `weight` (O, I, K, K) → (B, O, H', W'), with
/// channels-last strides. Gradients come of autograd, through the same product.
fn by_patches(xs: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Tensor {
    let size = weight.size();
    let (c_out, k) = (size[0], size[2]);
    let pad = [0, 0, padding, padding, padding, padding];
    let xs = xs.permute([0, 2, 3, 1]).constant_pad_nd(pad); // (B, H + 2p, W + 2p, I)
    let padded = xs.size();
    let (height, width) = ((padded[1] - k) / stride + 1, (padded[2] - k) / stride + 1);
    let shifted = |at: i64| {
        let rows = xs.slice(1, at / k, at / k + (height - 1) * stride + 1, stride);
        rows.slice(2, at % k, at % k + (width - 1) * stride + 1, stride) // (B, H', W', I)
    };
    let patches = Tensor::cat(&(0..k * k).map(shifted).collect::<Vec<_>>(), 3); // (B, H', W', K·K·I)
    let patches = patches.view([padded[0] * height * width, -1]); // (B·H'·W', K·K·I)
    let weight = weight.permute([0, 2, 3, 1]).reshape([c_out, -1]); // (O, K·K·I)
    let ys = patches.matmul(&weight.tr()); // (B·H'·W', O)
    ys.view([padded[0], height, width, c_out]).permute([0, 3, 1, 2])
}

impl Conv {
    /// `xs` must already be of the convolutions' arithmetic, to which the fp32 master weight is cast.
    pub fn forward(&self, params: &Params, xs: &Tensor, arithmetic: Arithmetic) -> Tensor {
        let kind = arithmetic.kind();
        let weight = params.get_as(self.weight, kind);
        let bias = self.bias.map(|bias| params.get(bias).to_kind(kind));
        if xs.device() == Device::Cpu
            && arithmetic == Arithmetic::Bf16
            && bias.is_none()
            && self.positions(xs) <= FEW_POSITIONS
        {
            return by_patches(xs, &weight, self.stride, self.padding);
        }
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        if xs.device() == Device::Cpu && self.kernel == 1 && xs.size()[1] < ONEDNN_BLOCK {
            let seen = xs.slice(2, None, None, self.stride).slice(3, None, None, self.stride);
            return seen.conv2d(&weight, bias.as_ref(), [1, 1], padding, [1, 1], 1);
        }
        xs.conv2d(&weight, bias.as_ref(), stride, padding, [1, 1], 1)
    }

    /// Pixels of a map that comes out.
    fn positions(&self, xs: &Tensor) -> i64 {
        let k = self.kernel;
        let along = |side: i64| (side + 2 * self.padding - k) / self.stride + 1;
        let size = xs.size();
        along(size[2]) * along(size[3])
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of mixed sign that bf16 holds exactly or nearly so, in channels-last order.
    fn some(shape: [i64; 4], kind: Kind) -> Tensor {
        let n: i64 = shape.iter().product();
        let xs: Vec<f32> = (0..n).map(|i| ((i * 7919 % 1013) as f32 - 506.0) / 512.0).collect();
        let [b, c, h, w] = shape;
        Tensor::from_slice(&xs).view([b, h, w, c]).permute([0, 3, 1, 2]).to_kind(kind)
    }

    #[test]
    fn weights_start_with_the_variance_that_their_law_has() {
        // 9 · 64 numbers go into an output, 9 · 128 outputs into a gradient.
        for (weights, variance) in
            [(WeightInit::He, 2.0 / 1152.0), (WeightInit::Torch, 1.0 / (3.0 * 576.0))]
        {
            let mut params = Params::new(Device::Cpu);
            let conv = Init { seed: 5, weights, params: &mut params, n_drawn: 0 }
                .conv_bias("c", 64, 128, 3, 1);
            params.freeze();
            let weight = params.get(conv.weight);
            let moment = |power: i64| weight.pow_tensor_scalar(power).mean(Kind::Double);
            let (mean, found) = (moment(1).double_value(&[]), moment(2).double_value(&[]));
            // 73,728 numbers: four standard errors of the variance are 2.1 % of a normal's.
            assert!(mean.abs() < 4.0 * (variance / 73_728.0f64).sqrt(), "{mean}");
            assert!((found / variance - 1.0).abs() < 0.021, "{found} instead of {variance}");
            let bias =
                conv.bias.map(|bias| params.get(bias).abs().max().double_value(&[])).unwrap();
            let bound = 1.0 / 24.0;
            match weights {
                WeightInit::He => assert_eq!(bias, 0.0),
                WeightInit::Torch => {
                    let largest = weight.abs().max().double_value(&[]);
                    assert!(largest <= bound && 0.99 * bound < largest, "{largest}");
                    assert!(0.0 < bias && bias <= bound, "{bias}");
                }
            }
        }
    }

    #[test]
    fn a_narrow_convolution_at_a_stride_is_that_of_the_pixels_it_sees() {
        for (channels, side) in [(4, 32), (8, 7), (15, 8), (16, 8)] {
            let (mut params, shape) = (Params::new(Device::Cpu), [32, channels, side, side]);
            let conv = Init { seed: 0, weights: WeightInit::He, params: &mut params, n_drawn: 0 }
                .conv("c", channels, 8, 1, 2);
            params.freeze();
            let xs = some(shape, Kind::Float);
            let ys = conv.forward(&params, &xs, Arithmetic::Fp32);
            let weight = params.get(conv.weight);
            // By a product in fp64, which is nobody's convolution.
            let (seen, side) = (xs.slice(2, None, None, 2).slice(3, None, None, 2), (side + 1) / 2);
            let pixels = seen.permute([0, 2, 3, 1]).reshape([-1, channels]).to_kind(Kind::Double);
            let matrix = weight.detach().view([8, channels]).to_kind(Kind::Double);
            let expected =
                pixels.matmul(&matrix.tr()).view([32, side, side, 8]).permute([0, 3, 1, 2]);
            let away = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
            assert!(away(&ys.to_kind(Kind::Double), &expected) < 1e-5, "{channels} channels");
            // The weights' gradient of the sum of outputs is the sum of the pixels, for each output.
            let gradient =
                params.gradient(&ys.sum(Kind::Float)).to_kind(Kind::Double).view([8, channels]);
            let sums = pixels.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
            assert!(
                away(&gradient, &sums.expand([8, channels], false)) < 2e-3,
                "{channels} channels"
            );
        }
    }

    #[test]
    fn a_product_of_patches_is_the_convolution_with_its_gradients() {
        // Side, channels in and out, kernel, stride; every shape by which a ResNet comes to 4×4 and below.
        for (side, c_in, c_out, k, stride) in
            [(4, 8, 8, 3, 1), (8, 8, 16, 3, 2), (8, 8, 16, 1, 2), (4, 5, 3, 3, 1), (1, 4, 4, 3, 1)]
        {
            for (kind, tolerance) in [(Kind::Float, 1e-5), (Kind::BFloat16, 2e-2)] {
                let xs = some([3, c_in, side, side], kind).set_requires_grad(true);
                let weight = some([c_out, c_in, k, k], kind).set_requires_grad(true);
                let plain = xs.conv2d(&weight, None::<Tensor>, [stride; 2], [k / 2; 2], [1, 1], 1);
                let product = by_patches(&xs, &weight, stride, k / 2);
                assert_eq!(product.size(), plain.size());
                let away = |a: &Tensor, b: &Tensor| {
                    let (a, b) = (a.to_kind(Kind::Float), b.to_kind(Kind::Float));
                    ((a - &b).abs().max() / b.abs().max()).double_value(&[])
                };
                assert!(away(&product, &plain) < tolerance, "{side} {k} {kind:?}");
                let size: [i64; 4] = plain.size().try_into().unwrap();
                let upstream = some(size, kind);
                let gradients = |ys: &Tensor| {
                    let loss = (ys * &upstream).sum(Kind::Float);
                    Tensor::run_backward(&[loss], &[&xs, &weight], false, false)
                };
                for (a, b) in gradients(&product).iter().zip(gradients(&plain)) {
                    assert!(away(a, &b) < tolerance, "gradient, {side} {k} {kind:?}");
                }
            }
        }
    }
}
