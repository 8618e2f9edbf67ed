//! What is to become of jobs. What Slurm could not hear is told again until it does.

use std::time::Instant;

use super::Shared;
use crate::queue::slurm::client;
use crate::queue::slurm::job::JobState;
use crate::queue::slurm::trace::Trace;

/// What is to become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A checkpoint and the end; at once where it only waits.
    Yield,
    /// TERM, and what Slurm sends after it.
    End,
    Kill,
}

/// A wish for an element of a submission, and since when it is wished.
pub(super) struct Told {
    pub submission: String,
    pub element: u32,
    pub wish: Wish,
    pub at: Instant,
}

impl Told {
    fn again(&self) -> Self {
        Self { submission: self.submission.clone(), ..*self }
    }
}

impl Shared {
    /// Tells what can be told; the rest is kept. A job that a look begun after the wish does not show needs no telling.
    pub(super) fn tell(&self, wishes: Vec<Told>) {
        let view = self.lock().view.clone();
        let mut later = Vec::new();
        for wish in [Wish::Yield, Wish::End, Wish::Kill] {
            // With a signal, `scancel` takes one that waits for all of its array that wait.
            let (mut waiting, mut at_work) = (Vec::new(), Vec::new());
            let mut told = Vec::new();
            for one in wishes.iter().filter(|one| one.wish == wish) {
                let known = view.as_ref().and_then(|view| view.job(&one.submission, one.element));
                match known.map(|job| (&job.state, job)) {
                    Some((JobState::Over(_), _)) => {}
                    Some((JobState::Waiting(_), job)) => {
                        waiting.push(job.id.clone());
                        told.push(one);
                    }
                    Some((_, job)) => {
                        at_work.push(job.id.clone());
                        told.push(one);
                    }
                    None if view.as_ref().is_none_or(|view| view.begun < one.at) => later.push(one),
                    // Should Slurm take it after all.
                    None if self.is_unsent(&one.submission) => {
                        self.withdraw(one);
                        later.push(one);
                    }
                    None => {}
                }
            }
            // One that waits has nothing to write. Where it has begun since, the TERM lets it write all the same.
            let done = client::cancel(&[], &waiting).and_then(|()| match wish {
                Wish::Yield => client::cancel(&["--batch", "--signal=USR1"], &at_work),
                Wish::End => client::cancel(&[], &at_work),
                Wish::Kill => client::cancel(&["--full", "--signal=KILL"], &at_work)
                    .and_then(|()| client::cancel(&[], &at_work)),
            });
            if let Err(trouble) = done {
                self.lock().trouble = Some(trouble.to_string());
                later.extend(told);
            }
        }
        let later: Vec<Told> = later.into_iter().map(Told::again).collect();
        self.lock().later.extend(later);
    }

    /// What Slurm takes later has no job that could be ended first, once the run's directory says that none is to train it.
    fn withdraw(&self, one: &Told) {
        let inside = self.lock();
        let array = inside.unsent.iter().find(|array| array.id == one.submission);
        let array = array.filter(|array| inside.delayed.contains_key(&array.id)).cloned();
        drop(inside);
        let element = array.as_ref().and_then(|array| array.elements.get(one.element as usize));
        let held = |run: &str| Trace(&self.home.run(run)).is_held(&one.submission);
        if element.is_some_and(|element| held(&element.run)) {
            self.lock().withdrawn.insert((one.submission.clone(), one.element));
        }
    }
}
