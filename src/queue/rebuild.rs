//! `doctor --repair`: a run log made whole again from the run directories.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::audit::journals;
use super::desk::{QueueError, file_error};
use super::leftovers;
use super::locks::is_held;
use super::meta::Meta;
use super::retell::{Known, describe_again};
use super::slots::{Slot, is_free};
use super::slurm::trace::Trace;
use crate::config::{RunSpec, fingerprint};
use crate::journal::event::{EndState, Event};
use crate::journal::reader::{Position, ReadError, Reader};
use crate::journal::writer::Clock;
use crate::lab::{Home, RunDir};
use crate::store::{
    self, Change, Restored, RunId, State, Store, StoreError, Wished, catch_up, location,
};

/// What [`rebuild`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The machine that kept the home until now, where that was another.
    pub kept_by: Option<String>,
    /// Where the damaged run log lies now.
    pub set_aside: Option<PathBuf>,
    /// Runs that were in no run log, and what state they are in.
    pub restored: Vec<(RunId, State)>,
    /// Directories that are no whole runs, and why.
    pub skipped: Vec<(PathBuf, String)>,
    /// Files that could not be read, and where they lie now.
    pub damaged: Vec<(PathBuf, String)>,
    /// Runs whose `meta.json` was missing or could not be read, and says again what the run log says.
    pub described: Vec<RunId>,
    /// What crashes had left behind, removed.
    pub swept: Vec<PathBuf>,
}

/// Sets a damaged run log aside, makes one where there is none, takes in every run directory that it lacks or knows an
/// older story of, and sweeps what crashes left behind. A home that another machine kept is this one's from now on.
///
/// # Errors
/// While workers live: they hold the old file, and would go on writing to it. Where there is no home at all.
pub async fn rebuild(home: &Home, clock: &Clock) -> Result<Rebuilt, QueueError> {
    if !home.root().is_dir() {
        return Err(StoreError::Missing { path: location(home)? }.into());
    }
    let kept_by = store::kept_elsewhere(home)?;
    let mut rebuilt = Rebuilt { kept_by, ..Rebuilt::default() };
    if rebuilt.kept_by.is_some() {
        refuse_workers(home)?;
        store::keep_here(home)?;
    }
    if !is_sound(home).await? {
        refuse_workers(home)?;
        rebuilt.set_aside = Some(set_aside(&location(home)?, clock())?);
    }
    let store = Store::open_to_restore(home).await?;
    rebuilt.swept = leftovers::sweep(home).map_err(file_error(home.runs()))?;
    let known = Known::look(&store).await?;
    let mut found = Vec::new();
    for dir in directories(&home.runs())? {
        rebuilt.damaged.extend(mend_meta(home, &dir)?);
        rebuilt.described.extend(describe_again(home, &store, &known, &dir).await?);
        match describe(home, &dir) {
            Ok(run) => found.push(run),
            Err(why) => rebuilt.skipped.push((dir, why.to_string())),
        }
    }
    // As they were queued, so that lists look as they did.
    found.sort_by(|a, b| {
        let place = |run: &Restored| run.experiments.first().map(|membership| membership.ordinal);
        (a.queued_at, place(a), &a.id).cmp(&(b.queued_at, place(b), &b.id))
    });
    let mut ids = Vec::with_capacity(found.len());
    for mut run in found {
        let dir = home.run(&run.id);
        loop {
            if let Some(state) = take_in(&store, &run, &dir, clock()).await? {
                rebuilt.restored.push((run.id.clone(), state));
                describe_again(home, &store, &known, dir.path()).await?;
            }
            // Somebody may have tagged it since it was read: first in the file, then in the row we just wrote.
            let Ok(now) = describe(home, dir.path()) else { break };
            if same_words(&now, &run) {
                break;
            }
            run = now;
        }
        ids.push(run.id);
    }
    relearn(home, &store, &ids).await?;
    if !rebuilt.restored.is_empty() {
        store.accept_grids().await?;
    }
    Ok(rebuilt)
}

/// The state of a run that was not in the run log.
async fn take_in(
    store: &Store,
    run: &Restored,
    dir: &RunDir,
    now: i64,
) -> Result<Option<State>, StoreError> {
    let reason = Some("restored from its directory".to_owned());
    let change = Change { at: now, reason, by: "doctor".into() };
    match store.restore(run, dir, change).await {
        Err(StoreError::Journal(ReadError::Shrunk { .. } | ReadError::Replaced { .. })) => {
            store.forget_journal(&run.id).await?;
            catch_up(store, &run.id, dir).await?;
            Ok(None)
        }
        done => done,
    }
}

/// Reads journals anew where the run log has something else from them.
async fn relearn(home: &Home, store: &Store, ids: &[RunId]) -> Result<(), QueueError> {
    let ids: BTreeSet<&RunId> = ids.iter().collect();
    let known = store.custody().await?;
    for run in known.iter().filter(|run| ids.contains(&run.id) && !run.state.is_active()) {
        let mut found = Vec::new();
        journals::check(home, store, run, &mut found).await?;
        // Unless somebody has taken it up since.
        if !found.is_empty() && store.custody().await?.contains(run) {
            store.forget_journal(&run.id).await?;
            catch_up(store, &run.id, &home.run(&run.id)).await?;
        }
    }
    Ok(())
}

/// A `meta.json` that cannot be read would keep its run out of the run log, and refuse every tag from now on.
fn mend_meta(home: &Home, path: &Path) -> Result<Option<(PathBuf, String)>, QueueError> {
    let dir = home.run(&path.file_name().unwrap_or_default().to_string_lossy());
    let why = match Meta::read(&dir) {
        Err(why) if why.kind() != io::ErrorKind::NotADirectory => why.to_string(),
        _ => return Ok(None),
    };
    let aside = dir.meta().with_extension("json.damaged");
    fs::rename(dir.meta(), &aside).map_err(file_error(dir.meta()))?;
    Ok(Some((aside, why)))
}

