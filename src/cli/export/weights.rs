//! What the network has learned as files.

use std::collections::HashMap;

use color_eyre::eyre::Result;

use super::File;
use crate::cli::{Context, bad_input};
use crate::config::{RunSpec, keys};
use crate::data::{self, Dataset};
use crate::report::shown;
use crate::saved::{self, Features, Kind, Saved};
use crate::store::RunRow;

/// The encoder, and what whoever loads it has to know.
pub fn encoder(context: &Context, run: &RunRow, saved: &Saved) -> Result<File> {
    // The images may be elsewhere by now, which is no reason to keep the weights back.
    let scale = match data(context, run)? {
        Ok(data) => [format!("{:?}", data.mean), format!("{:?}", data.std)],
        Err(why) => [(); 2].map(|()| format!("unknown: {why}")),
    };
    let mut notes = notes(run, saved, scale);
    let embedding = "the output of fc, scaled to length 1".to_owned();
    notes.extend([("dim".to_owned(), of(run, "model.dim")), ("embedding".to_owned(), embedding)]);
    Ok(("encoder.safetensors".to_owned(), saved::encoder(saved, notes)?))
}

/// The backbone as torchvision's and Detectron2's detectors load it, and how.
pub fn detection(context: &Context, run: &RunRow, saved: &Saved) -> Result<Vec<File>> {
    let spec: RunSpec = serde_json::from_str(run.spec.text())?;
    let backbone = of(run, "model.backbone");
    let Some(kind) = Kind::of(spec.model.backbone) else {
        let allowed =
            "resnet18, resnet34, resnet50, alexnet, vgg16, vgg16_bn, which detectors are built on";
        return Err(bad_input(format!(
            "{}: model.backbone: found {backbone}, allowed: {allowed}",
            run.id
        )));
    };
    let features = Features::of(saved, kind).map_err(|why| bad_input(why.to_string()))?;
    let data = data(context, run)?.map_err(|why| bad_input(why.to_string()))?;
    let notes = notes(run, saved, [data.mean, data.std].map(|scale| format!("{scale:?}")));
    let mut files = vec![
        ("backbone.safetensors".to_owned(), features.torchvision(notes)?),
        ("detection.md".to_owned(), instructions(&run.id, &backbone, kind).into_bytes()),
    ];
    if let Some(depth) = kind.depth {
        files.push(("detectron2.pkl".to_owned(), features.detectron2()));
        let settings = settings(run, saved, depth, &data);
        files.push(("detectron2.yaml".to_owned(), settings.into_bytes()));
    }
    Ok(files)
}

/// A value of the run's specification in words.
fn of(run: &RunRow, key: &str) -> String {
    shown(keys::value(&run.spec, key))
}

/// The images that the run was trained on, where they still are.
fn data(context: &Context, run: &RunRow) -> Result<Result<Dataset, data::DataError>> {
    let spec: RunSpec = serde_json::from_str(run.spec.text())?;
    Ok(data::load(&spec.data, &context.home))
}

/// `scale` are mean and standard deviation.
fn notes(run: &RunRow, saved: &Saved, scale: [String; 2]) -> HashMap<String, String> {
    let [mean, std] = scale;
    HashMap::from([
        ("run".to_owned(), run.id.clone()),
        ("step".to_owned(), saved.step.to_string()),
        ("backbone".to_owned(), of(run, "model.backbone")),
        ("width".to_owned(), of(run, "model.width")),
        ("dataset".to_owned(), of(run, "data.dataset")),
        ("mean".to_owned(), mean),
        ("std".to_owned(), std),
    ])
}

/// A piece of configuration for Detectron2, whose images have values from 0 to 255.
fn settings(run: &RunRow, saved: &Saved, depth: u32, data: &Dataset) -> String {
    let pixels = |scale: [f32; 3]| scale.map(|x| format!("{:.3}", 255.0 * x)).join(", ");
    // Basic blocks end as wide as they begin.
    let basic = if depth < 50 { "    RES2_OUT_CHANNELS: 64\n" } else { "" };
    format!(
        "# The backbone of {}, step {}; _BASE_ or --config-file names the detector it goes into.\n\
         MODEL:\n  WEIGHTS: \"detectron2.pkl\"\n  PIXEL_MEAN: [{}]\n  PIXEL_STD: [{}]\n  RESNETS:\n    DEPTH: {depth}\n\
         {basic}    STRIDE_IN_1X1: False\nINPUT:\n  FORMAT: \"RGB\"\n",
        run.id,
        saved.step,
        pixels(data.mean),
        pixels(data.std),
    )
}

/// How the files are loaded, and what the paper reached.
fn instructions(id: &str, backbone: &str, kind: Kind) -> String {
    let torchvision = match kind.depth {
        Some(_) => format!(
            "from torchvision.models import {backbone}\n\
             from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor\n\n\
             network = {backbone}()\nnetwork.fc = torch.nn.Identity()\n\
             network.load_state_dict(load_file(\"backbone.safetensors\"))\n\
             backbone = _resnet_fpn_extractor(network, trainable_layers=3)\n"
        ),
        None => format!(
            "from torchvision.models import {backbone}\n\n\
             network = {backbone}()\nnetwork.classifier = torch.nn.Identity()\n\
             network.load_state_dict(load_file(\"backbone.safetensors\"))\nbackbone = network.features\n"
        ),
    };
    let detectron2 = match kind.depth {
        Some(_) => {
            "## Detectron2\n\n`detectron2.yaml` goes on top of a detector's configuration, `detectron2.pkl` beside it.\n\n"
        }
        None => "",
    };
    format!(
        "# Detection with the backbone of {id}\n\n## torchvision\n\n```python\nimport torch\n\
         from safetensors.torch import load_file\n{torchvision}```\n\n{detectron2}\
         ## To compare with\n\nWu et al. 2018, section 4.4, VOC 2007, mean AP: AlexNet 48.1, VGG16 60.5 (Fast R-CNN, learning rate 0.001 \
         divided by 10 every\n50,000 iterations, conv1 frozen), ResNet-50 65.4, supervised 76.2 (Faster R-CNN, layers below the third \
         residual group\nand all batch normalisation frozen).\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::Backbone;

    #[test]
    fn instructions_are_those_of_the_backbone() {
        let resnet = instructions("one-1a2b", "resnet50", Kind::of(Backbone::Resnet50).unwrap());
        assert!(
            resnet.contains("network.fc = torch.nn.Identity()")
                && resnet.contains("detectron2.pkl")
        );
        let vgg = instructions("one-1a2b", "vgg16", Kind::of(Backbone::Vgg16).unwrap());
        assert!(vgg.contains("backbone = network.features") && !vgg.contains("etectron2"));
    }
}
