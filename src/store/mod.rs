//! The run log: runs, points, summaries, state changes. The only room with SQL.
//!
//! Knows nothing of tensors, screens or processes. `schema.sql` is the whole schema on one page. Every change is one
//! immediate transaction on the only writing connection of the process: what a person or a worker decided is on the
//! disk when the call returns (synchronous FULL), measurements may lag behind a power cut, as the journal still has
//! them (NORMAL). Readers are read-only and never wait for a writer. Times are milliseconds since 1970 UTC, and the
//! caller's: there is no clock in here.

mod apply;
mod audit;
mod browse;
mod bulk;
mod curve;
mod declare;
mod edit;
mod enqueue;
mod error;
mod ingest;
mod keeper;
mod migrate;
pub mod model;
mod open;
mod pending;
mod points;
mod records;
mod request;
mod restore;
mod sketch;
mod spec;
mod transition;
mod warnings;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Sqlite, Transaction};
use tokio::sync::Mutex;

pub use audit::{Custody, Grid, Tally};
pub use enqueue::{Demand, Enqueued, NewRun, Outcome, Submission};
pub use error::StoreError;
pub use ingest::{Ingested, catch_up, catch_up_all};
pub use keeper::{keep_here, kept_elsewhere};
pub use model::{IllegalTransition, Launch, Progress, RunId, RunRow, State, Summary};
pub use model::{is_beginning, is_whole_id};
use open::Begin;
pub use open::location;
pub use pending::MOST_METRICS;
pub use records::{
    Attempt, Change, CheckpointRow, Claim, CurvePoint, Ending, EvaluationRow, ExperimentRecord,
    InHand, Member, Membership, Request, Requested, StateChange, WarningRow, Wish, Wished,
    WorkerRow,
};

pub use restore::Restored;
pub use sketch::{STROKES, Sketch};
pub use spec::SpecJson;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The whole schema.
const SCHEMA: &str = include_str!("../../schema.sql");
/// `user_version` of [`SCHEMA`].
const SCHEMA_VERSION: i64 = 4;

/// An open run log. Cheap to clone; all clones share its connections.
#[derive(Clone)]
pub struct Store(Arc<Inside>);

struct Inside {
    path: PathBuf,
    /// One connection; absent when opened only to look.
    writer: Option<SqlitePool>,
    readers: SqlitePool,
    /// `data_version` compares only with earlier answers of the same connection.
    watcher: Mutex<SqliteConnection>,
    /// Journals whose last line is long and has no end: where it begins, and how much of it was looked at.
    unended: Mutex<HashMap<RunId, (u64, u64)>>,
}

/// A transaction that only reads: all of its queries see the run log at one moment.
type View = Transaction<'static, Sqlite>;

/// How often two views of one moment are tried for. A pair takes a tenth of a millisecond, a commit ten times as long.
const MOMENTS: usize = 8;

/// What a commit outlives.
#[derive(Clone, Copy)]
enum Durability {
    /// A power cut.
    Power,
    /// The death of every process.
    Process,
}

impl Store {
    /// Opens the run log of `home` and makes home and file where there are none.
    ///
    /// # Errors
    /// In words: a home that cannot be written or lies on a network disk; a file that is no database, another
    /// program's, or from a newer instdisc-lab; [`StoreError::Lost`] where there are runs and no file.
    pub async fn open(home: &crate::lab::Home) -> Result<Self> {
        Self::open_for(home, Begin::First).await
    }

    /// Opens the run log of `home`, which has to be there: who asks something of a run means no new lab.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none yet, else as [`Store::open`].
    pub async fn open_existing(home: &crate::lab::Home) -> Result<Self> {
        Self::open_for(home, Begin::Never).await
    }

