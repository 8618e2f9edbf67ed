//! Listening to what a worker has in hand: the journals go into the run log, all of them together.

use std::collections::HashMap;

use super::attend::{Attempt, InHand, followed};
use super::launcher::Ending;
use super::worker::{TROUBLED, Worker, WorkerError};
use crate::journal::cause::Cause;
use crate::journal::reader::ReadError;
use crate::lab::RunDir;
use crate::store::{Ingested, State, StoreError, catch_up_all};

/// What is new of one attempt.
pub(super) struct Heard {
    pub ending: Result<Option<Ending>, WorkerError>,
    pub news: Result<Ingested, StoreError>,
    /// The newest attempt of the run whose `start` the run log has, where the run is starting.
    pub started: Option<u32>,
}

impl Worker {
    /// Learns what is new of all `hands`: first whether each has ended, then what their journals say, as whatever a trainer had
    /// to say, it said before it ended.
    pub(super) async fn listen(&self, hands: &mut [InHand]) -> Result<Vec<Heard>, WorkerError> {
        let mut endings = Vec::with_capacity(hands.len());
        for InHand { attempt, trainer, .. } in hands.iter_mut() {
            // Trouble with one says nothing of the others, nor of how this one ended.
            endings.push(followed(&attempt.id, trainer.ending(attempt.number)));
        }
        let mut attempts: Vec<&mut Attempt> = hands.iter_mut().map(|it| &mut it.attempt).collect();
        let news = self.hear(&mut attempts).await?;
        let starting = attempts.iter().any(|attempt| attempt.state == State::Starting);
        let starts = match starting {
            true => self.store.starts(&self.slot.to_string()).await?,
            false => HashMap::new(),
        };
        let heard = |((ending, news), attempt): (_, &mut Attempt)| {
            let started = starts.get(&attempt.id).copied();
            Heard { ending, news, started }
        };
        Ok(endings.into_iter().zip(news).zip(attempts).map(heard).collect())
    }

    /// [`Self::hear`] of one attempt, and what follows from it.
    pub(super) async fn catch_up(&self, attempt: &mut Attempt) -> Result<(), WorkerError> {
        loop {
            let Some(news) = self.hear(&mut [&mut *attempt]).await?.pop() else { return Ok(()) };
            match news {
                Ok(news) => {
                    let started = self.store.last_start(&attempt.id).await?;
                    return self.follow(attempt, news, started).await;
                }
                Err(why @ StoreError::Journal(_)) => {
                    if attempt.misses == 1 {
                        (self.say)(&format!("{}: {why}", attempt.id));
                    }
                    if attempt.give_up_on_journal(why).is_ok() {
                        return Ok(());
                    }
                    tokio::time::sleep(TROUBLED).await;
                }
                Err(why) => return Err(why.into()),
            }
        }
    }

    /// Ingests what the journals have to say since the last look, and says what that was. One that was cut or replaced is
    /// its run's trouble alone: the queue goes on, and the run fails by it once its trainer has ended. One that cannot be
    /// read may be read later.
    async fn hear(
        &self,
        attempts: &mut [&mut Attempt],
    ) -> Result<Vec<Result<Ingested, StoreError>>, WorkerError> {
        let dirs: Vec<RunDir> = attempts.iter().map(|it| self.home.run(&it.id)).collect();
        let sound = attempts.iter().zip(&dirs).filter(|(attempt, _)| attempt.damage.is_none());
        let sound: Vec<(&str, &RunDir)> =
            sound.map(|(attempt, dir)| (attempt.id.as_str(), dir)).collect();
        let mut heard = catch_up_all(&self.store, &sound).await?.into_iter();
        let mut news = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            if attempt.damage.is_some() {
                news.push(Ok(Ingested::default()));
                continue;
            }
            news.push(match heard.next() {
                Some(Err(StoreError::Journal(why @ ReadError::Io { .. }))) => {
                    attempt.misses += 1;
                    Err(why.into())
                }
                Some(Err(StoreError::Journal(why))) => {
                    (self.say)(&format!("{}: {why}", attempt.id));
                    attempt.damage = Some(Cause::DamagedJournal.reason(why));
                    Ok(Ingested::default())
                }
                Some(heard) => {
                    attempt.misses = 0;
                    heard
                }
                None => Ok(Ingested::default()),
            });
        }
        Ok(news)
    }
}
