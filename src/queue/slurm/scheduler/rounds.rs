//! The scheduler's thread: a look at the queue now and then, and between two of them what cannot wait.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::{Inside, Shared, View};
use crate::queue::slurm::array::PREFIX;
use crate::queue::slurm::client::{self, Trouble};
use crate::queue::slurm::job::{Job, JobState};

/// Of two jobs of one name, as a submission that was made twice has them, the one that is not over says how the run does:
/// the other was turned away by it.
fn prefer(known: &mut Job, other: &Job) {
    let is_over = |job: &Job| matches!(job.state, JobState::Over(_));
    if is_over(known) && !is_over(other) {
        *known = other.clone();
    }
}

impl Shared {
    pub(super) fn serve(&self) {
        loop {
            let begun = Instant::now();
            let done = self.round(begun);
            self.lock().trouble = done.err().map(|trouble| trouble.to_string());
            self.answered.notify_all();
            if self.wait_until(begun + self.poll) {
                return;
            }
        }
    }

    /// Tells wishes and submits new arrays as they come. Whether it is time to leave.
    fn wait_until(&self, next: Instant) -> bool {
        loop {
            let inside = self.lock();
            let left = next.saturating_duration_since(Instant::now());
            let waits = |inside: &mut Inside| {
                !inside.leave && inside.wishes.is_empty() && inside.new.is_empty()
            };
            let waited = self.woken.wait_timeout_while(inside, left, waits);
            let (mut inside, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if inside.leave {
                return true;
            }
            let (wishes, new) = (std::mem::take(&mut inside.wishes), inside.new.clone());
            drop(inside);
            if wishes.is_empty() && new.is_empty() {
                return false;
            }
            self.tell(wishes);
            let done = self.submit(None, &new);
            let mut inside = self.lock();
            // What could not be told waits among the unsent.
            inside.new.retain(|array| !new.iter().any(|known| known.id == array.id));
            if let Err(trouble) = done {
                inside.trouble = Some(trouble.to_string());
            }
        }
    }

    fn round(&self, begun: Instant) -> Result<(), Trouble> {
        let limit = self.learn_limit();
        // Before the look: what somebody else's `sbatch` does until it is gone, the look shows.
        let mut unsent = self.lock().due();
        unsent.retain(|array| !client::in_flight(array));
        let mut jobs = HashMap::new();
        for job in client::jobs()? {
            if let Some(submission) = job.name.strip_prefix(PREFIX) {
                let known = jobs.entry((submission.to_owned(), job.element));
                known.and_modify(|known| prefer(known, &job)).or_insert(job);
            }
        }
        let view = Arc::new(View { begun, jobs });
        self.lock().view = Some(Arc::clone(&view));
        let later = std::mem::take(&mut self.lock().later);
        self.tell(later);
        let accounts = self.ask_accounts();
        limit.and(self.submit(Some(&view), &unsent)).and(accounts)
    }

    fn learn_limit(&self) -> Result<(), Trouble> {
        if self.lock().most.is_none() {
            let most = match client::most_elements() {
                Err(Trouble::Refused(_) | Trouble::Missing(_)) => client::MOST_ELEMENTS,
                answer => answer?,
            };
            self.lock().most = Some(most);
            self.answered.notify_all();
        }
        Ok(())
    }

    fn ask_accounts(&self) -> Result<(), Trouble> {
        let forgotten = std::mem::take(&mut self.lock().forgotten);
        if forgotten.is_empty() {
            return Ok(());
        }
        let answer = client::account(&forgotten);
        self.lock().note_accounts(forgotten, answer)
    }
}

impl Inside {
    /// What is known now of jobs that the queue has forgotten. Those of which nothing can be known at present are asked for
    /// again.
    fn note_accounts(
        &mut self,
        forgotten: Vec<String>,
        answer: Result<Vec<(String, JobState)>, Trouble>,
    ) -> Result<(), Trouble> {
        let answers: HashMap<_, _> = match answer {
            Ok(answers) => answers.into_iter().collect(),
            Err(trouble) => {
                self.forgotten.extend(forgotten);
                return Err(trouble);
            }
        };
        for id in forgotten {
            let state = answers.get(&id).cloned().unwrap_or(JobState::Unknown(String::new()));
            self.accounts.insert(id, state);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::slurm::job::Over;

    #[test]
    fn an_account_that_is_not_given_now_is_asked_for_again() {
        let mut inside = Inside::default();
        let ids = || vec!["41_0".to_owned(), "41_1".to_owned()];
        let trouble = Trouble::Unreachable("Connection refused".into());
        assert_eq!(inside.note_accounts(ids(), Err(trouble.clone())), Err(trouble));
        assert_eq!((&inside.forgotten, inside.accounts.len()), (&ids(), 0));
        let forgotten = std::mem::take(&mut inside.forgotten);
        let known = vec![("41_1".to_owned(), JobState::Over(Over::ByItself))];
        inside.note_accounts(forgotten, Ok(known)).unwrap();
        assert_eq!(inside.accounts["41_0"], JobState::Unknown(String::new()));
        assert_eq!(inside.accounts["41_1"], JobState::Over(Over::ByItself));
        assert!(inside.forgotten.is_empty());
    }

    #[test]
    fn of_two_jobs_of_one_name_the_one_that_is_not_over_counts() {
        let job = |id: &str, state: JobState| Job {
            id: id.to_owned(),
            name: format!("{PREFIX}a"),
            element: Some(0),
            state,
            restarts: 0,
            node: "n1".to_owned(),
            reason: String::new(),
            exit: 0,
        };
        let over = job("42_0", JobState::Over(Over::ByItself));
        let works = job("41_0", JobState::AtWork("RUNNING".to_owned()));
        for order in [[&over, &works], [&works, &over]] {
            let mut known = order[0].clone();
            prefer(&mut known, order[1]);
            assert_eq!(known.id, "41_0");
        }
    }
}
