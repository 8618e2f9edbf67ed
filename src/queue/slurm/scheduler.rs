//! What Slurm knows of our jobs, asked on a thread of its own: one question every few seconds for all of them, and no
//! command ever keeps a worker from its journals.
//!
//! Wishes that Slurm could not hear are told again until it does, submissions too.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::array::{Array, PREFIX};
use super::client::{self, Trouble};
use super::job::{Job, JobState};
use super::trace::Trace;
use crate::lab::Home;

/// How long a worker waits for an answer before it goes on without.
const PATIENCE: Duration = Duration::from_secs(10);

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
        self.shared.lock().unsent.push(array);
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

impl Inside {
    /// What is to be submitted now. Of those that Slurm takes later one is tried again at a time.
    fn due(&self) -> Vec<Arc<Array>> {
        let is_delayed = |array: &&Arc<Array>| self.delayed.contains_key(&array.id);
        let is_new = |array: &&Arc<Array>| self.new.iter().any(|new| new.id == array.id);
        let first = self.unsent.iter().find(is_delayed);
        let others = self.unsent.iter().filter(|array| !is_delayed(array) && !is_new(array));
        others.chain(first).cloned().collect()
    }

    /// Behind the others that wait.
    fn delay(&mut self, array: &Arc<Array>, words: String) {
        self.unsent.retain(|known| known.id != array.id);
        self.unsent.push(Arc::clone(array));
        self.delayed.insert(array.id.clone(), words);
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
        self.learn_limit()?;
        // Before the look: what somebody else's `sbatch` does until it is gone, the look shows.
        let mut unsent = self.lock().due();
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
        self.submit(Some(&view), &unsent)
    }

    fn learn_limit(&self) -> Result<(), Trouble> {
        if self.lock().most.is_none() {
            let most = match client::most_elements() {
                Err(Trouble::Refused(_)) => client::MOST_ELEMENTS,
                answer => answer?,
            };
            self.lock().most = Some(most);
            self.answered.notify_all();
        }
        Ok(())
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

    /// Arrays on their way; no one of them keeps another from Slurm. One that is in the queue under its name has arrived,
    /// though nobody lived to note it; so has one of which an element has begun. Without a view they are new.
    fn submit(&self, view: Option<&View>, unsent: &[Arc<Array>]) -> Result<(), Trouble> {
        for array in unsent {
            let answer = match view.and_then(|view| self.arrived(view, array)) {
                Some(job) => Ok(job),
                // Nobody wants it any more.
                None if self.is_held(array) => Err(Trouble::Refused("held".into())),
                None => client::submit(array),
            };
            let id = &array.id;
            match answer {
                // Where the disk is full, its name finds it again.
                Ok(job) => drop(array.note_job(&job)),
                Err(later @ Trouble::Later(_)) => {
                    self.lock().delay(array, later.to_string());
                    continue;
                }
                Err(refused @ Trouble::Refused(_)) => {
                    self.lock().refused.insert(id.clone(), refused.to_string());
                    // So that nobody takes it for a submission later.
                    let _ = std::fs::remove_dir_all(&array.folder);
                }
                Err(trouble) => return Err(trouble),
            }
            let mut inside = self.lock();
            inside.unsent.retain(|known| known.id != *id);
            inside.delayed.remove(id);
            // The look at hand is older than the job.
            let now = Instant::now();
            inside.taken.insert(id.clone(), now);
            let of_it = inside.later.iter_mut().filter(|told| told.submission == *id);
            of_it.for_each(|told| told.at = now);
        }
        Ok(())
    }

    /// The number of its job, where there is one.
    fn arrived(&self, view: &View, array: &Array) -> Option<String> {
        let known = view.jobs.iter().find(|((submission, _), _)| *submission == array.id);
        let listed = known.and_then(|(_, job)| job.id.split('_').next().map(str::to_owned));
        listed.or_else(|| self.begun(array))
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
