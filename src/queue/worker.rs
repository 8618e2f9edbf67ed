//! The worker: holds one slot, and works the queue on it. On this machine it has one run in hand, on a cluster as many as
//! the cluster takes.
//!
//! It may be killed at any instant. Its trainer goes on, and the next worker of the slot takes over where the run log
//! and the journal say.

use std::io;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::attend::{Attempt, InHand};
use super::ensure::{Duty, ensure_worker};
use super::launcher::devices::{self, Absent};
use super::launcher::{self, LaunchError, Launcher, Order};
use super::remains::note_start;
use super::slots::{self, Held, SLURM, Slot};
use crate::journal::cause::Cause;
use crate::journal::process::Identity;
use crate::journal::reader::ReadError;
use crate::journal::writer::Clock;
use crate::lab::Home;
use crate::store::{Change, Claim, RunId, State, Store, StoreError, WorkerRow};

/// After trouble with the run log that may pass: a full or failing disk, somebody who keeps it busy. Trainers go on, and
/// their journals keep what we miss meanwhile.
pub(super) const TROUBLED: Duration = Duration::from_secs(2);

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
    /// Once what was active on its slot has ended; it takes nothing from the queue, unless somebody wants that meanwhile.
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
    #[error("run {id}: cannot look for its trainer: {why}")]
    Adopt { id: String, why: io::Error },
    /// Its trainers could not start there.
    #[error(transparent)]
    Device(#[from] Absent),
}

impl WorkerError {
    /// Whether a person can do something about it.
    pub fn is_curable(&self) -> bool {
        match self {
            WorkerError::Store(why) => why.is_curable(),
            WorkerError::Slot { .. } | WorkerError::Device(_) => true,
            WorkerError::Process { .. } | WorkerError::Adopt { .. } => false,
        }
    }

