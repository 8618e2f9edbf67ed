//! `retry RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each, start_workers};
use super::{Context, Exit};
use crate::queue::Desk;

/// Put failed, lost or cancelled runs back into the queue.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab retry proximal-3f2a --fresh")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Begin anew instead of going on from the last checkpoint.
    #[arg(long)]
    fresh: bool,
    /// Leave it in the queue; start no worker.
    #[arg(long)]
    no_start: bool,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("retry").await?;
        let ask = async |desk: &Desk, id: &str| desk.retry(id, self.fresh).await;
        let exit = ask_each(&desk, &self.runs, ask).await?;
        if !self.no_start {
            start_workers(context, &desk).await?;
        }
        Ok(exit)
    }
}
