//! Trainers as jobs of a Slurm cluster, seen from its login node.
//!
//! What became of one is for the scheduler to say, and for the traces in the run's directory: a lock that a node holds may
//! not be seen from here. While the scheduler gives no answer nothing is concluded.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::over::{how, left};
use super::{Ask, Ending, Found, LaunchError, Launcher, Order, Trainer};
use crate::journal::process::Identity;
use crate::lab::{Home, RunDir};
use crate::queue::meta::Meta;
use crate::queue::slurm::Settings;
use crate::queue::slurm::array::{self, Array};
use crate::queue::slurm::job::{Job, JobState, Over};
use crate::queue::slurm::scheduler::{Scheduler, Wish};
use crate::queue::slurm::trace::Trace;
use crate::store::Launch;

/// Between two looks at the journals of what is in hand: a second of metrics is what a screen may be behind.
const PACE: Duration = Duration::from_secs(1);

/// Between two times that a job is asked to end at once.
const INSISTS: Duration = Duration::from_secs(10);

/// How long the journal must be silent where the end was asked for.
const CURT: Duration = Duration::from_secs(5);

/// Submits to the cluster that this machine is a login node of.
pub struct Slurm {
    home: Home,
    trainer: PathBuf,
    settings: Settings,
    scheduler: Arc<Scheduler>,
    /// Where runs were submitted, the latest last.
    places: RefCell<HashMap<String, Vec<Place>>>,
    /// Submissions whose job was not known when this worker came.
    sent: RefCell<HashSet<String>>,
}

/// An element of a submission.
#[derive(Clone)]
struct Place {
    array: Arc<Array>,
    element: u32,
    /// The attempt of its first start.
    base: u32,
    /// When its run was first queued.
    queued_at: i64,
}

impl Slurm {
    /// # Errors
    /// When what was submitted before cannot be read.
    pub fn new(home: Home, trainer: PathBuf, settings: Settings) -> io::Result<Self> {
        let scheduler = Arc::new(Scheduler::start(home.clone(), settings.poll())?);
        let (places, sent) = Default::default();
        let slurm = Self { home, trainer, settings, scheduler, places, sent };
        for array in Array::all(&slurm.home)? {
            slurm.remember(&Arc::new(array));
        }
        Ok(slurm)
    }

    fn remember(&self, array: &Arc<Array>) {
        let mut places = self.places.borrow_mut();
        for (i, element) in array.elements.iter().enumerate() {
            let known = places.entry(element.run.clone()).or_default();
            let (base, queued_at) = (element.attempt, element.queued_at);
            let place = Place { array: array.clone(), element: i as u32, base, queued_at };
            if !known.iter().any(|it| it.array.id == array.id && it.element == place.element) {
                known.push(place);
            }
            known.sort_by_key(|place| place.base);
        }
    }

    /// The element that makes this attempt, or made it: of those that began no later, the last.
    ///
    /// # Errors
    /// Where the run's directory cannot be read now: that says nothing about its job.
    fn place(&self, dir: &RunDir, attempt: u32) -> io::Result<Option<Place>> {
        let places = self.places.borrow();
        let Some(places) = places.get(&run_of(dir)) else { return Ok(None) };
        // Most runs are new, and their directories need not be read.
        let mut of_it = places.iter().filter(|place| place.base <= attempt).peekable();
        if of_it.peek().is_none() {
            return Ok(None);
        }
        let since = queued_at(dir)?;
        Ok(of_it.rfind(|place| since.is_none_or(|since| place.queued_at == since)).cloned())
    }

    fn trainer_at(&self, dir: &RunDir, place: &Place) -> Box<dyn Trainer> {
        Box::new(Element {
            scheduler: self.scheduler.clone(),
            dir: dir.clone(),
            place: place.clone(),
            since: Instant::now(),
            settle: self.settings.settle(),
            silent: None,
            asked: false,
            unheld: None,
            insisted: None,
            standing: None,
        })
    }

    /// One array for these runs, on its way to Slurm: what Slurm answers is waited for elsewhere.
    fn submit(&self, orders: &[&Order], settings: &Settings) -> Result<(), LaunchError> {
        let element = |order: &&Order| {
            let queued_at = queued_at(&order.dir).map_err(|why| unreadable(&order.dir, why))?;
            Ok(array::Element {
                run: run_of(&order.dir),
                attempt: order.attempt,
                queued_at: queued_at.unwrap_or_default(),
                fresh: order.fresh,
            })
        };
        let elements = orders.iter().map(element).collect::<Result<_, LaunchError>>()?;
        let array = Array::make(&self.home, elements, settings, &self.trainer)
            .map_err(|why| LaunchError::Start { path: self.home.root().to_owned(), why })?;
        let array = Arc::new(array);
        self.scheduler.submit(Arc::clone(&array));
        self.remember(&array);
        Ok(())
    }
}

