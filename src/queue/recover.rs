//! What a worker does first: takes over what the slot's last worker left behind.

use super::attend::{Attempt, followed};
use super::launcher::Ending;
use super::worker::{Worker, WorkerError};
use crate::journal::process::boot_id;

impl Worker {
    /// A trainer that still lives is adopted and attended to; a run without one is settled by what its journal says.
    ///
    /// Between a claim and the start of a trainer there is none yet, so a worker that died there leaves a run that is
    /// lost, and goes back into the queue as such.
    pub(super) async fn recover(&self) -> Result<(), WorkerError> {
        let slot = self.slot.to_string();
        while let Some((id, _, number)) = self.store.run_in(&slot).await? {
            let mut attempt = Attempt::new(id.clone(), number, 0);
            let known = self.store.attempts(&id).await?.into_iter().find(|it| it.attempt == number);
            let known = known.and_then(|it| it.process);
            let restarted =
                known.as_ref().is_some_and(|it| boot_id().is_ok_and(|now| now != it.boot_id));
            let adopted = self.launcher.adopt(&self.home.run(&id), known.as_ref());
            let adopted = followed(&id, adopted)?;
            match adopted {
                Some(trainer) => {
                    (self.say)(&format!("{id} is at work already: adopted"));
                    self.attend(attempt, trainer).await?;
                }
                None => {
                    self.hear(&mut attempt).await?;
                    self.note_request(&attempt).await?;
                    let ending = if restarted { Ending::Restarted } else { Ending::Unseen };
                    self.settle(&attempt, ending).await?;
                }
            }
        }
        Ok(())
    }
}
