//! `workers`.

use chrono::{DateTime, Local};
use color_eyre::eyre::Result;

use super::{Context, Exit, FormatArg, print};
use crate::queue::{Slot, slots};
use crate::report::table::Table;
use crate::store::{InHand, Store, StoreError};

/// List the workers, or ask them to leave after their current run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab workers --drain")]
pub struct Args {
    /// Ask every worker to leave after its current run.
    #[arg(long)]
    drain: bool,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub fn changes(&self) -> bool {
        self.drain
    }

    pub async fn run(self, context: &Context) -> Result<Exit> {
        if self.drain {
            context.desk("workers").await?.drain(None).await?;
        }
        let mut table = Table::new(["slot", "state", "run", "pid", "since"]).right(&["pid"]);
        let store = match Store::open_readonly(&context.home).await {
            Ok(store) => store,
            Err(StoreError::Missing { .. }) => {
                print(&table.render(self.format.format))?;
                return Ok(Exit::Done);
            }
            Err(why) => return Err(why.into()),
        };
        for worker in store.workers().await? {
            let runs = store.runs_in(&worker.slot).await?;
            let slot = Slot::parse(&worker.slot);
            let gone =
                slot.is_none_or(|slot| slots::is_free(&context.home, &slot).unwrap_or(false));
            let state = match (gone, worker.draining, runs.is_empty()) {
                (true, ..) => "gone",
                (_, true, _) => "draining",
                (_, _, false) => "working",
                _ => "idle",
            };
            let since = DateTime::from_timestamp_millis(worker.since).unwrap_or_default();
            table.push([
                worker.slot,
                state.to_owned(),
                in_hand(&runs),
                worker.process.pid.to_string(),
                since.with_timezone(&Local).format("%F %T").to_string(),
            ]);
        }
        print(&table.render(self.format.format))?;
        Ok(Exit::Done)
    }
}

fn in_hand(runs: &[InHand]) -> String {
    match runs {
        [] => String::new(),
        [run] => run.id.clone(),
        many => format!("{} runs", many.len()),
    }
}
