//! `pause RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each};
use super::{Context, Exit};

/// Stop runs at a checkpoint and free their slots.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab pause proximal-3f2a")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("pause").await?;
        ask_each(&desk, &self.runs, async |desk, id| desk.pause(id).await).await
    }
}