/// Whether people say the same about both.
fn same_words(a: &Restored, b: &Restored) -> bool {
    let words = |run: &Restored| {
        (
            run.tags.clone(),
            run.note.clone(),
            run.priority,
            run.pinned,
            run.archived,
            run.experiments.clone(),
            run.spec.clone(),
        )
    };
    words(a) == words(b)
}

/// Whether the run log can be kept. One that is not there can; one of another program or of a newer version is not
/// ours to judge.
async fn is_sound(home: &Home) -> Result<bool, StoreError> {
    let sound = match Store::open_readonly(home).await {
        Ok(store) => match store.check().await {
            // Every value makes sense, too: SQLite only watches over its own structure.
            Ok(found) if found.is_empty() => {
                forget_misread(home, &store).await?;
                match legible(&store).await {
                    Err(StoreError::Fault { .. }) => Ok(false),
                    done => done.map(|()| true),
                }
            }
            done => done.map(|_| false),
        },
        Err(StoreError::Missing { .. } | StoreError::Lost { .. }) => return Ok(true),
        Err(why) => Err(why),
    };
    match sound {
        Err(
            StoreError::Damaged | StoreError::NotADatabase { .. } | StoreError::Nonsense { .. },
        ) => Ok(false),
        other => other,
    }
}

/// Numbers that cannot be read back are forgotten with all that came from the same journal, which is read again.
async fn forget_misread(home: &Home, store: &Store) -> Result<(), StoreError> {
    let misread = store.misread().await?;
    if !misread.is_empty() {
        let store = Store::open(home).await?;
        for id in misread {
            store.forget_journal(&id).await?;
        }
    }
    Ok(())
}

async fn legible(store: &Store) -> Result<(), StoreError> {
    store.experiments().await?;
    for run in store.runs().await? {
        store.history(&run.id).await?;
        store.attempts(&run.id).await?;
    }
    Ok(())
}

fn refuse_workers(home: &Home) -> Result<(), QueueError> {
    for path in directories(&home.slots())? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(slot) = Slot::parse(&name) else { continue };
        if !is_free(home, &slot).map_err(file_error(&path))? {
            let why = "a worker is at it: `instdisc-lab workers --drain` lets it finish its run and leave";
            return Err(file_error(path)(io::Error::new(io::ErrorKind::ResourceBusy, why)));
        }
    }
    Ok(())
}

/// Renames the file and what lies beside it; nothing is deleted.
fn set_aside(path: &Path, now: i64) -> Result<PathBuf, QueueError> {
    let name = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = name(&format!(".damaged-{now}"));
    for suffix in ["-wal", "-shm", ""] {
        let mut to = aside.as_os_str().to_owned();
        to.push(suffix);
        match fs::rename(name(suffix), to) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            done => done.map_err(file_error(path))?,
        }
    }
    Ok(aside)
}

/// What lies in `folder`, by name, temporary things apart.
fn directories(folder: &Path) -> Result<Vec<PathBuf>, QueueError> {
    let entries = match fs::read_dir(folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(file_error(folder))?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(file_error(folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a cluster may have a job of this run that trains it, now or later.
fn may_go_on(dir: &RunDir, meta: &Meta) -> bool {
    let stopped = meta.wish.is_some_and(|wish| wish.what != Wished::Queue);
    Trace(dir).begun_since(1).is_some() && !stopped && !has_ended(dir)
}

/// Whether the journal's last word is that the run is finished, or has failed.
fn has_ended(dir: &RunDir) -> bool {
    let mut reader = Reader::new(dir.journal(), Position::default());
    let mut ended = false;
    while let Ok(Some(batch)) = reader.next_batch() {
        for line in batch.lines {
            match line.event {
                Event::Start(_) => ended = false,
                Event::End(end) => ended = end.state != EndState::Stopped,
                _ => {}
            }
        }
    }
    ended
}

/// A run as its directory tells of it.
pub(super) fn describe(home: &Home, path: &Path) -> io::Result<Restored> {
    let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = home.run(&id);
    let spec: RunSpec = serde_json::from_slice(&fs::read(dir.spec())?)?;
    let meta = Meta::read(&dir)?;
    let slot = match &meta.launch {
        // A lock on a node may not be seen from here, and a job may wait to be started anew: the scheduler is asked by the
        // slot's next worker.
        Some(_) => may_go_on(&dir, &meta).then(|| Slot::cluster().to_string()),
        None if is_held(&dir.lock())? => Some(slot(&dir)?.to_string()),
        None => None,
    };
    Ok(Restored {
        id,
        fingerprint: fingerprint(&spec),
        spec: serde_json::to_value(&spec)?,
        experiments: meta.experiments,
        tags: meta.tags,
        note: meta.note,
        priority: meta.priority,
        pinned: meta.pinned,
        archived: meta.archived,
        queued_at: meta.queued_at,
        launch: meta.launch,
        wish: meta.wish,
        slot,
    })
}

/// Where a living trainer is looked for by the next worker. Which place on its device it had is not known any more: the
/// first one's worker adopts them all, one after the other.
fn slot(dir: &RunDir) -> io::Result<Slot> {
    let mut device = "cpu".to_owned();
    let mut reader = Reader::new(dir.journal(), Position::default());
    while let Some(batch) = reader.next_batch().map_err(io::Error::other)? {
        for line in batch.lines {
            if let Event::Start(start) = line.event {
                device = start.device;
            }
        }
    }
    Ok(Slot::new(&device, 0))
}
