//! What a worker does first: takes over what the slot's last worker left behind.

use std::collections::HashSet;

use super::attend::{Attempt, InHand};
use super::launcher::Found;
use super::worker::{Worker, WorkerError};
use crate::store::{self, RunId, StoreError};

impl Worker {
    /// Trainers of this slot that nobody has in hand are adopted; a run without one is settled by what its journal says.
    ///
    /// Between a claim and the start of a trainer there is none yet, so a worker that died there leaves a run that is
    /// lost, and goes back into the queue as such.
    pub(super) async fn recover(&self, hands: &mut Vec<InHand>) -> Result<(), WorkerError> {
        let known: HashSet<RunId> = hands.iter().map(|hand| hand.attempt.id.clone()).collect();
        for store::InHand { id, state, attempt: number, .. } in
            self.store.runs_in(&self.slot.to_string()).await?
        {
            if known.contains(&id) {
                continue;
            }
            let known = self.store.attempts(&id).await?.into_iter().find(|it| it.attempt == number);
            let process = known.and_then(|it| it.process);
            let found = self.launcher.adopt(&self.home.run(&id), number, process.as_ref());
            let mut attempt = Attempt::new(id.clone(), number, state, 0);
            match found.map_err(|why| WorkerError::Adopt { id: id.clone(), why })? {
                Found::AtWork(trainer) => {
                    (self.say)(&format!("{} is at work already: adopted", attempt.id));
                    hands.push(InHand { attempt, trainer, said: String::new() });
                }
                Found::Ended(ending) => {
                    self.catch_up(&mut attempt).await?;
                    if let Some(asked) = self.store.request_of(&attempt.id).await? {
                        self.note_request(&mut attempt, &asked).await?;
                    }
                    match self.settle(&attempt, ending, None).await {
                        // Somebody has asked for something since: the next round knows.
                        Err(WorkerError::Store(StoreError::Changed { .. })) => {}
                        done => done?,
                    }
                }
            }
        }
        Ok(())
    }
}
