//! The one table of specification keys: type, range, default, unit, where each means something, and what it is.
//!
//! Validation, defaults, `keys`, the filter language and the messages about mistakes all read it. A key is added by a
//! field in `spec.rs` and a row here.

use std::fmt;

use serde_json::Value;

use super::ranges::{Default, Kind, above, at_least, between, from_above};

/// One key of a specification.
#[derive(Debug)]
pub struct Key {
    /// Dotted, as `--set` and `[grid]` name it.
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
    /// Empty where the number has none.
    pub unit: &'static str,
    /// All must hold for the key to mean something; none = always.
    pub applies: &'static [Condition],
    pub help: &'static str,
}

/// A key means something only where another key has certain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    pub key: &'static str,
    pub accepts: Accepts,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accepts {
    Is(&'static str),
    OneOf(&'static [&'static str]),
    IsNot(&'static str),
    Above(f64),
    Below(f64),
}

impl Condition {
    pub fn holds(&self, value: &Value) -> bool {
        match self.accepts {
            Accepts::Is(name) => value.as_str() == Some(name),
            Accepts::OneOf(names) => value.as_str().is_some_and(|value| names.contains(&value)),
            Accepts::IsNot(name) => value.as_str() != Some(name),
            Accepts::Above(low) => value.as_f64().is_some_and(|x| low < x),
            Accepts::Below(high) => value.as_f64().is_some_and(|x| x < high),
        }
    }

    /// Whether setting the key elsewhere is a mistake. Under another objective or data set it is; a number that a
    /// second number switches off (λ's first epoch at λ = 0) is only idle.
    pub fn is_strict(&self) -> bool {
        matches!(self.key, "objective.kind" | "data.dataset")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accepts {
            Accepts::Is(name) => write!(f, "{} = {name}", self.key),
            Accepts::OneOf(names) => write!(f, "{} = {}", self.key, names.join(" or ")),
            Accepts::IsNot(name) => write!(f, "{} ≠ {name}", self.key),
            Accepts::Above(low) => write!(f, "{} > {low}", self.key),
            Accepts::Below(high) => write!(f, "{} < {high}", self.key),
        }
    }
}

const fn kinds(names: &'static [&'static str]) -> Condition {
    Condition { key: "objective.kind", accepts: Accepts::OneOf(names) }
}

/// Every objective, in the order of [`super::spec::ObjectiveKind`].
const KINDS: &[&str] = &[
    "nce",
    "nonparametric",
    "parametric",
    "infonce",
    "invaspread",
    "exemplar",
    "triplet",
    "deepcluster",
    "simclr",
    "moco",
    "supervised",
    "random",
];

const NCE: Condition = kinds(&["nce"]);
/// Objectives that compare features with the memory bank, or, as the baseline of Table 1, stand beside those that do.
const BANKED: Condition = kinds(&["nce", "nonparametric", "parametric", "infonce"]);
const SAMPLED: Condition = kinds(&["nce", "infonce"]);
const COUNTED: Condition = kinds(&["nce", "infonce", "moco"]);
const TEMPERED: Condition = kinds(&[
    "nce",
    "nonparametric",
    "parametric",
    "infonce",
    "invaspread",
    "exemplar",
    "deepcluster",
    "simclr",
    "moco",
    "supervised",
]);
const INVASPREAD: Condition = kinds(&["invaspread"]);
const PAIRED: Condition = kinds(&["invaspread", "triplet", "simclr"]);
const IN_BATCH: Condition = kinds(&["invaspread", "triplet"]);
const EXEMPLAR: Condition = kinds(&["exemplar"]);
const TRIPLET: Condition = kinds(&["triplet"]);
const DEEPCLUSTER: Condition = kinds(&["deepcluster"]);
const MOCO: Condition = kinds(&["moco"]);
const Z_FROZEN: Condition = Condition { key: "objective.z", accepts: Accepts::Is("frozen") };
const PROXIMAL: Condition = Condition { key: "objective.lambda", accepts: Accepts::Above(0.0) };
/// Sets of image files.
const FILES: Condition = Condition {
    key: "data.dataset",
    accepts: Accepts::OneOf(&["folder", "cub200", "cars196", "sop"]),
};
const SIZED: Condition = Condition {
    key: "data.dataset",
    accepts: Accepts::OneOf(&["folder", "cub200", "cars196", "sop", "stl10"]),
};
const STL10: Condition = Condition { key: "data.dataset", accepts: Accepts::Is("stl10") };
const ON_DISK: Condition = Condition { key: "data.dataset", accepts: Accepts::IsNot("shapes") };
const SUBSET: Condition = Condition { key: "data.fraction", accepts: Accepts::Below(1.0) };

