//! Tables out: one set of rows, rendered for people and for programs. Knows nothing of how the rows were found.

pub mod ablation;
pub mod again;
pub mod beside;
pub mod declared;
pub mod evaluations;
pub mod figure;
mod indented;
mod notes;
pub mod page;
pub mod parquet;
pub mod raster;
mod render;
pub mod runs;
pub mod setting;
pub mod sheet;
pub mod table;
pub mod tensorboard;

pub use render::{digits, json_of, shown};

#[cfg(test)]
mod tests;
