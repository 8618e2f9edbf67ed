//! One run as the run screen reads it: what the run log knows beyond its row, its environment, its log.

use serde_json::Value;

use crate::store::{Attempt, CheckpointRow, EvaluationRow, RunId, StateChange, WarningRow};

/// What is known of one run beside its row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    pub run: RunId,
    /// Its directory.
    pub path: String,
    pub history: Vec<StateChange>,
    pub attempts: Vec<Attempt>,
    pub checkpoints: Vec<CheckpointRow>,
    pub evaluations: Vec<EvaluationRow>,
    pub warnings: Vec<WarningRow>,
    /// `env.json`, once the run has been started.
    pub env: Option<Value>,
}

/// What its trainer wrote: printable lines of both files, the last few thousand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    pub run: RunId,
    pub lines: Vec<String>,
}
