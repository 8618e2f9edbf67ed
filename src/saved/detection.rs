//! The encoder as detectors load it: the backbone without its head, under torchvision's names and under Detectron2's.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::encoder::{network, serialise};
use super::pickle::numpy_arrays;
use super::{Array, Saved, SavedError};
use crate::config::spec::Backbone;

/// What comes after the features: of no use to a detector, and of another shape than its own.
const HEADS: [&str; 3] = ["fc.", "classifier.", "head_norm."];

/// A backbone that detectors are built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of so many layers. Detectron2 has it too.
    Resnet { depth: u32 },
    /// AlexNet or VGG: one map of features, of `channels`, behind a first convolution of `side` by `side`.
    Plain { side: usize, channels: u32 },
}

impl Kind {
    /// None where neither torchvision nor Detectron2 has such a network.
    pub fn of(backbone: Backbone) -> Option<Kind> {
        match backbone {
            Backbone::Resnet18 => Some(Kind::Resnet { depth: 18 }),
            Backbone::Resnet34 => Some(Kind::Resnet { depth: 34 }),
            Backbone::Resnet50 => Some(Kind::Resnet { depth: 50 }),
            Backbone::Alexnet => Some(Kind::Plain { side: 11, channels: 256 }),
            Backbone::Vgg16 | Backbone::Vgg16Bn => Some(Kind::Plain { side: 3, channels: 512 }),
            Backbone::ResnetSmall => None,
        }
    }

    /// The first convolution, and its shape with the ImageNet stem at full width. Detectors know no other.
    fn first(self) -> (&'static str, [usize; 4]) {
        match self {
            Kind::Resnet { .. } => ("conv1.weight", [64, 3, 7, 7]),
            Kind::Plain { side, .. } => ("features.0.weight", [64, 3, side, side]),
        }
    }
}

/// The backbone of a checkpoint, of the shape that detectors expect.
pub struct Features {
    path: PathBuf,
    arrays: BTreeMap<String, Array>,
}

impl Features {
    /// # Errors
    /// A stem or width that detectors do not have.
    pub fn of(saved: &Saved, kind: Kind) -> Result<Features, SavedError> {
        let mut arrays = network(saved)?;
        arrays.retain(|name, _| !HEADS.iter().any(|head| name.starts_with(head)));
        let (first, shape) = kind.first();
        let found = arrays.get(first).map(|array| array.shape.as_slice());
        if found != Some(&shape) {
            let found = found.map_or("missing".to_owned(), |shape| format!("{shape:?}"));
            let allowed = "the ImageNet stem at full width, as detectors have it \
                           (model.stem = \"imagenet\", model.width = 1)";
            return Err(saved.shape(first, found, allowed));
        }
        Ok(Features { path: saved.path.clone(), arrays })
    }

    /// As safetensors, under torchvision's names, with `notes` in the header.
    ///
    /// # Errors
    /// A tensor whose numbers do not fill its shape.
    pub fn torchvision(&self, notes: HashMap<String, String>) -> Result<Vec<u8>, SavedError> {
        serialise(&self.path, &self.arrays, notes)
    }

    /// A ResNet as Detectron2's checkpointer takes it (its `.pkl`): a dictionary of NumPy arrays under `model`.
    pub fn detectron2(&self) -> Vec<u8> {
        let renamed = self.arrays.iter().map(|(name, array)| (in_detectron2(name), array));
        numpy_arrays(renamed)
    }
}

/// torchvision's name of a ResNet's tensor, as Detectron2 has it.
fn in_detectron2(name: &str) -> String {
    let stages =
        [("layer1.", "res2."), ("layer2.", "res3."), ("layer3.", "res4."), ("layer4.", "res5.")];
    let staged =
        stages.iter().find_map(|(from, to)| Some(format!("{to}{}", name.strip_prefix(from)?)));
    let mut name = staged.unwrap_or_else(|| format!("stem.{name}"));
    let parts = [
        ("downsample.0", "shortcut"),
        ("downsample.1", "shortcut.norm"),
        ("bn1", "conv1.norm"),
        ("bn2", "conv2.norm"),
        ("bn3", "conv3.norm"),
    ];
    for (from, to) in parts {
        name = name.replace(from, to);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saved::tests::checkpoint;

    #[test]
    fn names_are_detectron2s() {
        // As its own tool for torchvision's files has them (tools/convert-torchvision-to-d2.py).
        for (ours, theirs) in [
            ("conv1.weight", "stem.conv1.weight"),
            ("bn1.running_mean", "stem.conv1.norm.running_mean"),
            ("layer1.0.conv2.weight", "res2.0.conv2.weight"),
            ("layer4.2.bn3.bias", "res5.2.conv3.norm.bias"),
            ("layer2.0.downsample.0.weight", "res3.0.shortcut.weight"),
            ("layer3.0.downsample.1.running_var", "res4.0.shortcut.norm.running_var"),
        ] {
            assert_eq!(in_detectron2(ours), theirs);
        }
    }

    #[test]
    fn a_stem_that_detectors_have_not_is_refused_and_the_head_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let kind = Kind::of(Backbone::Resnet18).unwrap();
        let first = |shape: &[usize], step| {
            let numbers = vec![0.5; shape.iter().product()];
            let head = ("model.fc.weight", &[1, 2][..], &[1.0, 2.0][..]);
            let run =
                checkpoint(dir.path(), step, &[("model.conv1.weight", shape, &numbers), head]);
            let saved = Saved::open(&run, Some(step)).unwrap();
            Features::of(&saved, kind)
                .map(|features| features.arrays.into_keys().collect::<Vec<_>>())
        };
        assert_eq!(first(&[64, 3, 7, 7], 1).unwrap(), ["conv1.weight"]);
        let refused = first(&[64, 3, 3, 3], 2).unwrap_err().to_string();
        assert!(
            refused.contains("conv1.weight is [64, 3, 3, 3], allowed: the ImageNet stem"),
            "{refused}"
        );
        assert_eq!(Kind::of(Backbone::ResnetSmall), None);
    }
}
