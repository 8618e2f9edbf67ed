//! `queue FILE…`.

use std::collections::BTreeSet;

use color_eyre::eyre::Result;
use serde_json::Value;

use super::asked::{Asked, Hands};
use super::watch::NO_SLOT;
use super::{Context, Exit, FormatArg, print, say};
use crate::config::keys;
use crate::queue::slurm::{array, client};
use crate::queue::{Fate, Manner, Plan, Queued, Root};
use crate::report::table::{Format, Table};
use crate::store::{State, Store, StoreError};

/// Queue the runs of experiments and print their ids; a run that is there already is not run twice.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  instdisc-lab queue experiments/negatives.toml --size cpu --grid seed=0,1,2\n  \
                  instdisc-lab queue experiments/negatives.toml --launcher slurm --set slurm.partition=gpu --set slurm.gpus=1"
)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    hands: Hands,
    /// Only show which runs that would be.
    #[arg(long)]
    dry_run: bool,
    /// Higher goes first; else 0, or what a run that is there already has.
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    priority: Option<i64>,
    /// Run everything once more, under new ids, whatever is there.
    #[arg(long)]
    again: bool,
    /// Leave the runs in the queue; start no worker.
    #[arg(long)]
    no_start: bool,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub fn changes(&self) -> bool {
        !self.dry_run
    }

    pub async fn run(self, context: &Context) -> Result<Exit> {
        let plans = self.asked.plans(context)?;
        let mut place = self.hands.place(context, &self.asked)?;
        if self.dry_run {
            print(&self.preview(context, &plans).await?.render(self.format.format))?;
            if place.launch.is_some() {
                say(arrays(plans.iter().map(|plan| plan.runs.len()).sum()));
            }
            return Ok(Exit::Done);
        }
        place.rehearse(context).await?;
        let desk = context.first_desk("queue").await?;
        let launch = place.launch.clone();
        let manner = Manner { priority: self.priority, again: self.again, launch };
        let mut queued = Vec::new();
        for plan in &plans {
            queued.extend(desk.enqueue(plan, &manner).await?);
        }
        say(summary(&queued));
        let staffed = if self.no_start { Ok(Vec::new()) } else { desk.staff(&place.slots).await };
        let waits = |fate| !matches!(fate, Fate::Shared(state) if state != State::Queued);
        let are_waiting = queued.iter().any(|queued| waits(queued.fate));
        if !self.no_start && place.slots.is_empty() && are_waiting {
            say(format_args!("Nobody starts: {NO_SLOT}."));
        }
        for slot in staffed.iter().flatten() {
            say(format_args!("A worker for {slot} starts."));
        }
        // Last: they are queued whether or not somebody takes their names.
        let printed = print(&listed(&queued, self.format.format));
        staffed?;
        printed?;
        Ok(Exit::Done)
    }

    /// The planned runs, with the state of those that are there already.
    async fn preview(&self, context: &Context, plans: &[Plan]) -> Result<Table> {
        let store = match Store::open_readonly(&context.home).await {
            Ok(store) => Some(store),
            Err(StoreError::Missing { .. }) => None,
            Err(why) => return Err(why.into()),
        };
        let mut factors: Vec<&str> = Vec::new();
        for factor in plans.iter().flat_map(|plan| &plan.experiment.factors) {
            if !factors.contains(&factor.as_str()) {
                factors.push(factor);
            }
        }
        let mut names = vec!["run", "state"];
        names.extend(&factors);
        names.push("seed");
        // As `queue` itself calls it, for programs; people have read it in the first column.
        let for_programs = self.format.format.is_for_programs();
        names.extend(for_programs.then_some("id"));
        let is_number = |key: &&str| keys::key(key).is_some_and(|key| key.kind.is_number());
        let numbers: Vec<&str> = names.iter().copied().filter(is_number).collect();
        let mut table = Table::new(names).right(&numbers);
        for plan in plans {
            for run in &plan.runs {
                let known = match &store {
                    Some(store) if !self.again => store.by_fingerprint(&run.fingerprint).await?,
                    _ => None,
                };
                let new = || {
                    let short = run.fingerprint.get(..8).unwrap_or_default();
                    (format!("{}-{short}", plan.experiment.name), "new".to_owned())
                };
                let (id, state) = known.map_or_else(new, |(id, state)| (id, state.to_string()));
                let value = |key: &&str| run.varied.get(*key).map_or_else(String::new, plain);
                let mut cells = vec![id.clone(), state];
                cells.extend(factors.iter().map(value));
                cells.push(run.spec.seed.to_string());
                cells.extend(for_programs.then_some(id));
                table.push(cells);
            }
        }
        Ok(table)
    }
}

/// Every run once: in the format that is not asked for their bare ids, as other commands take them; else with what became
/// of each.
fn listed(queued: &[Queued], format: Format) -> String {
    let mut seen = BTreeSet::new();
    let once = queued.iter().filter(|queued| seen.insert(queued.id.as_str()));
    if format == Format::Table {
        return once.map(|queued| format!("{}\n", queued.id)).collect();
    }
    let mut table = Table::new(["id", "fate"]);
    for queued in once {
        table.push([queued.id.as_str(), queued.fate.as_str()]);
    }
    table.render(format)
}

/// `Slurm would get 2 arrays, of 1001 and 199 runs.`
fn arrays(runs: usize) -> String {
    let most = client::most_elements().unwrap_or(client::MOST_ELEMENTS);
    match array::split(runs, most).as_slice() {
        [one] => format!("Slurm would get one array, of {one} runs."),
        many => {
            let sizes: Vec<String> = many.iter().map(usize::to_string).collect();
            let words = format!("{} arrays, of {} runs", many.len(), sizes.join(" and "));
            format!("Slurm would get {words}: it takes {most} in one.")
        }
    }
}

/// `3 runs queued; 1 shared with what is there already.`
pub(super) fn summary(queued: &[Queued]) -> String {
    let count = |is: fn(&Fate) -> bool| queued.iter().filter(|queued| is(&queued.fate)).count();
    let runs = |n: usize| if n == 1 { "1 run".to_owned() } else { format!("{n} runs") };
    let mut words = format!("{} queued", runs(count(|fate| *fate == Fate::New)));
    let requeued = count(|fate| matches!(fate, Fate::Requeued(_)));
    if 0 < requeued {
        words.push_str(&format!("; {} put back into the queue", runs(requeued)));
    }
    let shared = count(|fate| matches!(fate, Fate::Shared(_)));
    if 0 < shared {
        words.push_str(&format!("; {} there already, not run twice", runs(shared)));
    }
    let has = |root| queued.iter().filter(|queued| queued.root == root).count();
    match has(Root::Moved) {
        0 => {}
        n => words
            .push_str(&format!("; files are read from another place from now on for {}", runs(n))),
    }
    words.push('.');
    match has(Root::Kept) {
        0 => {}
        n => words.push_str(&format!(
            " {} at work or finished already: files are read from where they were there; `--again` runs anew with the new place.",
            runs(n)
        )),
    }
    words
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
