//! `runs [FILTER]`.

use std::io;

use color_eyre::eyre::Result;

use super::{Context, Exit, FormatArg, print, say, untaken};
use crate::filter::Filter;
use crate::report::runs;
use crate::report::table::Format;
use crate::store::{RunRow, Store, StoreError};

/// List runs.
///
/// FILTER: words and FIELD:VALUE, FIELD=VALUE, FIELD>=VALUE … with AND, OR, NOT, parentheses and quotes. Fields: state,
/// tag, experiment, id, device, note, reason, warning, attempt, priority, epoch, pinned, archived, every key of a
/// specification, METRIC.last and METRIC.best. A colon looks inside notes, reasons, warnings, devices, paths and ids, and
/// takes anything else, and a whole id, as it stands: `kind:nce` is not infonce. Commas stand between alternatives, `*` for
/// anything: `backbone:resnet*`.
#[derive(Debug, Default, clap::Args)]
#[command(
    after_help = "Example: instdisc-lab runs 'state:finished objective.lambda>=10 knn_top1.best>60'"
)]
pub struct Args {
    /// Which runs; else all that are not archived.
    filter: Vec<String>,
    /// Archived runs too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let filter = Filter::parse(&self.filter.join(" "))?;
        let all = self.all || filter.mentions_archived();
        let mut found = everything(context).await?;
        filter.check(&found)?;
        found.retain(|run| (all || !run.archived) && filter.matches(run));
        match self.format.format {
            Format::Json => runs::write_json(&found, io::stdout().lock()).map_err(untaken)?,
            format => print(&runs::table(&found, format == Format::Csv).render(format))?,
        }
        Ok(Exit::Done)
    }
}

/// A lab that has not queued anything has no runs; that is no mistake.
async fn everything(context: &Context) -> Result<Vec<RunRow>> {
    match Store::open_readonly(&context.home).await {
        Ok(store) => Ok(store.runs().await?),
        Err(nothing @ StoreError::Missing { .. }) => {
            say(nothing);
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}
