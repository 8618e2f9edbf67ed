//! The run log: runs, points, summaries, state changes. The only room with SQL.
//!
//! Knows nothing of tensors, screens or processes. One writer connection in immediate transactions, read-only readers,
//! `schema.sql` is the whole schema on one page.

pub mod model;

pub use model::{IllegalTransition, Progress, RunId, RunRow, State, Summary};
