//! What a representation is worth: evaluations of features, none of which trains the network.

pub mod encode;
pub mod knn;
