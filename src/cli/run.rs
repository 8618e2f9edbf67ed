//! `run FILE…`.

use color_eyre::eyre::Result;

use super::asked::{Asked, Hands};
use super::queue::summary;
use super::table::{declared, named};
use super::watch::{Watched, watch};
use super::{Context, Exit, FormatArg, print, say};
use crate::queue::{Desk, Manner, Plan};
use crate::report::ablation::Options;
use crate::report::beside::together;
use crate::report::table::Format;
use crate::store::{RunRow, State};

/// Queue the runs of experiments, work here until they are done, and print the table.
///
/// Ctrl-C pauses what is at work at a checkpoint; the same command goes on from there.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: instdisc-lab run experiments/proximal.toml --size cpu --set train.epochs=20"
)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    hands: Hands,
    /// Run everything once more, under new ids, whatever is there.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let plans = self.asked.plans(context)?;
        let mut place = self.hands.place(context, &self.asked)?;
        place.rehearse(context).await?;
        let desk = context.first_desk("run").await?;
        let manner = Manner { priority: None, again: self.again, launch: place.launch };
        let mut queued = Vec::new();
        for plan in &plans {
            queued.extend(desk.enqueue(plan, &manner).await?);
        }
        say(summary(&queued));
        let mut ids: Vec<String> = queued.into_iter().map(|queued| queued.id).collect();
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(id.clone()));

        let Watched { runs, interrupted } = watch(&desk, &place.slots, &ids).await?;
        if interrupted {
            let paused: Vec<&str> =
                in_state(&runs, State::Paused).map(|run| run.id.as_str()).collect();
            say(format_args!(
                "Go on with the same command, or with: instdisc-lab resume {}",
                paused.join(" ")
            ));
            return Ok(Exit::Interrupted);
        }
        for run in runs.iter().filter(|run| run.state != State::Finished) {
            let why = run.reason.as_deref().unwrap_or("somebody asked for it");
            say(format_args!("{} is {}: {why}", run.id, run.state));
        }
        print_tables(&desk, &plans, self.format.format).await?;
        let all_finished = runs.iter().all(|run| run.state == State::Finished);
        Ok(if all_finished { Exit::Done } else { Exit::Unfinished })
    }
}

/// What `table` prints, for each experiment.
async fn print_tables(desk: &Desk, plans: &[Plan], format: Format) -> Result<()> {
    let mut tables = Vec::new();
    for Plan { experiment, .. } in plans {
        let record = named(&desk.store, &experiment.name).await?;
        match declared(&desk.store, &record, &Options::default()).await {
            Ok(of_one) => tables.push(of_one),
            // Runs that failed early have nothing to tabulate; what became of them was said already.
            Err(why) => say(format_args!("{} has no table: {why:#}", experiment.name)),
        }
    }
    if tables.is_empty() { Ok(()) } else { print(&together(&tables, format)) }
}

fn in_state(runs: &[RunRow], state: State) -> impl Iterator<Item = &RunRow> {
    runs.iter().filter(move |run| run.state == state)
}
