//! Checkpoints: whole or absent.
//!
//! `step-<n>.safetensors` is written, synced and renamed first; `step-<n>.json`, which carries its sha256, is renamed
//! last, and that rename is the commit. Whatever a crash leaves behind without its `.json` is not a checkpoint and is
//! swept by the next save. Two are kept, so that a damaged one has a predecessor, and those that these two name as selected.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::recorder::EpochLoss;
use crate::files::{PARTIAL, beside, replace, sha256};
use crate::journal::writer::WriteError;
use crate::saved;
pub use crate::saved::committed;

pub const VERSION: u32 = 1;
const KEPT: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Tensors { path: PathBuf, source: tch::TchError },
    #[error(transparent)]
    Journal(#[from] WriteError),
}

/// The part of a checkpoint that is not tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    pub version: u32,
    /// Steps done.
    pub step: u64,
    /// Name of the tensor file beside this one.
    pub file: String,
    /// sha256 of that file, hex.
    pub hash: String,
    /// Active seconds so far.
    pub sec: f64,
    pub spec_fingerprint: String,
    pub data_fingerprint: String,
    pub epoch_loss: EpochLoss,
    /// The objective's own numbers (Z and what it was estimated from).
    pub objective: BTreeMap<String, f64>,
    /// The evaluation so far that images held out think best of. None where none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<Selected>,
}

/// An evaluation that was chosen by images held out from training (`data.held_out`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selected {
    pub step: u64,
    /// Its k-NN accuracy on the images held out, in percent.
    pub held_out: f64,
    /// Its k-NN accuracy on the test images, in percent: of no say in the choice.
    pub test: f64,
}

/// A checkpoint that was read and whose hash is right.
pub struct Loaded {
    pub meta: Meta,
    pub tensors: BTreeMap<String, Tensor>,
}

/// Saves and commits; `before_commit` runs between the tensors' rename and the commit (the journal's sync).
///
/// # Errors
/// When the checkpoint is not on the disk. What there is of it is removed again: on a full disk it would leave no room
/// for the journal to say so.
pub fn save(
    dir: &Path,
    meta: Meta,
    tensors: &[(String, Tensor)],
    before_commit: impl FnOnce() -> Result<(), WriteError>,
) -> Result<Meta, CheckpointError> {
    fs::create_dir_all(dir).map_err(|e| failed("create", dir, e))?;
    sweep(dir, meta.step);
    let saved = write(dir, meta, tensors, before_commit);
    if saved.is_err() {
        sweep(dir, u64::MAX);
    } else {
        retire(dir);
    }
    saved
}

fn write(
    dir: &Path,
    mut meta: Meta,
    tensors: &[(String, Tensor)],
    before_commit: impl FnOnce() -> Result<(), WriteError>,
) -> Result<Meta, CheckpointError> {
    meta.file = format!("step-{}.safetensors", meta.step);
    let path = dir.join(&meta.file);
    let temp = beside(&path, PARTIAL);
    let contiguous: Vec<(&str, Tensor)> = tensors
        .iter()
        .map(|(name, t)| (name.as_str(), t.to_device(Device::Cpu).contiguous()))
        .collect();
    Tensor::write_safetensors(&contiguous, &temp)
        .map_err(|source| CheckpointError::Tensors { path: temp.clone(), source })?;
    // Hashed as it lies on disk: what a resume reads is held against that.
    meta.hash = sync_and_hash(&temp).map_err(|e| failed("sync", &temp, e))?;
    fs::rename(&temp, &path).map_err(|e| failed("rename", &temp, e))?;
    before_commit()?;
    let commit = dir.join(format!("step-{}.json", meta.step));
    let text = serde_json::to_vec_pretty(&meta).expect("numbers and strings");
    replace(&commit, PARTIAL, &text).map_err(|e| failed("commit", &commit, e))?;
    Ok(meta)
}

/// The newest checkpoint whose tensors are intact, and what was wrong with newer ones.
pub fn load_newest(dir: &Path) -> (Option<Loaded>, Vec<String>) {
    let mut damaged = Vec::new();
    for step in committed(dir).into_iter().rev() {
        match load(dir, step) {
            Ok(loaded) => return (Some(loaded), damaged),
            Err(why) => damaged.push(why),
        }
    }
    (None, damaged)
}

/// One checkpoint, its hash checked; else what is wrong with it.
pub fn load(dir: &Path, step: u64) -> Result<Loaded, String> {
    let path = dir.join(format!("step-{step}.json"));
    let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let meta: Meta =
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let file = dir.join(format!("step-{step}.safetensors"));
    let shown = file.display();
    if meta.version != VERSION {
        return Err(format!("{shown}: found version {}, allowed: {VERSION}", meta.version));
    }
    let hash = sync_and_hash(&file).map_err(|e| format!("{shown}: {e}"))?;
    if hash != meta.hash {
        return Err(format!("{shown}: found sha256 {hash}, {} says {}", path.display(), meta.hash));
    }
    let tensors = Tensor::read_safetensors(&file).map_err(|e| format!("{shown}: {e}"))?;
    Ok(Loaded { meta, tensors: tensors.into_iter().collect() })
}

/// Takes back the commits after `step`, which the run does not go on from: were one of them readable the next time, the
/// run would jump over what this attempt measures. The files stay beside, under another name, for whoever wants to
/// look. The caller holds the run's lock.
pub fn set_aside_after(dir: &Path, step: u64) {
    for later in committed(dir).into_iter().filter(|later| step < *later) {
        for kind in ["json", "safetensors"] {
            let path = dir.join(format!("step-{later}.{kind}"));
            // Best effort: where it cannot be renamed it cannot be overwritten either, and the hash still guards it.
            let _ = fs::rename(&path, dir.join(format!("step-{later}.{kind}.damaged")));
        }
    }
}

