//! `pause` and `cancel`: settled at once where no process works on the run, else left as a request for its worker.

use super::desk::{Answer, Desk, QueueError, was_first};
use crate::store::{Request, RunRow, State, StoreError, Wish, Wished};

/// Times a verb looks again when the run changes under its hands.
pub(super) const LOOKS: usize = 20;

impl Desk {
    /// Asks for a checkpoint and the slot back.
    pub async fn pause(&self, id: &str) -> Result<Answer, QueueError> {
        self.stop(id, Request::Pause).await
    }

    /// Asks for the end of every process of the run.
    pub async fn cancel(&self, id: &str) -> Result<Answer, QueueError> {
        self.stop(id, Request::Cancel).await
    }

    async fn stop(&self, id: &str, request: Request) -> Result<Answer, QueueError> {
        for _ in 0..LOOKS {
            let run = self.store.run(id).await?;
            if let Some(answer) = self.try_to_stop(&run, request).await? {
                return Ok(answer);
            }
        }
        Err(QueueError::Restless(id.to_owned()))
    }

    /// None when the run changed meanwhile.
    async fn try_to_stop(
        &self,
        run: &RunRow,
        request: Request,
    ) -> Result<Option<Answer>, QueueError> {
        use State::{Cancelled, Failed, Finished, Lost, Paused, Queued};
        let (goal, wish, wished) = match request {
            Request::Pause => (Paused, "pause", Wished::Pause),
            Request::Cancel => (Cancelled, "cancel", Wished::Cancel),
        };
        match (run.state, request) {
            (state, _) if state == goal => Ok(Some(Answer::Already(format!("is already {goal}")))),
            (Queued, _) | (Paused | Lost, Request::Cancel) => {
                let change = self.change(None);
                let _edits = self.wish(&run.id, Wish::of(run, wished, change.at)).await;
                let done = self.store.transition(&run.id, run.state, goal, change).await;
                Ok(was_first(done)?.then(|| Answer::Done(format!("is {goal}"))))
            }
            (state, _) if state.is_active() => self.ask_to_stop(run, request).await,
            (Finished | Failed | Cancelled | Lost, _) | (Paused, Request::Pause) => {
                let state = run.state;
                Ok(Some(Answer::Refused(format!("is {state}: there is nothing to {wish}"))))
            }
            // Active states are dealt with above.
            (State::Starting | State::Running | State::Stopping, _) => Ok(None),
        }
    }

    /// Leaves `request` for the worker of an active run. A cancel that was asked for before stands against a pause, in the run's
    /// directory as in the run log, and it is what the person is told. None when the run ended by itself meanwhile.
    async fn ask_to_stop(
        &self,
        run: &RunRow,
        request: Request,
    ) -> Result<Option<Answer>, QueueError> {
        let edits = self.edits().await.ok();
        let now = self.now();
        let note = |request| {
            let wished = match request {
                Request::Pause => Wished::Pause,
                Request::Cancel => Wished::Cancel,
            };
            let wish = Wish::of(run, wished, now);
            edits.iter().for_each(|edits| self.wish_with(edits, &run.id, wish));
        };
        // Into the directory first, as everything that people say.
        let before = self.store.request_of(&run.id).await?.map(|asked| asked.request);
        let expected = if before == Some(Request::Cancel) { Request::Cancel } else { request };
        note(expected);
        let standing = match self.store.request(&run.id, request, now, &self.by).await {
            Err(StoreError::NothingToStop { .. }) => return Ok(None),
            standing => standing?,
        };
        if standing != expected {
            note(standing);
        }
        drop(edits);
        self.attended(&run.id).await?;
        let words = match standing {
            Request::Pause => "stops at its next checkpoint and is paused then",
            Request::Cancel if request == Request::Pause => {
                "is being ended and is cancelled then: `cancel` was asked for before"
            }
            Request::Cancel => "is being ended and is cancelled then",
        };
        Ok(Some(Answer::Done(words.to_owned())))
    }
}
