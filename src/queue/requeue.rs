//! `resume` and `retry`: back into the queue, to go on from the last checkpoint.

use std::fs;

use super::desk::{Answer, Desk, QueueError, was_first};
use crate::store::{RunRow, State, Wish, Wished};

impl Desk {
    /// A paused run goes back into the queue.
    pub async fn resume(&self, id: &str) -> Result<Answer, QueueError> {
        let run = self.store.run(id).await?;
        let state = run.state;
        let refused = |words: String| Ok(Answer::Refused(words));
        match state {
            State::Paused => self.requeue(&run, false).await,
            State::Queued | State::Starting | State::Running => Ok(already(state)),
            State::Stopping => refused("is still stopping: resume it once it is paused".into()),
            State::Finished => refused("is finished: there is nothing to resume".into()),
            State::Failed | State::Cancelled | State::Lost => {
                refused(format!("is {state}: `retry` puts it back into the queue"))
            }
        }
    }

    /// A failed, lost or cancelled run goes back into the queue; `fresh`: its next start ignores its checkpoints, also where
    /// it waits already.
    pub async fn retry(&self, id: &str, fresh: bool) -> Result<Answer, QueueError> {
        let run = self.store.run(id).await?;
        let state = run.state;
        let refused = |words: &str| Ok(Answer::Refused(words.to_owned()));
        match state {
            State::Failed | State::Cancelled | State::Lost => self.requeue(&run, fresh).await,
            State::Queued if fresh => {
                let _edits = self.wish(&run.id, self.wish_to_queue(&run, true)).await;
                let done = was_first(self.store.freshen(id).await)?;
                Ok(if done { Answer::Done(ANEW.into()) } else { overtaken() })
            }
            State::Starting | State::Running | State::Paused if fresh => Ok(Answer::Refused(
                format!("is {state}: `cancel` it first, then `retry --fresh` begins it anew"),
            )),
            State::Queued | State::Starting | State::Running => Ok(already(state)),
            State::Stopping => refused("is still stopping: retry it once it has stopped"),
            State::Paused => refused("is paused: `resume` lets it go on"),
            State::Finished => {
                refused("is finished: `queue FILE --again` runs the same once more, under a new id")
            }
        }
    }

    pub(super) async fn requeue(&self, run: &RunRow, fresh: bool) -> Result<Answer, QueueError> {
        let _edits = self.wish(&run.id, self.wish_to_queue(run, fresh)).await;
        let mut change = self.change(None);
        // Behind those that were queued while it was away, also where the clock was put back.
        change.at = change.at.max(self.store.last_in_line().await? + 1);
        let done = self.store.requeue(&run.id, run.state, fresh, change).await;
        if !was_first(done)? {
            return Ok(overtaken());
        }
        let words = match fresh {
            true => ANEW,
            false if self.has_checkpoint(&run.id) => {
                "is queued and goes on from its last checkpoint"
            }
            false => "is queued and begins at its first step: it has no checkpoint",
        };
        Ok(Answer::Done(words.into()))
    }

    fn wish_to_queue(&self, run: &RunRow, fresh: bool) -> Wish {
        Wish { fresh, ..Wish::of(run, Wished::Queue, self.now()) }
    }

    fn has_checkpoint(&self, id: &str) -> bool {
        let entries = fs::read_dir(self.home.run(id).checkpoints()).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        // This file is a checkpoint's commit.
        names.any(|name| name.starts_with("step-") && name.ends_with(".json"))
    }
}

const ANEW: &str = "is queued and begins anew";

fn overtaken() -> Answer {
    Answer::Already("was changed by somebody else just now".into())
}

fn already(state: State) -> Answer {
    Answer::Already(format!("is already {state}"))
}
