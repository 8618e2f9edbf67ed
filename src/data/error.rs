//! What can be wrong with a data set, in words for the person who has to put it right.

use std::path::PathBuf;

/// A data set that cannot be used. Every message names the file or folder, what was found there and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Nothing is there. `cure` says how to get it.
    #[error("{}: found nothing, allowed: {expected}; {cure}", path.display())]
    Missing { path: PathBuf, expected: String, cure: String },
    /// Something is there, but not what its name promises.
    #[error("{}: found {found}, allowed: {allowed}", path.display())]
    Malformed { path: PathBuf, found: String, allowed: String },
    /// The operating system refused. `why` and no source: whoever prints the chain would say it twice.
    #[error("{}: cannot be read: {why}", path.display())]
    Read { path: PathBuf, why: std::io::Error },
    /// The operating system refused to store something.
    #[error("{}: cannot be written: {why}", path.display())]
    Write { path: PathBuf, why: std::io::Error },
    /// `data.classes` names a class that the data set does not have, or leaves fewer than two.
    #[error("data.classes: found {found}, allowed: {allowed}")]
    Classes { found: String, allowed: String },
    /// `data.held_out` is so small a share that it holds no image, or nothing has a label to hold it by.
    #[error("data.held_out: found {found}, allowed: {allowed}")]
    HeldOut { found: String, allowed: String },
    /// A split that has no image, or none of the classes that were chosen.
    #[error("{dataset}: found no {split} image{among}, allowed: one or more in either split")]
    Empty { dataset: String, split: &'static str, among: &'static str },
    /// The other side of a download failed; what is there stays for the next try.
    #[error("{url}: {reason}; run the command again to go on from {done} bytes")]
    Download { url: String, reason: String, done: u64 },
}

impl DataError {
    pub(crate) fn malformed(
        path: impl Into<PathBuf>,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Malformed { path: path.into(), found: found.into(), allowed: allowed.into() }
    }

    /// For `map_err`: an I/O error while reading `path`.
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |why| Self::Read { path, why }
    }

    /// For `map_err`: an I/O error while writing `path`.
    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |why| Self::Write { path, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_said_is_said_once() {
        let error = DataError::read("/x")(std::io::Error::from(std::io::ErrorKind::IsADirectory));
        assert_eq!(error.to_string(), "/x: cannot be read: is a directory");
        assert!(std::error::Error::source(&error).is_none());
    }
}
