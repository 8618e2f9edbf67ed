//! What Slurm knows of our jobs, asked on a thread of its own: one question every few seconds for all of them, and no
//! command ever keeps a worker from its journals.
//!
//! Wishes that Slurm could not hear are told again until it does, submissions too.

mod rounds;
mod submit;
mod wishes;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::array::Array;
use super::client::{self, Trouble};
use super::job::{Job, JobState};
use crate::lab::Home;

use wishes::Told;
pub use wishes::Wish;

/// How long a worker waits for an answer before it goes on without.
const PATIENCE: Duration = Duration::from_secs(10);

/// One look at the queue.
pub struct View {
    /// When the question was asked: what happened later is not in it.
    begun: Instant,
    /// By submission and element.
    jobs: HashMap<(String, Option<u32>), Job>,
}

impl View {
    /// When the question was asked.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The element's own job, else what is left of its array.
    pub fn job(&self, submission: &str, element: u32) -> Option<&Job> {
        let job = |element| self.jobs.get(&(submission.to_owned(), element));
        job(Some(element)).or_else(|| job(None))
    }
}

#[derive(Default)]
struct Inside {
    view: Option<Arc<View>>,
    trouble: Option<String>,
    /// What Slurm takes in one array; none before it was asked.
    most: Option<usize>,
    /// Arrays whose job is not known yet.
    unsent: Vec<Arc<Array>>,
    /// Those of them that nobody can have submitted before: there is nothing to look for first.
    new: Vec<Arc<Array>>,
    /// Those of them that Slurm takes later, in its words.
    delayed: HashMap<String, String>,
    /// Elements of those that are not wanted any more.
    withdrawn: HashSet<(String, u32)>,
    /// When Slurm took a submission: looks that were begun earlier may not show it.
    taken: HashMap<String, Instant>,
    /// Submissions that Slurm would not take, and why.
    refused: HashMap<String, String>,
    wishes: Vec<Told>,
    /// Wishes that could not be told yet: the scheduler gives no answer, or has not shown the job so far.
    later: Vec<Told>,
    /// What `sacct` said of jobs that the queue has forgotten.
    accounts: HashMap<String, JobState>,
    forgotten: Vec<String>,
    leave: bool,
}

struct Shared {
    inside: Mutex<Inside>,
    woken: Condvar,
    /// Where something is known that somebody may wait for.
    answered: Condvar,
    home: Home,
    poll: Duration,
}

/// The thread and what it found out; it ends with the last of its users.
pub struct Scheduler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Scheduler {
    /// # Errors
    /// Where no thread can be had.
    pub fn start(home: Home, poll: Duration) -> std::io::Result<Self> {
        let inside = Mutex::new(Inside::default());
        let (woken, answered) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { inside, woken, answered, home, poll });
        let thread = std::thread::Builder::new().name("slurm".into());
        let served = Arc::clone(&shared);
        let thread = Some(thread.spawn(move || served.serve())?);
        Ok(Self { shared, thread })
    }

    /// The last look that was begun after `since`, and after Slurm had taken `submission`.
    pub fn view(&self, since: Instant, submission: &str) -> Option<Arc<View>> {
        let inside = self.shared.lock();
        let since = inside.taken.get(submission).map_or(since, |taken| since.max(*taken));
        inside.view.clone().filter(|view| since <= view.begun)
    }

    /// Why Slurm cannot be asked at present.
    pub fn trouble(&self) -> Option<String> {
        self.shared.lock().trouble.clone()
    }

    /// What Slurm takes in one array; its own default where it gives no answer. That is waited for once: as long as there
    /// is trouble, nobody waits again.
    pub fn most_elements(&self) -> usize {
        let waits = |inside: &mut Inside| inside.most.is_none() && inside.trouble.is_none();
        let inside = self.shared.lock();
        let waited = self.shared.answered.wait_timeout_while(inside, PATIENCE, waits);
        let (mut inside, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() && waits(&mut inside) {
            let words = format!("no answer in {} s", PATIENCE.as_secs());
            inside.trouble = Some(Trouble::Unreachable(words).to_string());
        }
        inside.most.unwrap_or(client::MOST_ELEMENTS)
    }

    /// Submits an array that was made just now.
    pub fn submit(&self, array: Arc<Array>) {
        let mut inside = self.shared.lock();
        inside.unsent.push(Arc::clone(&array));
        inside.new.push(array);
        self.shared.woken.notify_one();
    }

    /// Sees to it that an array gets to Slurm, once, whoever may have submitted it.
    pub fn send(&self, array: Arc<Array>) {
        let mut inside = self.shared.lock();
        // A worker whom trouble with the run log cut short adopts again what it has just submitted.
        if !inside.unsent.iter().any(|known| known.id == array.id) {
            inside.unsent.push(array);
        }
    }

    /// Whether Slurm is yet to be asked for an array, for all that is known.
    pub fn is_submitting(&self) -> bool {
        let inside = self.shared.lock();
        inside.trouble.is_none() && !inside.new.is_empty()
    }

    /// What Slurm says of `submission`, which it takes later.
    pub fn delay(&self, submission: &str) -> Option<String> {
        self.shared.lock().delayed.get(submission).cloned()
    }

    /// Whether `submission` is still on its way to Slurm.
    pub fn is_unsent(&self, submission: &str) -> bool {
        self.shared.is_unsent(submission)
    }

    /// Whether nobody wants this element of a submission any more, which Slurm has not taken so far.
    pub fn is_withdrawn(&self, submission: &str, element: u32) -> bool {
        self.shared.lock().withdrawn.contains(&(submission.to_owned(), element))
    }

    /// Why Slurm would not take `submission`.
    pub fn refusal(&self, submission: &str) -> Option<String> {
        self.shared.lock().refused.get(submission).cloned()
    }

    /// Tells Slurm, now or as soon as it can be told.
    pub fn wish(&self, submission: &str, element: u32, wish: Wish) {
        let submission = submission.to_owned();
        self.shared.lock().wishes.push(Told { submission, element, wish, at: Instant::now() });
        self.shared.woken.notify_one();
    }

    /// How a job ended that is no longer in the queue, once `sacct` was asked; none before. Where there is no account of it,
    /// the state is unknown.
    pub fn account(&self, id: &str) -> Option<JobState> {
        let mut inside = self.shared.lock();
        if let Some(state) = inside.accounts.get(id) {
            return Some(state.clone());
        }
        if !inside.forgotten.iter().any(|known| known == id) {
            inside.forgotten.push(id.to_owned());
        }
        None
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.lock().leave = true;
        self.shared.woken.notify_one();
        // A command that it waits for may take a minute, and nobody needs its answer any more.
        drop(self.thread.take());
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_unsent(&self, submission: &str) -> bool {
        self.lock().unsent.iter().any(|array| array.id == submission)
    }
}
