//! `workers`.

use chrono::{DateTime, Local};
use color_eyre::eyre::Result;

use super::{Context, Exit, FormatArg, print};
use crate::queue::{Slot, slots};
use crate::report::runs;
use crate::report::table::{Format, Table};
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
            let in_hand = store.runs_in(&worker.slot).await?;
            let slot = Slot::parse(&worker.slot);
            let gone =
                slot.is_none_or(|slot| slots::is_free(&context.home, &slot).unwrap_or(false));
            let state = match (gone, worker.draining, in_hand.is_empty()) {
                (true, ..) => "gone",
                (_, true, _) => "draining",
                (_, _, false) => "working",
                _ => "idle",
            };
            table.push([
                worker.slot,
                state.to_owned(),
                named(&in_hand),
                worker.process.pid.to_string(),
                since(worker.since, self.format.format),
            ]);
        }
        print(&table.render(self.format.format))?;
        Ok(Exit::Done)
    }
}

/// By the reader's own clock in the table; else for programs, as everywhere.
fn since(ms: i64, format: Format) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    match format {
        Format::Table => at.with_timezone(&Local).format("%F %T").to_string(),
        _ => runs::time(ms),
    }
}

fn named(runs: &[InHand]) -> String {
    match runs {
        [] => String::new(),
        [run] => run.id.clone(),
        many => format!("{} runs", many.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_the_same_time_wherever_they_run() {
        for format in [Format::Json, Format::Csv] {
            assert_eq!(since(1_000, format), "1970-01-01T00:00:01.000Z");
        }
        assert!(!since(1_000, Format::Table).contains('T'));
    }
}
