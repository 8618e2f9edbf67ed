//! The worker: holds one slot, and works the queue on it.
//!
//! It may be killed at any instant. Its trainer goes on, and the next worker of the slot takes over where the run log
//! and the journal say.

use std::io;
use std::time::Duration;

use super::attend::{Attempt, TROUBLED};
use super::launcher::{Launcher, Order};
use super::slots::{self, Held, Slot};
use crate::journal::cause::Cause;
use crate::journal::process::Identity;
use crate::journal::writer::Clock;
use crate::lab::Home;
use crate::store::{Change, Claim, State, Store, StoreError, WorkerRow};

/// Between two looks at a running trainer: journal, requests, process.
pub(super) const POLL: Duration = Duration::from_millis(150);

/// Between two looks at an empty queue; one costs a few microseconds.
const IDLE: Duration = Duration::from_millis(400);

/// Others hold a slot's lock for an instant when they look whether it is free.
const PATIENCE: Duration = Duration::from_millis(500);

/// When a worker leaves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Never.
    Forever,
    /// Once the queue is empty.
    UntilEmpty,
    /// Once what was active on its slot has ended; it takes nothing from the queue.
    AdoptOnly,
}

/// Why a worker left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Another worker holds the slot.
    SlotTaken,
    /// Nothing is left for it to do.
    Idle,
    /// It was asked to.
    Drained,
}

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("slot {slot}: {why}")]
    Slot { slot: Slot, why: io::Error },
    #[error("run {id}: cannot follow its processes: {why}")]
    Process { id: String, why: io::Error },
}

impl WorkerError {
    /// Whether a person can do something about it.
    pub fn is_curable(&self) -> bool {
        match self {
            WorkerError::Store(why) => why.is_curable(),
            WorkerError::Slot { .. } => true,
            WorkerError::Process { .. } => false,
        }
    }

    /// Whether trying again later may help.
    pub(super) fn may_pass(&self) -> bool {
        use StoreError::{Busy, DiskFailed, DiskFull};
        matches!(self, WorkerError::Store(Busy | DiskFull | DiskFailed { .. }))
    }
}

pub struct Worker {
    pub home: Home,
    pub store: Store,
    pub slot: Slot,
    pub launcher: Box<dyn Launcher>,
    /// Workers that are meant to be at work on this machine, whose trainers share its cores: some may not have begun yet.
    pub share: u32,
    /// Between the TERM and the KILL of a cancel.
    pub grace: Duration,
    pub clock: Clock,
    /// Told one sentence at each step.
    pub say: Box<dyn Fn(&str)>,
}

impl Worker {
    /// Works until it may leave (see [`Stay`]) or is asked to.
    ///
    /// # Errors
    /// What makes working impossible; a run's own failure is none.
    pub async fn work(&self, stay: Stay) -> Result<Left, WorkerError> {
        let Some(mut held) = self.take_slot()? else { return Ok(Left::SlotTaken) };
        self.patiently(async || self.register().await).await?;
        loop {
            // Whatever trouble cut short, the next round finds as it would find what a dead worker left behind.
            let drained = self.patiently(async || self.round(stay).await).await?;
            if drained {
                self.sign_off().await?;
                return Ok(Left::Drained);
            }
            held = match stay {
                Stay::Forever => {
                    self.patiently(async || self.wait_for_change().await).await?;
                    held
                }
                Stay::UntilEmpty | Stay::AdoptOnly => match self.look_twice(held, stay).await? {
                    Some(held) => held,
                    None => return Ok(Left::Idle),
                },
            };
        }
    }

    /// Takes over what is active on the slot, then works the queue down. Whether the worker was asked to leave.
    async fn round(&self, stay: Stay) -> Result<bool, WorkerError> {
        self.recover().await?;
        while stay != Stay::AdoptOnly && !self.is_draining().await? {
            let Some(claim) = self.claim().await? else { break };
            self.carry_out(claim).await?;
        }
        self.is_draining().await
    }

