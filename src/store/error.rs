//! What can go wrong with the run log, in words a person can act on. Never shows SQL.
//!
//! What the system said stands in the message, as `why` and not as a source: the command line prints the whole chain, and
//! would say it twice.

use std::io;
use std::path::{Path, PathBuf};

use super::model::{IllegalTransition, RunId, State};

/// Everything the store refuses or fails at.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no run log at {}: queue an experiment first, or name the lab with --home", .path.display())]
    Missing { path: PathBuf },

    /// Begun anew, it would know nothing of the runs that are there, and queue them once more.
    #[error(
        "there is no run log at {}, but {n} run director(ies) in {}: `instdisc-lab doctor --repair` makes it anew from them",
        .path.display(), .runs.display()
    )]
    Lost { path: PathBuf, runs: PathBuf, n: usize },

    #[error("{} cannot be written ({why}): choose another lab with --home, or look only, with --readonly", .path.display())]
    ReadOnly { path: PathBuf, why: String },

    #[error("this lab was opened only to look at it: nothing can be changed")]
    LookingOnly,

    #[error(
        "{} lies on {kind}, where SQLite cannot share a file safely: set store.path in lab.toml to a local disk",
        .path.display()
    )]
    NetworkDisk { path: PathBuf, kind: &'static str },

    #[error(
        "{} is kept by {keeper}, where its run log lies (store.path), and this is {here}: work there. Where {keeper} is gone \
         for good, or this is a copy of the home, `instdisc-lab doctor --repair` keeps it here from now on",
        .home.display()
    )]
    KeptElsewhere { home: PathBuf, keeper: String, here: String },

    #[error(
        "{} is no database: `instdisc-lab doctor --repair` sets it aside and makes the run log anew from the run directories",
        .path.display()
    )]
    NotADatabase { path: PathBuf },

    #[error("{} is a database of another program", .path.display())]
    Foreign { path: PathBuf },

    #[error(
        "{} was written by a newer instdisc-lab (schema {found}, this one knows {known}): update instdisc-lab",
        .path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },

    #[error("the run log is damaged: keep a copy and run `instdisc-lab doctor --repair`")]
    Damaged,

    #[error("{} was not closed cleanly and its folder cannot be written: copy the folder and open the copy", .path.display())]
    Unclosed { path: PathBuf },

    #[error("built with SQLite {found}, which can lose data: {needed} or newer is needed")]
    OldSqlite { found: String, needed: &'static str },

    #[error("the disk of the run log is full: free some space and try again")]
    DiskFull,

    #[error(
        "the disk of the run log failed ({detail}): see whether it is full or broken (df, dmesg), then try again; \
         what was acknowledged before is there"
    )]
    DiskFailed { detail: String },

    #[error("the run log has been in use by another program for {BUSY_SECONDS} s: try again")]
    Busy,

    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),

    #[error("{} cannot be a run log's place, as its name is not UTF-8: choose another with --home", .path.display())]
    NotUtf8 { path: PathBuf },

    #[error("no run is called {text}{}", .near.as_ref().map_or(String::new(), |id| format!("; the nearest is {id}")))]
    UnknownRun { text: String, near: Option<RunId> },

    /// `matches` are the first of them, and `others` is how many there are besides.
    #[error("{text} could be {}{}: type more of it", .matches.join(", "), and_others(.others))]
    AmbiguousRun { text: String, matches: Vec<RunId>, others: usize },

    #[error("run id {run} is taken by another specification")]
    Taken { run: RunId },

    #[error(transparent)]
    Illegal(#[from] IllegalTransition),

    /// Somebody else changed the run meanwhile.
    #[error("run {run} is {found} by now, no longer {expected}")]
    Changed { run: RunId, expected: State, found: State },

    /// An attempt that is no longer the current one wants to change the run.
    #[error("run {run} is at attempt {current} by now, no longer {given}")]
    OldAttempt { run: RunId, given: u32, current: u32 },

    #[error("run {run} is {state}: cancel it first")]
    StillActive { run: RunId, state: State },

    #[error("run {run} is {state}: there is nothing to {request}")]
    NothingToStop { run: RunId, state: State, request: &'static str },

    /// The batch does not begin where the run log ends: somebody else ingests too. Read again from `expected`.
    #[error(
        "the run log has {expected} bytes of the journal of {run}, and was handed what follows byte {found}"
    )]
    OutOfPlace { run: RunId, expected: u64, found: u64 },

    #[error(transparent)]
    Journal(#[from] crate::journal::reader::ReadError),

    #[error("cannot {doing} {}: {why}", .path.display())]
    Io { path: PathBuf, doing: &'static str, why: io::Error },

    /// A value in the file that this program would not have written.
    #[error("the run log holds {what} that makes no sense: {found}")]
    Nonsense { what: &'static str, found: String },

    #[error("the run log failed: {detail}")]
    Fault { detail: String },
}

fn and_others(n: &usize) -> String {
    match n {
        0 => String::new(),
        1 => " and one other".to_owned(),
        n => format!(" and {n} others"),
    }
}

/// Seconds that a writer waits for others before it gives up.
pub(super) const BUSY_SECONDS: u64 = 30;

// Primary result codes of SQLite (sqlite.org/rescode.html).
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(inside) = &error else {
            return match error {
                sqlx::Error::PoolTimedOut => Self::Busy,
                // A value that no version of this program writes, a negative step say.
                sqlx::Error::ColumnDecode { .. } => Self::Damaged,
                other => Self::Fault { detail: other.to_string() },
            };
        };
        match result_code(inside.as_ref()) {
            BUSY | LOCKED => Self::Busy,
            READONLY => Self::LookingOnly,
            CORRUPT => Self::Damaged,
            FULL => Self::DiskFull,
            // The database is open already: it is its write-ahead log that cannot be made.
            IOERR | CANTOPEN => Self::DiskFailed {
                detail: format!("{}, {}", inside.message(), inside.code().unwrap_or_default()),
            },
            code => Self::Fault { detail: format!("{} (code {code})", inside.message()) },
        }
    }
}

