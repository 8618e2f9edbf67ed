//! Everything that needs real processes, a real SQLite or a real terminal: one binary, because linking is slow.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod bench;
mod cli;
mod data;
mod experiments;
mod faults;
mod ingest;
mod journal;
#[cfg(target_os = "linux")]
mod linking;
mod overload;
mod queue;
mod rebuild;
mod store;
mod support;
mod tui;
mod walls;
