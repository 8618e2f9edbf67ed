//! Whose a home is whose run log lies elsewhere (`store.path`): that of the machine which its file `keeper` names.
//!
//! A home on a shared disk is seen by several machines and its run log by one. Another would find none, begin a second one
//! over the same runs, and start them again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::Result;
use super::error::StoreError;
use super::open::location;
use crate::lab::Home;

/// The other machine that keeps `home`, if one does.
///
/// # Errors
/// Where the settings or the file cannot be read.
pub fn kept_elsewhere(home: &Home) -> Result<Option<String>> {
    if location(home)? == home.database() {
        return Ok(None);
    }
    Ok(named(&file(home))?.filter(|keeper| *keeper != here()))
}

/// Makes this machine the keeper of `home`, whoever is it now.
///
/// # Errors
/// Where the file cannot be written.
pub fn keep_here(home: &Home) -> Result<()> {
    let (file, new) = (file(home), draft(home));
    let done = write(&new).and_then(|()| fs::rename(&new, &file));
    done.map_err(|error| StoreError::from_io(&file, "write", error))
}

/// Refuses a home that another machine keeps.
pub(super) fn refuse_elsewhere(home: &Home) -> Result<()> {
    match kept_elsewhere(home)? {
        Some(keeper) => {
            Err(StoreError::KeptElsewhere { home: home.root().to_owned(), keeper, here: here() })
        }
        None => Ok(()),
    }
}

/// As [`refuse_elsewhere`]; a home that nobody keeps is this machine's from now on. Of two that come at once one is first.
pub(super) fn claim(home: &Home) -> Result<()> {
    let file = file(home);
    if location(home)? != home.database() && named(&file)?.is_none() {
        let new = draft(home);
        let failed = |error| StoreError::from_io(&file, "write", error);
        write(&new).map_err(failed)?;
        let first = match fs::hard_link(&new, &file) {
            Err(why) if why.kind() == ErrorKind::AlreadyExists => Ok(()),
            // Not every disk has links.
            Err(why)
                if matches!(why.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) =>
            {
                match File::create_new(&file) {
                    Err(why) if why.kind() == ErrorKind::AlreadyExists => Ok(()),
                    made => made.and_then(sign),
                }
            }
            done => done,
        };
        let _ = fs::remove_file(&new);
        first.map_err(failed)?;
    }
    refuse_elsewhere(home)
}

fn file(home: &Home) -> PathBuf {
    home.root().join("keeper")
}

/// Nobody else writes there: the name is this process's alone.
fn draft(home: &Home) -> PathBuf {
    home.root().join(format!(".keeper-{}-{}", here(), std::process::id()))
}

fn write(path: &Path) -> std::io::Result<()> {
    sign(File::create(path)?)
}

fn sign(mut file: File) -> std::io::Result<()> {
    file.write_all(format!("{}\n", here()).as_bytes())?;
    file.sync_all()
}

fn named(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|keeper| !keeper.is_empty())),
        Err(why) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&why.kind()) => {
            Ok(None)
        }
        Err(why) => Err(StoreError::from_io(file, "read", why)),
    }
}

fn here() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_whose_run_log_lies_elsewhere_has_one_keeper() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        claim(&home).unwrap();
        assert!(!file(&home).exists(), "its run log lies in it");
        fs::write(home.settings(), "[store]\npath = \"/var/tmp/x.db\"\n").unwrap();
        claim(&home).unwrap();
        claim(&home).unwrap();
        assert_eq!(named(&file(&home)).unwrap(), Some(here()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no draft is left");

        fs::write(file(&home), "login2.example\n").unwrap();
        let said = claim(&home).unwrap_err().to_string();
        assert!(said.contains("login2.example") && said.contains(&here()), "{said}");
        assert_eq!(kept_elsewhere(&home).unwrap().as_deref(), Some("login2.example"));
        keep_here(&home).unwrap();
        claim(&home).unwrap();
    }
}
