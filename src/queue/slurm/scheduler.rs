//! What Slurm knows of our jobs, asked on a thread of its own: one question every few seconds for all of them, and no
//! command ever keeps a worker from its journals.
//!
//! Wishes that Slurm could not hear are told again until it does, submissions too.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::array::{Array, PREFIX};
use super::client::{self, Trouble};
use super::job::{Job, JobState};
use super::trace::Trace;
use crate::lab::Home;

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
struct Told {
    submission: String,
    element: u32,
    wish: Wish,
    at: Instant,
}

/// One look at the queue.
pub struct View {
    /// When the question was asked: what happened later is not in it.
    begun: Instant,
    /// By submission and element.
    jobs: HashMap<(String, Option<u32>), Job>,
}

impl View {
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
    /// Arrays whose job is not known yet.
    unsent: Vec<Array>,
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
        let shared = Arc::new(Shared { inside, woken: Condvar::new(), home, poll });
        let thread = std::thread::Builder::new().name("slurm".into());
        let served = Arc::clone(&shared);
        let thread = Some(thread.spawn(move || served.serve())?);
        Ok(Self { shared, thread })
    }

    /// The last look that was begun after `since`.
    pub fn view(&self, since: Instant) -> Option<Arc<View>> {
        self.shared.lock().view.clone().filter(|view| since <= view.begun)
    }

    /// Why Slurm cannot be asked at present.
    pub fn trouble(&self) -> Option<String> {
        self.shared.lock().trouble.clone()
    }

    /// Sees to it that an array gets to Slurm, once.
    pub fn send(&self, array: Array) {
        self.shared.lock().unsent.push(array);
        self.shared.woken.notify_one();
    }

    /// Whether `submission` is still on its way to Slurm.
    pub fn is_unsent(&self, submission: &str) -> bool {
        self.shared.is_unsent(submission)
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

impl Told {
    fn again(&self) -> Self {
        Self { submission: self.submission.clone(), ..*self }
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

    fn serve(&self) {
        loop {
            let begun = Instant::now();
            match self.round(begun) {
                Ok(()) => self.lock().trouble = None,
                Err(trouble) => self.lock().trouble = Some(trouble.to_string()),
            }
            if self.wait_until(begun + self.poll) {
                return;
            }
        }
    }

    /// Tells wishes as they come. Whether it is time to leave.
    fn wait_until(&self, next: Instant) -> bool {
        loop {
            let inside = self.lock();
            let left = next.saturating_duration_since(Instant::now());
            let waits = |inside: &mut Inside| !inside.leave && inside.wishes.is_empty();
            let waited = self.woken.wait_timeout_while(inside, left, waits);
            let (mut inside, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if inside.leave {
                return true;
            }
            let wishes = std::mem::take(&mut inside.wishes);
            drop(inside);
            if wishes.is_empty() {
                return false;
            }
            self.tell(wishes);
        }
    }

    fn round(&self, begun: Instant) -> Result<(), Trouble> {
        // Before the look: what somebody else's `sbatch` does until it is gone, the look shows.
        let mut unsent = self.lock().unsent.clone();
        unsent.retain(|array| !client::in_flight(array));
        let mut jobs = HashMap::new();
        for job in client::jobs()? {
            if let Some(submission) = job.name.strip_prefix(PREFIX) {
                jobs.insert((submission.to_owned(), job.element), job);
            }
        }
        let view = Arc::new(View { begun, jobs });
        self.lock().view = Some(Arc::clone(&view));
        let later = std::mem::take(&mut self.lock().later);
        self.tell(later);
        self.ask_accounts();
        self.submit(&view, unsent)
    }

    /// Tells what can be told; the rest is kept. A job that a look begun after the wish does not show needs no telling.
    fn tell(&self, wishes: Vec<Told>) {
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
                    None if self.is_unsent(&one.submission) => later.push(one),
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

    /// Arrays on their way. One that is in the queue under its name has arrived, though nobody lived to note it; so has one
    /// of which an element has begun.
    fn submit(&self, view: &View, unsent: Vec<Array>) -> Result<(), Trouble> {
        for array in unsent {
            let known = view.jobs.iter().find(|((submission, _), _)| *submission == array.id);
            let listed = known.and_then(|(_, job)| job.id.split('_').next().map(str::to_owned));
            let answer = match listed.or_else(|| self.begun(&array)) {
                Some(job) => Ok(job),
                // Nobody wants it any more.
                None if self.is_held(&array) => Err(Trouble::Refused("held".into())),
                None => client::submit(&array),
            };
            match answer {
                // Where the disk is full, its name finds it again.
                Ok(job) => drop(array.note_job(&job)),
                // The others are not kept from Slurm by this one.
                Err(refused @ Trouble::Refused(_)) => {
                    self.lock().refused.insert(array.id.clone(), refused.to_string());
                    // So that nobody takes it for a submission later.
                    let _ = std::fs::remove_dir_all(&array.folder);
                }
                Err(trouble) => return Err(trouble),
            }
            let mut inside = self.lock();
            inside.unsent.retain(|known| known.id != array.id);
            // The look at hand is older than the job.
            let of_it = inside.later.iter_mut().filter(|told| told.submission == array.id);
            of_it.for_each(|told| told.at = Instant::now());
        }
        Ok(())
    }

    fn is_held(&self, array: &Array) -> bool {
        let held = |run: &str| Trace(&self.home.run(run)).is_held(&array.id);
        array.elements.iter().all(|element| held(&element.run))
    }

    /// The job that an element says it belongs to.
    fn begun(&self, array: &Array) -> Option<String> {
        array.elements.iter().find_map(|element| {
            let dir = self.home.run(&element.run);
            let started = Trace(&dir).begun_since(element.attempt)?;
            started.split('_').next().map(str::to_owned)
        })
    }

    fn ask_accounts(&self) {
        let forgotten = std::mem::take(&mut self.lock().forgotten);
        if forgotten.is_empty() {
            return;
        }
        let answers: HashMap<_, _> = client::account(&forgotten).into_iter().collect();
        let mut inside = self.lock();
        for id in forgotten {
            let state = answers.get(&id).cloned().unwrap_or(JobState::Unknown(String::new()));
            inside.accounts.insert(id, state);
        }
    }
}
