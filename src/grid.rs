//! An experiment becomes an ordered list of runs: the product of its axes, seeds innermost. Pure.

use serde_json::{Map, Value};

use crate::config::{Experiment, Invalid, RunSpec};

/// A run that an experiment asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub spec: RunSpec,
    pub fingerprint: String,
    /// The experiment's factors as this run has them, `seed` left out; a factor that means nothing here is absent.
    pub varied: Map<String, Value>,
    pub variant: Option<String>,
}

/// Runs in order, each fingerprint once.
pub fn expand(experiment: &Experiment) -> Result<Vec<Planned>, Invalid> {
    let _ = experiment;
    Ok(Vec::new())
}
