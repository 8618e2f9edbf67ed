//! What the network has learned as files.

use std::fmt::Write;

use color_eyre::eyre::Result;

use super::File;
use super::subject::Subject;
use crate::cli::bad_input;
use crate::data::Dataset;
use crate::saved::{self, Features, Kind};

pub fn encoder(subject: &Subject) -> Result<File> {
    let mut notes = subject.notes()?;
    notes.insert("dim".to_owned(), subject.setting("model.dim"));
    Ok(("encoder.safetensors".to_owned(), saved::encoder(subject.saved()?, notes)?))
}

/// The backbone as torchvision's and Detectron2's detectors load it, and how.
pub fn detection(subject: &Subject) -> Result<Vec<File>> {
    let id = &subject.run.id;
    let backbone = subject.setting("model.backbone");
    let Some(kind) = Kind::of(subject.spec()?.model.backbone) else {
        let allowed =
            "resnet18, resnet34, resnet50, alexnet, vgg16, vgg16_bn, which detectors are built on";
        return Err(bad_input(format!(
            "{id}: model.backbone: found {backbone}, allowed: {allowed}"
        )));
    };
    let saved = subject.saved()?;
    let features = Features::of(saved, kind).map_err(|why| bad_input(why.to_string()))?;
    let scale = Scale::of(subject.data()?);
    let mut files = vec![
        ("backbone.safetensors".to_owned(), features.torchvision(subject.notes()?)?),
        ("detection.md".to_owned(), instructions(id, &backbone, kind, &scale).into_bytes()),
    ];
    if let Kind::Resnet { depth } = kind {
        let settings = settings(&format!("{id}, step {}", saved.step), depth, &scale);
        files.push(("detectron2.pkl".to_owned(), features.detectron2()));
        files.push(("detectron2.yaml".to_owned(), settings.into_bytes()));
    }
    Ok(files)
}

/// What the images were normalised by, where they are still there to tell.
enum Scale {
    Known { mean: [f32; 3], std: [f32; 3] },
    Unknown(String),
}

impl Scale {
    fn of(data: Result<&Dataset, &str>) -> Scale {
        match data {
            Ok(data) => Scale::Known { mean: data.mean, std: data.std },
            Err(why) => Scale::Unknown(why.to_owned()),
        }
    }
}

/// Three channels in brackets, times `unit`.
fn channels(of: [f32; 3], unit: f32) -> String {
    format!("[{}]", of.map(|x| format!("{:.4}", unit * x)).join(", "))
}

/// A piece of configuration for Detectron2, whose images have values from 0 to 255.
fn settings(origin: &str, depth: u32, scale: &Scale) -> String {
    // Basic blocks end as wide as they begin.
    let basic = if depth < 50 { "    RES2_OUT_CHANNELS: 64\n" } else { "" };
    let pixels = match scale {
        Scale::Known { mean, std } => format!(
            "  PIXEL_MEAN: {}\n  PIXEL_STD: {}\n",
            channels(*mean, 255.0),
            channels(*std, 255.0)
        ),
        Scale::Unknown(why) => format!("  # PIXEL_MEAN and PIXEL_STD are unknown: {why}\n"),
    };
    format!(
        "# The backbone of {origin}. Uncomment the next line and name a detector's configuration in it.\n\
         # _BASE_: /path/to/detectron2/configs/PascalVOC-Detection/faster_rcnn_R_50_FPN.yaml\n\
         MODEL:\n{pixels}  RESNETS:\n    DEPTH: {depth}\n{basic}    STRIDE_IN_1X1: False\nINPUT:\n  FORMAT: \"RGB\"\n"
    )
}

