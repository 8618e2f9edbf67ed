//! The bench's arithmetic. What it measures is measured by `make bench` alone: nothing is timed in tests.

use std::process::Command;

#[test]
fn medians_ratios_and_goals_are_right() {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let mut python = Command::new("python3");
    let python = python.args(["-B", "bench_test.py"]).current_dir(scripts).output();
    let python = python.expect("python3, which scripts/libtorch.sh needs too");
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
}
