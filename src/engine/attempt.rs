//! One attempt at a run, from its directory to an `end` record: lock, spec, data, checkpoint, training, ending.
//!
//! Whatever happens after the lock is taken is told in the journal, because a worker that adopts a running trainer
//! never sees its exit status.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};

use super::checkpoint::{self, Loaded};
use super::device::{self, DeviceError, Share};
use super::elsewhere::Others;
use super::environment::Environment;
use super::examine::{self, ExamineError, Examinee};
use super::models::ModelError;
use super::train::{Events, Job, Outcome, TrainError, Trainer};
use crate::config::evaluation::Evaluation;
use crate::config::{self, RunSpec};
use crate::data::{self, DataError, Dataset};
use crate::files;
use crate::journal::cause::Cause;
use crate::journal::event::{End, EndState, Event, Start, Warn};
use crate::journal::process::Identity;
use crate::journal::writer::{Clock, WriteError, Writer};
use crate::lab::{Home, RunDir};
use crate::machine::Watch;

/// Probes take the lock shared for an instant; a holder that stays is another trainer.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Between two times that a node's figures are told.
const FIGURES: Duration = Duration::from_secs(10);

/// How long NFS keeps what a dead client had locked, and a little more (nfsd's lease is 90 s).
const LEASE: Duration = Duration::from_secs(120);

/// How to make the attempt.
pub struct Attempt<'a> {
    pub dir: RunDir,
    pub number: u32,
    /// `cpu` or `cuda:<i>`.
    pub device: String,
    pub share: Share,
    /// Whether steps on CUDA may be recorded and launched whole.
    pub graphs: bool,
    /// On a cluster.
    pub node: Option<Node>,
    /// Ignore checkpoints and start from the beginning.
    pub fresh: bool,
    pub clock: Clock,
    /// Whether somebody asked for a checkpoint and an end.
    pub stop: &'a dyn Fn() -> bool,
}

/// Where on a cluster an attempt is made.
#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    /// The scheduler's name for its job.
    pub job: String,
    /// A file that says whose the run is. Once it says something else, this trainer is superseded: its node was thought dead.
    pub claim: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    #[error("{path} is held by another trainer of this run")]
    Locked { path: String },
    #[error("{path}: {source}")]
    Directory { path: String, source: io::Error },
    #[error("{path}: {source}")]
    Spec { path: String, source: serde_json::Error },
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Train(#[from] TrainError),
    #[error(transparent)]
    Examine(#[from] ExamineError),
    #[error(transparent)]
    Journal(#[from] WriteError),
    #[error("internal fault: {0}")]
    Panic(String),
}

impl AttemptError {
    /// What the journal says about it, by its name.
    pub fn reason(&self) -> String {
        let words = self.to_string();
        let cause = Cause::behind(&words).or(match self {
            AttemptError::Train(TrainError::NotFinite { .. }) => Some(Cause::NotFinite),
            AttemptError::Data(_)
            | AttemptError::Examine(ExamineError::Elsewhere { .. })
            | AttemptError::Train(TrainError::DataChanged { .. }) => Some(Cause::Data),
            _ => None,
        });
        cause.map_or(words.clone(), |cause| cause.reason(words))
    }

    /// Exit code of the trainer: 2 for what a person must mend in spec or data, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            AttemptError::Directory { source, .. } if source.kind() == io::ErrorKind::NotFound => 2,
            AttemptError::Spec { .. }
            | AttemptError::Device(_)
            | AttemptError::Data(_)
            | AttemptError::Examine(_)
            | AttemptError::Train(
                TrainError::DataChanged { .. }
                | TrainError::Model(_)
                | TrainError::Data(_)
                | TrainError::Unfit { .. },
            ) => 2,
            _ => 1,
        }
    }
}

impl Events for &Writer {
    fn write(&mut self, event: Event) -> Result<(), WriteError> {
        Writer::write(self, event)
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        Writer::sync(self)
    }
}

/// Makes the attempt. An error was told in the journal too, unless it is about the lock or the journal itself.
pub fn make(attempt: &Attempt) -> Result<Outcome, AttemptError> {
    // A network disk keeps the lock of a node that died for a while.
    let patience = if attempt.node.is_some() { LEASE } else { LOCK_PATIENCE };
    let _lock = lock_within(&attempt.dir, patience)?;
    let journal = Writer::open(&attempt.dir, attempt.number, attempt.clock.clone())?;
    let train = || {
        catch_unwind(AssertUnwindSafe(|| train(attempt, &journal)))
            .unwrap_or_else(|panic| Err(AttemptError::Panic(message(&*panic))))
    };
    let result = match &attempt.node {
        Some(node) => on_node(node, &attempt.device, &journal, train),
        None => train(),
    };
    let (state, step, reason) = match &result {
        Ok(Outcome::Finished { step }) => (EndState::Finished, *step, "trained to the end".into()),
        Ok(Outcome::Stopped { step }) => (EndState::Stopped, *step, "asked to stop".into()),
        Err(error) => (EndState::Failed, failed_at(error), error.reason()),
    };
    journal.finish(End { state, step, reason })?;
    result
}