    /// Whether trying again later may help.
    pub(super) fn may_pass(&self) -> bool {
        use StoreError::{Busy, DiskFailed, DiskFull, Journal};
        match self {
            WorkerError::Store(why) => {
                matches!(why, Busy | DiskFull | DiskFailed { .. } | Journal(ReadError::Io { .. }))
            }
            WorkerError::Adopt { .. } => true,
            WorkerError::Process { why, .. } => launcher::may_pass(why),
            WorkerError::Slot { .. } | WorkerError::Device(_) => false,
        }
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
    pub async fn work(&self, mut stay: Stay) -> Result<Left, WorkerError> {
        let Some(mut held) = self.take_slot()? else { return Ok(Left::SlotTaken) };
        self.patiently(async || self.register().await).await?;
        let absent = OnceCell::new();
        // Kept through trouble that cuts a round short: let go of, a child's exit status would be nobody's.
        let mut hands = Vec::new();
        loop {
            // From before the round: what changes while it looks is news.
            let version = self.patiently(async || Ok(self.store.data_version().await?)).await?;
            // What else trouble cut short, the next round finds as it would find what a dead worker left behind.
            let round = async || self.round(stay, &absent, &mut hands).await;
            let drained = self.patiently(round).await?;
            if drained {
                self.sign_off().await?;
                drop(held);
                self.hand_over().await?;
                return Ok(Left::Drained);
            }
            if let Some(Some(absent)) = absent.get() {
                self.sign_off().await?;
                return Err(absent.clone().into());
            }
            held = match stay {
                Stay::Forever => {
                    self.patiently(async || self.wait_for_change(version).await).await?;
                    held
                }
                Stay::UntilEmpty | Stay::AdoptOnly => match self.look_twice(held, &mut stay).await?
                {
                    Some(held) => held,
                    None => return Ok(Left::Idle),
                },
            };
        }
    }

    /// For one that leaves before its work is done, once the slot is let go: starts another for what somebody wants who saw
    /// the slot held and so started none. That is an end that was asked of a run here, or runs that were queued since the worker
    /// was asked to leave. Who asks commits first and looks at the slot afterwards; here it is the other way round, so one of the
    /// two sees the other.
    ///
    /// # Errors
    /// When the run log cannot be asked, or no worker be started.
    pub async fn hand_over(&self) -> Result<(), WorkerError> {
        let slot = self.slot.to_string();
        let own = self.patiently(async || Ok(self.store.runs_in(&slot).await?)).await?;
        let asked = self.patiently(async || Ok(self.store.requests().await?)).await?;
        // Last, as it takes the note away.
        let is_queued = slots::was_wanted(&self.home, &self.slot);
        let is_asked = own.iter().any(|run| asked.iter().any(|asked| asked.id == run.id));
        let duty = match (is_queued, is_asked) {
            (false, false) => return Ok(()),
            // A cluster's has no end of what it has in hand, and must not keep the queue waiting for that.
            (false, true) if self.slot.device != SLURM => Duty::AdoptOnly,
            _ => Duty::UntilEmpty,
        };
        let slot = self.slot.clone();
        if ensure_worker(&self.home, &slot, self.share as usize, duty)
            .map_err(|why| WorkerError::Slot { slot: slot.clone(), why })?
        {
            (self.say)(&format!("another worker for {slot} sees to what was asked for last"));
        }
        Ok(())
    }

    /// Takes over what is active on the slot, then works the queue down. Whether the worker was asked to leave.
    /// Where the slot's device turns out to be `absent` it takes nothing from there, and only ends what is active.
    async fn round(
        &self,
        stay: Stay,
        absent: &OnceCell<Option<Absent>>,
        hands: &mut Vec<InHand>,
    ) -> Result<bool, WorkerError> {
        self.recover(hands).await?;
        let (mut parting, mut said) = (false, String::new());
        loop {
            let drained = self.is_draining().await?;
            if stay != Stay::AdoptOnly && !drained {
                // Who left a note gets what it asked for.
                slots::was_wanted(&self.home, &self.slot);
                if absent.get_or_init(|| self.absent()).await.is_none() {
                    self.take_on(hands).await?;
                }
            }
            // What a cluster works on needs nobody here.
            let elsewhere = self.slot.device == SLURM && !self.launcher.is_starting();
            let leaves = drained && elsewhere;
            if hands.is_empty() || (leaves && parting) {
                return Ok(drained);
            }
            // What the cluster said last, a refusal say, is heard before it leaves.
            parting = leaves;
            self.attend(hands, &mut said).await?;
        }
    }

    /// Looks after what is in hand, once; returns at once where that has made room for another run.
    /// `said` is the last trouble with all of it that was told.
    async fn attend(&self, hands: &mut Vec<InHand>, said: &mut String) -> Result<(), WorkerError> {
        let asked = self.store.requests().await?;
        let (mut ended, mut standings, mut troubled) = (Vec::new(), Vec::new(), false);
        let heard = match self.listen(hands).await {
            Err(trouble) if trouble.may_pass() => {
                self.say_once(said, format!("{}: {trouble}", self.slot));
                tokio::time::sleep(TROUBLED).await;
                return Ok(());
            }
            heard => heard?,
        };
        for (hand, heard) in hands.iter_mut().zip(heard) {
            match self.look_after(hand, heard, &asked).await {
                Ok(true) => ended.push(hand.attempt.id.clone()),
                Ok(false) => standings.extend(self.news(hand)),
                // Somebody repairs the run log: what it says now holds.
                Err(WorkerError::Store(StoreError::Changed { found, .. })) if found.is_active() => {
                    hand.attempt.state = found;
                }
                Err(trouble) if trouble.may_pass() => {
                    let words = format!("{}: {trouble}", hand.attempt.id);
                    self.say_once(&mut hand.said, words);
                    troubled = true;
                }
                Err(fault) => return Err(fault),
            }
        }
        match self.note_standing(&standings).await {
            Err(trouble) if trouble.may_pass() => {
                // To be said again.
                hands.iter_mut().for_each(|hand| hand.attempt.unsaid(&standings));
                self.say_once(said, format!("{}: {trouble}", self.slot));
                troubled = true;
            }
            noted => noted?,
        }
        if !ended.is_empty() {
            hands.retain(|hand| !ended.contains(&hand.attempt.id));
            // What a cluster starts anew is still ours.
            return self.recover(hands).await;
        }
        tokio::time::sleep(if troubled { TROUBLED } else { self.launcher.pace() }).await;
        Ok(())
    }

    /// Tries again for as long as what is in the way may pass: a full disk, somebody who keeps the run log busy.
    async fn patiently<T>(
        &self,
        mut work: impl AsyncFnMut() -> Result<T, WorkerError>,
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
    /// slot is let go first and the queue looked at once more: one of the two sees the other. So does who asks for
    /// something of a run that was just being settled.
    async fn look_twice(&self, held: Held, stay: &mut Stay) -> Result<Option<Held>, WorkerError> {
        self.patiently(async || self.sign_off().await).await?;
        drop(held);
        if slots::was_wanted(&self.home, &self.slot) && *stay == Stay::AdoptOnly {
            *stay = Stay::UntilEmpty;
        }
        let demand = self.patiently(async || Ok(self.store.demand().await?)).await?;
        let clustered = self.slot.device == SLURM;
        let waiting = if clustered { demand.waiting_elsewhere } else { demand.waiting_here };
        let takes = *stay != Stay::AdoptOnly && 0 < waiting;
        if !takes && !demand.at_work.contains(&self.slot.to_string()) {
            return Ok(None);
        }
        let held = self.take_slot()?;
        if held.is_some() {
            self.patiently(async || self.register().await).await?;
        }
        Ok(held)
    }

    async fn note_standing(
        &self,
        standings: &[(RunId, u32, Option<String>)],
    ) -> Result<(), WorkerError> {
        Ok(self.store.note_standing(standings).await?)
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

    /// What the queue has for this slot, as far as there is room.
    async fn claims(&self, room: usize) -> Result<Vec<Claim>, WorkerError> {
        let (slot, now) = (self.slot.to_string(), (self.clock)());
        Ok(match self.slot.device.as_str() {
            SLURM => self.store.claim_launched(&slot, room, now).await?,
            device => self.store.claim(&slot, device, now).await?.into_iter().collect(),
        })
    }

    /// What the trainer says of the slot's device, should it not be there.
    async fn absent(&self) -> Option<Absent> {
        devices::absent(self.launcher.trainer()?, [self.slot.device.as_str()]).await.pop()
    }

    /// Claims runs and starts their trainers.
    async fn take_on(&self, hands: &mut Vec<InHand>) -> Result<(), WorkerError> {
        let room = self.launcher.room().saturating_sub(hands.len());
        if room == 0 {
            return Ok(());
        }
        // More of them where somebody added one by hand.
        let at_work = slots::n_held(&self.home).unwrap_or_default() as u32;
        let order = |claim: Claim| Order {
            dir: self.home.run(&claim.id),
            attempt: claim.attempt,
            device: self.slot.device.clone(),
            share: self.share.max(at_work),
            fresh: claim.fresh,
            launch: claim.launch.unwrap_or_default(),
        };
        let claims = self.claims(room).await?;
        let ids: Vec<(RunId, u32)> = claims.iter().map(|it| (it.id.clone(), it.attempt)).collect();
        for (id, attempt) in &ids {
            (self.say)(&format!("{id} starts (attempt {attempt})"));
        }
        let orders: Vec<Order> = claims.into_iter().map(order).collect();
        let said: Vec<u64> =
            orders.iter().map(|order| note_start(&order.dir, order.attempt)).collect();
        let started = self.launcher.start(&orders);
        for (((id, number), said), started) in ids.into_iter().zip(said).zip(started) {
            match started {
                Ok(trainer) => {
                    if let Some(process) = trainer.identity() {
                        let noted = async || Ok(self.store.spawned(&id, number, &process).await?);
                        // Let go of now, its exit status would be nobody's.
                        self.patiently(noted).await?;
                    }
                    let attempt = Attempt::new(id, number, State::Starting, said);
                    hands.push(InHand { attempt, trainer, said: String::new() });
                }
                Err(why) => self.refuse(&id, number, &why).await?,
            }
        }
        Ok(())
    }

    /// A run that cannot be started fails by its reason.
    async fn refuse(&self, id: &str, number: u32, why: &LaunchError) -> Result<(), WorkerError> {
        (self.say)(&format!("{id} cannot start: {why}"));
        let words = why.to_string();
        let reason = match Cause::of(&words) {
            Some(_) => words,
            None => Cause::behind(&words).map_or(words.clone(), |cause| cause.reason(words)),
        };
        let change = self.change(Some(reason));
        Ok(self.store.settle(id, number, State::Starting, State::Failed, change).await?)
    }

    async fn wait_for_change(&self, before: i64) -> Result<(), WorkerError> {
        while self.store.data_version().await? == before {
            tokio::time::sleep(IDLE).await;
        }
        Ok(())
    }

    pub(super) fn change(&self, reason: Option<String>) -> Change {
        Change { at: (self.clock)(), reason, by: self.slot.to_string() }
    }
}
