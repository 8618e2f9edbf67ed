//! Attending to one trainer: what its journal said is acted on, requests go to it, and its end is settled.

use std::io;
use std::time::Instant;

use super::launcher::{Ask, Ending, Trainer};
use super::listen::Heard;
use super::remains::{FULL, is_full, last_words, noted_start};
use super::settle::{MOST_LOSSES, Verdict, judge};
use super::slots::{SLURM, Slot};
use super::worker::{Worker, WorkerError};
use crate::journal::cause::Cause;
use crate::store::{
    Change, Ingested, Request, Requested, RunId, State, StateChange, Store, StoreError,
};

/// One attempt at a run, in the hands of this worker.
pub(super) struct Attempt {
    pub id: RunId,
    pub number: u32,
    /// As this worker knows it, who alone changes it while the run is active.
    pub state: State,
    /// How long `stderr.log` was before it started, where its directory does not say that better.
    pub said: u64,
    /// What is wrong with its journal: it cannot be believed any more, however the trainer ends.
    pub damage: Option<String>,
    /// What was passed on to the trainer, and when.
    relayed: Option<(Request, Instant)>,
    /// What was last said beside its state, once something was.
    standing: Option<Option<String>>,
    /// How many looks in a row could not read its journal.
    pub misses: u32,
}

impl Attempt {
    pub(super) fn new(id: RunId, number: u32, state: State, said: u64) -> Self {
        Self { id, number, state, said, damage: None, relayed: None, standing: None, misses: 0 }
    }

    /// Takes back that `standings` were said of it.
    pub(super) fn unsaid(&mut self, standings: &[(RunId, u32, Option<String>)]) {
        if standings.iter().any(|(id, ..)| *id == self.id) {
            self.standing = None;
        }
    }

    /// A journal that cannot be read may be so for a moment, on a shared disk for all runs at once; one of a trainer that is
    /// gone is waited for only so long.
    pub(super) fn give_up_on_journal(&mut self, why: StoreError) -> Result<(), WorkerError> {
        match why {
            StoreError::Journal(why) if MOST_MISSES <= self.misses => {
                self.damage = Some(Cause::DamagedJournal.reason(why));
                Ok(())
            }
            why => Err(why.into()),
        }
    }
}

/// Looks at the journal of an ended trainer before it is given up, [`TROUBLED`](super::worker::TROUBLED) apart: half a
/// minute.
const MOST_MISSES: u32 = 15;

/// An attempt with its trainer.
pub(super) struct InHand {
    pub attempt: Attempt,
    pub trainer: Box<dyn Trainer>,
    /// The last trouble with it that was told.
    pub said: String,
}

impl Worker {
    /// Acts on what was heard; true once the run is settled.
    pub(super) async fn look_after(
        &self,
        hand: &mut InHand,
        heard: Heard,
        asked: &[Requested],
    ) -> Result<bool, WorkerError> {
        let InHand { attempt, trainer, .. } = hand;
        let before = attempt.number;
        let (ending, unseen) = match heard.ending {
            Ok(ending) => (ending, None),
            Err(why) => (None, Some(why)),
        };
        let (news, unread) = match heard.news {
            Ok(news) => (news, None),
            Err(why) if ending.is_some() => {
                attempt.give_up_on_journal(why)?;
                (Ingested::default(), None)
            }
            // Requests reach a trainer whose journal cannot be read.
            Err(why @ StoreError::Journal(_)) => (Ingested::default(), Some(why)),
            Err(why) => return Err(why.into()),
        };
        self.follow(attempt, news, heard.started).await?;
        if attempt.number != before {
            return Ok(false);
        }
        if let Some(asked) = asked.iter().find(|asked| asked.id == attempt.id) {
            self.relay(attempt, asked, trainer.as_mut()).await?;
        }
        if let Some(why) = unseen {
            return Err(why);
        }
        if let Some(why) = unread {
            return Err(why.into());
        }
        let Some(ending) = ending else { return Ok(false) };
        self.settle(attempt, ending, Some(trainer.as_mut())).await?;
        Ok(true)
    }

    /// What is to be said of it now, beside its state, if that is news.
    pub(super) fn news(&self, hand: &mut InHand) -> Option<(RunId, u32, Option<String>)> {
        // Only a scheduler knows more than the journal.
        if self.slot.device != SLURM || hand.attempt.state == State::Stopping {
            return None;
        }
        let standing = self.launcher.trouble().or_else(|| hand.trainer.standing());
        if hand.attempt.standing.as_ref() == Some(&standing) {
            return None;
        }
        hand.attempt.standing = Some(standing.clone());
        Some((hand.attempt.id.clone(), hand.attempt.number, standing))
    }

