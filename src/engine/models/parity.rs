//! Networks and SGD against torchvision and torch; `assets/fixtures/model/generate.py` made the expected values and
//! says by which formula both sides fill weights and inputs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use tch::Device;

use super::*;
use crate::config::spec::{HeadInit, HeadKind, HeadNorm, WeightInit};
use crate::engine::eval::encode::to_vec;
use crate::engine::optimizer::Sgd;
use crate::engine::schedule::learning_rate;
use crate::saved::tests::checkpoint;
use crate::saved::{Saved, encoder};

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
    head: HeadKind,
    head_norm: HeadNorm,
    batch: i64,
    side: i64,
    stem: Stem,
    /// Many normalisations in a row by few values each amplify fp32 rounding until a unit here and there crosses its
    /// ReLU: torchvision's own gradients in fp32 and fp64 are up to a tenth apart then. Such a network's tolerance in
    /// train mode is tenfold, and its gradients are compared by direction.
    deep: bool,
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
            head: self.head,
            head_init: HeadInit::Default,
            head_norm: self.head_norm,
            init: WeightInit::He,
            stem: self.stem,
            weights: None,
        };
        let mut params = Params::new(Device::Cpu);
        let side = self.side as usize;
        let model = Model::new(&spec, side, arithmetic, 0, &mut params).unwrap();
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
        fill("input", &[self.batch, 3, self.side, self.side])
    }

    /// Outputs, running statistics and gradients, each within its tolerance.
    fn check(&self) {
        let expected = self.expected();
        let (model, params) = self.model(Arithmetic::Fp32);
        let slack = if self.deep { 10.0 } else { 1.0 };
        let close = |name: &str, found: &Tensor, tolerance: f64| {
            let distance = relative(found, &expected[name]);
            assert!(distance < tolerance, "{}: {name} is {distance:.1e} off", self.file);
        };
        let images = self.images();
        let Encoded { pooled, embedding } =
            tch::no_grad(|| model.forward(&params, &images, Mode::Eval));
        close("eval.pooled", &pooled, 1e-5);
        close("eval.embedding", &embedding, 1e-5);
        let maps = tch::no_grad(|| model.stages(&params, &images, Mode::Eval));
        assert_eq!(maps.iter().map(|(name, _)| *name).collect::<Vec<_>>(), LAYERS);
        for (name, map) in maps {
            close(&format!("eval.{name}"), &map.adaptive_avg_pool2d([2, 2]), 1e-5);
        }

        let Encoded { pooled, embedding } = model.forward(&params, &images, Mode::Train);
        close("train.pooled", &pooled, 5e-5 * slack);
        close("train.embedding", &embedding, 5e-5 * slack);
        for (name, buffer) in params.buffers() {
            if expected.contains_key(&format!("buffer.{name}")) {
                close(&format!("buffer.{name}"), buffer, 1e-5 * slack);
            }
        }
        let loss = (embedding * fill("G", &[self.batch, self.dim.into()])).sum(Kind::Float);
        let gradients: HashMap<String, Tensor> =
            params.named(&params.gradient(&loss)).into_iter().collect();
        let names = expected.keys().filter_map(|name| name.strip_prefix("grad."));
        let mut n_checked = 0;
        for name in names {
            let (found, expected) = (&gradients[name], &expected[&format!("grad.{name}")]);
            if self.deep {
                let [a, b] = [found, expected].map(|g| g.flatten(0, -1));
                let cosine = Tensor::cosine_similarity(&a, &b, 0, 0.0);
                let cosine = cosine.double_value(&[]);
                assert!(cosine > 0.995, "{}: grad.{name} has cosine {cosine}", self.file);
            } else {
                close(&format!("grad.{name}"), found, 1e-4);
            }
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
    head: HeadKind::Linear,
    head_norm: HeadNorm::None,
    batch: 6,
    side: 32,
    stem: Stem::Auto,
    deep: false,
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
fn a_head_of_two_layers_is_torchs_sequential() {
    let backbone = Backbone::ResnetSmall;
    let file = "resnet_small_mlp.safetensors";
    Case { file, backbone, width: 0.5, head: HeadKind::Mlp, ..RESNET18_QUARTER }.check();
}

#[test]
fn a_larger_image_gets_the_imagenet_stem() {
    let file = "resnet18_imagenet.safetensors";
    Case { file, side: 80, batch: 4, ..RESNET18_QUARTER }.check();
}

#[test]
fn resnet34_is_torchvisions() {
    let backbone = Backbone::Resnet34;
    Case { file: "resnet34.safetensors", backbone, batch: 4, deep: true, ..RESNET18_QUARTER }
        .check();
}

#[test]
fn resnet50_is_torchvisions() {
    let backbone = Backbone::Resnet50;
    Case { file: "resnet50.safetensors", backbone, side: 80, deep: true, ..RESNET18_QUARTER }
        .check();
}

#[test]
fn alexnet_is_torchvisions_with_either_stem() {
    let backbone = Backbone::Alexnet;
    let imagenet = Case { backbone, width: 0.125, side: 160, batch: 3, ..RESNET18_QUARTER };
    Case { file: "alexnet_imagenet.safetensors", ..imagenet }.check();
    Case { file: "alexnet_cifar.safetensors", backbone, batch: 4, ..RESNET18_QUARTER }.check();
}

#[test]
fn vgg16_is_torchvisions_with_either_stem() {
    let backbone = Backbone::Vgg16;
    let imagenet = Case { backbone, width: 0.125, side: 96, batch: 3, ..RESNET18_QUARTER };
    Case { file: "vgg16_imagenet.safetensors", ..imagenet }.check();
    Case { file: "vgg16_cifar.safetensors", backbone, batch: 4, ..RESNET18_QUARTER }.check();
}

#[test]
fn vgg16_bn_is_torchvisions() {
    let backbone = Backbone::Vgg16Bn;
    Case { file: "vgg16_bn_cifar.safetensors", backbone, deep: true, ..RESNET18_QUARTER }.check();
}

/// Backbones that torchvision has under the same names.
const TORCHVISION: [Backbone; 6] = [
    Backbone::Resnet18,
    Backbone::Resnet34,
    Backbone::Resnet50,
    Backbone::Alexnet,
    Backbone::Vgg16,
    Backbone::Vgg16Bn,
];

/// Names and shapes of torchvision's network, every channel count an eighth.
fn eighth(backbone: Backbone) -> HashMap<String, Vec<i64>> {
    let text = std::fs::read(fixture("shapes.json")).unwrap();
    let mut networks: HashMap<String, HashMap<String, Vec<i64>>> =
        serde_json::from_slice(&text).unwrap();
    // Kernels are up to 11 wide; every count of channels is 64 or more, but for the image's 3.
    let eighth = |size: i64| if size < 64 { size } else { size / 8 };
    let whole = networks.remove(backbone_name(backbone)).unwrap().into_iter();
    whole.map(|(name, shape)| (name, shape.into_iter().map(eighth).collect())).collect()
}

/// Parameters and statistics.
fn named(params: &Params) -> Vec<(String, Tensor)> {
    let buffers = params.buffers().iter().map(|(name, t)| (name.clone(), t.shallow_clone()));
    params.named(params.flat()).into_iter().chain(buffers).collect()
}

#[test]
fn names_and_shapes_are_torchvisions() {
    for backbone in TORCHVISION {
        let case = Case { backbone, width: 0.125, side: 224, dim: 125, ..RESNET18_QUARTER };
        let (_, params) = case.model(Arithmetic::Fp32);
        let own = named(&params).into_iter();
        let found: HashMap<String, Vec<i64>> = own.map(|(n, t)| (n, t.size())).collect();
        assert_eq!(found, eighth(backbone), "{}", backbone_name(backbone));
    }
}

/// The files that torchvision's networks load: the names and shapes that they have, and no others, and the numbers that
/// `generate.py` put into them, so that the outputs above are those of the file too.
#[test]
fn an_exported_encoder_is_the_network_that_torchvision_was_compared_with() {
    for backbone in TORCHVISION {
        let case = Case { backbone, width: 0.125, side: 224, dim: 125, ..RESNET18_QUARTER };
        let (_, params) = case.model(Arithmetic::Fp32);
        let own = named(&params).into_iter();
        let saved: Vec<(String, Vec<usize>, Vec<f32>)> = own
            .map(|(name, tensor)| {
                let shape = tensor.size().iter().map(|&size| size as usize).collect();
                (format!("model.{name}"), shape, to_vec(&tensor))
            })
            .collect();
        let saved: Vec<(&str, &[usize], &[f32])> =
            saved.iter().map(|(name, shape, xs)| (&**name, &**shape, &**xs)).collect();
        let dir = tempfile::tempdir().unwrap();
        let run = checkpoint(dir.path(), 1, &saved);
        let file = encoder(&Saved::open(&run, None).unwrap(), HashMap::new()).unwrap();
        let file = SafeTensors::deserialize(&file).unwrap();
        let shape = |(name, view): (String, TensorView<'_>)| {
            (name, view.shape().iter().map(|&size| size as i64).collect())
        };
        let found: HashMap<String, Vec<i64>> = file.tensors().into_iter().map(shape).collect();
        assert_eq!(found, eighth(backbone), "{}", backbone_name(backbone));
        for (name, view) in file.tensors() {
            let filled = to_vec(&fill(&name, &found[&name]));
            let bytes: Vec<u8> = filled.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert!(view.data() == bytes, "{}: {name}", backbone_name(backbone));
        }
    }
}

#[test]
fn an_image_that_poolings_leave_nothing_of_is_refused() {
    let build = |backbone, stem, side| {
        let spec = ModelSpec {
            backbone,
            dim: 8,
            width: 0.02,
            head_init: HeadInit::Default,
            head: HeadKind::Linear,
            head_norm: HeadNorm::None,
            init: WeightInit::He,
            stem,
            weights: None,
        };
        let mut params = Params::new(Device::Cpu);
        let model = Model::new(&spec, side as usize, Arithmetic::Fp32, 0, &mut params)?;
        params.freeze();
        let images = Tensor::ones([2, 3, side, side], (Kind::Float, Device::Cpu));
        let _ = model.forward(&params, &images, Mode::Eval);
        Ok(())
    };
    let message = |result: Result<(), ModelError>| result.unwrap_err().to_string();
    assert_eq!(
        message(build(Backbone::Vgg16, Stem::Auto, 28)),
        "model.backbone: found vgg16 for images of 28×28 pixels, allowed: 32 or more a side"
    );
    let small = message(build(Backbone::Alexnet, Stem::Imagenet, 62));
    assert!(small.ends_with("63 or more a side; model.stem = \"cifar\" takes less"), "{small}");
    // The least that is allowed goes through.
    build(Backbone::Vgg16, Stem::Auto, 32).unwrap();
    build(Backbone::Alexnet, Stem::Imagenet, 63).unwrap();
    build(Backbone::Alexnet, Stem::Cifar, 15).unwrap();
    build(Backbone::Resnet50, Stem::Imagenet, 8).unwrap();
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
        sgd.set_rate(lr);
        sgd.step(&params, &row(&step["grad"]));
        assert!(relative(params.flat(), &row(&step["params"])) < 1e-6, "step {i}: parameters");
        assert!(relative(sgd.velocity(), &row(&step["momentum"])) < 1e-6, "step {i}: momentum");
    }
}
