//! The store thread: reads the run log for the screens and hands their requests to the queue.
//!
//! It has its own single-threaded runtime and speaks with the loop through two channels, so that no frame ever waits
//! for a disk. It polls `data_version` (microseconds) and reads only when somebody has committed something; of curves
//! only what has grown. The cost of reading stretches the time to the next look, so that a large lab takes a bounded
//! share of a core.

mod beside;
mod experiments;
mod inspect;
mod machine;
mod newest;
mod save;
mod search;
mod tail;
mod verbs;
mod workers;

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::lab::Home;
use crate::queue::Workers;
use crate::store::{CurvePoint, ExperimentRecord, RunId, Store, StoreError};

use super::Options;
use super::curves::{CurveId, Sample};
use super::effect::{Ask, Request, Watched};
use super::event::{Data, Event, Points, Worker};
use super::machine::{Disk, Lag};
use super::memory::Memory;

/// Time between two looks at whether anything has changed.
const LOOK: Duration = Duration::from_millis(200);

/// Time between two attempts to open a run log that cannot be opened.
const RETRY: Duration = Duration::from_secs(1);

/// Reading takes at most one part in this many of the time.
const SHARE: u32 = 12;

/// The loop's end of the store thread.
pub struct Feed {
    asks: UnboundedSender<Ask>,
    done: mpsc::Receiver<()>,
}

impl Feed {
    /// Starts the thread; it stops when the feed is finished or dropped.
    pub fn start(home: Home, options: Options, events: Sender<Event>) -> io::Result<Self> {
        let (asks, asked) = unbounded_channel();
        let (over, done) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cwd = std::env::current_dir()?;
        std::thread::Builder::new().name("store".into()).spawn(move || {
            let server = Server {
                home,
                readonly: options.readonly,
                cwd,
                events,
                store: None,
                version: None,
                told: None,
                watched: Vec::new(),
                newest: newest::Newest::default(),
                records: Vec::new(),
                follower: inspect::Follower::default(),
                workers: Vec::new(),
                looks: 0,
                sketched: HashMap::new(),
                drawn: HashMap::new(),
                searcher: None,
                sampler: None,
                machine_watched: false,
                disk: None,
                lags: Vec::new(),
            };
            runtime.block_on(server.serve(asked));
            drop(over);
        })?;
        Ok(Self { asks, done })
    }

    pub fn ask(&self, ask: Ask) {
        // A thread that is gone has said so by its panic; the loop is ending.
        drop(self.asks.send(ask));
    }

    /// Lets requests that are under way come to their end, within bounds.
    pub fn finish(self, patience: Duration) {
        drop(self.asks);
        let _ = self.done.recv_timeout(patience);
    }
}

struct Server {
    home: Home,
    readonly: bool,
    cwd: PathBuf,
    events: Sender<Event>,
    store: Option<Store>,
    /// What the run log's version was when it was read last.
    version: Option<i64>,
    /// The trouble that was told last, to tell it once.
    told: Option<String>,
    watched: Vec<Watched>,
    /// As of the last look.
    newest: newest::Newest,
    follower: inspect::Follower,
    /// Workers as they were told last.
    workers: Vec<Worker>,
    /// Counts looks at the run log.
    looks: u32,
    /// Experiments as they were told last.
    records: Vec<ExperimentRecord>,
    /// Metric → runs whose sketches are wanted.
    sketched: HashMap<String, Vec<RunId>>,
    /// Newest step of each sketch that was told.
    drawn: HashMap<CurveId, u64>,
    /// Threads of their own, once somebody has looked at their screens.
    searcher: Option<search::Searcher>,
    sampler: Option<machine::Sampler>,
    machine_watched: bool,
    /// Room where the lab lies and journals behind, as they were told last.
    disk: Option<Disk>,
    lags: Vec<Lag>,
}

