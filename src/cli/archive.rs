//! `archive RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each};
use super::{Context, Exit};
use crate::queue::{Answer, Desk};

/// Take runs out of everyday sight, or back with --undo.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab archive proximal-3f2a")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Bring them back.
    #[arg(long)]
    undo: bool,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("archive").await?;
        let ask = async |desk: &Desk, id: &str| {
            desk.archive(id, !self.undo).await?;
            let words = if self.undo { "is back from the archive" } else { "is archived" };
            Ok(Answer::Done(words.to_owned()))
        };
        ask_each(&desk, &self.runs, ask).await
    }
}
