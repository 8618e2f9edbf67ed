//! The resolved specification of one run: every value that decides its numbers, and nothing else.
//!
//! A key that means nothing under the chosen objective or data set is absent, not defaulted: `m` exists only where
//! negatives are drawn. That is why a full-softmax variant crossed with an axis over m is one run and not four, and
//! why two experiments that ask the same thing share it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::elsewhere::Elsewhere;
use super::evaluation::Evaluation;

/// One run, resolved: `spec.json` in its directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    pub data: DataSpec,
    pub model: ModelSpec,
    pub objective: ObjectiveSpec,
    pub augment: AugmentSpec,
    pub train: TrainSpec,
    pub eval: EvalSpec,
    /// Feeds every random number of the run (see [`crate::random`]).
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// Procedural 32×32 images, ten classes, built in.
    Shapes,
    Cifar10,
    Cifar100,
    /// 96×96; 5,000 labelled images, 100,000 without labels, 8,000 to test on.
    Stl10,
    /// 28×28 digits in IDX files.
    Mnist,
    /// Clothes, in the same files.
    FashionMnist,
    /// Cursive kana, in the same files.
    Kmnist,
    /// Birds; the first 100 classes to train on, the other 100 to test on.
    Cub200,
    /// Cars; the first 98 classes to train on, the other 98 to test on.
    Cars196,
    /// Stanford Online Products; 11,318 classes to train on, 11,316 others to test on.
    Sop,
    /// `train/<class>/*.{jpg,png}` and `test/<class>/*` (or `val`).
    Folder,
}

/// Which of STL-10's images a run trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingSplit {
    /// The 5,000 with labels.
    Train,
    /// The 100,000 without.
    Unlabelled,
    /// Both, the labelled ones first.
    All,
}

/// Where the images of a set of files are while a run trains on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residence {
    /// In memory up to a limit, else on disk.
    #[default]
    Auto,
    /// Decoded once, scaled and cropped to `data.side`; views are cropped out of that square.
    Memory,
    /// Decoded for every view, which is cropped out of the whole image.
    Disk,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    pub dataset: DatasetKind,
    /// Where the files lie; absent = the home's `data/<dataset>`. Part of the fingerprint only for `folder`, where it
    /// says what the data is; elsewhere it only says where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Share of the training images used, in (0, 1]; nested by `subset_seed`, stratified by class.
    pub fraction: f64,
    pub subset_seed: u64,
    /// Share of each class's training images that is set aside before `fraction`: neither trained on nor in the bank, but
    /// there to choose an epoch by, in [0, 1). Not written where it is 0, as in specs from before there was a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub held_out: f64,
    /// Restrict to these classes (names); absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Images are resized and centre-cropped to this side, in pixels. Only where their size is a choice: sets of files
    /// and STL-10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<u32>,
    /// Sets of files: share of an image's shorter side that is seen where nothing is cropped at random, in (0, 1]. Not
    /// written where it is 1, as in specs from before there was a choice.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub crop: f64,
    /// Sets of files: what to do with a file that is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_images: Option<BadImages>,
    /// STL-10 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<TrainingSplit>,
    /// Sets of files. Not written where it is `auto`, as in specs from before there was a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub resident: Residence,
}

impl DataSpec {
    /// All of a data set, as it comes.
    pub fn whole(dataset: DatasetKind) -> Self {
        Self {
            dataset,
            root: None,
            fraction: 1.0,
            subset_seed: 0,
            held_out: 0.0,
            classes: None,
            side: None,
            crop: 1.0,
            bad_images: None,
            split: None,
            resident: Residence::Auto,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadImages {
    Refuse,
    Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    Resnet18,
    Resnet34,
    /// Bottleneck blocks.
    Resnet50,
    Alexnet,
    Vgg16,
    /// Batch normalisation after every convolution.
    Vgg16Bn,
    /// One basic block a stage, half the width: for CPUs.
    ResnetSmall,
}

/// The first layers of a backbone, by the size of the images that they are made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// `imagenet` for images of more than 64 pixels a side, else `cifar`.
    #[default]
    Auto,
    Cifar,
    Imagenet,
}

impl Stem {
    /// What is built for images of `side` pixels.
    pub fn resolved(self, side: usize) -> Self {
        match self {
            Stem::Auto if CIFAR_SIDE < side => Stem::Imagenet,
            Stem::Auto => Stem::Cifar,
            chosen => chosen,
        }
    }

    /// As `model.stem` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stem::Auto => "auto",
            Stem::Cifar => "cifar",
            Stem::Imagenet => "imagenet",
        }
    }
}

