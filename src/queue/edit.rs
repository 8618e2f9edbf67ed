//! `tag`, `note`, `archive`, priority and pin: first into the run's directory, then into the run log.

use std::io;

use serde_json::Value;

use super::desk::{Desk, QueueError, file_error};
use super::meta::{Meta, replace};
use crate::store::{RunRow, Wish, Wished};

impl Desk {
    pub async fn tag(&self, id: &str, add: &[String], remove: &[String]) -> Result<(), QueueError> {
        self.edit(id, |meta| {
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
        self.edit(id, |meta| text.clone_into(&mut meta.note))?;
        Ok(self.store.note(id, text).await?)
    }

    /// Out of everyday sight, or back.
    pub async fn archive(&self, id: &str, archived: bool) -> Result<(), QueueError> {
        self.edit(id, |meta| meta.archived = archived)?;
        Ok(self.store.archive(id, archived).await?)
    }

    /// Higher goes first.
    pub async fn priority(&self, id: &str, priority: i64) -> Result<(), QueueError> {
        self.edit(id, |meta| meta.priority = priority)?;
        Ok(self.store.priority(id, priority).await?)
    }

    /// To the top of lists, or no longer.
    pub async fn pin(&self, id: &str, pinned: bool) -> Result<(), QueueError> {
        self.edit(id, |meta| meta.pinned = pinned)?;
        Ok(self.store.pin(id, pinned).await?)
    }

    /// Changes `meta.json` under a lock: two people may edit the same run at once.
    pub(super) fn edit(&self, id: &str, change: impl FnOnce(&mut Meta)) -> Result<(), QueueError> {
        let dir = self.home.run(id);
        if !dir.path().is_dir() {
            // A run whose directory somebody deleted still has its row.
            return Ok(());
        }
        let _lock = self.lock_edits()?;
        if !dir.meta().exists() {
            // A file with this alone would say that nobody has ever said anything else. The row keeps all of it, and
            // `doctor --repair` writes the file from there.
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
    pub(super) fn respecify(&self, id: &str, spec: &Value) -> Result<(), QueueError> {
        let dir = self.home.run(id);
        let _lock = self.lock_edits()?;
        let text = serde_json::to_vec_pretty(spec).map_err(io::Error::from);
        let written = text.and_then(|text| replace(&dir.spec(), &text));
        written.map_err(file_error(dir.spec()))
    }

    /// Notes in the run's directory what is wanted of it. Best effort: a run has to be cancelled even where its
    /// directory cannot be written, and the run log knows it too.
    pub(super) fn wish(&self, run: &RunRow, what: Wished, fresh: bool) {
        let wish = Wish { what, attempt: run.attempt, fresh };
        let _ = self.edit(&run.id, |meta| meta.wish = Some(wish));
    }

    fn lock_edits(&self) -> Result<std::fs::File, QueueError> {
        let path = self.home.runs().join(".edit.lock");
        let options = std::fs::OpenOptions::new().create(true).truncate(false).write(true).clone();
        let file = options.open(&path).map_err(file_error(&path))?;
        file.lock().map_err(file_error(&path))?;
        Ok(file)
    }
}
