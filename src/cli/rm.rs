//! `rm RUN…`.

use color_eyre::eyre::Result;

use super::verb::{Runs, ask_named};
use super::{Context, Exit};
use crate::queue::{Desk, in_trash};
use crate::store::{RunId, StoreError};

/// Move runs into the trash with everything they wrote, and back. Live runs are refused.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  instdisc-lab rm proximal-3f2a\n  instdisc-lab rm --undo proximal-3f2a5b6c"
)]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// Take them out of the trash again (whole ids).
    #[arg(long, conflicts_with = "filter")]
    undo: bool,
    /// Delete them for good, from the trash too (whole ids).
    #[arg(long, conflicts_with = "undo")]
    forever: bool,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let desk = context.desk("rm").await?;
        if self.undo {
            let ask = async |desk: &Desk, id: &str| desk.unremove(id).await;
            return ask_named(&desk, &self.runs.named, ask).await;
        }
        let mut ids = self.runs.found(&desk.store).await?;
        for text in &self.runs.named {
            ids.push(if self.forever { text.clone() } else { meant(&desk, text).await? });
        }
        if self.forever {
            ask_named(&desk, &ids, async |desk, id| desk.remove_forever(id).await).await
        } else {
            ask_named(&desk, &ids, async |desk, id| desk.remove(id).await).await
        }
    }
}

/// A run of the lab, else one in the trash: removing is safe to repeat.
async fn meant(desk: &Desk, text: &str) -> Result<RunId> {
    match desk.store.resolve(text).await {
        Err(unknown @ StoreError::UnknownRun { .. }) => {
            in_trash(&desk.home, text)?.ok_or_else(|| unknown.into())
        }
        found => Ok(found?),
    }
}
