//! The event vocabulary: what a run says about itself, one JSON object a line. No I/O here.
//!
//! Readers ignore events and fields they do not know, so new ones may be added; a field is never given a new meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the line format.
pub const VERSION: u32 = 1;

/// The largest step, tick or time of a line: up to here charts, and most of what reads JSON, tell a whole number from its
/// neighbours. A run log would keep some more.
pub const LARGEST: u64 = 1 << 53;

/// No run is started more often.
pub const MOST_ATTEMPTS: u32 = i32::MAX as u32;

/// Metrics that runs of today write. More may come, so this is for hints, not for checks.
pub const METRICS: [&str; 19] = [
    "loss",
    "loss/instance",
    "loss/proximal",
    "loss/roughness",
    "knn_top1",
    "knn_top5",
    "knn_top1_bank",
    "knn_top1_held_out",
    "knn_top1_selected",
    "knn_top1/pooled",
    "svm_top1",
    "linear_top1/embedding",
    "spread",
    "rankme",
    "slot_cosine",
    "lr",
    "images_per_second",
    "z",
    "z/exact",
];

/// One line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub v: u32,
    #[serde(flatten)]
    pub event: Event,
    /// Counts starts of the trainer on this run, from 1.
    pub attempt: u32,
    /// Counts lines of this attempt, from 0.
    pub seq: u64,
    /// Milliseconds since 1970, UTC.
    pub at: i64,
}

impl Line {
    /// What no writer of ours would say, although the shape is right: a run log could not keep it.
    pub fn flaw(&self) -> Option<&'static str> {
        let nameless = match &self.event {
            Event::Start(Start { metrics, .. }) | Event::Declare(Declare { metrics }) => {
                metrics.iter().any(|metric| metric.name.is_empty())
            }
            Event::Point(point) => point.m.contains_key(""),
            Event::Eval(eval) => eval.metric.is_empty(),
            _ => false,
        };
        let largest = match &self.event {
            Event::Start(start) => start.resumed_step.max(start.steps).max(start.start_ticks),
            Event::Point(Point { step, .. })
            | Event::Checkpoint(Checkpoint { step, .. })
            | Event::Eval(Eval { step, .. })
            | Event::Warn(Warn { step, .. })
            | Event::End(End { step, .. }) => *step,
            Event::Declare(_) | Event::Figures(_) | Event::Unknown => 0,
        };
        match self.attempt {
            0 => Some("attempts count from 1"),
            _ if MOST_ATTEMPTS < self.attempt => Some("nothing is attempted as often as that"),
            _ if LARGEST < largest => Some("a step or a tick is beyond 2^53"),
            _ if LARGEST < self.at.unsigned_abs() => Some("its time is beyond 2^53"),
            _ if nameless => Some("a metric has no name"),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Event {
    Start(Start),
    Point(Point),
    Checkpoint(Checkpoint),
    Eval(Eval),
    Warn(Warn),
    Declare(Declare),
    Figures(Figures),
    End(End),
    /// An event of a later version.
    #[serde(other)]
    Unknown,
}

/// The trainer holds `run.lock` and is about to train. Points of earlier attempts beyond `resumed_step` are void.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub pid: u32,
    pub boot_id: String,
    /// `/proc/<pid>/stat` field 22.
    pub start_ticks: u64,
    /// `cpu` or `cuda:<i>`.
    pub device: String,
    pub threads: u32,
    /// `fp32` or `bf16`, as resolved.
    pub precision: String,
    /// Step of the checkpoint it goes on from; 0 = from the beginning.
    pub resumed_step: u64,
    /// Steps and epochs of the whole run.
    pub steps: u64,
    pub epochs: u32,
    /// `exact` or `best effort`: what a resume of this run promises.
    pub resume: String,
    /// On a cluster: the node's name and the scheduler's name for the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Which metrics may come, with unit and direction.
    pub metrics: Vec<MetricInfo>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Lower,
    Higher,
    Neither,
}

/// What a metric's number means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricInfo {
    pub name: String,
    pub unit: String,
    pub better: Better,
}

/// Values at one step. `sec` is active seconds over all attempts, pauses excluded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub step: u64,
    pub epoch: f64,
    pub sec: f64,
    pub m: BTreeMap<String, Number>,
}

/// A checkpoint is committed: its `.json` has been renamed into place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub step: u64,
    pub file: String,
    /// sha256 of `file`, hex.
    pub hash: String,
}

/// An evaluation and everything that defines it, beside the number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    pub step: u64,
    pub metric: String,
    pub value: Number,
    /// k, τ, bank (`clean` or `training`), sizes.
    pub settings: BTreeMap<String, serde_json::Value>,
}

/// Something a person should look at; the run goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warn {
    pub step: u64,
    /// Short and stable, for filters: `loss_at_chance`, `damaged_checkpoint`, `m_exceeds_n`, …
    pub code: String,
    pub message: String,
}

/// Metrics that come after all, beyond those of [`Start`]: evaluations that were asked for later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Declare {
    pub metrics: Vec<MetricInfo>,
}

/// How busy a node of a cluster is, as nobody elsewhere can see: told now and then while its run trains. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Logical processors of the node, and how many of them were busy since the last time.
    pub cores: u32,
    pub busy: f64,
    pub memory_total: u64,
    pub memory_used: u64,
    /// The GPU that the run trains on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuFigures>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuFigures {
    pub name: String,
    /// Share of the time, in [0, 1]; absent where the driver does not tell.
    pub busy: Option<f64>,
    pub memory_total: u64,
    pub memory_used: u64,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    pub state: EndState,
    pub step: u64,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    Finished,
    /// Stopped at a checkpoint on request.
    Stopped,
    Failed,
}

/// A number as JSON can carry it: NaN and the infinities are the strings `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl PartialEq for Number {
    /// Equal bits: NaN equals itself and 0 differs from −0, because this compares records, not quantities.
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_nan() => out.serialize_str("NaN"),
            f64::INFINITY => out.serialize_str("Infinity"),
            f64::NEG_INFINITY => out.serialize_str("-Infinity"),
            x => out.serialize_f64(x),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }

            fn visit_f64<E>(self, x: f64) -> Result<Number, E> {
                Ok(Number(x))
            }

            fn visit_i64<E>(self, x: i64) -> Result<Number, E> {
                Ok(Number(x as f64))
            }

            fn visit_u64<E>(self, x: u64) -> Result<Number, E> {
                Ok(Number(x as f64))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "NaN" => Ok(Number(f64::NAN)),
                    "Infinity" => Ok(Number(f64::INFINITY)),
                    "-Infinity" => Ok(Number(f64::NEG_INFINITY)),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }
        from.deserialize_any(Visitor)
    }
}
