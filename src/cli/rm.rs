//! `rm RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each};
use super::{Context, Exit};

/// Delete runs with everything they wrote. Live runs are refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab rm proximal-3f2a")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("rm").await?;
        ask_each(&desk, &self.runs, async |desk, id| desk.remove(id).await).await
    }
}