/// How the files are loaded, and what the paper reached.
fn instructions(id: &str, backbone: &str, kind: Kind, scale: &Scale) -> String {
    let mut text =
        format!("# Detection with the backbone of {id}\n\n## torchvision\n\n```python\n");
    text.push_str("import torch\nfrom safetensors.torch import load_file\n");
    let _ = writeln!(text, "from torchvision.models import {backbone}");
    let scaled = match scale {
        Scale::Known { mean, std } => {
            format!(", image_mean={}, image_std={}", channels(*mean, 1.0), channels(*std, 1.0))
        }
        Scale::Unknown(_) => String::new(),
    };
    let load = "network.load_state_dict(load_file(\"backbone.safetensors\"))";
    let _ = match kind {
        Kind::Resnet { .. } => write!(
            text,
            "from torchvision.models.detection import FasterRCNN\n\
             from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor\n\
             from torchvision.ops.misc import FrozenBatchNorm2d\n\n\
             network = {backbone}(norm_layer=FrozenBatchNorm2d)\nnetwork.fc = torch.nn.Identity()\n{load}\n\
             backbone = _resnet_fpn_extractor(network, trainable_layers=3)\n\
             detector = FasterRCNN(backbone, num_classes=21{scaled})\n"
        ),
        Kind::Plain { channels, .. } => write!(
            text,
            "from torchvision.models.detection import FasterRCNN\n\
             from torchvision.models.detection.rpn import AnchorGenerator\n\
             from torchvision.ops import MultiScaleRoIAlign\n\n\
             network = {backbone}()\nnetwork.classifier = torch.nn.Identity()\n{load}\n\
             backbone = network.features\nbackbone.out_channels = {channels}\n\
             anchors = AnchorGenerator(sizes=((32, 64, 128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),))\n\
             pool = MultiScaleRoIAlign(featmap_names=[\"0\"], output_size=7, sampling_ratio=2)\n\
             detector = FasterRCNN(backbone, num_classes=21, rpn_anchor_generator=anchors, box_roi_pool=pool{scaled})\n",
        ),
    };
    text.push_str("```\n\n");
    if let Scale::Unknown(why) = scale {
        let _ = write!(
            text,
            "Give it the run's `image_mean` and `image_std`, which are unknown here: {why}\n\n"
        );
    }
    if matches!(kind, Kind::Resnet { .. }) {
        text.push_str(
            "## Detectron2\n\nName a detector's configuration in `detectron2.yaml`, then, in this folder:\n\n    \
             python /path/to/detectron2/tools/train_net.py --config-file detectron2.yaml MODEL.WEIGHTS $PWD/detectron2.pkl\n\n",
        );
    }
    text.push_str(
        "## To compare with\n\nWu et al. 2018, section 4.4, VOC 2007, mean AP: AlexNet 48.1, VGG16 60.5 (Fast R-CNN, learning rate 0.001 \
         divided by 10 every\n50,000 iterations, conv1 frozen), ResNet-50 65.4, supervised 76.2 (Faster R-CNN, layers below the third \
         residual group\nand all batch normalisation frozen).\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::Backbone;

    #[test]
    fn instructions_are_those_of_the_backbone() {
        let scale = Scale::Known { mean: [0.5, 0.25, 0.0], std: [0.25; 3] };
        let text = |name, backbone, scale| {
            instructions("one-1a2b", name, Kind::of(backbone).unwrap(), scale)
        };
        let resnet = text("resnet50", Backbone::Resnet50, &scale);
        assert!(
            resnet.contains("network.fc = torch.nn.Identity()")
                && resnet.contains("detectron2.pkl")
        );
        assert!(resnet.contains("image_mean=[0.5000, 0.2500, 0.0000]"), "{resnet}");
        let vgg = text("vgg16", Backbone::Vgg16, &Scale::Unknown("gone".to_owned()));
        assert!(vgg.contains("out_channels = 512") && vgg.contains("unknown here: gone"), "{vgg}");
        assert!(!vgg.contains("etectron2") && !vgg.contains("image_mean="));
    }

    #[test]
    fn settings_are_on_detectron2s_scale() {
        let scale = Scale::Known { mean: [0.5, 0.25, 0.0], std: [0.2; 3] };
        let of_18 = settings("one-1a2b, step 7", 18, &scale);
        assert!(of_18.contains("PIXEL_MEAN: [127.5000, 63.7500, 0.0000]"), "{of_18}");
        assert!(of_18.contains("    DEPTH: 18\n    RES2_OUT_CHANNELS: 64\n"), "{of_18}");
        let of_50 = settings("one-1a2b, step 7", 50, &Scale::Unknown("gone".to_owned()));
        assert!(of_50.contains("unknown: gone") && !of_50.contains("RES2"), "{of_50}");
    }
}
