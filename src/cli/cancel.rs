//! `cancel RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each};
use super::{Context, Exit};

/// End runs and every process of theirs, without waiting for long.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab cancel proximal-3f2a")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("cancel").await?;
        ask_each(&desk, &self.runs, async |desk, id| desk.cancel(id).await).await
    }
}
