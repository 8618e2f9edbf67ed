//! What keeps a run from going on.

use crate::data::DataError;
use crate::engine::checkpoint::CheckpointError;
use crate::engine::models::ModelError;
use crate::journal::writer::WriteError;

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{key}: found {found}, allowed: {allowed}")]
    Unfit { key: &'static str, found: String, allowed: String },
    #[error("cannot start a thread that reads images: {0}")]
    Thread(std::io::Error),
    #[error(transparent)]
    Journal(#[from] WriteError),
    #[error("{what} is {value} at step {step}; {last_good}")]
    NotFinite { what: String, value: f64, step: u64, last_good: String },
    #[error("cannot go on from checkpoint step-{step}: {why}")]
    Restore { step: u64, why: String },
    #[error(
        "the data set is not the one this run started with: found {found}, allowed: {expected}"
    )]
    DataChanged { found: String, expected: String },
}
