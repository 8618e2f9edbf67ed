//! The command line: one file a subcommand. Parses, asks the rooms, prints; decides nothing.
//!
//! A subcommand is a file with `Args` (clap, `after_help` with an example) and
//! `pub async fn run(self, context: &Context) -> color_eyre::Result<Exit>`, plus its lines in `Command`.
//! What goes to stdout goes through [`print()`]; everything else a person reads goes to stderr, through [`say`].

// It panics where stderr is gone or full; [`say`] does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

mod archive;
mod asked;
mod cancel;
mod completions;
mod curve;
mod data;
mod demo;
mod doctor;
mod eval;
mod exit;
mod export;
mod keys;
mod launch;
mod logs;
mod neighbors;
mod note;
mod pause;
mod progress;
mod queue;
mod report;
mod resume;
mod retry;
mod rm;
mod run;
mod runs;
mod show;
mod step;
mod table;
mod tag;
mod verb;
mod watch;
mod worker;
mod workers;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use color_eyre::Report;

use crate::lab::Home;
use crate::queue::{Desk, judge};
use crate::report::table::Format;
use crate::store::Store;
use crate::tui;

pub use exit::{BadInput, Exit, bad_input};

/// Names the lab's folder in the environment.
const HOME: &str = "INSTDISC_LAB_HOME";
/// Says in the environment how the terminal draws images.
const IMAGES: &str = "INSTDISC_LAB_IMAGES";