    /// What follows from what its journal had to say. A `start` may have been read by somebody who could not act on it, so a
    /// run that waits for its own goes by the newest that the run log knows, `started`.
    pub(super) async fn follow(
        &self,
        attempt: &mut Attempt,
        news: Ingested,
        started: Option<u32>,
    ) -> Result<(), WorkerError> {
        let id = attempt.id.clone();
        let told = news.start.map(|(number, ..)| number);
        let started = match attempt.state {
            State::Starting => told.max(started),
            _ => told,
        };
        let Some(started) = started.filter(|_| attempt.damage.is_none()) else { return Ok(()) };
        if attempt.number < started && self.slot.device == SLURM {
            // A cluster started it anew, and that start was quicker than the scheduler's word.
            self.follow_on(attempt, Ending::Requeued, started).await?;
        }
        if started == attempt.number && attempt.state == State::Starting {
            let change = self.change(None);
            self.store.settle(&id, started, State::Starting, State::Running, change).await?;
            (attempt.state, attempt.standing) = (State::Running, Some(None));
            (self.say)(&format!("{id} runs"));
        }
        Ok(())
    }

    /// Passes a request on once, and loses patience with a cancel after the grace period.
    async fn relay(
        &self,
        attempt: &mut Attempt,
        asked: &Requested,
        trainer: &mut dyn Trainer,
    ) -> Result<(), WorkerError> {
        let request = asked.request;
        self.note_request(attempt, asked).await?;
        let id = &attempt.id;
        let since = match attempt.relayed {
            Some((before, since)) if before == request => since,
            _ => {
                (self.say)(&format!("{id} is asked to stop ({})", request.as_str()));
                let ask = match request {
                    Request::Pause => Ask::Checkpoint,
                    Request::Cancel => Ask::Terminate,
                };
                followed(id, trainer.ask(ask))?;
                Instant::now()
            }
        };
        attempt.relayed = Some((request, since));
        if request == Request::Cancel && self.grace <= since.elapsed() {
            followed(id, trainer.ask(Ask::Kill))?;
        }
        Ok(())
    }

    /// What is asked of the run, whose state says so from now on.
    pub(super) async fn note_request(
        &self,
        attempt: &mut Attempt,
        asked: &Requested,
    ) -> Result<(), WorkerError> {
        let state = attempt.state;
        if matches!(state, State::Starting | State::Running) {
            let reason = Some(format!("{} was asked for", asked.request.as_str()));
            let change = Change { at: (self.clock)(), reason, by: asked.by.clone() };
            let (id, number) = (&attempt.id, attempt.number);
            self.store.settle(id, number, state, State::Stopping, change).await?;
            attempt.state = State::Stopping;
        }
        Ok(())
    }

