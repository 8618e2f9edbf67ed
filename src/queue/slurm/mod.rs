//! Slurm as its users have it: batch scripts in, job states out.
//!
//! Owns the commands (`sbatch`, `squeue`, `scancel`, `sacct`), what they print, and the folders `slurm/<submission>/` of a
//! home. Knows run directories as places; knows nothing of the run log, and nothing of what a state means for a run.

pub mod array;
pub mod client;
pub mod job;
pub mod scheduler;
mod script;
pub mod settings;
pub mod trace;

pub use settings::Settings;
