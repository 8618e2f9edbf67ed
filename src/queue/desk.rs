//! Where a person's wishes are taken: what every verb needs, and how it answers.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use super::ensure::{Duty, ensure_workers};
use super::settings::SettingsError;
use super::slots::{SLURM, Slot, was_wanted};
use crate::config::Invalid;
use crate::journal::writer::{Clock, system_clock};
use crate::lab::Home;
use crate::store::{Change, RunId, Store, StoreError};

/// A lab in the hands of somebody who may change it.
#[derive(Clone)]
pub struct Desk {
    pub home: Home,
    pub store: Store,
    pub clock: Clock,
    /// Who asks, for the history: a subcommand, a screen.
    pub by: String,
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The run changed, or will: how, as the rest of a sentence that begins with its id.
    Done(String),
    /// It already was as wished.
    Already(String),
    /// It cannot be done to a run in that state.
    Refused(String),
}

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{path}: {why}")]
    File { path: PathBuf, why: io::Error },
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
    #[error("run {0} changes faster than it can be asked to")]
    Restless(String),
}

impl QueueError {
    /// Whether a person can do something about it.
    pub fn is_curable(&self) -> bool {
        match self {
            QueueError::Store(why) => why.is_curable(),
            QueueError::Invalid(_) | QueueError::Settings(_) | QueueError::File { .. } => true,
            QueueError::Worker(_) | QueueError::Restless(_) => false,
        }
    }
}

impl Desk {
    pub fn new(home: Home, store: Store, by: impl Into<String>) -> Self {
        Self { home, store, clock: system_clock(), by: by.into() }
    }

    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    pub(super) fn change(&self, reason: Option<String>) -> Change {
        Change { at: self.now(), reason, by: self.by.clone() }
    }

    /// Starts workers where there are none: for what waits in the queue, on `local` slots for runs of this machine and on the
    /// cluster's for its own, and for what a dead worker left at work. No more than there are runs, so that few runs get
    /// more cores each. Says for which slots.
    pub async fn staff(&self, local: &[Slot]) -> Result<Vec<Slot>, QueueError> {
        let demand = self.store.demand().await?;
        let mut wanted: Vec<Slot> =
            demand.at_work.iter().filter_map(|slot| Slot::parse(slot)).collect();
        let mut waiting = demand.waiting_here;
        for slot in local {
            if 0 < waiting && !wanted.contains(slot) {
                wanted.push(slot.clone());
                waiting -= 1;
            }
        }
        let (cluster, here): (Vec<Slot>, Vec<Slot>) =
            wanted.into_iter().partition(|slot| slot.device == SLURM);
        let ensure = |slots: &[Slot]| {
            ensure_workers(&self.home, slots, Duty::UntilEmpty).map_err(QueueError::Worker)
        };
        let mut started = ensure(&here)?;
        if !cluster.is_empty() || 0 < demand.waiting_elsewhere {
            started.extend(ensure(&[Slot::cluster()])?);
        }
        Ok(started)
    }

    /// Makes sure that somebody looks after an active run, so that a request reaches it.
    pub async fn attended(&self, id: &str) -> Result<(), QueueError> {
        let attempts = self.store.attempts(id).await?;
        let slot = attempts.last().and_then(|attempt| attempt.slot.as_deref());
        self.looked_after(slot.and_then(Slot::parse).into_iter().collect())
    }

    /// As [`Self::attended`], for those of many runs that are active; other people's are theirs.
    pub async fn all_attended(&self, ids: &HashSet<&RunId>) -> Result<(), QueueError> {
        let mut slots = Vec::new();
        for name in self.store.demand().await?.at_work {
            let own = self.store.runs_in(&name).await?.iter().any(|run| ids.contains(&run.id));
            slots.extend(Slot::parse(&name).filter(|_| own));
        }
        self.looked_after(slots)
    }

    /// Asks the worker of `slot`, or all of them, to leave after the run at hand. What was queued before that needs no worker
    /// any more; for what is queued later one is started when the slot is free.
    pub async fn drain(&self, slot: Option<&str>) -> Result<(), QueueError> {
        // Before the wish is there: a note that comes after it counts.
        for worker in self.store.workers().await? {
            let is_meant = slot.is_none_or(|slot| slot == worker.slot);
            if let Some(slot) = Slot::parse(&worker.slot).filter(|_| is_meant) {
                was_wanted(&self.home, &slot);
            }
        }
        Ok(self.store.drain(slot).await?)
    }

    fn looked_after(&self, slots: Vec<Slot>) -> Result<(), QueueError> {
        // A cluster's has no end of what it has in hand, and must not keep the queue waiting for that.
        let (cluster, here): (Vec<Slot>, Vec<Slot>) =
            slots.into_iter().partition(|slot| slot.device == SLURM);
        for (slots, duty) in [(here, Duty::AdoptOnly), (cluster, Duty::UntilEmpty)] {
            ensure_workers(&self.home, &slots, duty).map_err(QueueError::Worker)?;
        }
        Ok(())
    }
}

/// False when somebody else was quicker: look again.
pub(super) fn was_first(done: Result<(), StoreError>) -> Result<bool, QueueError> {
    match done {
        Ok(()) => Ok(true),
        Err(StoreError::Changed { .. }) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// For `map_err` on file operations.
pub(super) fn file_error(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> QueueError {
    let path = path.into();
    move |why| QueueError::File { path, why }
}
