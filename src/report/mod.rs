//! Tables out: one set of rows, rendered for people and for programs. Knows nothing of how the rows were found.

pub mod table;