/// Images above this side get the ImageNet stem unless the specification says otherwise.
const CIFAR_SIDE: usize = 64;

/// How the head's last layer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadInit {
    /// As torch starts a linear layer.
    Default,
    /// The same weights, scaled and shifted on a first look at training images so that every output has mean 0 and
    /// standard deviation 1: embeddings start spread over the sphere instead of pointing one way.
    Centred,
}

/// How the backbone's weights start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightInit {
    /// Normal with the variance of He et al. 2015, as torchvision's networks.
    #[default]
    He,
    /// Uniform with variance 1 / (3 · fan-in): a layer of torch that nobody initialises, as in the papers' released code for
    /// CIFAR-10.
    Torch,
}

/// What makes D numbers of the pooled features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// One linear layer (the papers).
    #[default]
    Linear,
    /// Two, as wide between as the pooled features, with a ReLU (SimCLR; MoCo v2).
    Mlp,
}

/// What stands between the head and the L2 normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadNorm {
    /// Nothing (the papers).
    None,
    /// Batch normalisation without learned scale and shift: keeps embeddings centred during training too.
    Batch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    pub backbone: Backbone,
    /// Embedding dimension D.
    pub dim: u32,
    /// Multiplies every channel count.
    pub width: f64,
    /// Not written where it is `linear`, as in specs from before there was a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub head: HeadKind,
    pub head_init: HeadInit,
    pub head_norm: HeadNorm,
    /// Not written where it is `he`, as in specs from before there was a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub init: WeightInit,
    /// Not written where it is `auto`, as in specs from before there was a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stem: Stem,
    /// A safetensors file with torchvision's names that the backbone starts from; absent = random. Part of the
    /// fingerprint: it says what the run starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveSpec {
    #[serde(flatten)]
    pub kind: ObjectiveKind,
    /// Weight λ of the proximal term (InstDisc Eq. 9–10).
    pub lambda: f64,
    /// First epoch (from 0) in which λ counts: v_(t-1) exists only from an instance's second visit on.
    pub lambda_from: u32,
    /// Share of the old row that a bank update keeps: 0 = the paper, 0.5 = the released code.
    pub bank_momentum: f64,
    pub bank_init: BankInit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BankInit {
    /// Random unit rows (the paper).
    Random,
    /// One encoding pass of the initial network.
    Encoded,
}

/// The instance term, with the keys that mean something under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectiveKind {
    /// NCE with m negatives an instance (InstDisc Eq. 4–8).
    Nce { m: u32, tau: f64, z: ZMode, z_batches: u32, own_slot: OwnSlot },
    /// Full softmax over the bank (InstDisc Eq. 2).
    Nonparametric { tau: f64 },
    /// Softmax with one learned weight vector an instance (InstDisc Eq. 1, with the τ of Eq. 2).
    Parametric { tau: f64 },
    /// Softmax over the own slot and m sampled negatives.
    Infonce { m: u32, tau: f64, own_slot: OwnSlot },
    /// Invariant and spreading features within the batch (Ye et al. 2019, Eq. 3–7).
    Invaspread {
        tau: f64,
        views: ViewPair,
        gradient: Gradient,
        diagonal: Diagonal,
        negatives: BatchNegatives,
    },
    /// Surrogate classes: each image with `transforms` fixed views is a class (Dosovitskiy et al. 2014).
    Exemplar { tau: f64, transforms: u32 },
    /// Hinge on cosine similarities of a positive and in-batch negatives.
    Triplet { margin: f64, views: ViewPair, negatives: BatchNegatives },
    /// Pseudo-labels by k-means over all features, learned by a classifier (Caron et al. 2018).
    Deepcluster { tau: f64, clusters: u32, reassign_every: u32 },
    /// NT-Xent over two views of a batch (Chen et al. 2020).
    Simclr { tau: f64, views: ViewPair },
    /// InfoNCE against a queue of m keys from a momentum encoder (He et al. 2020).
    Moco { tau: f64, m: u32, key_momentum: f64 },
    /// Class labels in place of instances: the ceiling.
    Supervised { tau: f64 },
    /// No training at all: the floor.
    Random {},
}

/// The two views that an in-batch objective takes of each image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViewPair {
    /// The image as it is, and one augmentation of it (InvaSpread as printed).
    OriginalAugmented,
    /// Two augmentations (InvaSpread as released, SimCLR).
    TwoAugmented,
}

