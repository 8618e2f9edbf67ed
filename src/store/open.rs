//! Opening the run log: where it lies, whether it may be opened, making it.
//!
//! Everything that may be refused is refused here, before anything is changed. Making the schema happens under a file
//! lock of its own, because two first starts at once are ordinary: a screen and a worker.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
};
use sqlx::{ConnectOptions, Connection, Row};

use super::error::{BUSY_SECONDS, StoreError};
use super::keeper;
use super::migrate::{migrate, veil};
use super::{Result, SCHEMA, SCHEMA_VERSION};
use crate::lab::Home;
use crate::settings::LabToml;

/// 'ILAB', in the file's header.
const APPLICATION: i64 = 0x494C_4142;
/// The first SQLite without the race that loses pages of the write-ahead log (sqlite.org/wal.html#walresetbug).
const NEEDED: &str = "3.51.3";
/// Readers in one process: the screen, a curve being loaded, a poll, one to spare.
const READERS: u32 = 4;

/// Where the run log of `home` lies: `store.path` in `lab.toml` (relative to the home), else `lab.db`.
///
/// # Errors
/// All that is wrong with `lab.toml`; a name that SQLite would not take.
pub fn location(home: &Home) -> Result<PathBuf> {
    let store: Settings = LabToml::load(home)?.table("store")?;
    let path = store.path.map_or_else(|| home.database(), |path| home.root().join(path));
    if path.to_str().is_none() {
        return Err(StoreError::NotUtf8 { path });
    }
    Ok(path)
}

/// `[store]`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    path: Option<String>,
}

/// Where a run log may be begun that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Never,
    /// Where there are no runs yet.
    First,
    /// Also where the runs are there that are to be taken in.
    Anew,
}

impl Begin {
    /// Refuses what is not to be begun. The run log is made before the first run directory: who looks for it after those,
    /// and under the lock or once more, takes no new lab for one that lost it.
    fn check(self, home: &Home, path: &Path, n: usize) -> Result<()> {
        let path = path.to_path_buf();
        match (self, n) {
            (Begin::Anew, _) | (Begin::First, 0) => Ok(()),
            (Begin::Never, 0) => Err(StoreError::Missing { path }),
            (_, n) => Err(StoreError::Lost { path, runs: home.runs(), n }),
        }
    }
}

/// Counts run directories, temporary ones apart.
fn count_runs(home: &Home) -> usize {
    let entries = fs::read_dir(home.runs()).into_iter().flatten().flatten();
    let is_run = |entry: &fs::DirEntry| {
        !entry.file_name().to_string_lossy().starts_with('.') && entry.path().is_dir()
    };
    entries.filter(is_run).count()
}

/// Opens the run log for writing and makes it where there is none and `begin` allows it.
pub(super) async fn writable(home: &Home, begin: Begin) -> Result<(PathBuf, SqlitePool)> {
    let path = location(home)?;
    keeper::refuse_elsewhere(home)?;
    let n_runs = count_runs(home);
    if !path.exists() {
        begin.check(home, &path, n_runs)?;
    }
    let folder = path.parent().unwrap_or(home.root()).to_path_buf();
    for dir in [home.root(), &folder] {
        make_private(dir).map_err(|error| StoreError::from_io(dir, "create", error))?;
    }
    refuse_network_disk(&folder)?;
    keeper::claim(home)?;
    let guard = lock(&path).await?;
    if path.exists() {
        // SQLite would quietly fall back to reading only.
        let opened = OpenOptions::new().write(true).open(&path);
        opened.map_err(|error| StoreError::from_io(&path, "open", error))?;
    }
    prepare(home, &path, begin).await?;
    let options = options(&path)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("journal_size_limit", "67108864")
        .statement_cache_capacity(64);
    let writer = pool(1).connect_with(options).await;
    let writer = writer.map_err(|error| StoreError::opening(&path, error))?;
    drop(guard);
    Ok((path, writer))
}

