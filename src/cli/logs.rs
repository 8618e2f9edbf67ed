//! `logs RUN [-f]`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use color_eyre::eyre::{Result, WrapErr};

use super::verb::resolve;
use super::{Context, Exit, print_bytes, say};
use crate::lab::RunDir;
use crate::queue::is_lost_for_good;
use crate::store::{State, Store};

/// Print what a run's trainer wrote.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab logs proximal-1a2b -f")]
pub struct Args {
    /// Run id, or a beginning of it that fits no other.
    run: String,
    /// Go on printing until the run has ended.
    #[arg(short, long)]
    follow: bool,
    /// Which file.
    #[arg(long, value_enum, default_value_t = What::Output)]
    only: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Standard output and standard error.
    Output,
    Stdout,
    Stderr,
    /// The journal.
    Events,
}

/// Between two looks at the files.
const LOOK: Duration = Duration::from_millis(200);

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let store = Store::open_readonly(&context.home).await?;
        let id = resolve(&context.home, &store, &self.run).await?;
        let mut log = Log::new(&context.home.run(&id), self.only);
        loop {
            // Asked before the files are read: what a run that has ended wrote is there by then.
            let state = store.run(&id).await?.state;
            log.print_new()?;
            let gone = state == State::Lost && is_lost_for_good(&store, &id).await?;
            if !self.follow || state.is_settled() || gone {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        if log.is_empty() && !self.follow {
            let state = store.run(&id).await?.state;
            say(format_args!("{id} has written nothing; it is {state}."));
        }
        Ok(Exit::Done)
    }
}

/// Files that are read as they grow.
struct Log {
    files: Vec<(PathBuf, u64)>,
    /// The file whose lines came last, for the headings between files.
    current: Option<usize>,
}

impl Log {
    fn new(dir: &RunDir, what: What) -> Self {
        let files = match what {
            What::Output => vec![dir.stdout(), dir.stderr()],
            What::Stdout => vec![dir.stdout()],
            What::Stderr => vec![dir.stderr()],
            What::Events => vec![dir.journal()],
        };
        Self { files: files.into_iter().map(|path| (path, 0)).collect(), current: None }
    }

    fn is_empty(&self) -> bool {
        self.files.iter().all(|(_, at)| *at == 0)
    }

    fn print_new(&mut self) -> Result<()> {
        let with_headings = 1 < self.files.len();
        for (i, (path, at)) in self.files.iter_mut().enumerate() {
            let bytes =
                tail(path, *at).wrap_err_with(|| format!("cannot read {}", path.display()))?;
            if bytes.is_empty() {
                continue;
            }
            *at += bytes.len() as u64;
            if with_headings && self.current != Some(i) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                print_bytes(format!("==> {name} <==\n").as_bytes())?;
                self.current = Some(i);
            }
            print_bytes(&bytes)?;
        }
        Ok(())
    }
}

/// What a file holds from `at` on; a file that is not there holds nothing yet.
fn tail(path: &Path, at: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => {
            file.seek(SeekFrom::Start(at))?;
            file.read_to_end(&mut bytes)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(bytes)
}
