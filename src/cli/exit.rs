//! How the program ends: the exit codes and the one line that says why. The only place that knows either.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use color_eyre::Report;

use crate::config::Invalid;
use crate::data::DataError;
use crate::filter::FilterError;
use crate::queue::worker::WorkerError;
use crate::queue::{QueueError, SettingsError};
use crate::report::ablation::AblationError;
use crate::saved::SavedError;
use crate::store::StoreError;
use crate::tui::TuiError;

/// How a subcommand ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// A run that was waited for did not finish.
    Unfinished,
    Interrupted,
}

/// What a person has to change: exit code 2. Everything else that goes wrong is a fault of ours: 70.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadInput(pub String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// A report that exits with 2 and says `message`.
pub fn bad_input(message: impl Into<String>) -> Report {
    Report::new(BadInput(message.into()))
}

const BAD_INPUT: u8 = 2;
const FAULT: u8 = 70;

/// Prints what went wrong, if anything, and picks the exit code.
pub(super) fn settle(outcome: color_eyre::Result<Exit>) -> ExitCode {
    let report = match outcome {
        Ok(Exit::Done) => return ExitCode::SUCCESS,
        Ok(Exit::Unfinished) => return ExitCode::from(1),
        Ok(Exit::Interrupted) => return ExitCode::from(130),
        Err(report) => report,
    };
    if reader_is_gone(&report) {
        return ExitCode::SUCCESS;
    }
    // Best effort: standard error may be closed too.
    let _ = writeln!(io::stderr(), "error: {report:#}");
    ExitCode::from(if is_bad_input(&report) { BAD_INPUT } else { FAULT })
}

/// One line for each kind of error that a person can cure. A room's error joins by being named here.
fn is_bad_input(report: &Report) -> bool {
    report.chain().any(|cause| {
        cause.is::<BadInput>()
            || cause.is::<Invalid>()
            || cause.is::<FilterError>()
            || cause.is::<AblationError>()
            || cause.is::<DataError>()
            || cause.is::<SettingsError>()
            || cause.is::<SavedError>()
            || cause.downcast_ref().is_some_and(QueueError::is_curable)
            || cause.downcast_ref().is_some_and(StoreError::is_curable)
            || cause.downcast_ref().is_some_and(WorkerError::is_curable)
            || cause.downcast_ref().is_some_and(TuiError::is_curable)
    })
}

/// `instdisc-lab runs | head` is no failure.
fn reader_is_gone(report: &Report) -> bool {
    let broken = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    report.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

/// Replaces the backtrace that Rust prints by one line. `main` turns the panic itself into exit code 70.
pub(super) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(|at| format!(" ({at})")).unwrap_or_default();
        let _ = writeln!(io::stderr(), "instdisc-lab: internal fault: {message}{place}");
    }));
}

pub(super) fn fault() -> ExitCode {
    ExitCode::from(FAULT)
}
