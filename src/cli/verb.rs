//! What `pause`, `resume`, `cancel` and their like share: take RUN… or a filter, ask each, say what became of it.

use color_eyre::eyre::Result;

use super::{Context, Exit, bad_input, say};
use crate::filter::Filter;
use crate::lab::Home;
use crate::queue::{Answer, Desk, QueueError, Workers, in_trash};
use crate::store::{RunId, Store, StoreError};

/// RUN…, or a filter.
#[derive(Debug, clap::Args)]
pub struct Runs {
    /// Run ids, or beginnings of them that fit no other.
    #[arg(required_unless_present = "filter", value_name = "RUN")]
    pub named: Vec<String>,
    /// All runs that `runs FILTER` lists, in place of ids.
    #[arg(long = "where", value_name = "FILTER", conflicts_with = "named")]
    filter: Option<String>,
}

impl Runs {
    /// Those meant, by whole ids.
    pub async fn ids(&self, home: &Home, store: &Store) -> Result<Vec<RunId>> {
        let mut ids = self.found(store).await?;
        for text in &self.named {
            ids.push(resolve(home, store, text).await?);
        }
        Ok(ids)
    }

    /// Those that the filter finds, archived ones only where it speaks of them. That it finds none is said, and no mistake:
    /// what is asked for may be done already.
    pub async fn found(&self, store: &Store) -> Result<Vec<RunId>> {
        let Some(text) = &self.filter else { return Ok(Vec::new()) };
        // As a script's unset variable would be: nobody means every run there is.
        if text.trim().is_empty() {
            return Err(bad_input("--where: found nothing, allowed: a filter as `runs` takes it"));
        }
        let filter = Filter::parse(text)?;
        let archived = filter.mentions_archived();
        let mut runs = store.runs().await?;
        filter.check(&runs)?;
        runs.retain(|run| (archived || !run.archived) && filter.matches(run));
        if runs.is_empty() {
            say(format_args!("No run matches {text}."));
        }
        Ok(runs.into_iter().map(|run| run.id).collect())
    }
}

/// The run that a person means. Of one that was removed it is said where it lies.
pub async fn resolve(home: &Home, store: &Store, text: &str) -> Result<RunId> {
    match store.resolve(text).await {
        Err(unknown @ StoreError::UnknownRun { .. }) => Err(match in_trash(home, text)? {
            Some(id) => bad_input(format!(
                "run {id} is in the trash: `instdisc-lab rm --undo {id}` brings it back"
            )),
            None => unknown.into(),
        }),
        found => Ok(found?),
    }
}

/// Asks every run. A refusal stops nothing: the others are still asked, and the exit code says so at the end.
pub async fn ask_each(
    desk: &Desk,
    runs: &Runs,
    ask: impl AsyncFn(&Desk, &str) -> Result<Answer, QueueError>,
) -> Result<Exit> {
    ask_named(desk, &runs.ids(&desk.home, &desk.store).await?, ask).await
}

/// As [`ask_each`], of runs that need not be in the run log.
pub async fn ask_named(
    desk: &Desk,
    ids: &[String],
    ask: impl AsyncFn(&Desk, &str) -> Result<Answer, QueueError>,
) -> Result<Exit> {
    let mut refused = Vec::new();
    for id in ids {
        match ask(desk, id).await? {
            Answer::Done(words) | Answer::Already(words) => say(format_args!("{id} {words}.")),
            Answer::Refused(words) => refused.push(format!("{id} {words}")),
        }
    }
    if refused.is_empty() { Ok(Exit::Done) } else { Err(bad_input(refused.join("\n"))) }
}

/// Somebody has to take up what was put back into the queue.
pub async fn start_workers(context: &Context, desk: &Desk) -> Result<()> {
    let slots = Workers::load(&context.home)?.chosen(None, None);
    if slots.is_empty() && 0 < desk.store.demand().await?.waiting_here {
        say(
            "Nobody starts: lab.toml leaves no slot to work on; `instdisc-lab worker --device cpu` works all the same.",
        );
    }
    for slot in desk.staff(&slots).await? {
        say(format_args!("A worker for {slot} starts."));
    }
    Ok(())
}