impl Server {
    async fn serve(mut self, mut asked: UnboundedReceiver<Ask>) {
        self.tell(Data::Memory(Memory::load(&self.home)));
        let mut next = Instant::now();
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
                () = tokio::time::sleep_until(next.into()) => {
                    let began = Instant::now();
                    if let Some(log) = self.follower.look(&self.home) {
                        self.tell(Data::Log(log));
                    }
                    let wait = match self.look().await {
                        Ok(()) => LOOK,
                        Err(error) => {
                            self.trouble(&error);
                            RETRY
                        }
                    };
                    next = Instant::now() + wait.max(began.elapsed() * SHARE);
                }
            }
        }
    }

    fn tell(&self, data: Data) {
        drop(self.events.send(Event::Data(data)));
    }

    /// Says why the run log cannot be read, once, and opens it anew next time.
    fn trouble(&mut self, error: &StoreError) {
        self.store = None;
        self.version = None;
        let why = error.to_string();
        if self.told.as_ref() != Some(&why) {
            self.tell(Data::Trouble(why.clone()));
            self.told = Some(why);
        }
    }

    /// The run log, which has to be there: one that is made where somebody looks by mistake would hide the right one.
    async fn opened(&mut self) -> Result<Store, StoreError> {
        self.opened_for(false).await
    }

    /// As [`Self::opened`]; who `brings` the first runs may make it. One that cannot be written is looked at.
    async fn opened_for(&mut self, brings: bool) -> Result<Store, StoreError> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let opened = match (self.readonly, brings) {
            (true, _) => Store::open_readonly(&self.home).await,
            (false, false) => Store::open_existing(&self.home).await,
            (false, true) => Store::open(&self.home).await,
        };
        let store = match opened {
            Err(unwritable @ StoreError::ReadOnly { .. }) if !self.readonly => {
                // Why it cannot be written is told where it cannot be read either.
                let looking = Store::open_readonly(&self.home).await.map_err(|_| unwritable)?;
                self.readonly = true;
                self.tell(Data::Unwritable);
                looking
            }
            opened => opened?,
        };
        self.store = Some(store.clone());
        Ok(store)
    }

    /// Reads what has changed since the last look.
    async fn look(&mut self) -> Result<(), StoreError> {
        let store = match self.opened().await {
            // To look at a lab that is not there yet is no mistake.
            Err(StoreError::Missing { .. }) => {
                if self.told.is_none() {
                    self.tell(Data::Runs(Vec::new()));
                    self.told = Some(String::new());
                }
                return Ok(());
            }
            opened => opened?,
        };
        // A worker that dies commits nothing: its lock is looked at once a second, whatever the run log says.
        if self.looks.is_multiple_of(5) {
            let workers = workers::read(&self.home, &store).await?;
            if workers != self.workers {
                self.workers.clone_from(&workers);
                self.tell(Data::Workers(workers));
            }
        }
        if self.looks.is_multiple_of(50) {
            self.read_disk();
        }
        if self.machine_watched && self.looks.is_multiple_of(5) {
            self.read_lags(&store).await?;
        }
        self.looks = self.looks.wrapping_add(1);
        let version = store.data_version().await?;
        if self.version == Some(version) {
            return Ok(());
        }
        let rows = store.runs().await?;
        self.newest.read(&rows);
        self.tell(Data::Runs(rows));
        self.told = None;
        let records = store.experiments().await?;
        if records != self.records {
            self.records.clone_from(&records);
            self.tell(Data::Records(records));
        }
        // Remembered last: what failed half-way is read again.
        self.read_points(&store).await?;
        self.read_sketches(&store).await?;
        self.read_detail(&store).await?;
        self.version = Some(version);
        Ok(())
    }

    /// New points of the watched curves.
    async fn read_points(&mut self, store: &Store) -> Result<(), StoreError> {
        for watched in &mut self.watched {
            let newest = self.newest.step(&watched.curve);
            if newest.is_none() || newest <= watched.after {
                continue;
            }
            let CurveId { run, metric } = &watched.curve;
            let points = match store.curve(run, metric, watched.after).await {
                Ok(points) => points,
                // Removed while we were looking; the next look knows.
                Err(StoreError::UnknownRun { .. }) => continue,
                Err(error) => return Err(error),
            };
            let Some(last) = points.last().map(|point| point.step) else { continue };
            let sample = |point: &CurvePoint| Sample {
                step: point.step,
                sec: point.sec,
                value: point.value,
            };
            let points = points.iter().map(sample).collect();
            let points = Points { curve: watched.curve.clone(), after: watched.after, points };
            drop(self.events.send(Event::Data(Data::Points(points))));
            watched.after = Some(last);
        }
        Ok(())
    }

    /// Sketches of curves that have grown by so much that it could be seen.
    async fn read_sketches(&mut self, store: &Store) -> Result<(), StoreError> {
        for (metric, runs) in &self.sketched {
            let curve = |run: &RunId| CurveId { run: run.clone(), metric: metric.clone() };
            let has_grown = |run: &&RunId| {
                let newest = self.newest.step(&curve(run));
                let drawn = self.drawn.get(&curve(run));
                newest.is_some_and(|now| drawn.is_none_or(|&then| now != then && seen(then, now)))
            };
            let grown: Vec<RunId> = runs.iter().filter(has_grown).cloned().collect();
            if grown.is_empty() {
                continue;
            }
            let sketches = store.sketches(metric, &grown).await?;
            for sketch in &sketches {
                self.drawn.insert(curve(&sketch.run), sketch.last_step);
            }
            let metric = metric.clone();
            drop(self.events.send(Event::Data(Data::Sketches { metric, sketches })));
        }
        Ok(())
    }

    /// What is known of the run that is looked at.
    async fn read_detail(&self, store: &Store) -> Result<(), StoreError> {
        let Some(run) = self.follower.run() else { return Ok(()) };
        match inspect::detail(&self.home, store, run).await {
            Ok(detail) => self.tell(Data::Detail(Box::new(detail))),
            Err(StoreError::UnknownRun { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn save(&self, file: &str, bytes: &[u8]) {
        let (done, text) = match save::write_beside(&self.cwd, file, bytes) {
            Ok(name) if name == file => (true, format!("saved {file}")),
            Ok(name) => (true, format!("saved {name}: an older one is there")),
            Err(why) => (false, format!("cannot write {file}: {why}")),
        };
        self.tell(Data::Answer { done, text });
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Inspect(run) => {
                self.follower.follow(run);
                if let Some(log) = self.follower.look(&self.home) {
                    self.tell(Data::Log(log));
                }
                if let Some(store) = self.store.clone()
                    && let Err(error) = self.read_detail(&store).await
                {
                    self.trouble(&error);
                }
            }
            Ask::Images(run) => self.search(search::Job::Search(run)),
            Ask::Pictures(wished) => self.search(search::Job::Pictures(wished)),
            Ask::Map { run, step } => self.search(search::Job::Map { run, step }),
            Ask::Machine(watched) => self.watch_machine(watched),
            Ask::SavePlan { wanted, name } => {
                let (done, text) = match experiments::save(&self.cwd, &wanted, &name) {
                    Ok(file) => (true, format!("saved {file}")),
                    Err(why) => (false, why),
                };
                self.tell(Data::Answer { done, text });
                self.tell(Data::Experiments(experiments::list(&self.cwd)));
            }
            Ask::Sketch { metric, runs } => {
                if runs.is_empty() {
                    self.sketched.remove(&metric);
                } else {
                    self.sketched.insert(metric, runs);
                }
                if let Some(store) = self.store.clone()
                    && let Err(error) = self.read_sketches(&store).await
                {
                    self.trouble(&error);
                }
            }
            Ask::Save { file, text } => self.save(&file, text.as_bytes()),
            Ask::Draw { file, svg, kind } => match kind.bytes(&svg) {
                Ok(bytes) => self.save(&file, &bytes),
                Err(why) => self.tell(Data::Answer { done: false, text: why.to_string() }),
            },
            Ask::Remember(memory) => {
                // Convenience: a home that cannot be written has been complained about elsewhere.
                drop(memory.save(&self.home));
            }
            Ask::Watch(watched) => {
                self.watched = watched;
                if let Some(store) = self.store.clone()
                    && let Err(error) = self.read_points(&store).await
                {
                    self.trouble(&error);
                }
            }
            Ask::Tail { run, attempt } => {
                let lines = tail::read(&self.home.run(&run).stderr());
                self.tell(Data::Tail { run, attempt, lines });
            }
            Ask::Experiments => self.tell(Data::Experiments(experiments::list(&self.cwd))),
            Ask::Plan(wanted) => {
                let store = self.opened().await.ok();
                let plan = experiments::plan(store.as_ref(), &self.cwd, wanted).await;
                self.tell(Data::Plan(plan));
            }
            Ask::Do(request) => {
                // What is refused brings nothing.
                let brings = match &request {
                    Request::Queue { wanted, .. } => {
                        experiments::planned(&self.cwd, wanted).is_ok()
                            && Workers::load(&self.home).is_ok()
                    }
                    _ => false,
                };
                let told = match self.opened_for(brings).await {
                    Ok(store) => {
                        verbs::carry_out(&self.home, store, &self.cwd, request.clone()).await
                    }
                    Err(error) => verbs::Told::no(error.to_string()),
                };
                if told.void {
                    self.tell(Data::Void(request));
                }
                self.tell(Data::Answer { done: told.done, text: told.text });
            }
        }
    }
}

/// Whether growth from one newest step to another shows in a sketch: a curve that fell back always does.
fn seen(then: u64, now: u64) -> bool {
    now < then || now - then >= (then / 64).max(1)
}