/// Removes every checkpoint, commits first.
pub fn discard(dir: &Path) {
    for step in committed(dir) {
        let _ = fs::remove_file(dir.join(format!("step-{step}.json")));
    }
    sweep(dir, u64::MAX);
}

/// Removes what interrupted saves left behind. The caller holds the run's lock, so nobody else is saving.
fn sweep(dir: &Path, step: u64) {
    let committed = committed(dir);
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let of = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".safetensors"));
        let is_orphan =
            of.and_then(|n| n.parse().ok()).is_some_and(|n: u64| !committed.contains(&n));
        if name.ends_with(PARTIAL) || (is_orphan && name != format!("step-{step}.safetensors")) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Keeps the newest few and what those have selected. A commit goes before its tensors: half a removal leaves an orphan,
/// never a false promise.
fn retire(dir: &Path) {
    let steps = committed(dir);
    let (old, new) = steps.split_at(steps.len().saturating_sub(KEPT));
    let selected: Vec<u64> = new.iter().filter_map(|&step| saved::selected_by(dir, step)).collect();
    for step in old.iter().filter(|step| !selected.contains(step)) {
        let _ = fs::remove_file(dir.join(format!("step-{step}.json")));
        let _ = fs::remove_file(dir.join(format!("step-{step}.safetensors")));
    }
}

fn sync_and_hash(path: &Path) -> io::Result<String> {
    File::open(path)?.sync_all()?;
    sha256(path)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CheckpointError {
    CheckpointError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(step: u64) -> Meta {
        Meta {
            version: VERSION,
            step,
            file: String::new(),
            hash: String::new(),
            sec: 1.5,
            spec_fingerprint: "spec".into(),
            data_fingerprint: "data".into(),
            epoch_loss: EpochLoss::default(),
            objective: BTreeMap::from([("z".to_owned(), 0.1 + 0.2)]),
            selected: None,
        }
    }

    fn save_step(dir: &Path, step: u64) -> Meta {
        let tensor = Tensor::from_slice(&[step as f32, 2.0, 3.0]);
        save(dir, meta(step), &[("w".to_owned(), tensor)], || Ok(())).unwrap()
    }

    #[test]
    fn two_are_kept_and_the_newest_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        for step in [10, 20, 30] {
            save_step(dir.path(), step);
        }
        assert_eq!(committed(dir.path()), [20, 30]);
        let (loaded, damaged) = load_newest(dir.path());
        let loaded = loaded.unwrap();
        assert_eq!(loaded.tensors["w"], Tensor::from_slice(&[30f32, 2.0, 3.0]));
        assert_eq!(loaded.meta.objective["z"].to_bits(), (0.1f64 + 0.2).to_bits());
        assert!(damaged.is_empty());
    }

    #[test]
    fn what_either_of_the_two_has_selected_is_kept_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let save_with = |step, selected| {
            let selected = Some(Selected { step: selected, held_out: 40.0, test: 38.0 });
            let tensor = [("w".to_owned(), Tensor::from_slice(&[1f32]))];
            save(dir.path(), Meta { selected, ..meta(step) }, &tensor, || Ok(())).unwrap();
            committed(dir.path())
        };
        save_with(10, 10);
        save_with(20, 10);
        assert_eq!(save_with(30, 10), [10, 20, 30]);
        assert_eq!(save_with(40, 40), [10, 30, 40], "were 40 damaged, 30 would still have its own");
        assert_eq!(save_with(50, 40), [40, 50]);
        assert_eq!(save_with(60, 40), [40, 50, 60]);
        let newest = load_newest(dir.path()).0.unwrap().meta;
        assert_eq!((newest.step, newest.selected.unwrap().step), (60, 40));
        assert_eq!(saved::selected_by(dir.path(), 60), Some(40));
    }

    #[test]
    fn a_damaged_one_is_named_and_its_predecessor_taken() {
        let dir = tempfile::tempdir().unwrap();
        save_step(dir.path(), 10);
        save_step(dir.path(), 20);
        let file = dir.path().join("step-20.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        let (loaded, damaged) = load_newest(dir.path());
        assert_eq!(loaded.unwrap().meta.step, 10);
        assert!(damaged[0].contains("step-20.safetensors") && damaged[0].contains("sha256"));
        set_aside_after(dir.path(), 10);
        assert_eq!(committed(dir.path()), [10]);
        assert!(dir.path().join("step-20.safetensors.damaged").exists());
        // Two whole ones are kept again, whatever number the damaged one had.
        save_step(dir.path(), 15);
        save_step(dir.path(), 18);
        assert_eq!(committed(dir.path()), [15, 18]);
    }

    #[test]
    fn a_save_that_never_committed_is_no_checkpoint_and_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        save_step(dir.path(), 10);
        let tensor = [("w".to_owned(), Tensor::from_slice(&[1f32]))];
        let refused = || {
            let (path, kind) = (PathBuf::from("events.jsonl"), io::ErrorKind::StorageFull);
            Err(WriteError { path, kind, why: "disk full".to_owned() })
        };
        assert!(save(dir.path(), meta(20), &tensor, refused).is_err());
        assert!(!dir.path().join("step-20.safetensors").exists(), "takes the room that is wanted");
        fs::write(dir.path().join("step-30.safetensors.partial"), b"torn").unwrap();
        assert_eq!(load_newest(dir.path()).0.unwrap().meta.step, 10);
        save_step(dir.path(), 40);
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            ["step-10.json", "step-10.safetensors", "step-40.json", "step-40.safetensors"]
        );
    }
}
