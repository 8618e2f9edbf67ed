//! `resume` and `retry`: back into the queue, to go on from the last checkpoint.

use super::desk::{Answer, Desk, QueueError, was_first};
use crate::store::{RunRow, State, Wished};

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

    /// A failed, lost or cancelled run goes back into the queue; `fresh`: its next start ignores its checkpoints.
    pub async fn retry(&self, id: &str, fresh: bool) -> Result<Answer, QueueError> {
        let run = self.store.run(id).await?;
        let state = run.state;
        let refused = |words: &str| Ok(Answer::Refused(words.to_owned()));
        match state {
            State::Failed | State::Cancelled | State::Lost => self.requeue(&run, fresh).await,
            State::Queued | State::Starting | State::Running => Ok(already(state)),
            State::Stopping => refused("is still stopping: retry it once it has stopped"),
            State::Paused => refused("is paused: `resume` lets it go on"),
            State::Finished => {
                refused("is finished: `queue FILE --again` runs the same once more, under a new id")
            }
        }
    }

    pub(super) async fn requeue(&self, run: &RunRow, fresh: bool) -> Result<Answer, QueueError> {
        self.wish(run, Wished::Queue, fresh);
        let mut change = self.change(None);
        // Behind those that were queued while it was away, also where the clock was put back.
        change.at = change.at.max(self.store.last_in_line().await? + 1);
        let done = self.store.requeue(&run.id, run.state, fresh, change).await;
        let words = match (was_first(done)?, fresh) {
            (false, _) => {
                return Ok(Answer::Already("was changed by somebody else just now".into()));
            }
            (true, true) => "is queued and begins anew",
            (true, false) => "is queued and goes on from its last checkpoint",
        };
        Ok(Answer::Done(words.into()))
    }
}

fn already(state: State) -> Answer {
    Answer::Already(format!("is already {state}"))
}
