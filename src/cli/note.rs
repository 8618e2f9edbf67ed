//! `note RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_each};
use super::{Context, Exit};
use crate::queue::{Answer, Desk};

/// Write a note to runs, in place of what was there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab note proximal-3f2a --text 'diverges after epoch 80'")]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// The note; empty takes it away.
    #[arg(long, value_name = "T")]
    text: String,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("note").await?;
        let ask = async |desk: &Desk, id: &str| {
            desk.note(id, &self.text).await?;
            Ok(Answer::Done("has the note".to_owned()))
        };
        ask_each(&desk, &self.runs, ask).await
    }
}
