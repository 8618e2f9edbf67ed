//! Downloads that survive being interrupted: bytes gather in `<file>.part`, which the next try goes on from, and get
//! their name once their md5 is right.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use super::DataError;
use super::archive::md5_of;

/// Tries that bring nothing new before giving up.
const PATIENCE: u32 = 3;

/// Gets `url` into `target` unless a file with this md5 is there already.
///
/// `progress` hears of the bytes on disk and, once known, of all there will be. A broken connection is taken up again
/// where it broke; what has arrived stays for the next call.
///
/// # Errors
/// The server refuses or keeps breaking off; the md5 is wrong (what arrived is removed then); the disk refuses; another
/// process is fetching the same file.
pub fn fetch(
    url: &str,
    md5: &str,
    target: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), DataError> {
    fetch_through(agent(SILENCE), url, md5, target, progress)
}

fn fetch_through(
    agent: Agent,
    url: &str,
    md5: &str,
    target: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), DataError> {
    if target.is_file() && md5_of(target)?.0 == md5 {
        return Ok(());
    }
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(DataError::write(folder))?;
    }
    let part = part_of(target);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&part)
        .map_err(DataError::write(&part))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let found = "another process that is fetching it";
            return Err(DataError::malformed(part, found, "one at a time"));
        }
        Err(TryLockError::Error(why)) => return Err(DataError::Write { path: part, why }),
    }
    let download = Download { url, part: &part, agent };
    download.complete(&mut file, progress)?;
    file.sync_all().map_err(DataError::write(&part))?;
    let (found, bytes) = md5_of(&part)?;
    if found != md5 {
        fs::remove_file(&part).map_err(DataError::write(&part))?;
        let found = format!("md5 {found} in {bytes} bytes (removed)");
        return Err(DataError::malformed(url, found, format!("md5 {md5}")));
    }
    fs::rename(&part, target).map_err(DataError::write(target))
}

/// Where an unfinished download gathers.
pub fn part_of(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(60);

fn agent(silence: Duration) -> Agent {
    // No limit on the whole transfer: 162 MB over a slow line may take an hour. But a line on which nothing comes at all is
    // given up, and taken up again where it broke.
    let config = Agent::config_builder()
        .timeout_per_read(Some(silence))
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .build();
    config.into()
}

/// How one request ended.
enum Outcome {
    Complete,
    /// The connection broke, or it could not be made.
    Broken(String),
}

struct Download<'a> {
    url: &'a str,
    part: &'a Path,
    agent: Agent,
}

impl Download<'_> {
    /// Requests until everything is there.
    fn complete(
        &self,
        file: &mut File,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), DataError> {
        let mut fruitless = 0;
        loop {
            let before = self.length(file)?;
            let reason = match self.request(file, before, progress)? {
                Outcome::Complete => return Ok(()),
                Outcome::Broken(reason) => reason,
            };
            let done = self.length(file)?;
            fruitless = if before < done { 0 } else { fruitless + 1 };
            if fruitless == PATIENCE {
                return Err(self.failed(reason, done));
            }
        }
    }

    fn request(
        &self,
        file: &mut File,
        start: u64,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Outcome, DataError> {
        // Identity: some servers would otherwise declare the archive's own compression to be the transfer's.
        let mut request = self.agent.get(self.url).header("Accept-Encoding", "identity");
        if 0 < start {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Outcome::Broken(error.to_string())),
        };
        let from = match response.status() {
            StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(start) => start,
            // The server does not do ranges, so from the beginning.
            StatusCode::OK => 0,
            // Nothing follows what is here: whole, or too long; the md5 decides.
            StatusCode::RANGE_NOT_SATISFIABLE => return Ok(Outcome::Complete),
            status if status.is_server_error() => {
                return Ok(Outcome::Broken(format!("the server answered {status}")));
            }
            status => return Err(self.failed(format!("the server answered {status}"), start)),
        };
        file.set_len(from).map_err(DataError::write(self.part))?;
        file.seek(SeekFrom::Start(from)).map_err(DataError::write(self.part))?;
        let total = response.body().content_length().map(|rest| from + rest);
        self.receive(response, file, from, total, progress)
    }

    fn receive(
        &self,
        response: Response<Body>,
        file: &mut File,
        mut done: u64,
        total: Option<u64>,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Outcome, DataError> {
        let mut reader = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            progress(done, total);
            let n = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Outcome::Broken(error.to_string())),
            };
            file.write_all(&buffer[..n]).map_err(DataError::write(self.part))?;
            done += n as u64;
        }
        Ok(match total {
            Some(total) if done < total => Outcome::Broken("the connection broke off".to_owned()),
            _ => Outcome::Complete,
        })
    }

    fn length(&self, file: &File) -> Result<u64, DataError> {
        Ok(file.metadata().map_err(DataError::read(self.part))?.len())
    }

    fn failed(&self, reason: String, done: u64) -> DataError {
        DataError::Download { url: self.url.to_owned(), reason, done }
    }
}

/// Where the body of a partial answer starts: `Content-Range: bytes 100-199/200`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("Content-Range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
