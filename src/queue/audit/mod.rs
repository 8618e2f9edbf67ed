//! What must hold in a lab at any moment, whatever was killed, cut off or filled up before: `doctor --check`.
//!
//! Looks only. Everything is held against something else: rows against directories, curves against journals, states
//! against processes, checkpoints against their hashes. A run that changes under the look is judged another time.

mod files;
pub(super) mod journals;
mod processes;

use std::collections::BTreeSet;

use super::desk::QueueError;
use super::leftovers;
use super::meta::{Membership, Meta};
use crate::lab::Home;
use crate::store::{Custody, RunId, State, Store};

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// What a crash left half-way: takes room or waits to be repeated, and misleads nobody.
    Leftover,
    /// Something that the lab says and that is not so.
    Flaw,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub grade: Grade,
    /// `run log`, `processes`, `attempts`, `checkpoints`, `journal`, `directories`, `grid`, `leftovers`.
    pub what: &'static str,
    pub run: Option<RunId>,
    pub found: String,
    pub cure: &'static str,
}

pub(super) const REPAIR: &str = "`instdisc-lab doctor --repair`";
const WORK: &str = "`instdisc-lab worker --until-empty` settles it";

impl Problem {
    fn flaw(what: &'static str, run: &str, found: impl Into<String>, cure: &'static str) -> Self {
        let run = Some(run.to_owned());
        Self { grade: Grade::Flaw, what, run, found: found.into(), cure }
    }

    fn leftover(
        what: &'static str,
        run: &str,
        found: impl Into<String>,
        cure: &'static str,
    ) -> Self {
        Self { grade: Grade::Leftover, ..Self::flaw(what, run, found, cure) }
    }
}

/// Everything that does not hold in `home`. Reads all of the run log, every journal and every checkpoint.
///
/// # Errors
/// When the run log or a folder cannot be read at all.
pub async fn audit(home: &Home, store: &Store) -> Result<Vec<Problem>, QueueError> {
    let mut found = Vec::new();
    for line in store.check().await? {
        let run = None;
        found.push(Problem { grade: Grade::Flaw, what: "run log", run, found: line, cure: REPAIR });
    }
    if !found.is_empty() {
        // What a damaged file says about runs is not worth comparing.
        return Ok(found);
    }
    let all = store.custody().await?;
    let holders = processes::holders(&home.runs());
    let misread = store.misread().await?;
    for run in &all {
        if misread.contains(&run.id) {
            let words = "the run log has numbers from it that no journal could have told it";
            found.push(Problem::flaw("journal", &run.id, words, REPAIR));
            continue;
        }
        let mut about = Vec::new();
        processes::check(home, store, run, &holders, &mut about).await?;
        journals::check(home, store, run, &mut about).await?;
        attempts(store, run, &mut about).await?;
        files::check(home, store, run, &mut about).await?;
        if about.is_empty() || is_as_it_was(store, run).await? {
            found.extend(about);
        }
    }
    texts(home, store, &all, &mut found).await?;
    let known: BTreeSet<&str> = all.iter().map(|run| run.id.as_str()).collect();
    files::strangers(home, store, &known, &mut found).await?;
    grids(store, &mut found).await?;
    for path in leftovers::find(home).map_err(super::desk::file_error(home.runs()))? {
        found.push(Problem {
            grade: Grade::Leftover,
            what: "leftovers",
            run: None,
            found: path.display().to_string(),
            cure: REPAIR,
        });
    }
    Ok(found)
}

/// Whether nobody moved the run on while it was looked at.
async fn is_as_it_was(store: &Store, run: &Custody) -> Result<bool, QueueError> {
    Ok(store.custody().await?.contains(run))
}

/// Every start has a higher number than the one before it, in the history as in the list of attempts.
async fn attempts(
    store: &Store,
    run: &Custody,
    found: &mut Vec<Problem>,
) -> Result<(), QueueError> {
    let history = store.history(&run.id).await?;
    let starts = history.iter().filter(|change| change.to == State::Starting);
    let starts: Vec<u32> = starts.map(|change| change.attempt).collect();
    let mut flaw = |words: String| found.push(Problem::flaw("attempts", &run.id, words, REPAIR));
    if !starts.windows(2).all(|pair| pair[0] < pair[1]) {
        flaw(format!("starts do not count up: {starts:?}"));
    }
    let newest = store.attempts(&run.id).await?.last().map_or(0, |attempt| attempt.attempt);
    if run.attempt < newest {
        flaw(format!("is at attempt {}, but attempt {newest} is on record", run.attempt));
    }
    Ok(())
}

/// An experiment is as the run that was queued with it last has it.
async fn texts(
    home: &Home,
    store: &Store,
    all: &[Custody],
    found: &mut Vec<Problem>,
) -> Result<(), QueueError> {
    let metas = all.iter().filter_map(|run| Meta::read(&home.run(&run.id)).ok());
    let memberships: Vec<Membership> = metas.flat_map(|meta| meta.experiments).collect();
    for experiment in store.experiments().await? {
        let mut told = memberships.iter().filter(|it| it.name == experiment.name).peekable();
        let same = |it: &Membership| {
            (&it.text, &it.question, &it.factors, &it.references)
                == (
                    &experiment.text,
                    &experiment.question,
                    &experiment.factors,
                    &experiment.references,
                )
        };
        if told.peek().is_some() && !told.any(same) {
            let found_words = format!("no run was queued with what it has of {}", experiment.name);
            let (run, cure) = (None, "queue the file again");
            found.push(Problem {
                grade: Grade::Flaw,
                what: "run log",
                run,
                found: found_words,
                cure,
            });
        }
    }
    Ok(())
}

/// Every place of a grid has its run, unless `rm` took it away.
async fn grids(store: &Store, found: &mut Vec<Problem>) -> Result<(), QueueError> {
    for grid in store.grids().await? {
        if grid.filled + grid.removed != grid.planned {
            let words = format!(
                "{} asks for {} runs; {} are there and {} were removed",
                grid.experiment, grid.planned, grid.filled, grid.removed
            );
            let cure = "queue the file again: what is there is not run twice";
            let run = None;
            found.push(Problem { grade: Grade::Flaw, what: "grid", run, found: words, cure });
        }
    }
    Ok(())
}
