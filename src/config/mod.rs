//! What a run is: experiment text in, validated [`RunSpec`] out.
//!
//! Owns the keys, their types, ranges and defaults, and the words for what is wrong with a file. Does no I/O:
//! callers hand in text and a name for it. [`keys::KEYS`] is the one table; [`experiment::parse`] reads a file and what
//! the command line lays over it; [`resolve`] turns settings into a spec.

pub mod elsewhere;
pub mod evaluation;
pub mod experiment;
mod fingerprint;
mod idle;
pub mod keys;
pub(crate) mod layer;
mod overlay;
mod preset;
mod problem;
pub mod ranges;
mod reference;
mod resolve;
pub mod rewrite;
mod sections;
pub mod spec;
mod syntax;

pub use experiment::{Experiment, Overrides};
pub use fingerprint::fingerprint;
pub use overlay::judge;
pub use problem::{Invalid, Problem};
pub use reference::{Reference, Status};
pub use resolve::{applies, default, resolve};
pub use spec::RunSpec;

#[cfg(test)]
mod tests;
