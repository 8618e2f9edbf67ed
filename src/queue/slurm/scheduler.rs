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
    wishes: Vec<(String, u32, Wish)>,
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
        self.shared.lock().unsent.iter().any(|array| array.id == submission)
    }

    /// Tells Slurm, now or as soon as it can be told.
    pub fn wish(&self, submission: &str, element: u32, wish: Wish) {
        self.shared.lock().wishes.push((submission.to_owned(), element, wish));
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

    fn serve(&self) {
        loop {
            let begun = Instant::now();
            match self.round(begun) {
                Ok(()) => self.lock().trouble = None,
                Err(trouble) => self.lock().trouble = Some(trouble.to_string()),
            }
            let inside = self.lock();
            if inside.leave {
                return;
            }
            // A wish is told at once, the queue is asked at its own pace.
            let left = self.poll.saturating_sub(begun.elapsed());
            let waits = |inside: &mut Inside| !inside.leave && inside.wishes.is_empty();
            let (mut inside, _) = self
                .woken
                .wait_timeout_while(inside, left, waits)
                .unwrap_or_else(PoisonError::into_inner);
            let wishes = std::mem::take(&mut inside.wishes);
            drop(inside);
            if !wishes.is_empty() {
                self.tell(wishes);
                // Several at once are told at once, and never more often than this.
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }

    fn round(&self, begun: Instant) -> Result<(), Trouble> {
        let mut jobs = HashMap::new();
        for job in client::jobs()? {
            if let Some(submission) = job.name.strip_prefix(PREFIX) {
                jobs.insert((submission.to_owned(), job.element), job);
            }
        }
        let view = Arc::new(View { begun, jobs });
        self.lock().view = Some(Arc::clone(&view));
        let wishes = std::mem::take(&mut self.lock().wishes);
        self.tell(wishes);
        self.submit(&view)?;
        self.ask_accounts();
        Ok(())
    }

    /// Tells what can be told; the rest is kept.
    fn tell(&self, wishes: Vec<(String, u32, Wish)>) {
        let view = self.lock().view.clone();
        let mut by_wish: [(Wish, Vec<String>); 3] =
            [Wish::Yield, Wish::End, Wish::Kill].map(|wish| (wish, Vec::new()));
        for (submission, element, wish) in &wishes {
            let known = view.as_ref().and_then(|view| view.job(submission, *element));
            let Some(job) = known.filter(|job| !matches!(job.state, JobState::Over(_))) else {
                continue;
            };
            if let Some((_, ids)) = by_wish.iter_mut().find(|(known, _)| known == wish) {
                ids.push(job.id.clone());
            }
        }
        let mut failed = Vec::new();
        for (wish, ids) in by_wish.iter().filter(|(_, ids)| !ids.is_empty()) {
            let done = match wish {
                // One that waits has nothing to write; one that has begun since is told so.
                Wish::Yield => client::cancel(&["--state=PENDING"], ids)
                    .and_then(|()| client::cancel(&["--batch", "--signal=USR1"], ids)),
                Wish::End => client::cancel(&[], ids),
                Wish::Kill => client::cancel(&["--full", "--signal=KILL"], ids)
                    .and_then(|()| client::cancel(&[], ids)),
            };
            if let Err(trouble) = done {
                self.lock().trouble = Some(trouble.to_string());
                failed.push(*wish);
            }
        }
        let again = wishes.into_iter().filter(|(.., wish)| failed.contains(wish));
        self.lock().wishes.extend(again);
    }

    /// Arrays on their way. One that is in the queue under its name has arrived, though nobody lived to note it; so has one
    /// of which an element has begun.
    fn submit(&self, view: &View) -> Result<(), Trouble> {
        let unsent = self.lock().unsent.clone();
        for array in unsent {
            if client::in_flight(&array) {
                continue;
            }
            let known = view.jobs.iter().find(|((submission, _), _)| *submission == array.id);
            let listed = known.and_then(|(_, job)| job.id.split('_').next().map(str::to_owned));
            let job = match listed.or_else(|| self.begun(&array)) {
                Some(job) => job,
                None => client::submit(&array)?,
            };
            // Where the disk is full, its name finds it again.
            let _ = array.note_job(&job);
            self.lock().unsent.retain(|known| known.id != array.id);
        }
        Ok(())
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
