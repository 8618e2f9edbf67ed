//! Tables out: one set of rows, rendered for people and for programs. Knows nothing of how the rows were found.

pub mod ablation;
mod render;
pub mod runs;
pub mod table;

pub use render::shown;

#[cfg(test)]
mod tests;
