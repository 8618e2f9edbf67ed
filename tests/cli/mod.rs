//! The command line as people and scripts meet it: the real binary, its output and its exit codes.

mod browse;
mod eval;
mod examples;
mod exports;
mod places;
mod refusals;
mod usage;

use std::process::Output;

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