    /// Tries again for as long as what is in the way may pass: a full disk, somebody who keeps the run log busy.
    async fn patiently<T>(
        &self,
        work: impl AsyncFn() -> Result<T, WorkerError>,
    ) -> Result<T, WorkerError> {
        let mut said = String::new();
        loop {
            match work().await {
                Err(trouble) if trouble.may_pass() => {
                    self.say_once(&mut said, format!("{}: {trouble}", self.slot));
                    tokio::time::sleep(TROUBLED).await;
                }
                done => return done,
            }
        }
    }

    /// Who queues a run looks at the slots after it is committed, and starts no worker where one is at work. So the
    /// slot is let go first and the queue looked at once more: one of the two sees the other.
    async fn look_twice(&self, held: Held, stay: Stay) -> Result<Option<Held>, WorkerError> {
        self.patiently(async || self.sign_off().await).await?;
        drop(held);
        let runs = self.store.runs().await?;
        let waiting = runs.iter().any(|run| run.state == State::Queued);
        if stay == Stay::AdoptOnly || !waiting {
            return Ok(None);
        }
        let held = self.take_slot()?;
        if held.is_some() {
            self.register().await?;
        }
        Ok(held)
    }

    /// Trouble may last for days, and the log lies on the disk that is full.
    pub(super) fn say_once(&self, said: &mut String, words: String) {
        if *said != words {
            (self.say)(&words);
            *said = words;
        }
    }

    fn take_slot(&self) -> Result<Option<Held>, WorkerError> {
        let slot = self.slot.clone();
        slots::acquire(&self.home, &self.slot, PATIENCE)
            .map_err(|why| WorkerError::Slot { slot, why })
    }

    async fn register(&self) -> Result<(), WorkerError> {
        let slot = self.slot.clone();
        let process = Identity::current().map_err(|why| WorkerError::Slot { slot, why })?;
        let row = WorkerRow {
            slot: self.slot.to_string(),
            device: self.slot.device.clone(),
            process,
            since: (self.clock)(),
            draining: false,
        };
        Ok(self.store.register_worker(&row).await?)
    }

    async fn sign_off(&self) -> Result<(), WorkerError> {
        Ok(self.store.forget_worker(&self.slot.to_string()).await?)
    }

    async fn is_draining(&self) -> Result<bool, WorkerError> {
        let slot = self.slot.to_string();
        let workers = self.store.workers().await?;
        Ok(workers.iter().any(|worker| worker.slot == slot && worker.draining))
    }

    async fn claim(&self) -> Result<Option<Claim>, WorkerError> {
        let slot = self.slot.to_string();
        Ok(self.store.claim(&slot, &self.slot.device, (self.clock)()).await?)
    }

    /// Starts the claimed run's trainer and attends to it until it has ended.
    async fn carry_out(&self, claim: Claim) -> Result<(), WorkerError> {
        let Claim { id, attempt, fresh } = claim;
        let dir = self.home.run(&id);
        let said = std::fs::metadata(dir.stderr()).map_or(0, |file| file.len());
        // More of them where somebody added one by hand.
        let at_work = slots::n_held(&self.home).unwrap_or_default() as u32;
        let share = self.share.max(at_work);
        let order = Order { dir, attempt, device: self.slot.device.clone(), share, fresh };
        (self.say)(&format!("{id} starts (attempt {attempt})"));
        match self.launcher.start(&order) {
            Ok(trainer) => {
                if let Some(process) = trainer.identity() {
                    self.store.spawned(&id, attempt, &process).await?;
                }
                self.attend(Attempt::new(id, attempt, said), trainer).await
            }
            Err(why) => {
                (self.say)(&format!("{id} cannot start: {why}"));
                let words = why.to_string();
                let cause = Cause::behind(&words);
                let change = self.change(Some(cause.map_or(words.clone(), |it| it.reason(words))));
                Ok(self.store.settle(&id, attempt, State::Starting, State::Failed, change).await?)
            }
        }
    }

    async fn wait_for_change(&self) -> Result<(), WorkerError> {
        let before = self.store.data_version().await?;
        while self.store.data_version().await? == before {
            tokio::time::sleep(IDLE).await;
        }
        Ok(())
    }

    pub(super) fn change(&self, reason: Option<String>) -> Change {
        Change { at: (self.clock)(), reason, by: self.slot.to_string() }
    }
}
