//! `resume RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each, start_workers};
use super::{Context, Exit};

/// Put paused runs back into the queue, to go on from their last checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab resume proximal-3f2a")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Leave it in the queue; start no worker.
    #[arg(long)]
    no_start: bool,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("resume").await?;
        let exit = ask_each(&desk, &self.runs, async |desk, id| desk.resume(id).await).await?;
        if !self.no_start {
            start_workers(context, &desk).await?;
        }
        Ok(exit)
    }
}