    /// As [`Store::open`], also where there are runs and no file, to take them in.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_to_restore(home: &crate::lab::Home) -> Result<Self> {
        Self::open_for(home, Begin::Anew).await
    }

    async fn open_for(home: &crate::lab::Home, begin: Begin) -> Result<Self> {
        let (path, writer) = open::writable(home, begin).await?;
        Self::assemble(path, Some(writer), SCHEMA_VERSION).await
    }

    /// Opens the run log of `home` only to look: changes nothing, and works in a folder that cannot be written.
    ///
    /// # Errors
    /// [`StoreError::Missing`] where there is none yet, else as [`Store::open`].
    pub async fn open_readonly(home: &crate::lab::Home) -> Result<Self> {
        let path = location(home)?;
        keeper::refuse_elsewhere(home)?;
        let version = open::check_readable(home, &path).await?;
        Self::assemble(path, None, version).await
    }

    async fn assemble(path: PathBuf, writer: Option<SqlitePool>, version: i64) -> Result<Self> {
        let readers = open::readers(&path, version).await?;
        let watcher = Mutex::new(open::watcher(&path).await?);
        let unended = Mutex::default();
        Ok(Self(Arc::new(Inside { path, writer, readers, watcher, unended })))
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether it was opened only to look.
    pub fn is_readonly(&self) -> bool {
        self.0.writer.is_none()
    }

    /// A number that differs from its last answer if anybody committed a change since. Microseconds; poll it.
    pub async fn data_version(&self) -> Result<i64> {
        data_version(&mut *self.0.watcher.lock().await).await
    }

    /// The version of SQLite in this program.
    pub async fn sqlite_version(&self) -> Result<String> {
        Ok(sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&self.0.readers).await?)
    }

    /// What is wrong with the file, in SQLite's words; empty when it is sound. Reads all of it.
    pub async fn check(&self) -> Result<Vec<String>> {
        let mut found: Vec<String> =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&self.0.readers).await?;
        found.retain(|line| line != "ok");
        let page_size = sqlx::query_scalar("PRAGMA page_size").fetch_one(&self.0.readers).await?;
        let len = std::fs::metadata(&self.0.path).map_or(0, |file| file.len());
        if !len.is_multiple_of(page_size) {
            found.push(format!("the file was cut off: {len} bytes are no whole pages"));
        }
        let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(&self.0.readers).await?;
        if !orphans.is_empty() {
            found.push(format!("{} rows belong to nothing", orphans.len()));
        }
        Ok(found)
    }

    /// Closes all connections, the write-ahead log folded in. Optional: nothing is lost without it.
    pub async fn close(self) {
        self.0.readers.close().await;
        if let Some(writer) = &self.0.writer {
            writer.close().await;
        }
    }

    /// Begins the only kind of change there is. Dropped without a commit, it never was.
    async fn begin(&self, durability: Durability) -> Result<Transaction<'static, Sqlite>> {
        let writer = self.0.writer.as_ref().ok_or(StoreError::LookingOnly)?;
        // IMMEDIATE: a deferred transaction that turns to writing is refused at once, whatever the busy timeout.
        let statement = match durability {
            Durability::Power => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            Durability::Process => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        };
        match writer.begin_with(statement).await {
            // A full disk makes SQLite roll back by itself. sqlx then counts a transaction that is no more, and would
            // refuse every other one: such a connection is let go, and the pool makes another.
            Err(sqlx::Error::InvalidSavePointStatement | sqlx::Error::BeginFailed) => {
                drop(writer.acquire().await?.detach());
                Ok(writer.begin_with(statement).await?)
            }
            begun => Ok(begun?),
        }
    }

    /// One consistent view for several queries; never held while waiting for anything else, as it pins the
    /// write-ahead log.
    async fn view(&self) -> Result<View> {
        Ok(self.0.readers.begin().await?)
    }

    /// Two views of the same moment, for what two threads read faster than one. The second is missing where commits came
    /// so thick that no moment was found.
    async fn views(&self) -> Result<(View, Option<View>)> {
        // Held while both are taken: two callers with one reader each would wait for each other's.
        let mut watcher = self.0.watcher.lock().await;
        for _ in 0..MOMENTS {
            let before = data_version(&mut watcher).await?;
            let mut views = (self.view().await?, self.view().await?);
            for view in [&mut views.0, &mut views.1] {
                // A deferred transaction sees the moment of its first read, not that of its beginning.
                sqlx::query("SELECT key FROM run LIMIT 1").fetch_optional(&mut **view).await?;
            }
            if data_version(&mut watcher).await? == before {
                return Ok((views.0, Some(views.1)));
            }
        }
        Ok((self.view().await?, None))
    }
}

async fn data_version(watcher: &mut SqliteConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("PRAGMA data_version").fetch_one(watcher).await?)
}

/// The run's key, for joins.
async fn key_of(connection: &mut SqliteConnection, id: &str) -> Result<i64> {
    let key = sqlx::query_scalar("SELECT key FROM run WHERE id = ?").bind(id);
    let key: Option<i64> = key.fetch_optional(connection).await?;
    key.ok_or_else(|| StoreError::unknown_run(id))
}

/// Text of a JSON value; maps and lists of values always have one.
fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Nonsense { what: "a value", found: error.to_string() })
}

/// A JSON column back as a value.
fn unjson<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Nonsense { what, found: text.to_owned() })
}
