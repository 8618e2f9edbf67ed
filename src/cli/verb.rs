//! What `pause`, `resume`, `cancel` and their like share: take RUN…, ask each, say what became of it.

use color_eyre::eyre::Result;

use super::{Context, Exit, bad_input, say};
use crate::queue::{Answer, Desk, QueueError, Workers};

/// RUN…
#[derive(Debug, clap::Args)]
pub struct Runs {
    /// Run ids, or beginnings of them that fit no other.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
}

/// Asks every run. A refusal stops nothing: the others are still asked, and the exit code says so at the end.
pub async fn ask_each(
    desk: &Desk,
    runs: &Runs,
    ask: impl AsyncFn(&Desk, &str) -> Result<Answer, QueueError>,
) -> Result<Exit> {
    let mut ids = Vec::new();
    for text in &runs.runs {
        ids.push(desk.store.resolve(text).await?);
    }
    ask_named(desk, &ids, ask).await
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
