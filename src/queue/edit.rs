//! `tag`, `note`, `archive`, priority and pin: first into the run's directory, then into the run log.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::time::Duration;

use serde_json::Value;

use super::desk::{Desk, QueueError, file_error};
use super::meta::Meta;
use crate::files::{DRAFT, replace};
use crate::store::Wish;

/// Between two looks at the lock of those who edit.
const PAUSE: Duration = Duration::from_millis(5);

/// The right to write what people say of runs, one at a time: taken before the file is read and kept until the row has
/// committed, so that two who edit the same run at once leave file and row with the same words. Whoever holds it may wait for
/// the run log, and nobody who is writing into the run log waits for it.
pub(super) struct Edits {
    // Only its lock matters.
    _file: File,
}

impl Desk {
    pub async fn tag(&self, id: &str, add: &[String], remove: &[String]) -> Result<(), QueueError> {
        let edits = self.edits().await?;
        self.edit(&edits, id, |meta| {
            meta.tags.retain(|tag| !remove.contains(tag));
            for tag in add {
                if !meta.tags.contains(tag) {
                    meta.tags.push(tag.clone());
                }
            }
        })?;
        Ok(self.store.tag(id, add, remove).await?)
    }

    pub async fn note(&self, id: &str, text: &str) -> Result<(), QueueError> {
        let edits = self.edits().await?;
        self.edit(&edits, id, |meta| text.clone_into(&mut meta.note))?;
        Ok(self.store.note(id, text).await?)
    }

    /// Out of everyday sight, or back.
    pub async fn archive(&self, id: &str, archived: bool) -> Result<(), QueueError> {
        let edits = self.edits().await?;
        self.edit(&edits, id, |meta| meta.archived = archived)?;
        Ok(self.store.archive(id, archived).await?)
    }

    /// Higher goes first.
    pub async fn priority(&self, id: &str, priority: i64) -> Result<(), QueueError> {
        let edits = self.edits().await?;
        self.edit(&edits, id, |meta| meta.priority = priority)?;
        Ok(self.store.priority(id, priority).await?)
    }

    /// To the top of lists, or no longer.
    pub async fn pin(&self, id: &str, pinned: bool) -> Result<(), QueueError> {
        let edits = self.edits().await?;
        self.edit(&edits, id, |meta| meta.pinned = pinned)?;
        Ok(self.store.pin(id, pinned).await?)
    }

    /// Changes `meta.json`.
    pub(super) fn edit(
        &self,
        _edits: &Edits,
        id: &str,
        change: impl FnOnce(&mut Meta),
    ) -> Result<(), QueueError> {
        let dir = self.home.run(id);
        // A run whose directory somebody deleted still has its row. A file with this alone would say that nobody has ever said
        // anything else: the row keeps all of it, and `doctor --repair` writes the file from there.
        if !dir.meta().exists() {
            return Ok(());
        }
        let mut meta = Meta::read(&dir).map_err(file_error(dir.meta()))?;
        change(&mut meta);
        meta.write(&dir).map_err(file_error(dir.meta()))
    }

    /// Whether [`Self::edit`] would change what the directory says.
    pub(super) fn would_edit(
        &self,
        id: &str,
        change: impl FnOnce(&mut Meta),
    ) -> Result<bool, QueueError> {
        let dir = self.home.run(id);
        let before = Meta::read(&dir).map_err(file_error(dir.meta()))?;
        let mut meta = before.clone();
        change(&mut meta);
        Ok(meta != before)
    }

    /// Whether a run's directory has another specification than `spec`.
    pub(super) fn is_specified_otherwise(&self, id: &str, spec: &Value) -> bool {
        let dir = self.home.run(id);
        let has = std::fs::read(dir.spec()).and_then(|text| Ok(serde_json::from_slice(&text)?));
        dir.path().is_dir() && !has.is_ok_and(|has: Value| has == *spec)
    }

    /// Writes `spec` into a run's directory, to say what its fingerprint leaves open.
    pub(super) fn respecify(
        &self,
        _edits: &Edits,
        id: &str,
        spec: &Value,
    ) -> Result<(), QueueError> {
        let dir = self.home.run(id);
        let text = serde_json::to_vec_pretty(spec).map_err(io::Error::from);
        let written = text.and_then(|text| replace(&dir.spec(), DRAFT, &text));
        written.map_err(file_error(dir.spec()))
    }

    /// Notes in the run's directory what is wanted of it; to be kept until the row says so too. Best effort: a run has to be
    /// cancelled even where its directory cannot be written, and the run log knows it too.
    #[must_use = "others may edit once it is dropped"]
    pub(super) async fn wish(&self, id: &str, wish: Wish) -> Option<Edits> {
        let edits = self.edits().await.ok()?;
        self.wish_with(&edits, id, wish);
        Some(edits)
    }

    /// As [`Self::wish`], for who edits already.
    pub(super) fn wish_with(&self, edits: &Edits, id: &str, wish: Wish) {
        let _ = self.edit(edits, id, |meta| meta.wish = Some(wish));
    }

    /// Waits until nobody else edits. Never blocks its thread, on which whoever holds the lock may wait for the run log.
    pub(super) async fn edits(&self) -> Result<Edits, QueueError> {
        let runs = self.home.runs();
        std::fs::create_dir_all(&runs).map_err(file_error(&runs))?;
        let path = runs.join(".edit.lock");
        let options = OpenOptions::new().create(true).truncate(false).write(true).clone();
        let file = options.open(&path).map_err(file_error(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Edits { _file: file }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(why)) => return Err(file_error(path)(why)),
            }
        }
    }
}
