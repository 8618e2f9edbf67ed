//! Views against torchvision and PIL; the expected values and their generator lie in `assets/fixtures/augment`.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::*;

const NEUTRAL: Colour = Colour {
    order: [Operation::Brightness, Operation::Contrast, Operation::Saturation, Operation::Hue],
    brightness: 1.0,
    contrast: 1.0,
    saturation: 1.0,
    hue: 0.0,
};
const CIFAR: AugmentSpec =
    AugmentSpec { crop_min: 0.2, jitter: 0.4, grayscale: 0.2, flip: true, ..AugmentSpec::NONE };

/// Largest and mean difference allowed from PIL where hue is among the operations, in 1/255. PIL keeps hue in 256 steps,
/// each of which moves a saturated channel by 6/255; torchvision's own tensors are 12/255 from PIL on these images.
const PIL_HUE: (f64, f64) = (13.0, 1.5);

struct Fixture(HashMap<String, Tensor>);

impl Fixture {
    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/augment");
        let tensors = Tensor::read_safetensors(folder.join(name)).expect("fixture");
        Self(tensors.into_iter().collect())
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.0[name]
    }

    fn row<const N: usize>(&self, name: &str, i: usize) -> [f64; N] {
        let row = self.get(name).get(i as i64).to_kind(Kind::Double).reshape([-1]);
        Vec::<f64>::try_from(row).unwrap().try_into().unwrap()
    }

    fn crop(&self, i: usize) -> Crop {
        let [top, left, height, width] = self.row("boxes", i).map(|v: f64| v as u32);
        Crop { top, left, height, width }
    }

    fn colour(&self, i: usize, order: [Operation; 4]) -> Colour {
        let [brightness, contrast, saturation, hue] = self.row("factors", i).map(|v| v as f32);
        Colour { order, brightness, contrast, saturation, hue }
    }

    fn order(&self, i: usize) -> [Operation; 4] {
        self.row("orders", i).map(|v: f64| NEUTRAL.order[v as usize])
    }

    fn is(&self, name: &str, i: usize) -> bool {
        self.row::<1>(name, i) == [1.0]
    }
}

fn neutral(side: u32) -> Draw {
    let crop = Crop { top: 0, left: 0, height: side, width: side };
    Draw { crop, angle: 0.0, colour: NEUTRAL, grayscale: false, flip: false }
}

/// Views in [0, 1], (B, 3, S, S): mean 0 and standard deviation 1 leave them unnormalised.
fn views(spec: AugmentSpec, images: &Tensor, samples: Vec<Draw>) -> Tensor {
    let augment = Augment::new(&spec, [0.0; 3], [1.0; 3], images.size()[1] as usize, Device::Cpu);
    augment.apply(images, &Draws { samples })
}

/// Largest and mean difference. `expected` is torchvision's (B, 3, S, S) f32 or PIL's (B, S, S, 3) u8, whose unit is
/// 1/255.
fn differences(views: &Tensor, expected: &Tensor) -> (f64, f64) {
    let difference = match expected.kind() {
        Kind::Uint8 => {
            let expected = expected.permute([0, 3, 1, 2]).to_kind(Kind::Float);
            (views * 255.0 - expected).abs()
        }
        _ => (views - expected).abs(),
    };
    (difference.max().double_value(&[]), difference.mean(Kind::Double).double_value(&[]))
}

fn assert_close(what: &str, views: &Tensor, fixture: &Fixture, name: &str, pil: (f64, f64)) {
    let (max, _) = differences(views, fixture.get(&format!("{name}.tensor")));
    assert!(max < 1e-5, "{what}: {max:.2e} from torchvision's tensors");
    let (max, mean) = differences(views, fixture.get(&format!("{name}.pil")));
    assert!(max < pil.0 && mean < pil.1, "{what}: {max:.2}, mean {mean:.3} of 255 from PIL");
}

#[test]
fn crop_and_flip_are_those_of_torchvision_and_pil() {
    let fixture = Fixture::read("crop.safetensors");
    let draw = |i| Draw { crop: fixture.crop(i), flip: fixture.is("flip", i), ..neutral(32) };
    let views = views(
        AugmentSpec { jitter: 0.0, grayscale: 0.0, ..CIFAR },
        fixture.get("images"),
        (0..8).map(draw).collect(),
    );
    assert_close("crop", &views, &fixture, "crop", (1.5, 0.5));
}

#[test]
fn each_colour_operation_is_that_of_torchvision_and_pil() {
    let fixture = Fixture::read("jitter.safetensors");
    let jitter = AugmentSpec { jitter: 0.5, ..AugmentSpec::NONE };
    let apply = |change: &dyn Fn(&mut Colour, Colour)| {
        let draw = |i| {
            let mut draw = neutral(16);
            change(&mut draw.colour, fixture.colour(i, NEUTRAL.order));
            draw
        };
        views(jitter.clone(), fixture.get("images"), (0..8).map(draw).collect())
    };
    let brightness = apply(&|to, from| to.brightness = from.brightness);
    assert_close("brightness", &brightness, &fixture, "brightness", (1.5, 0.6));
    let contrast = apply(&|to, from| to.contrast = from.contrast);
    assert_close("contrast", &contrast, &fixture, "contrast", (1.5, 0.6));
    let saturation = apply(&|to, from| to.saturation = from.saturation);
    assert_close("saturation", &saturation, &fixture, "saturation", (1.5, 0.6));
    let hue = apply(&|to, from| to.hue = from.hue);
    assert_close("hue", &hue, &fixture, "hue", PIL_HUE);

    let gray = Draw { grayscale: true, ..neutral(16) };
    let gray = views(
        AugmentSpec { grayscale: 1.0, ..AugmentSpec::NONE },
        fixture.get("images"),
        vec![gray; 8],
    );
    assert_close("grayscale", &gray, &fixture, "grayscale", (1.5, 0.6));
}

