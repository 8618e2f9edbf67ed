//! What a run is: experiment text in, validated [`RunSpec`] out.
//!
//! Owns the keys, their types, ranges and defaults, and the words for what is wrong with a file. Does no I/O:
//! callers hand in text and a name for it.

pub mod experiment;
mod fingerprint;
mod problem;
pub mod reference;
pub mod spec;

pub use experiment::{Experiment, Overrides};
pub use fingerprint::fingerprint;
pub use problem::{Invalid, Problem};
pub use reference::Reference;
pub use spec::RunSpec;