/// Does `work` while a thread beside it tells the journal how busy the node is, which nobody elsewhere can see, and looks
/// whether the run is still this trainer's.
fn on_node<T>(node: &Node, device: &str, journal: &Writer, work: impl FnOnce() -> T) -> T {
    let gpu = device.strip_prefix("cuda:").and_then(|index| index.parse().ok());
    let (done, over) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let claim = node.claim.as_deref().and_then(Claim::read);
            let mut watch = Watch::default();
            watch.look(None);
            while over.recv_timeout(FIGURES) == Err(RecvTimeoutError::Timeout) {
                if claim.as_ref().is_some_and(Claim::is_lost) {
                    let words = "instdisc-train: another start of this run has begun elsewhere";
                    let _ = writeln!(io::stderr(), "{words}");
                    // Neither a checkpoint nor an end record: both are the other one's now. An exit would run destructors
                    // of libtorch under the training.
                    let _ = kill_process(getpid(), Signal::KILL);
                }
                // A journal that takes no more is for the training to notice.
                let told = watch.look(gpu).map(Event::Figures).map(|event| journal.write(event));
                if told.is_some_and(|told| told.is_err()) {
                    return;
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// What a claim file said when this trainer began.
struct Claim<'a> {
    path: &'a Path,
    said: Vec<u8>,
}

impl<'a> Claim<'a> {
    fn read(path: &'a Path) -> Option<Self> {
        Some(Self { path, said: std::fs::read(path).ok()? })
    }

    /// A file that cannot be read says nothing.
    fn is_lost(&self) -> bool {
        std::fs::read(self.path).is_ok_and(|says| says != self.said)
    }
}

fn train(attempt: &Attempt, mut journal: &Writer) -> Result<Outcome, AttemptError> {
    let (dir, device) = (&attempt.dir, device::parse(&attempt.device)?);
    let spec = read_spec(dir)?;
    let here = Environment::here(&spec.train, device, attempt.share);
    let known = Environment::read(&dir.env()).filter(|_| !attempt.fresh);
    let nothing_left = checkpoint::committed(&dir.checkpoints()).is_empty();
    let mut environment = match known.clone() {
        Some(known) if nothing_left => known.anew(&here),
        Some(known) => known,
        None => here.clone(),
    };
    device::pin_threads(environment.threads);

    let data = data::load_again(&spec.data, &home_of(dir), &environment.data_fingerprint)?;
    if !environment.data_fingerprint.is_empty() && environment.data_fingerprint != data.fingerprint
    {
        let expected = environment.data_fingerprint;
        return Err(TrainError::DataChanged { found: data.fingerprint, expected }.into());
    }
    if known.as_ref() != Some(&environment) || environment.data_fingerprint.is_empty() {
        environment.data_fingerprint = data.fingerprint.clone();
        environment.write(&dir.env()).map_err(|source| directory(dir.env(), source))?;
    }

    let finally = &spec.eval.finally;
    if !finally.is_empty() {
        examine::check(finally, &data, "eval.finally")?;
    }
    let others = Others::of(&spec, data.side, home_of(dir));
    let left_out = others.check()?;

    let (from, damaged) = newest_checkpoint(attempt);
    let resumed_step = from.as_ref().map_or(0, |loaded| loaded.meta.step);
    // A run that goes on has its own; also one whose checkpoints are all damaged begins with them.
    let known_weights = environment.weights_sha256.clone();
    let weights = if from.is_none() { weights(&spec, known_weights)? } else { known_weights };
    let origin = Instant::now();
    let clock = || origin.elapsed().as_secs_f64();
    let checkpoints = dir.checkpoints();
    let job = Job {
        spec: &spec,
        spec_fingerprint: config::fingerprint(&spec),
        data: &data,
        device,
        arithmetic: environment.arithmetic(),
        checkpoints: &checkpoints,
        clock: &clock,
        stop: attempt.stop,
        graphs: attempt.graphs,
    };
    let mut trainer = Trainer::new(job, from)?;
    // Only now is it known that they can be loaded: a file that cannot is no run's beginning.
    if weights != environment.weights_sha256 {
        environment.weights_sha256 = weights;
        environment.write(&dir.env()).map_err(|source| directory(dir.env(), source))?;
    }
    let identity = Identity::current().map_err(|source| directory("/proc/self", source))?;
    journal.write(Event::Start(Start {
        pid: identity.pid,
        boot_id: identity.boot_id,
        start_ticks: identity.start_ticks,
        device: device::name(device),
        threads: environment.threads,
        precision: environment.arithmetic().as_str().to_owned(),
        resumed_step,
        steps: trainer.steps(),
        epochs: spec.train.epochs,
        resume: environment.resume_promise(&here).to_owned(),
        metrics: trainer.metrics(),
        host: attempt.node.as_ref().map(|node| node.name.clone()),
        job: attempt.node.as_ref().map(|node| node.job.clone()),
    }))?;
    for warning in warnings(&data, damaged, left_out, resumed_step) {
        journal.write(Event::Warn(warning))?;
    }
    let outcome = trainer.run(&mut journal)?;
    let Outcome::Finished { step } = outcome else { return Ok(outcome) };
    if finally.is_empty() {
        return Ok(outcome);
    }
    drop(trainer);
    let loaded = checkpoint::load(&checkpoints, step).map_err(ExamineError::Damaged)?;
    let (trained_on, arithmetic) = (&data, environment.arithmetic());
    let own =
        Examinee { spec: &spec, trained_on, other: None, device, arithmetic, loaded: &loaded };
    let go_on = |_: &str| !(attempt.stop)();
    // The last checkpoint is there: the next start has only this left to do.
    let stopped = Ok(Outcome::Stopped { step });
    let Some(mut findings) = own.examine(finally, &go_on)? else { return stopped };
    let Some(more) = others.examine(&own, &go_on)? else { return stopped };
    findings.extend(more);
    own.tell(journal, &findings)?;
    Ok(outcome)
}

/// An attempt holds it for its whole life; the kernel drops it on any death.
pub(super) fn lock(dir: &RunDir) -> Result<File, AttemptError> {
    lock_within(dir, LOCK_PATIENCE)
}

fn lock_within(dir: &RunDir, patience: Duration) -> Result<File, AttemptError> {
    let path = dir.lock();
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|source| directory(&path, source))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(AttemptError::Locked { path: path.display().to_string() });
            }
            Err(TryLockError::Error(source)) => return Err(directory(&path, source)),
        }
    }
}

