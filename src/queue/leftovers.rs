//! What crashes leave behind: temporary files and folders whose owner is gone. Nobody reads them, and none is ever a
//! reason to fail; they only take room.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::locks::is_held;
use super::slurm::trace::Trace;
use crate::files::{DRAFT, PARTIAL};
use crate::journal::process::Identity;
use crate::lab::{Home, RunDir};

/// Begins the name of a run directory in the making; ends with the process that makes it.
pub const IN_THE_MAKING: &str = ".tmp-";

/// Every leftover in `home`, in no order.
///
/// # Errors
/// When a folder cannot be read.
pub fn find(home: &Home) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let edits = home.runs().join(".edit.lock");
    // Whoever writes a `meta.json` holds this; while somebody does, none of those can be told from a leftover.
    let editing = OpenOptions::new().write(true).open(&edits);
    let edits_rest = editing.is_ok_and(|file| file.try_lock().is_ok());
    for path in entries(&home.runs())? {
        let name = name_of(&path);
        if let Some(rest) = name.strip_prefix(IN_THE_MAKING) {
            let maker = rest.rsplit_once('-').and_then(|(_, pid)| pid.parse().ok());
            if maker.is_none_or(|pid: u32| Identity::of(pid).is_err()) {
                found.push(path);
            }
        } else if path.is_dir() {
            found.extend(in_run(&RunDir::new(&path), edits_rest)?);
        }
    }
    let database = name_of(&home.database());
    let copies = entries(home.root())?;
    found.extend(copies.into_iter().filter(|path| {
        let name = name_of(path);
        name.starts_with(&database) && name.ends_with(PARTIAL)
    }));
    Ok(found)
}

/// Removes what [`find`] found; what cannot be removed stays.
pub fn sweep(home: &Home) -> io::Result<Vec<PathBuf>> {
    let mut swept = find(home)?;
    swept.retain(|path| {
        let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        gone.is_ok()
    });
    Ok(swept)
}

/// What a trainer writes is a leftover only while no trainer holds the run.
fn in_run(dir: &RunDir, edits_rest: bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // A lock on a cluster's node may not be seen from here.
    let at_rest = !is_held(&dir.lock())? && !Trace(dir).is_open();
    for path in entries(dir.path())? {
        let name = name_of(&path);
        if (at_rest && name.ends_with(PARTIAL)) || (edits_rest && name.ends_with(DRAFT)) {
            found.push(path);
        }
    }
    if at_rest {
        for path in entries(&dir.checkpoints())? {
            let name = name_of(&path);
            // Tensors are in place before the commit that names them; without it they are no checkpoint.
            let uncommitted =
                name.ends_with(".safetensors") && !path.with_extension("json").exists();
            if name.ends_with(PARTIAL) || uncommitted {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Nothing where there is no such folder.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(why) => Err(why),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