/// The key called `name`.
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The value at a dotted key of a resolved specification.
pub fn value<'a>(spec: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(spec, |value, part| value.get(part))
}

/// The name in `names` that a mistyped one most likely meant. A third of it may be wrong.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    let distance = |known: &str| {
        let known_leaf = known.rsplit('.').next().unwrap_or(known);
        // `tau` for `objective.tau`: the section is what people leave out.
        let by_leaf =
            if leaf == name { strsim::osa_distance(leaf, known_leaf) } else { usize::MAX };
        by_leaf.min(strsim::osa_distance(name, known))
    };
    let best = names.into_iter().map(|known| (distance(known), known)).min_by_key(|&(d, _)| d)?;
    (best.0.saturating_mul(3) <= name.chars().count()).then_some(best.1)
}

/// What `data.dataset` may be.
pub const DATASETS: &[&str] = &[
    "shapes",
    "cifar10",
    "cifar100",
    "stl10",
    "mnist",
    "fashion_mnist",
    "kmnist",
    "cub200",
    "cars196",
    "sop",
    "folder",
];

/// Every key, section by section. The defaults are the paper's CIFAR-10 recipe (Wu et al. 2018, section 4.1; weight
/// decay and augmentation from the authors' released code, which the paper leaves open).
pub static KEYS: &[Key] = &[
    Key {
        name: "data.dataset",
        kind: Kind::Choice(DATASETS),
        default: Default::Text("cifar10"),
        unit: "",
        applies: &[],
        help: "which images; `shapes` is built in",
    },
    Key {
        name: "data.root",
        kind: Kind::Path,
        default: Default::Absent,
        unit: "",
        applies: &[ON_DISK],
        help: "folder with the files; else the home's data/<dataset>",
    },
    Key {
        name: "data.fraction",
        kind: Kind::Float(from_above(0.0, 1.0)),
        default: Default::Float(1.0),
        unit: "",
        applies: &[],
        help: "share of the training images, nested by subset_seed, stratified by class",
    },
    Key {
        name: "data.subset_seed",
        kind: Kind::Int { low: 0, high: i64::MAX as u64 },
        default: Default::Int(0),
        unit: "",
        applies: &[SUBSET],
        help: "which images a fraction takes; two fractions of one seed are nested",
    },
    Key {
        name: "data.classes",
        kind: Kind::Texts,
        default: Default::Absent,
        unit: "",
        applies: &[],
        help: "only these classes; else all",
    },
    Key {
        name: "data.side",
        kind: Kind::Int { low: 8, high: 512 },
        default: Default::Under(&[("folder", 32), ("stl10", 96), ("", 224)]),
        unit: "pixels",
        applies: &[SIZED],
        help: "images are resized and centre-cropped to this side",
    },
    Key {
        name: "data.bad_images",
        kind: Kind::Choice(&["refuse", "skip"]),
        default: Default::Text("refuse"),
        unit: "",
        applies: &[FILES],
        help: "what to do with a file that is no image",
    },
    Key {
        name: "data.split",
        kind: Kind::Choice(&["train", "unlabelled", "all"]),
        default: Default::Text("train"),
        unit: "",
        applies: &[STL10],
        help: "train on the 5,000 labelled images, the 100,000 without labels, or all",
    },
    Key {
        name: "data.resident",
        kind: Kind::Choice(&["auto", "memory", "disk"]),
        default: Default::Text("auto"),
        unit: "",
        applies: &[FILES],
        help: "decode once and keep the squares, or decode and crop whole images for every view; auto: memory up to 2 GiB",
    },
    Key {
        name: "model.backbone",
        kind: Kind::Choice(&[
            "resnet18",
            "resnet34",
            "resnet50",
            "alexnet",
            "vgg16",
            "vgg16_bn",
            "resnet_small",
        ]),
        default: Default::Text("resnet18"),
        unit: "",
        applies: &[],
        help: "torchvision's networks; resnet_small: one block a stage, half the width, for CPUs",
    },
    Key {
        name: "model.dim",
        kind: Kind::Int { low: 1, high: 65_536 },
        default: Default::Int(128),
        unit: "",
        applies: &[],
        help: "embedding dimension D",
    },
    Key {
        name: "model.width",
        kind: Kind::Float(from_above(0.0, 16.0)),
        default: Default::Float(1.0),
        unit: "",
        applies: &[],
        help: "multiplies every channel count",
    },
    Key {
        name: "model.head_init",
        kind: Kind::Choice(&["default", "centred"]),
        default: Default::Text("default"),
        unit: "",
        applies: &[],
        help: "how the linear head starts: as torch starts it, or centred on a first look at the training images",
    },
    Key {
        name: "model.head_norm",
        kind: Kind::Choice(&["none", "batch"]),
        default: Default::Text("none"),
        unit: "",
        applies: &[],
        help: "what stands between head and L2 norm: nothing, or batch normalisation without learned scale and shift",
    },
    Key {
        name: "model.stem",
        kind: Kind::Choice(&["auto", "cifar", "imagenet"]),
        default: Default::Text("auto"),
        unit: "",
        applies: &[],
        help: "the first layers; auto: imagenet for images of more than 64 pixels a side, else cifar",
    },
    Key {
        name: "model.weights",
        kind: Kind::Path,
        default: Default::Absent,
        unit: "",
        applies: &[],
        help: "safetensors file with torchvision's names that the backbone starts from; else random weights",
    },
    Key {
        name: "objective.kind",
        kind: Kind::Choice(KINDS),
        default: Default::Text("nce"),
        unit: "",
        applies: &[],
        help: "how instances are told apart; `supervised` is the ceiling, `random` the untrained floor",
    },
    Key {
        name: "objective.m",
        kind: Kind::Int { low: 1, high: u32::MAX as u64 },
        default: Default::Int(4096),
        unit: "",
        applies: &[COUNTED],
        help: "negatives an instance, drawn with replacement; under moco the length of the queue",
    },
    Key {
        name: "objective.tau",
        kind: Kind::Float(above(0.0)),
        default: Default::Float(0.07),
        unit: "",
        applies: &[TEMPERED],
        help: "temperature τ of the similarities",
    },
    Key {
        name: "objective.z",
        kind: Kind::Choice(&["frozen", "ema", "exact"]),
        default: Default::Text("frozen"),
        unit: "",
        applies: &[NCE],
        help: "normaliser Z: estimated once (the paper), as a moving average, or summed at every step",
    },
    Key {
        name: "objective.z_batches",
        kind: Kind::Int { low: 1, high: u32::MAX as u64 },
        default: Default::Int(1),
        unit: "batches",
        applies: &[NCE, Z_FROZEN],
        help: "Z is the mean over the negatives of this many first batches",
    },
    Key {
        name: "objective.own_slot",
        kind: Kind::Choice(&["keep", "resample"]),
        default: Default::Text("keep"),
        unit: "",
        applies: &[SAMPLED],
        help: "a negative that is the instance's own slot: keep it (the paper) or draw again",
    },
    Key {
        name: "objective.lambda",
        kind: Kind::Float(at_least(0.0)),
        default: Default::Float(0.0),
        unit: "",
        applies: &[BANKED],
        help: "weight λ of the proximal term (Eq. 9–10)",
    },
    Key {
        name: "objective.lambda_from",
        kind: Kind::Int { low: 0, high: u32::MAX as u64 },
        default: Default::Int(0),
        unit: "epoch",
        applies: &[BANKED, PROXIMAL],
        help: "first epoch, from 0, in which λ counts",
    },
    Key {
        name: "objective.bank_momentum",
        kind: Kind::Float(between(0.0, 1.0)),
        default: Default::Float(0.0),
        unit: "",
        applies: &[BANKED],
        help: "share of the old row that a bank update keeps: 0 the paper, 0.5 the released code",
    },
    Key {
        name: "objective.bank_init",
        kind: Kind::Choice(&["random", "encoded"]),
        default: Default::Text("random"),
        unit: "",
        applies: &[BANKED],
        help: "bank at the start: random unit rows (the paper) or one pass of the initial network",
    },
    Key {
        name: "objective.views",
        kind: Kind::Choice(&["original_augmented", "two_augmented"]),
        default: Default::Text("two_augmented"),
        unit: "",
        applies: &[PAIRED],
        help: "the two views of an image: itself and an augmentation (InvaSpread as printed), or two augmentations",
    },
    Key {
        name: "objective.gradient",
        kind: Kind::Choice(&["two_sided", "one_sided"]),
        default: Default::Text("two_sided"),
        unit: "",
        applies: &[INVASPREAD],
        help: "which side of a similarity learns: both (the equations) or the row alone (the released code)",
    },
    Key {
        name: "objective.diagonal",
        kind: Kind::Choice(&["keep", "drop"]),
        default: Default::Text("keep"),
        unit: "",
        applies: &[INVASPREAD],
        help: "a feature's similarity with itself in the denominators: keep (the equations) or drop (the released code)",
    },
    Key {
        name: "objective.negatives",
        kind: Kind::Choice(&["all", "hardest", "easiest", "random"]),
        default: Default::Text("all"),
        unit: "",
        applies: &[IN_BATCH],
        help: "which others of the batch are negatives: all, or a half (invaspread) or one (triplet) of them",
    },
    Key {
        name: "objective.margin",
        kind: Kind::Float(above(0.0)),
        default: Default::Float(0.5),
        unit: "",
        applies: &[TRIPLET],
        help: "by how much the positive's cosine similarity shall exceed a negative's",
    },
    Key {
        name: "objective.transforms",
        kind: Kind::Int { low: 1, high: 1_000_000 },
        default: Default::Int(100),
        unit: "",
        applies: &[EXEMPLAR],
        help: "fixed transformations of each image, taken in turn, an epoch each",
    },
    Key {
        name: "objective.clusters",
        kind: Kind::Int { low: 2, high: 1_000_000 },
        default: Default::Int(100),
        unit: "",
        applies: &[DEEPCLUSTER],
        help: "clusters of k-means",
    },
    Key {
        name: "objective.reassign_every",
        kind: Kind::Int { low: 1, high: 1_000_000 },
        default: Default::Int(1),
        unit: "epochs",
        applies: &[DEEPCLUSTER],
        help: "epochs between two clusterings",
    },
    Key {
        name: "objective.key_momentum",
        kind: Kind::Float(between(0.0, 1.0)),
        default: Default::Float(0.99),
        unit: "",
        applies: &[MOCO],
        help: "share of itself that the key encoder keeps at a step",
    },
    Key {
        name: "augment.crop_min",
        kind: Kind::Float(from_above(0.0, 1.0)),
        default: Default::Float(0.2),
        unit: "",
        applies: &[],
        help: "smallest area share of the random resized crop; 1 = no crop",
    },
    Key {
        name: "augment.jitter",
        kind: Kind::Float(between(0.0, 0.5).closed()),
        default: Default::Float(0.4),
        unit: "",
        applies: &[],
        help: "strength of brightness, contrast, saturation and hue jitter; 0 = none",
    },
    Key {
        name: "augment.grayscale",
        kind: Kind::Float(between(0.0, 1.0).closed()),
        default: Default::Float(0.2),
        unit: "",
        applies: &[],
        help: "probability of a grayscale image",
    },
    Key {
        name: "augment.flip",
        kind: Kind::Bool,
        default: Default::Bool(true),
        unit: "",
        applies: &[],
        help: "horizontal flip with probability 1/2",
    },
    Key {
        name: "augment.rotation",
        kind: Kind::Float(between(0.0, 180.0).closed()),
        default: Default::Float(0.0),
        unit: "degrees",
        applies: &[],
        help: "rotation up to ± this angle; 0 = none",
    },
    Key {
        name: "train.epochs",
        kind: Kind::Int { low: 1, high: 1_000_000 },
        default: Default::Int(200),
        unit: "epochs",
        applies: &[],
        help: "passes over the training images",
    },
    Key {
        name: "train.batch_size",
        kind: Kind::Int { low: 1, high: 65_536 },
        default: Default::Int(128),
        unit: "images",
        applies: &[],
        help: "images a step",
    },
    Key {
        name: "train.lr",
        kind: Kind::Float(above(0.0)),
        default: Default::Float(0.03),
        unit: "",
        applies: &[],
        help: "learning rate at the start",
    },
    Key {
        name: "train.lr_drops",
        kind: Kind::Floats(above(0.0)),
        default: Default::Floats(&[0.6, 0.8]),
        unit: "",
        applies: &[],
        help: "where the rate falls to a tenth: below 1 a share of the run, from 1 on an epoch",
    },
    Key {
        name: "train.momentum",
        kind: Kind::Float(between(0.0, 1.0)),
        default: Default::Float(0.9),
        unit: "",
        applies: &[],
        help: "momentum of SGD",
    },
    Key {
        name: "train.weight_decay",
        kind: Kind::Float(at_least(0.0)),
        default: Default::Float(5e-4),
        unit: "",
        applies: &[],
        help: "weight decay of SGD",
    },
    Key {
        name: "train.precision",
        kind: Kind::Choice(&["auto", "fp32", "bf16"]),
        default: Default::Text("auto"),
        unit: "",
        applies: &[],
        help: "auto: bf16 convolutions where the processor multiplies them in hardware",
    },
    Key {
        name: "train.threads",
        kind: Kind::Int { low: 0, high: 1024 },
        default: Default::Int(0),
        unit: "threads",
        applies: &[],
        help: "threads of the trainer; 0 = one a physical core",
    },
    Key {
        name: "train.checkpoint_every",
        kind: Kind::Int { low: 1, high: 1_000_000 },
        default: Default::Int(1),
        unit: "epochs",
        applies: &[],
        help: "epochs between checkpoints",
    },
    Key {
        name: "eval.knn_k",
        kind: Kind::Int { low: 1, high: 1_000_000 },
        default: Default::Int(200),
        unit: "",
        applies: &[],
        help: "neighbours that vote",
    },
    Key {
        name: "eval.knn_tau",
        kind: Kind::Float(above(0.0)),
        default: Default::Float(0.07),
        unit: "",
        applies: &[],
        help: "temperature of the vote",
    },
    Key {
        name: "eval.every",
        kind: Kind::Int { low: 1, high: 1_000_000 },
        default: Default::Int(10),
        unit: "epochs",
        applies: &[],
        help: "epochs between evaluations; the last epoch is always evaluated",
    },
    Key {
        name: "seed",
        kind: Kind::Int { low: 0, high: i64::MAX as u64 },
        default: Default::Int(0),
        unit: "",
        applies: &[],
        help: "feeds every random number of the run",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_allowed_and_every_condition_names_a_key() {
        for key in KEYS {
            if let Some(default) = key.default.value() {
                assert_eq!(key.kind.check(&default), Some(default), "{}", key.name);
            }
            assert!(key.applies.iter().all(|c| super::key(c.key).is_some()), "{}", key.name);
            assert!(!key.help.is_empty());
        }
    }

    #[test]
    fn the_nearest_key_is_named_with_or_without_its_section() {
        let nearest = |name| nearest(name, KEYS.iter().map(|key| key.name));
        assert_eq!(nearest("objective.lamda"), Some("objective.lambda"));
        assert_eq!(nearest("lamda"), Some("objective.lambda"));
        assert_eq!(nearest("train.lr_drop"), Some("train.lr_drops"));
        assert_eq!(nearest("model.embedding_size"), None);
    }
}
