//! What people attach to runs: tags, a note, priority, a pin; and taking runs away. Each is safe to repeat.

use sqlx::{Sqlite, Transaction};

use super::transition::Found;
use super::{Durability, Result, Store, StoreError, key_of};

impl Store {
    /// Adds and removes tags.
    pub async fn tag(&self, id: &str, add: &[String], remove: &[String]) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let key = key_of(&mut tx, id).await?;
        for tag in remove {
            let query = sqlx::query("DELETE FROM tag WHERE run = ? AND tag = ?");
            query.bind(key).bind(tag).execute(&mut *tx).await?;
        }
        for tag in add {
            let query = sqlx::query("INSERT OR IGNORE INTO tag (run, tag) VALUES (?, ?)");
            query.bind(key).bind(tag).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Replaces the note.
    pub async fn note(&self, id: &str, text: &str) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let key = key_of(&mut tx, id).await?;
        let query = sqlx::query("UPDATE run SET note = ? WHERE key = ?");
        query.bind(text).bind(key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Takes a run out of everyday sight, or back into it.
    pub async fn archive(&self, id: &str, archived: bool) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let key = key_of(&mut tx, id).await?;
        let query = sqlx::query("UPDATE run SET archived = ? WHERE key = ?");
        query.bind(archived).bind(key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Higher goes first.
    pub async fn priority(&self, id: &str, priority: i64) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let key = key_of(&mut tx, id).await?;
        let query = sqlx::query("UPDATE run SET priority = ? WHERE key = ?");
        query.bind(priority).bind(key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Keeps a run at the top of lists, or no longer.
    pub async fn pin(&self, id: &str, pinned: bool) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        let key = key_of(&mut tx, id).await?;
        let query = sqlx::query("UPDATE run SET pinned = ? WHERE key = ?");
        query.bind(pinned).bind(key).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Takes a run out of the log with all that belongs to it. `put_away` does so with its directory, once it is sure
    /// that no process works on the run and none can claim it: when the change is not committed after all, the row is
    /// still there, and removing can be repeated.
    ///
    /// # Errors
    /// [`StoreError::StillActive`] while a process works on it; what `put_away` says.
    pub async fn remove<E: From<StoreError>>(
        &self,
        id: &str,
        put_away: impl FnOnce() -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let tx = self.take_out(id).await?;
        put_away()?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    async fn take_out(&self, id: &str) -> Result<Transaction<'static, Sqlite>> {
        let mut tx = self.begin(Durability::Power).await?;
        let found = Found::by_id(&mut tx, id).await?;
        if found.state.is_active() {
            return Err(StoreError::StillActive { run: id.to_owned(), state: found.state });
        }
        // Only places of the grid as it was last queued are counted, and only those that are empty now: a run of an earlier
        // grid may lie beyond them, and a place may have several runs, of `--again` or of an earlier grid.
        let query = sqlx::query(
            "UPDATE experiment SET removed = removed + 1
              WHERE key IN (SELECT experiment FROM run_experiment AS place WHERE run = ? AND ordinal < planned
                              AND NOT EXISTS (SELECT 1 FROM run_experiment AS other
                                               WHERE other.experiment = place.experiment AND other.ordinal = place.ordinal
                                                 AND other.run <> place.run))",
        );
        query.bind(found.key).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM run WHERE key = ?").bind(found.key).execute(&mut *tx).await?;
        Ok(tx)
    }
}
