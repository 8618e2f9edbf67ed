//! Bringing an older run log up to date: a copy first, then one step a version, each in one transaction.
//!
//! The caller holds the lock beside the database, so of eight programs that start at once after an upgrade one migrates
//! and seven find it done. A step takes nothing away that a program reads: workers of the older one may still be at work on
//! the file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::error::StoreError;
use super::{Result, SCHEMA_VERSION};
use crate::files::{PARTIAL, beside, sync_parent};

/// Step `i` leads from schema `i + 1` to `i + 2`, and says so in its last line (`PRAGMA user_version`).
const STEPS: [&str; SCHEMA_VERSION as usize - 1] = [
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
];

/// What a connection that only looks lays over an older run log: columns that came since, empty. (`experiment` has got some
/// too, which only an audit asks for.) Of no consequence once somebody has brought the file up to date: the view then
/// yields the columns that are there.
pub(super) fn veil(found: i64) -> Option<&'static str> {
    (found < 3).then_some(
        "CREATE TEMP VIEW run AS SELECT *, NULL AS launch FROM main.run;
         CREATE TEMP VIEW attempt AS SELECT *, NULL AS host, NULL AS job, NULL AS figures FROM main.attempt;",
    )
}

/// Brings the database at `path` from schema `found` to today's.
///
/// # Errors
/// When there is no room for the copy, or the database cannot be written. It is then as it was.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    found: i64,
) -> Result<()> {
    let failed = |error| StoreError::opening(path, error);
    back_up(connection, path, found).await?;
    let done = usize::try_from(found - 1).unwrap_or_default();
    for step in &STEPS[done..] {
        let mut change = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::raw_sql(*step).execute(&mut *change).await.map_err(failed)?;
        change.commit().await.map_err(failed)?;
    }
    Ok(())
}

/// The copy of a run log of schema `version`, taken before it is migrated.
pub(super) fn backup_of(path: &Path, version: i64) -> PathBuf {
    beside(path, &format!(".schema-{version}"))
}

/// One whole copy, or none: it is made under another name and renamed once it is on the disk. A copy that is there
/// already is of an upgrade that went no further, and is made again.
async fn back_up(connection: &mut SqliteConnection, path: &Path, version: i64) -> Result<()> {
    let copy = backup_of(path, version);
    let partial = beside(&copy, PARTIAL);
    let io = |error| StoreError::from_io(&copy, "write", error);
    // VACUUM refuses a file that is there: a leftover of an upgrade that was cut short must not be in its way.
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let query = sqlx::query("VACUUM INTO ?").bind(partial.display().to_string());
    query.execute(connection).await.map_err(|error| StoreError::opening(path, error))?;
    let sync = || {
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &copy)?;
        sync_parent(&copy)
    };
    sync().map_err(io)
}
