//! Networks and SGD against torchvision and torch; `assets/fixtures/model/generate.py` made the expected values and
//! says by which formula both sides fill weights and inputs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tch::Device;

use super::*;
use crate::config::spec::HeadInit;
use crate::engine::optimizer::Sgd;
use crate::engine::schedule::learning_rate;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/model").join(name)
}

/// The formula of generate.py.
fn fill(name: &str, shape: &[i64]) -> Tensor {
    let mut crc = flate2::Crc::new();
    crc.update(name.as_bytes());
    let fan_in: i64 = shape.iter().skip(1).product();
    let (scale, centre) = match name {
        "input" | "G" => (3.0, 0.0),
        _ if shape.len() >= 2 => ((24.0 / fan_in as f64).sqrt(), 0.0),
        _ if name.ends_with("weight") || name.ends_with("running_var") => (0.5, 1.0),
        _ => (0.2, 0.0),
    };
    let element = |k: u32| {
        let mut x = k.wrapping_mul(0x9E37_79B1).wrapping_add(crc.sum());
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        x ^= x >> 16;
        (scale * (f64::from(x >> 8) / f64::from(1 << 24) - 0.5) + centre) as f32
    };
    let n = shape.iter().product::<i64>() as u32;
    Tensor::from_slice(&(0..n).map(element).collect::<Vec<f32>>()).view(shape)
}

/// Largest difference over the largest expected magnitude.
fn relative(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    ((found - expected).abs().max() / expected.abs().max()).double_value(&[])
}

struct Case {
    file: &'static str,
    backbone: Backbone,
    width: f64,
    dim: u32,
    head_norm: HeadNorm,
    batch: i64,
}

impl Case {
    fn expected(&self) -> HashMap<String, Tensor> {
        let path = fixture(self.file);
        Tensor::read_safetensors(path).expect("fixture").into_iter().collect()
    }

    /// The network with filled parameters and statistics.
    fn model(&self, arithmetic: Arithmetic) -> (Model, Params) {
        let spec = ModelSpec {
            backbone: self.backbone,
            dim: self.dim,
            width: self.width,
            head_init: HeadInit::Default,
            head_norm: self.head_norm,
        };
        let mut params = Params::new(Device::Cpu);
        let model = Model::new(&spec, arithmetic, 0, &mut params);
        params.freeze();
        let shapes: HashMap<String, Vec<i64>> = params
            .named(params.flat())
            .into_iter()
            .map(|(name, tensor)| (name, tensor.size()))
            .collect();
        let filled = params.row(|name| Some(fill(name, &shapes[name]))).unwrap();
        params.load(&filled);
        for (name, buffer) in params.buffers() {
            buffer.shallow_clone().copy_(&fill(name, &buffer.size()));
        }
        (model, params)
    }

    fn images(&self) -> Tensor {
        fill("input", &[self.batch, 3, 32, 32])
    }

    /// Outputs, running statistics and gradients, each within its tolerance.
    fn check(&self) {
        let expected = self.expected();
        let (model, params) = self.model(Arithmetic::Fp32);
        let close = |name: &str, found: &Tensor, tolerance: f64| {
            let distance = relative(found, &expected[name]);
            assert!(distance < tolerance, "{}: {name} is {distance:.1e} off", self.file);
        };
        let images = self.images();
        let Encoded { pooled, embedding } =
            tch::no_grad(|| model.forward(&params, &images, Mode::Eval));
        close("eval.pooled", &pooled, 1e-5);
        close("eval.embedding", &embedding, 1e-5);

        let Encoded { pooled, embedding } = model.forward(&params, &images, Mode::Train);
        close("train.pooled", &pooled, 5e-5);
        close("train.embedding", &embedding, 5e-5);
        for (name, buffer) in params.buffers() {
            if expected.contains_key(&format!("buffer.{name}")) {
                close(&format!("buffer.{name}"), buffer, 1e-5);
            }
        }
        let loss = (embedding * fill("G", &[self.batch, self.dim.into()])).sum(Kind::Float);
        let gradients: HashMap<String, Tensor> =
            params.named(&params.gradient(&loss)).into_iter().collect();
        let names = expected.keys().filter_map(|name| name.strip_prefix("grad."));
        let mut n_checked = 0;
        for name in names {
            close(&format!("grad.{name}"), &gradients[name], 1e-4);
            n_checked += 1;
        }
        assert!(n_checked >= 4);
    }
}

const RESNET18_QUARTER: Case = Case {
    file: "resnet18_quarter.safetensors",
    backbone: Backbone::Resnet18,
    width: 0.25,
    dim: 32,
    head_norm: HeadNorm::None,
    batch: 6,
};

#[test]
fn a_quarter_wide_resnet18_is_torchvisions() {
    RESNET18_QUARTER.check();
}

#[test]
fn resnet18_is_torchvisions() {
    Case { file: "resnet18.safetensors", width: 1.0, dim: 128, batch: 2, ..RESNET18_QUARTER }
        .check();
}

#[test]
fn resnet_small_is_torchvisions_with_one_block_a_stage() {
    let backbone = Backbone::ResnetSmall;
    let file = "resnet_small.safetensors";
    Case { file, backbone, width: 1.0, dim: 128, batch: 4, ..RESNET18_QUARTER }.check();
}

#[test]
fn a_normalised_head_is_torchs_batch_norm_without_scale_and_shift() {
    let backbone = Backbone::ResnetSmall;
    let file = "resnet_small_half.safetensors";
    Case { file, backbone, width: 0.5, head_norm: HeadNorm::Batch, ..RESNET18_QUARTER }.check();
}

#[test]
fn bf16_convolutions_stay_near_fp32() {
    let expected = RESNET18_QUARTER.expected();
    let (model, params) = RESNET18_QUARTER.model(Arithmetic::Bf16);
    let images = RESNET18_QUARTER.images();
    let found = model.forward(&params, &images, Mode::Train).embedding; // (6, 32)
    assert_eq!(found.kind(), Kind::Float);
    let cosines = (found * &expected["train.embedding"]).sum_dim_intlist(1i64, false, Kind::Float);
    let worst = cosines.min().double_value(&[]);
    // bf16 keeps 8 bits of mantissa; 17 convolutions in a row.
    assert!(worst > 0.999, "cosine {worst} to fp32");
}

#[test]
fn sgd_and_its_schedule_are_torchs() {
    let text = std::fs::read(fixture("sgd.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let row = |value: &Value| Tensor::from_slice(&numbers(value)).to_kind(Kind::Float);
    let number = |key: &str| expected[key].as_f64().unwrap();

    let mut params = Params::new(Device::Cpu);
    params.add("sgd", row(&expected["start"]));
    params.freeze();
    let mut sgd = Sgd::new(number("momentum"), number("weight_decay"), &params);
    for (i, step) in expected["steps"].as_array().unwrap().iter().enumerate() {
        let epoch = step["epoch"].as_u64().unwrap() as u32;
        let drops = numbers(&expected["lr_drops"]);
        let lr = learning_rate(number("lr"), &drops, number("epochs") as u32, epoch);
        assert!((lr / step["lr"].as_f64().unwrap() - 1.0).abs() < 1e-12, "step {i}: lr {lr}");
        sgd.step(&params, &row(&step["grad"]), lr);
        assert!(relative(params.flat(), &row(&step["params"])) < 1e-6, "step {i}: parameters");
        assert!(relative(sgd.velocity(), &row(&step["momentum"])) < 1e-6, "step {i}: momentum");
    }
}
