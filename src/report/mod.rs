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

/// A number for programs: every digit, and infinities as JSON has them.
pub fn exact(x: f64) -> String {
    match x {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        x => x.to_string(),
    }
}

#[cfg(test)]
mod tests;
