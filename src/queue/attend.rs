//! Attending to one trainer: its journal goes into the run log, requests go to it, and its end is settled.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use super::launcher::{Ask, Ending, Trainer};
use super::settle::{MOST_LOSSES, Verdict, judge};
use super::slots::Slot;
use super::worker::{POLL, Worker, WorkerError};
use crate::journal::cause::Cause;
use crate::lab::RunDir;
use crate::store::{Change, Request, RunId, State, StateChange, Store, StoreError, catch_up};

/// After trouble with the run log that may pass: a full or failing disk, somebody who keeps it busy. The trainer goes on, and its
/// journal keeps what we miss meanwhile.
pub(super) const TROUBLED: Duration = Duration::from_secs(2);

/// One attempt at a run, in the hands of this worker.
pub(super) struct Attempt {
    pub id: RunId,
    pub number: u32,
    /// How long `stderr.log` was before it started.
    pub said: u64,
    started: bool,
    /// What is wrong with its journal: it cannot be believed any more, however the trainer ends.
    damage: Option<String>,
    /// What was passed on to the trainer, and when.
    relayed: Option<(Request, Instant)>,
}

impl Attempt {
    pub(super) fn new(id: RunId, number: u32, said: u64) -> Self {
        Self { id, number, said, started: false, damage: None, relayed: None }
    }
}