pub(super) fn read_spec(dir: &RunDir) -> Result<RunSpec, AttemptError> {
    let path = dir.spec();
    let text = std::fs::read(&path).map_err(|source| directory(&path, source))?;
    let shown = || path.display().to_string();
    serde_json::from_slice(&text).map_err(|source| AttemptError::Spec { path: shown(), source })
}

/// Run directories lie in `<home>/runs/<id>`.
pub(super) fn home_of(dir: &RunDir) -> Home {
    let path = dir.path().canonicalize().unwrap_or_else(|_| dir.path().to_owned());
    Home::new(path.ancestors().nth(2).unwrap_or(&path))
}

/// A fresh start also removes the old checkpoints: nothing may go on from them later.
fn newest_checkpoint(attempt: &Attempt) -> (Option<Loaded>, Vec<String>) {
    let dir = attempt.dir.checkpoints();
    if attempt.fresh {
        checkpoint::discard(&dir);
    }
    let (from, damaged) = checkpoint::load_newest(&dir);
    if !damaged.is_empty() {
        checkpoint::set_aside_after(&dir, from.as_ref().map_or(0, |loaded| loaded.meta.step));
    }
    (from, damaged)
}

fn warnings(
    data: &Dataset,
    damaged: Vec<String>,
    left_out: Vec<(Evaluation, String)>,
    step: u64,
) -> Vec<Warn> {
    let warn = |code: &str, message| Warn { step, code: code.to_owned(), message };
    let damaged = damaged
        .into_iter()
        .map(|why| warn("damaged_checkpoint", format!("{why}; went on from step {step} instead")));
    let skipped = data.skipped.iter().map(|why| warn("skipped_image", why.clone()));
    let left_out = left_out.into_iter().map(|(evaluation, set)| {
        let name = evaluation.name();
        warn(
            "left_out",
            format!("eval.on: {set} has no labels that {name} could go by: it is left out there"),
        )
    });
    damaged.chain(skipped).chain(left_out).collect()
}

/// Digest of the weights that the run is about to begin with; `known` is what it was before.
fn weights(spec: &RunSpec, known: Option<String>) -> Result<Option<String>, TrainError> {
    let Some(path) = &spec.model.weights else { return Ok(None) };
    let found = files::sha256(path)
        .map_err(|why| ModelError::Unreadable { path: path.clone(), why: why.to_string() })?;
    match known {
        Some(known) if known != found => Err(TrainError::Model(ModelError::Weights {
            path: path.clone(),
            found: format!("a file of sha256 {found}"),
            allowed: format!("that of {known}, with which this run began"),
        })),
        _ => Ok(Some(found)),
    }
}

fn failed_at(error: &AttemptError) -> u64 {
    match error {
        AttemptError::Train(
            TrainError::NotFinite { step, .. } | TrainError::Restore { step, .. },
        ) => *step,
        _ => 0,
    }
}

fn directory(path: impl AsRef<std::path::Path>, source: io::Error) -> AttemptError {
    AttemptError::Directory { path: path.as_ref().display().to_string(), source }
}

/// The first line of what a panic said. libtorch's go on with a trace, whose line ends `unwrap` has escaped.
pub fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
    let text = text.strip_prefix("called `Result::unwrap()` on an `Err` value: ").unwrap_or(text);
    text.split("\\n").next().and_then(|text| text.lines().next()).unwrap_or("unknown").to_owned()
}