/// A folder that is nobody else's to look into: runs tell of unpublished work, and a stranger's hand on a lock would
/// stop the queue. One that is there already keeps the mode that somebody gave it.
fn make_private(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Readers of the run log at `path`, which is of schema `version`.
pub(super) async fn readers(path: &Path, version: i64) -> Result<SqlitePool> {
    // A long list passes between two threads: with room for more rows, neither waits for the other at each of them.
    let options = reading(path)?.row_buffer_size(1024);
    let pool = pool(READERS).after_connect(move |connection, _| {
        Box::pin(async move {
            if let Some(veil) = veil(version) {
                sqlx::raw_sql(veil).execute(connection).await?;
            }
            Ok(())
        })
    });
    let readers = pool.connect_with(options).await;
    readers.map_err(|error| StoreError::opening(path, error))
}

/// A connection that only watches for commits of the others.
pub(super) async fn watcher(path: &Path) -> Result<SqliteConnection> {
    let watcher = reading(path)?.connect().await;
    watcher.map_err(|error| StoreError::opening(path, error))
}

/// Checks, changing nothing, that `path` is a run log this program can read.
/// Returns the version of its schema.
pub(super) async fn check_readable(home: &Home, path: &Path) -> Result<i64> {
    match version(path).await {
        Err(StoreError::Missing { .. }) => {
            let n_runs = count_runs(home);
            match version(path).await {
                Err(StoreError::Missing { .. }) => {
                    Begin::Never.check(home, path, n_runs).map(|()| SCHEMA_VERSION)
                }
                made_meanwhile => made_meanwhile,
            }
        }
        found => found,
    }
}

async fn version(path: &Path) -> Result<i64> {
    if !path.is_file() {
        return Err(StoreError::Missing { path: path.to_path_buf() });
    }
    if beside(path, "-journal").exists() {
        roll_back(path).await?;
    }
    let mut connection = watcher(path).await?;
    let stamp = Stamp::read(&mut connection, path).await?;
    match stamp.judge(path)? {
        Kind::Ours => Ok(SCHEMA_VERSION),
        Kind::Older(found) => Ok(found),
        Kind::Empty => Err(StoreError::Missing { path: path.to_path_buf() }),
    }
}

/// Whoever made the file was killed at it, or is still at it: until then it is in no write-ahead mode, and what was begun
/// stands in a journal that only a writer can roll back.
async fn roll_back(path: &Path) -> Result<()> {
    let failed = |error| StoreError::opening(path, error);
    let guard = lock(path).await?;
    let mut connection = options(path).connect().await.map_err(failed)?;
    Stamp::read(&mut connection, path).await?;
    connection.close().await.map_err(failed)?;
    drop(guard);
    Ok(())
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // Nobody else hangs up a connection to a file, so none is ever tested, renewed or let go.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(2 * BUSY_SECONDS))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(BUSY_SECONDS))
        .foreign_keys(true)
        .disable_statement_logging()
}

/// Reading needs the shared-memory file beside the database. In a folder that cannot be written it cannot be made; a
/// file that was closed cleanly can still be read there, as it cannot change either.
fn reading(path: &Path) -> Result<SqliteConnectOptions> {
    let options = options(path).read_only(true).create_if_missing(false);
    let folder = path.parent().unwrap_or(Path::new("."));
    let may_write = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    if may_write || beside(path, "-shm").exists() {
        return Ok(options);
    }
    if fs::metadata(beside(path, "-wal")).is_ok_and(|wal| 0 < wal.len()) {
        return Err(StoreError::Unclosed { path: path.to_path_buf() });
    }
    Ok(options.immutable(true))
}

/// A file beside the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Takes the lock beside the database under which it is made and upgraded; dropping the file gives it back.
async fn lock(path: &Path) -> Result<File> {
    let name = beside(path, ".lock");
    let failed = |error| StoreError::from_io(&name, "lock", error);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(failed)?;
    let taken = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    taken.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(failed)
}

/// Under the lock: refuses what is not ours, makes the schema in an empty file, and brings an older one up to date.
async fn prepare(home: &Home, path: &Path, begin: Begin) -> Result<()> {
    let failed = |error| StoreError::opening(path, error);
    let mut connection = options(path).create_if_missing(true).connect().await.map_err(failed)?;
    let stamp = Stamp::read(&mut connection, path).await?;
    match stamp.judge(path)? {
        Kind::Ours => {}
        Kind::Empty => {
            begin.check(home, path, count_runs(home))?;
            let mut change = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
            sqlx::raw_sql(SCHEMA).execute(&mut *change).await.map_err(failed)?;
            change.commit().await.map_err(failed)?;
        }
        Kind::Older(found) => migrate(&mut connection, path, found).await?,
    }
    connection.close().await.map_err(failed)
}

#[derive(PartialEq, Eq)]
enum Kind {
    Empty,
    Ours,
    /// Ours, of this earlier schema.
    Older(i64),
}

/// What a file says about itself.
struct Stamp {
    sqlite: String,
    application: i64,
    version: i64,
    tables: i64,
}

impl Stamp {
    async fn read(connection: &mut SqliteConnection, path: &Path) -> Result<Self> {
        let failed = |error| StoreError::opening(path, error);
        let row = sqlx::query(
            "SELECT sqlite_version(), application_id, user_version, (SELECT count(*) FROM sqlite_schema)
               FROM pragma_application_id, pragma_user_version",
        );
        let row = row.fetch_one(connection).await.map_err(failed)?;
        Ok(Self {
            sqlite: row.try_get(0).map_err(failed)?,
            application: row.try_get(1).map_err(failed)?,
            version: row.try_get(2).map_err(failed)?,
            tables: row.try_get(3).map_err(failed)?,
        })
    }

    fn judge(&self, path: &Path) -> Result<Kind> {
        if release(&self.sqlite) < release(NEEDED) {
            return Err(StoreError::OldSqlite { found: self.sqlite.clone(), needed: NEEDED });
        }
        let path = path.to_path_buf();
        match (self.application, self.version, self.tables) {
            (0, 0, 0) => Ok(Kind::Empty),
            (APPLICATION, found, _) if SCHEMA_VERSION < found => {
                Err(StoreError::Newer { path, found, known: SCHEMA_VERSION })
            }
            (APPLICATION, SCHEMA_VERSION, _) => Ok(Kind::Ours),
            (APPLICATION, found @ 1.., _) => Ok(Kind::Older(found)),
            _ => Err(StoreError::Foreign { path }),
        }
    }
}

/// `3.51.3` as numbers that compare.
fn release(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(target_os = "linux")]
fn refuse_network_disk(folder: &Path) -> Result<()> {
    let Ok(disk) = rustix::fs::statfs(folder) else { return Ok(()) };
    match network_disk(disk.f_type as u32) {
        Some(kind) => Err(StoreError::NetworkDisk { path: folder.to_path_buf(), kind }),
        None => Ok(()),
    }
}

/// Disks whose locks or shared memory do not reach other machines, by statfs's magic numbers (linux/magic.h).
#[cfg(target_os = "linux")]
fn network_disk(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => "a Windows share",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        // sshfs and the like; a local one cannot be told apart.
        0x6573_5546 => "FUSE",
        _ => return None,
    })
}