impl Launcher for Slurm {
    fn room(&self) -> usize {
        self.settings.most as usize
    }

    fn pace(&self) -> Duration {
        PACE
    }

    /// Those that are asked for alike share arrays.
    fn start(&self, orders: &[Order]) -> Vec<Result<Box<dyn Trainer>, LaunchError>> {
        let mut refused: HashMap<String, String> = HashMap::new();
        let mut alike: BTreeMap<&Launch, Vec<&Order>> = BTreeMap::new();
        for order in orders {
            // Where the run log was made anew, a job may be at work on this very attempt.
            match self.place(&order.dir, order.attempt) {
                Ok(Some(place)) if place.base == order.attempt => {}
                Ok(_) => alike.entry(&order.launch).or_default().push(order),
                Err(why) => {
                    let why = unreadable(&order.dir, why).to_string();
                    refused.insert(run_of(&order.dir), why);
                }
            }
        }
        let most = if alike.is_empty() { 1 } else { self.scheduler.most_elements() };
        for (launch, orders) in alike {
            for orders in orders.chunks(most.max(1)) {
                let settings = self.settings.with(launch).map_err(LaunchError::Refused);
                if let Err(why) = settings.and_then(|it| self.submit(orders, &it)) {
                    let each = orders.iter().map(|order| (run_of(&order.dir), why.to_string()));
                    refused.extend(each);
                }
            }
        }
        let started = orders.iter().map(|order| {
            let run = run_of(&order.dir);
            let place = self.place(&order.dir, order.attempt).unwrap_or_default();
            match (refused.remove(&run), place) {
                (None, Some(place)) => Ok(self.trainer_at(&order.dir, &place)),
                (why, _) => {
                    let why = why.unwrap_or_else(|| "no job was asked for".into());
                    Err(LaunchError::Refused(why.trim_start_matches("cluster: ").to_owned()))
                }
            }
        });
        started.collect()
    }

    fn adopt(&self, dir: &RunDir, attempt: u32, _known: Option<&Identity>) -> io::Result<Found> {
        let Some(place) = self.place(dir, attempt)? else {
            // Claimed, and no more than that.
            return Ok(Found::Ended(Ending::Unseen));
        };
        if place.array.job().is_none() && self.sent.borrow_mut().insert(place.array.id.clone()) {
            self.scheduler.send(Arc::clone(&place.array));
        }
        Ok(Found::AtWork(self.trainer_at(dir, &place)))
    }

    fn trouble(&self) -> Option<String> {
        self.scheduler.trouble()
    }

    fn is_starting(&self) -> bool {
        self.scheduler.is_submitting()
    }
}

/// One run's job.
struct Element {
    scheduler: Arc<Scheduler>,
    dir: RunDir,
    place: Place,
    /// Looks that began earlier do not know of it yet.
    since: Instant,
    settle: Duration,
    /// Since when its job is over without a word in the run's directory, and how long the journal was then.
    silent: Option<(Instant, u64)>,
    /// Whether it was asked to end.
    asked: bool,
    /// What could not be written into the run's directory yet.
    unheld: Option<Wish>,
    insisted: Option<Instant>,
    standing: Option<String>,
}

impl Trainer for Element {
    fn ask(&mut self, ask: Ask) -> io::Result<()> {
        let wish = match ask {
            Ask::Checkpoint => Wish::Yield,
            Ask::Terminate => Wish::End,
            Ask::Kill if self.insisted.is_some_and(|at| at.elapsed() < INSISTS) => return Ok(()),
            Ask::Kill => Wish::Kill,
        };
        if wish == Wish::Kill {
            self.insisted = Some(Instant::now());
        }
        self.asked = true;
        self.unheld = Some(wish);
        self.hold();
        // An end is an end, also where that cannot be noted.
        if self.unheld.is_some() && wish != Wish::Yield {
            self.scheduler.wish(&self.place.array.id, self.place.element, wish);
        }
        Ok(())
    }

    fn identity(&self) -> Option<Identity> {
        None
    }