    /// Gives an ended run the state it earned; a lost one goes back into the queue, unless it was lost too often. One
    /// that its cluster starts anew stays with its slot.
    pub(super) async fn settle(
        &self,
        attempt: &Attempt,
        ending: Ending,
        trainer: Option<&mut (dyn Trainer + '_)>,
    ) -> Result<(), WorkerError> {
        let Attempt { id, number, state, .. } = attempt;
        let verdict = self.verdict(attempt, ending).await?;
        let steps = self.steps(attempt, &verdict).await?;
        let goes_on = steps.last().is_some_and(|(state, _)| *state == State::Queued);
        if ending == Ending::Requeued {
            if goes_on {
                return self.anew(attempt, steps, number + 1).await;
            }
            // The cluster does not know that it has ended for good.
            if let Some(trainer) = trainer {
                followed(id, trainer.ask(Ask::Kill))?;
            }
        }
        self.store.settle_through(id, *number, *state, &steps).await?;
        Ok(())
    }

    /// Follows a run whose cluster has started it anew, as attempt `next`.
    async fn follow_on(
        &self,
        attempt: &mut Attempt,
        ending: Ending,
        next: u32,
    ) -> Result<(), WorkerError> {
        let verdict = self.verdict(attempt, ending).await?;
        let steps = self.steps(attempt, &verdict).await?;
        if steps.last().is_some_and(|(state, _)| *state == State::Queued) {
            self.anew(attempt, steps, next).await?;
            let said = std::fs::metadata(self.home.run(&attempt.id).stderr());
            let said = said.map_or(0, |file| file.len());
            *attempt = Attempt::new(attempt.id.clone(), next, State::Starting, said);
        }
        Ok(())
    }

    /// `steps` into the queue, and on into the hands of this worker's slot.
    async fn anew(
        &self,
        attempt: &Attempt,
        mut steps: Vec<(State, Change)>,
        next: u32,
    ) -> Result<(), WorkerError> {
        let Attempt { id, number, state, .. } = attempt;
        (self.say)(&format!("{id} is started anew by the cluster (attempt {next})"));
        steps.push((State::Starting, self.change(Some("started anew by the cluster".into()))));
        let slot = self.slot.to_string();
        Ok(self.store.begin_anew(id, *number, *state, &steps, next, &slot).await?)
    }

    async fn verdict(&self, attempt: &Attempt, ending: Ending) -> Result<Verdict, WorkerError> {
        let Attempt { id, number, state, .. } = attempt;
        if let Some(damage) = &attempt.damage {
            return Ok(Verdict { state: State::Failed, reason: Some(damage.clone()) });
        }
        let end = self.store.ending(id, *number).await?;
        // A request that came after the last look is not noted in the state: it found nobody to stop.
        let wanted = match state {
            State::Stopping => self.store.request_of(id).await?.map(|asked| asked.request),
            _ => None,
        };
        let dir = self.home.run(id);
        // Its job knows best, where it has one: between its order and its start others may have said something.
        let said = followed(id, noted_start(&dir, *number))?.unwrap_or(attempt.said);
        let words = followed(id, last_words(&dir, said))?;
        // A disk that is full takes neither the end record nor the trainer's last words.
        let silent = matches!(ending, Ending::Exited(1) | Ending::NeverBegan);
        let mute = end.is_none() && words.is_none() && silent;
        let full = mute && is_full(&dir);
        let words = words.or_else(|| full.then(|| Cause::DiskFull.reason(FULL)));
        let verdict = judge(ending, end.as_ref(), wanted, words.as_deref());
        if verdict.state == State::Paused && wanted.is_none() {
            let begun = self.store.attempts(id).await?.into_iter().find(|it| it.attempt == *number);
            let begun = begun.and_then(|it| it.resumed_step);
            if begun.zip(end).is_some_and(|(begun, end)| end.step <= begun) {
                // Started again it would come as far: three times is enough.
                let why = Cause::TimeLimit.reason("it was told to stop before it had made a step");
                return Ok(Verdict { state: State::Lost, reason: Some(why) });
            }
        }
        Ok(verdict)
    }

    /// The way of a run that has ended: to its verdict, and on into the queue where it is to go on. One change, as a worker
    /// that died between two would leave a run that nobody comes back to.
    async fn steps(
        &self,
        attempt: &Attempt,
        verdict: &Verdict,
    ) -> Result<Vec<(State, Change)>, WorkerError> {
        let Verdict { state: next, reason } = verdict;
        let id = &attempt.id;
        let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        (self.say)(&format!("{id} is {next}{why}"));
        let mut steps = Vec::new();
        let wished = attempt.state == State::Stopping;
        // What nobody here asked for comes to the same end by the same way.
        if !wished && matches!(next, State::Paused | State::Cancelled) {
            steps.push((State::Stopping, self.change(reason.clone())));
        }
        steps.push((*next, self.change(reason.clone())));
        match next {
            State::Lost => steps.extend(self.another_chance(id, reason.as_deref()).await?),
            State::Paused if !wished => {
                let reason = "goes on from its checkpoint".to_owned();
                steps.push((State::Queued, self.change(Some(reason))));
            }
            _ => {}
        }
        Ok(steps)
    }

    /// The way back into the queue for a run that is being lost, unless it was lost too often.
    async fn another_chance(
        &self,
        id: &str,
        reason: Option<&str>,
    ) -> Result<Option<(State, Change)>, WorkerError> {
        if reason.and_then(Cause::of) == Some(Cause::Machine) {
            let reason = "goes on from its last checkpoint".to_owned();
            return Ok(Some((State::Queued, self.change(Some(reason)))));
        }
        let losses = 1 + losses(&self.store.history(id).await?);
        if MOST_LOSSES < losses {
            return Ok(None);
        }
        let reason =
            format!("was lost, goes on from its last checkpoint ({losses} of {MOST_LOSSES})");
        (self.say)(&format!("{id} is queued again: it {reason}"));
        Ok(Some((State::Queued, self.change(Some(reason)))))
    }
}

/// An operation on a trainer's processes.
pub(super) fn followed<T>(id: &str, done: io::Result<T>) -> Result<T, WorkerError> {
    done.map_err(|why| WorkerError::Process { id: id.to_owned(), why })
}

/// Whether a lost run stays lost.
pub async fn is_lost_for_good(store: &Store, id: &str) -> Result<bool, StoreError> {
    Ok(MOST_LOSSES < losses(&store.history(id).await?))
}

/// How often a run was lost since a person last put it into the queue; workers sign with their slot. What befell its
/// machine is not held against it.
fn losses(history: &[StateChange]) -> u32 {
    let by_worker =
        |change: &&StateChange| change.to != State::Queued || Slot::parse(&change.by).is_some();
    let since = history.iter().rev().take_while(by_worker);
    let own = |change: &&StateChange| {
        let cause = change.reason.as_deref().and_then(Cause::of);
        change.to == State::Lost && cause != Some(Cause::Machine)
    };
    since.filter(own).count().try_into().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(to: State, by: &str) -> StateChange {
        StateChange { at: 0, attempt: 1, from: None, to, reason: None, by: by.into() }
    }

    #[test]
    fn losses_count_from_the_last_time_a_person_queued_it() {
        let mut history = vec![change(State::Queued, "queue")];
        for _ in 0..2 {
            history.push(change(State::Starting, "cpu-0"));
            history.push(change(State::Lost, "cpu-0"));
            history.push(change(State::Queued, "cpu-0"));
        }
        assert_eq!(losses(&history), 2);
        history.push(change(State::Queued, "retry"));
        assert_eq!(losses(&history), 0);
        history.push(change(State::Lost, "cuda:0-1"));
        assert_eq!(losses(&history), 1);
    }
}