#[cfg(not(target_os = "linux"))]
fn refuse_network_disk(_folder: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_as_numbers() {
        assert!(release("3.9.0") < release(NEEDED));
        assert!(release("3.51.2") < release(NEEDED));
        assert!(release("3.51.3") >= release(NEEDED));
        assert!(release("3.100.0") > release(NEEDED));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn disks_of_a_cluster_are_told_from_local_ones() {
        assert_eq!(network_disk(0x6969), Some("NFS"));
        assert_eq!(network_disk(0x0BD0_0BD0), Some("Lustre"));
        assert_eq!(network_disk(0x6573_5546), Some("FUSE"));
        // ext4, xfs, tmpfs, overlayfs.
        for local in [0xEF53, 0x5846_5342, 0x0102_1994, 0x794C_7630] {
            assert_eq!(network_disk(local), None, "{local:#x}");
        }
    }

    #[test]
    fn the_file_lies_where_the_settings_say() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        assert_eq!(location(&home).unwrap(), home.database());
        fs::write(home.settings(), "[store]\npath = \"elsewhere/x.db\"\n").unwrap();
        assert_eq!(location(&home).unwrap(), dir.path().join("elsewhere/x.db"));
        fs::write(home.settings(), "[store]\npath = 3\n").unwrap();
        let said = location(&home).unwrap_err().to_string();
        assert!(
            said.ends_with("lab.toml:2: store.path: found 3, allowed: a path in quotes"),
            "{said}"
        );
    }

    #[test]
    fn a_name_that_sqlite_would_not_take_is_refused_in_words() {
        use std::os::unix::ffi::OsStrExt;
        let home = Home::new(std::ffi::OsStr::from_bytes(b"/nowhere/l\xffb"));
        let said = location(&home).unwrap_err().to_string();
        assert!(said.contains("is not UTF-8: choose another with --home"), "{said}");
    }
}
