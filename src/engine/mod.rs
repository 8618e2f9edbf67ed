//! Instance discrimination as algebra; the only room with tensors.
//!
//! A run is: images, an augmentation, an encoder with unit embeddings, a memory bank, an objective over both, and an
//! optimizer; [`train`] is the loop that reads as the algorithm. Knows nothing of SQL, queues or screens: it reads a
//! resolved spec, yields events, and leaves checkpoints.

pub mod attempt;
pub mod elsewhere;
pub mod evaluate;
pub mod examine;
pub mod train;

pub mod ages;
pub mod augment;
pub mod bank;
pub mod batches;
pub mod cluster;
pub mod models;
pub mod objectives;
pub mod optimizer;
pub mod params;
pub mod schedule;

pub mod checkpoint;
pub mod cuda;
pub mod device;
pub mod encoder;
pub mod environment;
pub mod eval;
pub mod finetune;
pub mod recorder;
pub mod slices;