    fn ending(&mut self, attempt: u32) -> io::Result<Option<Ending>> {
        self.hold();
        let Place { array, element, base, .. } = &self.place;
        if self.scheduler.is_unsent(&array.id) {
            if self.asked && self.scheduler.is_withdrawn(&array.id, *element) {
                return Ok(Some(Ending::Revoked));
            }
            let words = self.scheduler.delay(&array.id);
            self.standing = Some(words.unwrap_or_else(|| "waits until Slurm takes it".into()));
            return Ok(None);
        }
        if let Some(why) = self.scheduler.refusal(&array.id) {
            if self.asked {
                return Ok(Some(Ending::Revoked));
            }
            // Best effort: without it the reason is a general one.
            let _ = say(&self.dir, &why);
            return Ok(Some(Ending::NeverBegan));
        }
        let Some(view) = self.scheduler.view(self.since, &array.id) else { return Ok(None) };
        let job = view.job(&array.id, *element);
        self.standing = job.and_then(Job::standing);
        if let Some(job) = job {
            let current = base + job.restarts;
            // While it completes, the trainer of the start before is still at work.
            let completing = job.state == JobState::AtWork("COMPLETING".into());
            if attempt < current && !completing {
                return Ok(Some(Ending::Requeued));
            }
            // Claimed for another submission, which nobody lived to make.
            if current < attempt && Trace(&self.dir).begun_since(attempt).is_none() {
                return Ok(Some(Ending::Unseen));
            }
        }
        Ok(match job.map(|job| (&job.state, job.node.is_empty())) {
            Some((JobState::Over(over), nowhere)) => {
                let exit = job.map_or(0, |job| job.exit);
                self.over(attempt, Some((*over, exit)), nowhere)
            }
            // Gone is what two looks do not show.
            None if self.silent.is_some_and(|(since, _)| view.begun() <= since) => None,
            None => self.over(attempt, None, false),
            Some(_) => {
                self.silent = None;
                None
            }
        })
    }

    fn standing(&self) -> Option<String> {
        self.standing.clone()
    }
}

impl Element {
    /// From now on no start of the job trains, and no notice starts it anew; then the job is told. Where the disk does not
    /// take that, it is tried again at the next look.
    fn hold(&mut self) {
        let Some(wish) = self.unheld else { return };
        if Trace(&self.dir).hold(&self.place.array.id).is_ok() {
            self.unheld = None;
            self.scheduler.wish(&self.place.array.id, self.place.element, wish);
        }
    }

    /// Its job is over, or the scheduler has forgotten it. The trainer's own status says most; without one, its last words
    /// may still be on their way through the shared disk. A job that was never on a node has none. On a disk that was full
    /// there are none either, and the job's own status counts.
    fn over(&mut self, attempt: u32, job: Option<(Over, i32)>, nowhere: bool) -> Option<Ending> {
        let over = job.map(|(over, _)| over);
        let trace = Trace(&self.dir);
        let begun = trace.started(attempt).is_some();
        if let Some(status) = trace.ended(attempt) {
            return Some(left(status, over, begun));
        }
        if !nowhere || begun {
            let (now, length) = (Instant::now(), trace.journal());
            let (since, known) = *self.silent.get_or_insert((now, length));
            if known != length {
                self.silent = Some((now, length));
                return None;
            }
            // Whoever asked for its end has no use for its last words.
            let patience = if self.asked { self.settle.min(CURT) } else { self.settle };
            if since.elapsed() < patience {
                return None;
            }
        }
        match job {
            Some((Over::ByItself, _)) if !begun => Some(Ending::NeverBegan),
            Some((Over::ByItself, exit)) if exit != 0 => Some(left(exit, over, begun)),
            Some((over, _)) => Some(how(over)),
            None => {
                let job = trace.started(attempt);
                let id = job.and_then(|job| job.split(' ').next().map(str::to_owned));
                let Some(id) = id else {
                    return Some(if self.asked { Ending::Revoked } else { Ending::Unseen });
                };
                match self.scheduler.account(&id)? {
                    JobState::Over(over) => Some(how(over)),
                    _ if self.asked => Some(Ending::Revoked),
                    // An account may have missed the end, and believe in it for ever.
                    _ => Some(Ending::Unseen),
                }
            }
        }
    }
}

/// When the run was first queued; `None` where its directory does not say.
fn queued_at(dir: &RunDir) -> io::Result<Option<i64>> {
    Ok(if dir.meta().try_exists()? { Some(Meta::read(dir)?.queued_at) } else { None })
}

fn unreadable(dir: &RunDir, why: io::Error) -> LaunchError {
    LaunchError::Start { path: dir.meta(), why }
}

/// Where a run's last words are looked for.
fn say(dir: &RunDir, words: &str) -> io::Result<()> {
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(dir.stderr())?;
    writeln!(log, "{words}")
}

/// Run directories are named by their runs.
fn run_of(dir: &RunDir) -> String {
    dir.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_read_is_told_from_one_that_does_not_say() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::new(root.path());
        assert_eq!(queued_at(&dir).unwrap(), None);
        Meta { queued_at: 7, ..Meta::default() }.write(&dir).unwrap();
        assert_eq!(queued_at(&dir).unwrap(), Some(7));
        std::fs::remove_file(dir.meta()).unwrap();
        std::os::unix::fs::symlink(dir.meta(), dir.meta()).unwrap();
        assert!(queued_at(&dir).is_err());
    }
}
