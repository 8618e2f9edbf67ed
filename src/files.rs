//! Files that are whole or absent, and their sha256. Any room may use it, and it knows of none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Suffix of a draft of the workbench: a leftover while nobody edits.
pub const DRAFT: &str = ".tmp";
/// Suffix of what a trainer, an upgrade or an export has begun: a leftover while none of them is at work.
pub const PARTIAL: &str = ".partial";

/// `path` with `suffix` behind its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Writes a new version beside `path`, under `suffix`, and renames it into place once it is on disk, then makes the rename
/// durable. A leftover of an earlier crash is overwritten.
///
/// # Errors
/// `path` is then as it was, unless only its folder could not be synced.
pub fn replace(path: &Path, suffix: &str, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, suffix);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_parent(path)
}

/// Makes a rename in the folder of `path` durable.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// sha256 of a file, hex, read piece by piece.
///
/// # Errors
/// The file cannot be read.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut digest = Digesting(Sha256::new());
    io::copy(&mut File::open(path)?, &mut digest)?;
    Ok(hex(&digest.0.finalize()))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Digesting(Sha256);

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_is_overwritten_and_none_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        fs::write(beside(&path, DRAFT), "half, and longer than the whole").unwrap();
        replace(&path, DRAFT, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // Where there is no room for the new one, the old one stays.
        fs::create_dir(beside(&path, PARTIAL)).unwrap();
        assert!(replace(&path, PARTIAL, b"other").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn the_digest_is_that_of_the_standard() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "abc").unwrap();
        // FIPS 180-4, the one-block example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&path).unwrap(), expected);
    }
}