/// sqlx reports extended codes; the low byte is the primary one.
fn result_code(error: &dyn sqlx::error::DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0) & 0xff
}

impl StoreError {
    /// Whether a person can do something about it; the rest are faults of ours.
    pub fn is_curable(&self) -> bool {
        use StoreError::{Changed, Fault, Illegal, Nonsense, OldAttempt, OutOfPlace};
        !matches!(
            self,
            Illegal(_)
                | Changed { .. }
                | OldAttempt { .. }
                | OutOfPlace { .. }
                | Nonsense { .. }
                | Fault { .. }
        )
    }

    /// Without a guess at what was meant.
    pub(super) fn unknown_run(text: &str) -> Self {
        Self::UnknownRun { text: text.to_owned(), near: None }
    }

    /// In words, why the database at `path` does not open.
    pub(super) fn opening(path: &Path, error: sqlx::Error) -> Self {
        let path = path.to_path_buf();
        let code = error.as_database_error().map(result_code);
        match code {
            Some(NOTADB) => Self::NotADatabase { path },
            Some(READONLY) => Self::ReadOnly { path, why: "read-only".into() },
            Some(CANTOPEN) => Self::ReadOnly { path, why: "it cannot be opened".into() },
            _ => error.into(),
        }
    }

    /// In words, why `path` cannot be made or opened for writing.
    pub(super) fn from_io(path: &Path, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path, why: source.kind().to_string() }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io { path, doing, why: source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_disk_is_named_with_the_way_out() {
        let error = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        let said = StoreError::from_io(Path::new("/mnt/lab"), "create", error).to_string();
        assert_eq!(
            said,
            "/mnt/lab cannot be written (read-only filesystem or storage medium): choose another lab with --home, \
             or look only, with --readonly"
        );
    }

    #[test]
    fn a_value_that_cannot_be_read_back_is_damage_with_its_cure() {
        let source = "out of range integral type conversion attempted".into();
        let error = sqlx::Error::ColumnDecode { index: "7".into(), source };
        assert!(StoreError::from(error).to_string().ends_with("`instdisc-lab doctor --repair`"));
    }

    #[test]
    fn what_the_system_said_is_said_once() {
        let error = io::Error::from(io::ErrorKind::IsADirectory);
        let error = StoreError::from_io(Path::new("/x"), "read", error);
        assert_eq!(error.to_string(), "cannot read /x: is a directory");
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn no_message_is_an_sql_statement() {
        let error = sqlx::Error::Protocol("x".into());
        let said = StoreError::from(error).to_string();
        assert!(said.starts_with("the run log failed"), "{said}");
    }
}
