//! How a run tells its story: an append-only file of events, one JSON object a line.
//!
//! Owns the vocabulary, the trainer's writer and everybody's reader. Knows nothing of SQL, screens or tensors.
//! The journal is the truth about a run; the database is a copy that can be made again.

pub mod cause;
pub mod event;
mod flusher;
pub mod metric;
mod pieces;
mod point;
pub mod process;
pub mod reader;
pub mod writer;