impl Worker {
    /// Until the trainer has ended and the run is settled.
    pub(super) async fn attend(
        &self,
        mut attempt: Attempt,
        mut trainer: Box<dyn Trainer>,
    ) -> Result<(), WorkerError> {
        let mut said = String::new();
        loop {
            match self.look_after(&mut attempt, trainer.as_mut()).await {
                Ok(Some(())) => return Ok(()),
                Ok(None) => tokio::time::sleep(POLL).await,
                Err(trouble) if trouble.may_pass() => {
                    self.say_once(&mut said, format!("{}: {trouble}", attempt.id));
                    tokio::time::sleep(TROUBLED).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// One look; something once the run is settled.
    async fn look_after(
        &self,
        attempt: &mut Attempt,
        trainer: &mut dyn Trainer,
    ) -> Result<Option<()>, WorkerError> {
        // Before the journal is read: whatever the trainer had to say, it said before it ended.
        let ending = followed(&attempt.id, trainer.ending())?;
        self.hear(attempt).await?;
        self.relay(attempt, trainer).await?;
        match ending {
            None => Ok(None),
            Some(ending) => self.settle(attempt, ending).await.map(Some),
        }
    }

    /// Follows the journal. One that was cut or replaced is this run's trouble alone: the queue goes on, and the run
    /// fails by it once its trainer has ended.
    pub(super) async fn hear(&self, attempt: &mut Attempt) -> Result<(), WorkerError> {
        if attempt.damage.is_some() {
            return Ok(());
        }
        match self.follow(attempt).await {
            Err(WorkerError::Store(StoreError::Journal(why))) => {
                (self.say)(&format!("{}: {why}", attempt.id));
                attempt.damage = Some(Cause::DamagedJournal.reason(why));
                Ok(())
            }
            done => done,
        }
    }

    /// Ingests what the journal has to say since the last look.
    async fn follow(&self, attempt: &mut Attempt) -> Result<(), WorkerError> {
        let id = &attempt.id;
        let news = catch_up(&self.store, id, &self.home.run(id)).await?;
        let number = attempt.number;
        if !attempt.started {
            // Its `start` may have been read by a worker that died before it could act on it.
            let known = self.store.attempts(id).await?;
            attempt.started = known.iter().any(|a| a.attempt == number && a.started_at.is_some());
        }
        let starts = news.start.is_some_and(|(its, ..)| its == number) || attempt.started;
        if starts && self.state_of(attempt).await? == State::Starting {
            let change = self.change(None);
            self.store.settle(id, number, State::Starting, State::Running, change).await?;
            (self.say)(&format!("{id} runs"));
        }
        Ok(())
    }

    /// Passes a request on once, and loses patience with a cancel after the grace period.
    async fn relay(
        &self,
        attempt: &mut Attempt,
        trainer: &mut dyn Trainer,
    ) -> Result<(), WorkerError> {
        let Some(request) = self.note_request(attempt).await? else { return Ok(()) };
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
        attempt: &Attempt,
    ) -> Result<Option<Request>, WorkerError> {
        let Some(asked) = self.store.request_of(&attempt.id).await? else { return Ok(None) };
        let state = self.state_of(attempt).await?;
        if matches!(state, State::Starting | State::Running) {
            let reason = Some(format!("{} was asked for", asked.request.as_str()));
            let change = Change { at: (self.clock)(), reason, by: asked.by };
            let (id, number) = (&attempt.id, attempt.number);
            self.store.settle(id, number, state, State::Stopping, change).await?;
        }
        Ok(Some(asked.request))
    }

    /// Cheaper than a whole row, several times a second.
    async fn state_of(&self, attempt: &Attempt) -> Result<State, WorkerError> {
        match self.store.run_in(&self.slot.to_string()).await? {
            Some((id, state, _)) if id == attempt.id => Ok(state),
            _ => Ok(self.store.run(&attempt.id).await?.state),
        }
    }

    /// Gives an ended run the state it earned; a lost one goes back into the queue, unless it was lost too often.
    pub(super) async fn settle(
        &self,
        attempt: &Attempt,
        ending: Ending,
    ) -> Result<(), WorkerError> {
        let Attempt { id, number, .. } = attempt;
        let state = self.state_of(attempt).await?;
        let end = self.store.attempts(id).await?.into_iter().find(|a| a.attempt == *number);
        let end = end.and_then(|attempt| attempt.ending);
        // A request that came after the last look is not noted in the state: it found nobody to stop.
        let wanted = match state {
            State::Stopping => self.store.request_of(id).await?.map(|asked| asked.request),
            _ => None,
        };
        let words = last_words(&self.home.run(id), attempt.said);
        let Verdict { state: next, reason } = match &attempt.damage {
            Some(damage) => Verdict { state: State::Failed, reason: Some(damage.clone()) },
            None => {
                // A disk that is full takes neither the end record nor the trainer's last words.
                let mute = end.is_none() && words.is_none() && matches!(ending, Ending::Exited(1));
                let full = mute && is_full(&self.home.run(id));
                let words = words.or_else(|| full.then(|| Cause::DiskFull.reason(FULL)));
                judge(ending, end.as_ref(), wanted, words.as_deref())
            }
        };
        let why = reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        (self.say)(&format!("{id} is {next}{why}"));
        let mut steps = vec![(next, self.change(reason))];
        if next == State::Lost {
            steps.extend(self.another_chance(id).await?);
        }
        self.store.settle_through(id, *number, state, &steps).await?;
        Ok(())
    }

    /// The way back into the queue for a run that is being lost, unless it was lost too often. One change with the loss
    /// itself: a worker that died between the two would leave a run that nobody comes back to.
    async fn another_chance(&self, id: &str) -> Result<Option<(State, Change)>, WorkerError> {
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

/// How often a run was lost since a person last put it into the queue; workers sign with their slot.
fn losses(history: &[StateChange]) -> u32 {
    let by_worker =
        |change: &&StateChange| change.to != State::Queued || Slot::parse(&change.by).is_some();
    let since = history.iter().rev().take_while(by_worker);
    since.filter(|change| change.to == State::Lost).count().try_into().unwrap_or(u32::MAX)
}

const FULL: &str = "the trainer could write neither its journal nor an error";

/// Whether there is no room for as much as an end record.
fn is_full(dir: &RunDir) -> bool {
    const ROOM: u64 = 64 << 10;
    rustix::fs::statvfs(dir.path()).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < ROOM)
}

/// The last line of `stderr.log` beyond byte `said`, if any.
fn last_words(dir: &RunDir, said: u64) -> Option<String> {
    const TAIL: u64 = 4096;
    let mut file = std::fs::File::open(dir.stderr()).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(said.max(len.saturating_sub(TAIL)))).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
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

    #[test]
    fn last_words_are_those_of_this_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        assert_eq!(last_words(&run, 0), None);
        std::fs::write(run.stderr(), "old\nnew\n\n").unwrap();
        assert_eq!(last_words(&run, 4).as_deref(), Some("new"));
        assert_eq!(last_words(&run, 9), None);
    }
}