#[test]
fn every_order_of_jitter_is_that_of_torchvision() {
    let fixture = Fixture::read("jitter.safetensors");
    let images = fixture.get("images").narrow(0, 4, 1).repeat([24, 1, 1, 1]);
    let draw = |i| Draw { colour: fixture.colour(4, fixture.order(i)), ..neutral(16) };
    let views = views(
        AugmentSpec { jitter: 0.5, ..AugmentSpec::NONE },
        &images,
        (0..24).map(draw).collect(),
    );
    assert_close("orders", &views, &fixture, "orders", PIL_HUE);
}

#[test]
fn rotation_is_that_of_torchvision() {
    let fixture = Fixture::read("jitter.safetensors");
    let draw = |i| Draw { angle: fixture.row::<1>("angles", i)[0] as f32, ..neutral(16) };
    let spec = AugmentSpec { rotation: 90.0, flip: true, ..AugmentSpec::NONE };
    let turned = views(spec.clone(), fixture.get("images"), (0..8).map(draw).collect());
    let (max, _) = differences(&turned, fixture.get("rotation.tensor"));
    assert!(max < 1e-5, "{max:.2e}");

    // The flip comes last.
    let flipped = |i| Draw { flip: true, ..draw(i) };
    let flipped = views(spec, fixture.get("images"), (0..8).map(flipped).collect());
    let (max, _) = differences(&flipped, &turned.flip([3]));
    assert!(max < 1e-5, "{max:.2e}");
}

#[test]
fn the_whole_pipeline_is_that_of_torchvision_and_pil() {
    let fixture = Fixture::read("pipeline.safetensors");
    let draw = |i| Draw {
        crop: fixture.crop(i),
        angle: 0.0,
        colour: fixture.colour(i, fixture.order(i)),
        grayscale: fixture.is("grayscale", i),
        flip: fixture.is("flip", i),
    };
    let views = views(CIFAR, fixture.get("images"), (0..8).map(draw).collect());
    assert_close("pipeline", &views, &fixture, "pipeline", PIL_HUE);
}

/// Mean and standard deviation.
fn moments(xs: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = xs.clone().count() as f64;
    let mean = xs.clone().sum::<f64>() / n;
    (mean, (xs.map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
}

#[test]
fn boxes_follow_the_law_of_torchvision() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/augment/draws.json");
    let expected: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let n = 100_000;
    let instances: Vec<i64> = (0..n).collect();
    let draws = Draws::new(&CIFAR, 32, 7, 0, 0, &instances);
    let boxes = draws.samples.iter().map(|draw| draw.crop);
    let of = |value: &dyn Fn(Crop) -> f64| moments(boxes.clone().map(value));
    let area = |b: Crop| f64::from(b.height * b.width) / 1024.0;
    let columns = [
        ("height", of(&|b| b.height.into())),
        ("width", of(&|b| b.width.into())),
        ("area", of(&area)),
        ("log_ratio", of(&|b| (f64::from(b.width) / f64::from(b.height)).ln())),
        ("top", of(&|b| b.top.into())),
        ("left", of(&|b| b.left.into())),
        ("whole", of(&|b| f64::from(u8::from(b.height == 32 && b.width == 32)))),
    ];
    for (name, (mean, std)) in columns {
        let expected = &expected["moments"][name];
        let (e_mean, e_std) =
            (expected["mean"].as_f64().unwrap(), expected["std"].as_f64().unwrap());
        // Four standard errors of the difference of both samples' means.
        let tolerance = 4.0 * e_std * (1.0 / n as f64 + 1.0 / 400_000.0).sqrt();
        assert!((mean - e_mean).abs() < tolerance, "{name}: mean {mean}, torchvision {e_mean}");
        assert!((std / e_std - 1.0).abs() < 0.05, "{name}: deviation {std}, torchvision {e_std}");
    }
    for (bin, share) in expected["area_bins"].as_array().unwrap().iter().enumerate() {
        let inside = |b: Crop| ((area(b) - 0.2) / (0.8 + 1e-9) * 10.0).floor() == bin as f64;
        let (found, share) = (of(&|b| f64::from(u8::from(inside(b)))).0, share.as_f64().unwrap());
        let tolerance = 4.0 * (share * (1.0 - share) * (1e-5 + 2.5e-6)).sqrt();
        assert!((found - share).abs() < tolerance, "bin {bin}: {found}, torchvision {share}");
    }
}
