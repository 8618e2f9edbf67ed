//! The Slurm launcher on a real Slurm: `make test-slurm`. Needs `slurm-wlm` and root, and is no part of `cargo test` for that.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the other tests, which need more of it")]
mod support;

mod arrays;
mod cluster;
mod disks;
mod failures;
mod keepers;
mod limits;
mod requeues;
