//! `completions SHELL`.

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Context, Exit};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: instdisc-lab completions bash > ~/.local/share/bash-completion/completions/instdisc-lab"
)]
pub struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub async fn run(self, _context: &Context) -> color_eyre::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut shown(), "instdisc-lab", &mut script);
        super::print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}

/// The command line without what is hidden from people: shells would offer it.
fn shown() -> Command {
    let whole = Cli::command();
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let bare = Command::new("instdisc-lab").args(whole.get_arguments().cloned());
    bare.subcommands(shown.collect::<Vec<_>>())
}