/// Which side of a similarity the gradient reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gradient {
    /// Both features (the equations).
    TwoSided,
    /// The row's feature; the others are constants (InvaSpread as released).
    OneSided,
}

/// Whether a feature's similarity with itself counts in a denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diagonal {
    /// It does (the equations).
    Keep,
    /// It does not (InvaSpread as released).
    Drop,
}

/// Which other instances of the batch are negatives. InvaSpread takes half of them, triplet one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchNegatives {
    All,
    /// Those most similar to the row's feature.
    Hardest,
    /// Those least similar.
    Easiest,
    /// Drawn by the run's seed: what the two above are to be compared with.
    Random,
}

/// How NCE gets its normaliser Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZMode {
    /// Monte-Carlo mean over the first `z_batches` batches' negatives, then frozen (the paper).
    Frozen,
    /// Exponential moving average of the batch estimates.
    Ema,
    /// Summed over the whole bank at every step.
    Exact,
}

/// What happens to a drawn negative that is the instance's own slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnSlot {
    Keep,
    Resample,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentSpec {
    /// Smallest area share of RandomResizedCrop, in (0, 1]; 1 = no crop.
    pub crop_min: f64,
    /// Strength of brightness, contrast, saturation and hue jitter, in [0, 0.5]; 0 = none.
    pub jitter: f64,
    /// Strength of the jitter of the hue where it is another, in [0, 0.5] of a turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hue: Option<f64>,
    /// Probability of the jitter. Not written where it is 1, as in specs from before there was a choice.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub jitter_p: f64,
    /// Probability of a grayscale image.
    pub grayscale: f64,
    /// Horizontal flip with probability 1/2.
    pub flip: bool,
    /// Rotation up to ± this many degrees; 0 = none.
    pub rotation: f64,
}

impl AugmentSpec {
    /// Nothing is changed about an image.
    pub const NONE: AugmentSpec = AugmentSpec {
        crop_min: 1.0,
        jitter: 0.0,
        hue: None,
        jitter_p: 1.0,
        grayscale: 0.0,
        flip: false,
        rotation: 0.0,
    };

    /// Strength of the jitter of the hue, in [0, 0.5] of a turn.
    pub fn hue(&self) -> f64 {
        self.hue.unwrap_or(self.jitter)
    }

    /// Whether colours are changed at all.
    pub fn jitters(&self) -> bool {
        0.0 < self.jitter.max(self.hue()) && 0.0 < self.jitter_p
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// bf16 convolutions where processor or GPU multiplies them in hardware, else fp32.
    Auto,
    Fp32,
    Bf16,
}

/// How the learning rate falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// In steps at `train.lr_drops` (the papers).
    #[default]
    Steps,
    /// Along half a cosine towards 0.
    Cosine,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    pub epochs: u32,
    pub batch_size: u32,
    pub lr: f64,
    /// Not written where it is `steps`, as in specs from before there was a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: Schedule,
    /// How long the rate rises to `lr` at first: below 1 a share of the run, from 1 on epochs. Not written where it is 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub warmup: f64,
    /// Where the learning rate falls: below 1 a share of the run, from 1 on an epoch.
    pub lr_drops: Vec<f64>,
    /// What of `lr` is left from each of these on; to a tenth of what was before where nothing is said. Not written where
    /// there are none, as in specs from before there was a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lr_factors: Vec<f64>,
    pub momentum: f64,
    pub weight_decay: f64,
    pub precision: Precision,
    /// Threads of the trainer; 0 = one a physical core, shared among the slots.
    pub threads: u32,
    /// Epochs between checkpoints.
    pub checkpoint_every: u32,
    /// Parts of a batch, all its views together, that take statistics of their own. Not written where it is 1, as in
    /// specs from before there was a choice.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub bn_splits: u32,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn whole() -> f64 {
    1.0
}

fn is_whole(share: &f64) -> bool {
    *share == 1.0
}

fn one() -> u32 {
    1
}

fn is_one(n: &u32) -> bool {
    *n == 1
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalSpec {
    /// Neighbours that vote.
    pub knn_k: u32,
    /// Temperature of the vote; its own key, not the objective's τ.
    pub knn_tau: f64,
    /// Whether the pooled features vote too, beside the embedding. Not written where they do not, as in specs from before there
    /// was a choice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub knn_pooled: bool,
    /// Epochs between evaluations; the last epoch is always evaluated.
    pub every: u32,
    /// Evaluations that the run itself makes when it has trained to the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Evaluation>,
    /// Other data sets that it makes them on too. Where their files lie is no part of the fingerprint, as with `data.root`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Elsewhere>,
}
