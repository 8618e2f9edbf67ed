//! `doctor`: what works here, what does not, and the cure. Looks only, unless asked to repair.

mod cluster;
mod disk;
mod lab;
mod logout;
mod machine;
mod repair;
mod terminal;

use std::io::IsTerminal;
use std::path::Path;

use super::{Context, Exit, FormatArg, bad_input};
use crate::queue::Where;
use crate::report::table::Table;
use crate::tui::query;

/// Say what works on this machine, what is missing, and how to cure it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status with --check: 0 nothing to cure, 2 something is missing or broken.\n\nExample: instdisc-lab doctor --check"
)]
pub struct Args {
    /// Also hold the whole run log against run directories, journals, checkpoints and processes, and fail if anything
    /// is missing or does not hold.
    #[arg(long)]
    check: bool,
    /// First make the run log whole again from the run directories. A damaged one is set aside, not deleted.
    #[arg(long, conflicts_with = "check")]
    repair: bool,
    /// `slurm`: also ask the cluster, with a job of one second.
    #[arg(long, value_enum, value_name = "L")]
    launcher: Option<Where>,
    #[command(flatten)]
    format: FormatArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    /// Works, but less well than it could.
    Warn,
    /// Something that is needed does not work.
    Missing,
    /// Something that the lab says is not so.
    Broken,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    what: &'static str,
    state: State,
    found: String,
    /// Empty when there is nothing to cure.
    cure: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, state: State::Ok, found: found.into(), cure: String::new() }
    }

    fn warn(what: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what, state: State::Warn, found: found.into(), cure: cure.into() }
    }

    fn broken(what: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what, state: State::Broken, found: found.into(), cure: cure.into() }
    }

    fn missing(what: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what, state: State::Missing, found: found.into(), cure: cure.into() }
    }
}

impl Args {
    pub fn changes(&self) -> bool {
        self.repair
    }

    pub async fn run(self, context: &Context) -> color_eyre::Result<Exit> {
        if self.repair {
            repair::repair(&context.home).await?;
        }
        let mut findings = machine::look();
        findings.extend(lab::look(&context.home, self.check).await);
        if self.launcher == Some(Where::Slurm) {
            findings.extend(cluster::look(&context.home));
        }
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let user = environment("USER").or_else(|| environment("LOGNAME"));
        findings.extend(logout::look(Path::new("/"), user.as_deref()));
        let answers = std::io::stdout().is_terminal().then(query::ask_aside);
        findings.extend(terminal::look(&environment, answers.as_ref()));
        super::print(&table(&findings).render(self.format.format))?;
        let is_bad = |finding: &&Finding| matches!(finding.state, State::Missing | State::Broken);
        let n_missing = findings.iter().filter(is_bad).count();
        if self.check && 0 < n_missing {
            return Err(bad_input(format!("{n_missing} of {} lines need a cure", findings.len())));
        }
        Ok(Exit::Done)
    }
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(["state", "what", "found", "cure"]);
    for finding in findings {
        let state = match finding.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Missing => "missing",
            State::Broken => "broken",
        };
        // Several mistakes in a file are several lines.
        table.push([state, finding.what, &finding.found.replace('\n', "; "), &finding.cure]);
    }
    table
}
