//! The machine as its screen reads it. What the system does not tell is absent, never zero.

pub use crate::machine::{Gpu, Memory};
use crate::store::RunId;

/// One look at the machine; sizes in bytes, shares in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    pub processor: Option<String>,
    /// How busy each logical processor was since the last look.
    pub cores: Option<Vec<f64>>,
    /// Runnable tasks on average over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    pub memory: Option<Memory>,
    /// Of the file system that the home lies on.
    pub disk: Option<Disk>,
    /// The run log and its write-ahead log.
    pub store: Option<(u64, u64)>,
    /// Why nothing is known of GPUs, where nothing is.
    pub gpus: Result<Vec<Gpu>, String>,
    /// Trainers and workers of this lab, by process number.
    pub processes: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    pub total: u64,
    /// What we may use.
    pub free: u64,
}

/// A process of this lab.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    pub pid: u32,
    pub role: Role,
    /// Processors that it kept busy since the last look: 2.0 = two.
    pub processors: Option<f64>,
    /// Resident bytes.
    pub memory: Option<u64>,
    pub threads: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Trainer(RunId),
    /// With its slot, where its command line names one.
    Worker(Option<String>),
}

/// How far the run log is behind a run's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    pub run: RunId,
    /// Bytes of the journal that are not in the run log yet.
    pub bytes: u64,
}