/// Queue a grid of instance-discrimination runs, watch it train, read off the ablation table.
///
/// With no subcommand it opens the screens, or prints the run table where stdout is no terminal.
#[derive(Debug, Parser)]
#[command(
    name = "instdisc-lab",
    version,
    max_term_width = 100,
    after_help = "Example: instdisc-lab run experiments/demo.toml"
)]
pub struct Cli {
    /// The lab's folder; else the nearest `.instdisc-lab` upwards, else `./.instdisc-lab`.
    #[arg(long, global = true, env = HOME, value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    home: Option<PathBuf>,
    /// Open the screens without any key that changes something; a subcommand that changes the lab is refused.
    #[arg(long)]
    readonly: bool,
    /// Open the screens on recorded example runs, in a temporary home that is gone afterwards.
    #[arg(long)]
    demo: bool,
    /// Colours of the screens.
    #[arg(long, env = "INSTDISC_LAB_THEME", value_name = "NAME", value_parser = tui::theme::named)]
    theme: Option<tui::theme::Look>,
    /// Draw the screens with ASCII characters alone.
    #[arg(long)]
    ascii: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Queue(queue::Args),
    Worker(worker::Args),
    Workers(workers::Args),
    Runs(runs::Args),
    Show(show::Args),
    Logs(logs::Args),
    Curve(curve::Args),
    Table(table::Args),
    Eval(eval::Args),
    Neighbors(neighbors::Args),
    Export(export::Args),
    Report(report::Args),
    Keys(keys::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Cancel(cancel::Args),
    Retry(retry::Args),
    Archive(archive::Args),
    Rm(rm::Args),
    Tag(tag::Args),
    Note(note::Args),
    #[command(hide = true)]
    Launch(launch::Args),
    Data(data::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
}

impl Command {
    /// Whether the lab may be another afterwards.
    fn changes(&self) -> bool {
        match self {
            Command::Queue(args) => args.changes(),
            Command::Workers(args) => args.changes(),
            Command::Data(args) => args.changes(),
            Command::Doctor(args) => args.changes(),
            Command::Run(_)
            | Command::Worker(_)
            | Command::Eval(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Cancel(_)
            | Command::Retry(_)
            | Command::Archive(_)
            | Command::Rm(_)
            | Command::Tag(_)
            | Command::Note(_)
            | Command::Launch(_) => true,
            Command::Runs(_)
            | Command::Show(_)
            | Command::Logs(_)
            | Command::Curve(_)
            | Command::Table(_)
            | Command::Neighbors(_)
            | Command::Export(_)
            | Command::Report(_)
            | Command::Keys(_)
            | Command::Completions(_) => false,
        }
    }

    /// Whether it works by `lab.toml`. `doctor` says what is wrong with the file; a trainer that a worker has launched trains
    /// whatever became of it since.
    fn needs_settings(&self) -> bool {
        !matches!(
            self,
            Command::Launch(_)
                | Command::Data(_)
                | Command::Doctor(_)
                | Command::Keys(_)
                | Command::Completions(_)
        )
    }

    async fn run(self, context: &Context) -> color_eyre::Result<Exit> {
        match self {
            Command::Run(args) => args.run(context).await,
            Command::Queue(args) => args.run(context).await,
            Command::Worker(args) => args.run(context).await,
            Command::Workers(args) => args.run(context).await,
            Command::Runs(args) => args.run(context).await,
            Command::Show(args) => args.run(context).await,
            Command::Logs(args) => args.run(context).await,
            Command::Curve(args) => args.run(context).await,
            Command::Table(args) => args.run(context).await,
            Command::Eval(args) => args.run(context).await,
            Command::Neighbors(args) => args.run(context).await,
            Command::Export(args) => args.run(context).await,
            Command::Report(args) => args.run(context).await,
            Command::Keys(args) => args.run(context).await,
            Command::Pause(args) => args.run(context).await,
            Command::Resume(args) => args.run(context).await,
            Command::Cancel(args) => args.run(context).await,
            Command::Retry(args) => args.run(context).await,
            Command::Archive(args) => args.run(context).await,
            Command::Rm(args) => args.run(context).await,
            Command::Tag(args) => args.run(context).await,
            Command::Note(args) => args.run(context).await,
            Command::Launch(args) => args.run(context).await,
            Command::Data(args) => args.run(context).await,
            Command::Doctor(args) => args.run(context).await,
            Command::Completions(args) => args.run(context).await,
        }
    }
}

/// What every subcommand is told.
#[derive(Clone, Debug)]
pub struct Context {
    pub home: Home,
    /// The folder that relative paths are taken from.
    pub cwd: PathBuf,
    /// Whether a person is looking at stdout.
    pub terminal: bool,
}

impl Context {
    /// The lab, to change it; `by` is who asks, for the history. It has to be there: one that is made where somebody
    /// stands by mistake would hide the right one from then on.
    pub async fn desk(&self, by: &str) -> color_eyre::Result<Desk> {
        Ok(Desk::new(self.home.clone(), Store::open_existing(&self.home).await?, by))
    }

    /// As [`Context::desk`], for who brings the first runs and may make the lab.
    pub async fn first_desk(&self, by: &str) -> color_eyre::Result<Desk> {
        Ok(Desk::new(self.home.clone(), Store::open(&self.home).await?, by))
    }
}

/// `--format`, for every subcommand that prints a list or a table.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct FormatArg {
    /// How to print it.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Everything between the process's start and its exit code.
pub fn main() -> ExitCode {
    exit::install_panic_hook();
    match catch_unwind(AssertUnwindSafe(|| exit::settle(start()))) {
        Ok(code) => code,
        Err(_) => exit::fault(),
    }
}

fn start() -> color_eyre::Result<Exit> {
    let cli = Cli::parse();
    if cli.readonly && cli.command.as_ref().is_some_and(Command::changes) {
        return Err(bad_input(
            "--readonly: found a subcommand that changes the lab, allowed: one that only looks",
        ));
    }
    let cwd = std::env::current_dir()?;
    let home = Home::find(named(cli.home.as_deref())?, &cwd);
    let mut context = Context { home, cwd, terminal: io::stdout().is_terminal() };
    // One thread: SQLite has its own, and a second of ours would only hand wakes to and fro.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let demo = if cli.demo { Some(demo::Demo::open().await?) } else { None };
        if let Some(demo) = &demo {
            context.home = demo.home().clone();
        }
        if cli.command.as_ref().is_none_or(Command::needs_settings) {
            judge(&context.home)?;
        }
        match cli.command {
            Some(command) => command.run(&context).await,
            None if context.terminal => {
                check_images(std::env::var(IMAGES).ok().as_deref()).map_err(bad_input)?;
                let (readonly, look, ascii) = (cli.readonly, cli.theme, cli.ascii);
                tui::run(&context.home, tui::Options { readonly, look, ascii })?;
                Ok(Exit::Done)
            }
            None => runs::Args::default().run(&context).await,
        }
    })
}

/// Holds what the environment says of images to what the screens know; nothing is no word.
///
/// # Errors
/// What was found and what is allowed.
fn check_images(wanted: Option<&str>) -> Result<(), String> {
    match wanted {
        None | Some("" | "blocks" | "kitty" | "iterm" | "sixel") => Ok(()),
        Some(other) => {
            Err(format!("{IMAGES}: found {other}, allowed: blocks, kitty, iterm, sixel"))
        }
    }
}

/// What `--home` or the environment names; a variable that is set to nothing names nothing.
fn named(home: Option<&Path>) -> color_eyre::Result<Option<&Path>> {
    match home {
        Some(empty) if empty.as_os_str().is_empty() => {
            let is_variable = std::env::var_os(HOME).is_some_and(|value| value.is_empty());
            let said = "--home: found nothing, allowed: a folder";
            if is_variable { Ok(None) } else { Err(bad_input(said)) }
        }
        home => Ok(home),
    }
}

/// Tells a person something on stderr. Nothing stops where that takes nothing, or nobody reads it.
pub fn say(words: impl Display) {
    let _ = writeln!(io::stderr(), "{words}");
}

/// Writes to stdout. Unlike `println!` it does not panic when the reader has gone.
pub fn print(text: &str) -> color_eyre::Result<()> {
    print_bytes(text.as_bytes())
}

/// [`print()`] for what may be no text.
pub fn print_bytes(bytes: &[u8]) -> color_eyre::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(untaken)
}

