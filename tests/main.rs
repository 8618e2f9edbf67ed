//! Everything that needs real processes, a real SQLite or a real terminal: one binary, because linking is slow.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod experiments;
mod ingest;
mod journal;
mod store;
mod support;
mod walls;
