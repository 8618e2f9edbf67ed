//! What a representation is worth: evaluations of features, none of which trains the network.
//!
//! Each evaluation is a file with plain functions; [`suite`] puts them to a run's features and names what comes out.

pub mod diagnostics;
pub mod encode;
pub mod knn;
pub mod linear;
pub mod logistic;
mod probes;
mod ranked;
pub mod retrieval;
pub mod suite;
pub mod svm;

#[cfg(test)]
mod parity;
