//! `queue`: an experiment's runs get their directories and their rows.
//!
//! A run's directory is complete before its row is committed: it is written under a temporary name, synced and
//! renamed. Of many new runs the whole file system is synced instead, once: each would take six waits for the disk, during
//! which nobody else can write into the run log. A crash in between leaves a directory without a row, which the next attempt to queue the same run takes
//! over, or a temporary one, which nobody reads. What is told anew to a run that is there already is in its directory
//! before it is in its row, too: after a crash in between, whoever queues it once more or repairs the run log takes it in.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::desk::{Answer, Desk, QueueError, file_error};
use super::meta::{Membership, Meta};
use super::stop::LOOKS;
use crate::config::{Experiment, Invalid, fingerprint};
use crate::files::sync_parent;
use crate::grid::{self, Planned};
use crate::lab::RunDir;
use crate::store::{Launch, NewRun, Outcome, RunId, State, Submission};

/// From so many runs on their directories are synced together.
const MANY: usize = 64;

/// An experiment with the runs it asks for.
#[derive(Clone, Debug)]
pub struct Plan {
    pub experiment: Experiment,
    pub runs: Vec<Planned>,
    /// Places of `runs` that are not queued this time.
    pub left_out: BTreeSet<usize>,
}

/// How to queue.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Higher goes first. Absent: 0 for a new run, and as it was for one that is there already.
    pub priority: Option<i64>,
    /// What is asked of a cluster; absent for runs of this machine.
    pub launch: Option<Launch>,
    /// Run it once more, whatever is there.
    pub again: bool,
}

/// What became of one planned run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub id: RunId,
    pub fate: Fate,
    pub root: Root,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    New,
    /// It was there already and is queued, at work or finished.
    Shared(State),
    /// It was there already but had ended otherwise; it is queued again.
    Requeued(State),
}

impl Fate {
    /// One word, for lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::New => "queued",
            Fate::Shared(_) => "shared",
            Fate::Requeued(_) => "requeued",
        }
    }
}

/// Whether a run that was there already reads its files from where the plan says: `data.root` makes no other run of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// As it did before.
    Same,
    /// From now on.
    Moved,
    /// No: it is at work, or finished.
    Kept,
}

impl Plan {
    /// `cwd` is what relative places of data sets are taken from: the run will start in another folder.
    pub fn new(experiment: Experiment, cwd: &Path) -> Result<Self, Invalid> {
        let mut runs = grid::expand(&experiment)?;
        for run in &mut runs {
            if let Some(root) = run.spec.data.root.as_mut().filter(|root| root.is_relative()) {
                *root = cwd.join(&root);
            }
            run.spec.eval.on.iter_mut().for_each(|on| on.from_folder(cwd));
            run.fingerprint = fingerprint(&run.spec);
        }
        Ok(Self { experiment, runs, left_out: BTreeSet::new() })
    }

    fn membership(&self, run: &Planned, ordinal: usize) -> Membership {
        Membership {
            name: self.experiment.name.clone(),
            question: self.experiment.question.clone(),
            ordinal: ordinal as u64,
            variant: run.variant.clone(),
            varied: run.varied.clone(),
            factors: self.experiment.factors.clone(),
            references: self.experiment.references.clone(),
            text: self.experiment.text.clone(),
            planned: self.runs.len() as u64,
        }
    }
}

impl Desk {
    /// Queues the runs of `plan`, in its order, but for those left out. All of them or none.
    pub async fn enqueue(&self, plan: &Plan, manner: &Manner) -> Result<Vec<Queued>, QueueError> {
        let runs = self.home.runs();
        std::fs::create_dir_all(&runs).map_err(file_error(&runs))?;
        let mut submission = self.submission(plan, manner)?;
        // Who comes later waits behind, also where the clock was put back in between.
        submission.at = submission.at.max(self.store.last_in_line().await?);
        let together = MANY <= plan.runs.len() - plan.left_out.len() && can_sync_all();
        let places = plan.runs.iter().enumerate().rev();
        let places: HashMap<&str, usize> =
            places.map(|(place, run)| (run.fingerprint.as_str(), place)).collect();
        // Before the run log is written, as others wait for the run log with this in their hands.
        let edits = self.edits().await?;
        let mut ordinal = 0;
        let mut roots = Vec::with_capacity(plan.runs.len());
        let seal = || if together { sync_all(&runs).map_err(file_error(&runs)) } else { Ok(()) };
        let make = |id: &RunId, new: &NewRun, outcome: Outcome| {
            ordinal = places.get(new.fingerprint.as_str()).copied().unwrap_or(ordinal);
            let membership = plan.membership(&plan.runs[ordinal], ordinal);
            if let Outcome::Reused(state) = outcome {
                let may_move = state.may_move();
                let differs = new.says_where() && self.is_specified_otherwise(id, &new.spec);
                roots.push(match (differs, may_move) {
                    (false, _) => Root::Same,
                    (true, true) => Root::Moved,
                    (true, false) => Root::Kept,
                });
                if differs && may_move {
                    self.respecify(&edits, id, &new.spec)?;
                }
                let change = |meta: &mut Meta| {
                    meta.join(membership.clone());
                    if may_move {
                        meta.launch.clone_from(&manner.launch);
                        meta.priority = manner.priority.unwrap_or(meta.priority);
                    }
                };
                // What stands there already is synced with the rest.
                if together && !self.would_edit(id, change)? {
                    return Ok(());
                }
                return self.edit(&edits, id, change);
            }
            roots.push(Root::Same);
            let meta = Meta {
                experiments: vec![membership],
                priority: manner.priority.unwrap_or_default(),
                queued_at: submission.at,
                launch: manner.launch.clone(),
                ..Meta::default()
            };
            make_directory(&self.home.run(id), new, &submission.text, &meta, !together)
        };
        let made = self.store.enqueue(&submission, make, seal).await?;
        drop(edits);
        let mut queued = Vec::with_capacity(made.len());
        for (made, root) in made.into_iter().zip(roots) {
            let fate = match made.outcome {
                Outcome::New => Fate::New,
                Outcome::Reused(_) => self.share(&made.id).await?,
            };
            queued.push(Queued { id: made.id, fate, root });
        }
        Ok(queued)
    }

