//! Drawing, one thing a file: each knows cells and styles, and nothing of runs that are not handed to it.

pub mod axes;
pub mod dots;
pub mod level;
pub mod plot;
pub mod range;
pub mod slice;
