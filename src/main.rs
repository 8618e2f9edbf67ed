//! instdisc-lab: parse, install hooks, dispatch.

use std::process::ExitCode;

fn main() -> ExitCode {
    instdisc_lab::cli::main()
}