    /// Whoever queues a run wants it to run: one that was stopped or failed goes back into the queue.
    async fn share(&self, id: &str) -> Result<Fate, QueueError> {
        for _ in 0..LOOKS {
            let run = self.store.run(id).await?;
            match run.state {
                state @ (State::Paused | State::Failed | State::Cancelled | State::Lost) => {
                    // Else somebody was quicker, with whatever that was.
                    if let Answer::Done(_) = self.requeue(&run, false).await? {
                        return Ok(Fate::Requeued(state));
                    }
                }
                state => return Ok(Fate::Shared(state)),
            }
        }
        Err(QueueError::Restless(id.to_owned()))
    }

    fn submission(&self, plan: &Plan, manner: &Manner) -> Result<Submission, QueueError> {
        let experiment = &plan.experiment;
        let new = |run: &Planned| -> Result<NewRun, QueueError> {
            let spec = serde_json::to_value(&run.spec).map_err(io::Error::from);
            Ok(NewRun {
                fingerprint: run.fingerprint.clone(),
                spec: spec.map_err(file_error("spec.json"))?,
                varied: run.varied.clone(),
                variant: run.variant.clone(),
            })
        };
        Ok(Submission {
            name: experiment.name.clone(),
            question: experiment.question.clone(),
            text: experiment.text.clone(),
            factors: experiment.factors.clone(),
            references: experiment.references.clone(),
            runs: plan.runs.iter().map(new).collect::<Result<_, _>>()?,
            left_out: plan.left_out.clone(),
            priority: manner.priority,
            launch: manner.launch.clone(),
            again: manner.again,
            at: self.now(),
            by: self.by.clone(),
        })
    }
}

fn make_directory(
    dir: &RunDir,
    new: &NewRun,
    text: &str,
    meta: &Meta,
    synced: bool,
) -> Result<(), QueueError> {
    if dir.journal().exists() {
        let why =
            "there already, with a journal, but not in the run log: `doctor --repair` takes it in";
        return Err(file_error(dir.path())(io::Error::new(io::ErrorKind::AlreadyExists, why)));
    }
    let name = dir.path().file_name().unwrap_or_default().to_string_lossy();
    let new_path = dir.path().with_file_name(format!(".tmp-{name}-{}", std::process::id()));
    let made = RunDir::new(&new_path);
    let write = || -> io::Result<()> {
        // A leftover of a process that had our number, or of a queueing that was not committed.
        for old in [new_path.as_path(), dir.path()] {
            if old.exists() {
                std::fs::remove_dir_all(old)?;
            }
        }
        std::fs::create_dir(&new_path)?;
        let write = |path: &Path, bytes: &[u8]| {
            let mut file = File::create(path)?;
            file.write_all(bytes)?;
            if synced { file.sync_all() } else { Ok(()) }
        };
        write(&made.spec(), &serde_json::to_vec_pretty(&new.spec)?)?;
        write(&made.experiment(), text.as_bytes())?;
        write(&made.meta(), &serde_json::to_vec_pretty(meta)?)?;
        if synced {
            // What it names.
            File::open(&new_path)?.sync_all()?;
        }
        std::fs::rename(&new_path, dir.path())?;
        if synced { sync_parent(dir.path()) } else { Ok(()) }
    };
    write().map_err(file_error(dir.path()))
}

/// Whether the system can sync a file system as a whole and says what went wrong.
fn can_sync_all() -> bool {
    cfg!(target_os = "linux")
}

/// Everything on the file system of `folder`.
#[cfg(target_os = "linux")]
fn sync_all(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_all(_: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
