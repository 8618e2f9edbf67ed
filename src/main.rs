//! instdisc-lab: parse, install hooks, dispatch.
fn main() {}
