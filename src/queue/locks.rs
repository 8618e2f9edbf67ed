//! Looking at a lock file without taking it for longer than an instant.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// Whether somebody holds `path` for himself; nobody does where there is no such file. The look takes the lock shared,
/// so that two looks never disturb each other; those who take it for good wait an instant out.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(why) => return Err(why),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(why)) => Err(why),
    }
}
