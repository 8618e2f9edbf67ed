//! What else the run log remembers: experiments, curves, histories, attempts, requests, workers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::model::{Launch, RunId, RunRow, State};
use crate::config::Reference;
use crate::journal::event::{EndState, Figures, Number};
use crate::journal::process::Identity;

/// An experiment as it was last queued, with every run that answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
    pub name: String,
    pub question: String,
    /// The TOML as written.
    pub text: String,
    /// Dotted keys that vary, seed apart, in the order they were written.
    pub factors: Vec<String>,
    pub references: Vec<Reference>,
    /// By ordinal.
    pub members: Vec<Member>,
}

/// A run's place in an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub run: RunId,
    pub varied: Map<String, Value>,
    pub variant: Option<String>,
    pub ordinal: u64,
}

/// A run's place in one experiment, with the experiment itself: what makes both anew where there is no run log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    pub name: String,
    pub question: String,
    /// Place in the grid, from 0.
    pub ordinal: u64,
    pub variant: Option<String>,
    pub varied: Map<String, Value>,
    pub factors: Vec<String>,
    pub references: Vec<Reference>,
    /// The TOML as written.
    pub text: String,
    /// Runs that the grid asks for; 0 where a program wrote this that did not note it.
    #[serde(default)]
    pub planned: u64,
}

/// One measurement. `value` may be NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    pub step: u64,
    pub epoch: f64,
    /// Active seconds.
    pub sec: f64,
    pub value: f64,
}

/// Who changes a run's state, when, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: i64,
    /// In words, for people; shown beside the state.
    pub reason: Option<String>,
    /// A subcommand, a screen, a worker's slot.
    pub by: String,
}

/// One line of a run's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    pub at: i64,
    pub attempt: u32,
    /// Absent when the run was created.
    pub from: Option<State>,
    pub to: State,
    pub reason: Option<String>,
    pub by: String,
}

/// A run that a worker has taken from the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub id: RunId,
    pub attempt: u32,
    /// The trainer is to ignore checkpoints.
    pub fresh: bool,
    /// What is asked of a cluster for it.
    pub launch: Option<Launch>,
}

/// One start of a trainer: by whom, as which process, and how it ended, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub attempt: u32,
    pub slot: Option<String>,
    pub device: Option<String>,
    pub claimed_at: Option<i64>,
    pub process: Option<Identity>,
    pub started_at: Option<i64>,
    pub resumed_step: Option<u64>,
    pub threads: Option<u32>,
    pub precision: Option<String>,
    pub resume: Option<String>,
    /// The node of a cluster, and the job there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// How busy that node was when it last said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    pub ending: Option<Ending>,
}

/// What the journal says about how an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub at: i64,
    pub state: EndState,
    pub step: u64,
    pub reason: String,
}

/// What a person can ask of a run that a process works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Pause,
    Cancel,
}

impl Request {
    pub fn as_str(self) -> &'static str {
        match self {
            Request::Pause => "pause",
            Request::Cancel => "cancel",
        }
    }
}

/// An active run as its worker has it.
#[derive(Clone, Debug, PartialEq)]
pub struct InHand {
    pub id: RunId,
    pub state: State,
    pub attempt: u32,
    /// The node of a cluster, and how busy that was when it last said so.
    pub host: Option<String>,
    pub figures: Option<Figures>,
}

/// A request that waits for the worker of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    pub id: RunId,
    pub request: Request,
    pub at: i64,
    pub by: String,
}

/// What a person last wanted of a run. Kept in the run's directory, so that a run log made anew from the directories
/// neither starts what was cancelled nor forgets what was put back into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    pub what: Wished,
    /// Starts of the run so far. A later start in the journal means that the wish was granted, and is past.
    pub attempt: u32,
    /// With `Queue`: the next start ignores checkpoints.
    #[serde(default)]
    pub fresh: bool,
    /// When; absent where a program wrote this that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
}

impl Wish {
    pub fn of(run: &RunRow, what: Wished, at: i64) -> Self {
        Self { what, attempt: run.attempt, fresh: false, at: Some(at) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wished {
    Queue,
    Pause,
    Cancel,
}

/// A worker that said hello. Whether it still lives is for its lock file to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRow {
    pub slot: String,
    pub device: String,
    pub process: Identity,
    pub since: i64,
    /// Finishes its run and then leaves.
    pub draining: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRow {
    pub step: u64,
    pub attempt: u32,
    pub at: i64,
    /// Relative to the run directory.
    pub file: String,
    /// sha256, hex.
    pub hash: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    pub metric: String,
    pub step: u64,
    pub attempt: u32,
    pub at: i64,
    pub value: Number,
    pub settings: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningRow {
    pub attempt: u32,
    pub step: u64,
    pub at: i64,
    pub code: String,
    pub message: String,
}
