//! A `meta.json` that is gone, written again from the run log.
//!
//! The file is the truth about what people said of a run, and the row its copy: where the file is lost the copy is all there
//! is, and must not be brought up to date by a file that says nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::desk::{QueueError, file_error};
use super::meta::Meta;
use crate::lab::Home;
use crate::store::{RunId, State, Store, StoreError, Wish, Wished};

/// What no row of a run says by itself, asked once for all of them.
pub(super) struct Known {
    /// Runs whose next start ignores checkpoints.
    fresh: BTreeSet<RunId>,
    /// Runs that each experiment asks for.
    planned: BTreeMap<String, u64>,
}

impl Known {
    pub(super) async fn look(store: &Store) -> Result<Self, StoreError> {
        let fresh = store.custody().await?.into_iter().filter(|run| run.fresh);
        let fresh = fresh.map(|run| run.id).collect();
        let planned = store.grids().await?.into_iter().map(|it| (it.experiment, it.planned));
        Ok(Self { fresh, planned: planned.collect() })
    }
}

/// Writes the file of the run whose directory `path` is, where that lacks one and the run log knows the run; its id, if so.
pub(super) async fn describe_again(
    home: &Home,
    store: &Store,
    known: &Known,
    path: &Path,
) -> Result<Option<RunId>, QueueError> {
    let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = home.run(&id);
    if !dir.path().is_dir() || dir.meta().exists() {
        return Ok(None);
    }
    let row = match store.run(&id).await {
        Err(StoreError::UnknownRun { .. }) => return Ok(None),
        row => row?,
    };
    let mut experiments = store.memberships(&id).await?;
    experiments.sort_by_key(|it| row.experiments.iter().position(|name| *name == it.name));
    for it in &mut experiments {
        it.planned = known.planned.get(&it.name).copied().unwrap_or_default();
    }
    let what = match row.state {
        // What was never started waits by itself.
        State::Queued if 0 < row.attempt => Some(Wished::Queue),
        State::Paused => Some(Wished::Pause),
        State::Cancelled => Some(Wished::Cancel),
        _ => None,
    };
    let fresh = known.fresh.contains(&id);
    let wish = what.map(|what| Wish { what, attempt: row.attempt, fresh, at: row.ended_at });
    // When it was first queued, by which a cluster's jobs know it; the row's own time moves with every retry.
    let first = store.history(&id).await?.first().map_or(row.queued_at, |change| change.at);
    let meta = Meta {
        experiments,
        tags: row.tags,
        note: row.note,
        priority: row.priority,
        pinned: row.pinned,
        archived: row.archived,
        queued_at: first,
        launch: row.launch,
        wish,
    };
    meta.write(&dir).map_err(file_error(dir.meta()))?;
    Ok(Some(id))
}