/// Why stdout did not take what was written to it: for a person to cure, and no failure where its reader has gone.
pub fn untaken(why: io::Error) -> Report {
    match why.kind() {
        io::ErrorKind::BrokenPipe => why.into(),
        _ => bad_input(format!("standard output: {why}")),
    }
}

/// Why a file that an option names cannot be written.
pub fn unwritable(option: &str, path: &Path) -> impl FnOnce(io::Error) -> Report {
    move |why| bad_input(format!("{option}: {} cannot be written: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;

    /// Every command that people see, with those inside it.
    fn commands(command: &Command) -> Vec<Command> {
        let inside = command.get_subcommands().filter(|inside| !inside.is_hide_set());
        std::iter::once(command.clone()).chain(inside.flat_map(commands)).collect()
    }

    #[test]
    fn a_way_to_draw_images_that_nobody_knows_is_refused() {
        for known in [None, Some(""), Some("blocks"), Some("kitty"), Some("iterm"), Some("sixel")] {
            check_images(known).unwrap();
        }
        assert_eq!(
            check_images(Some("foo")).unwrap_err(),
            "INSTDISC_LAB_IMAGES: found foo, allowed: blocks, kitty, iterm, sixel"
        );
    }

    #[test]
    fn every_help_ends_in_examples_that_are_accepted() {
        for command in commands(&Cli::command()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.split_once("Example").map_or("", |(_, examples)| examples);
            let lines: Vec<&str> = examples
                .lines()
                .filter_map(|line| line.split_once("instdisc-lab "))
                .map(|it| it.1)
                .collect();
            assert!(!lines.is_empty(), "{}: {help}", command.get_name());
            for line in lines {
                let words = shlex::split(line).unwrap();
                let words = words.into_iter().take_while(|word| word != ">");
                let words = std::iter::once("instdisc-lab".to_owned()).chain(words);
                if let Err(why) = Cli::try_parse_from(words) {
                    panic!("{line}: {why}");
                }
            }
        }
    }
}
