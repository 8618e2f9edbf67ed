//! What a run left behind, read without libtorch: the tensors of its checkpoints, for exports, searches and screens.
//!
//! Reads and never writes into a run directory. Every byte is checked before it is believed: the commit file's hash,
//! then the header, which `safetensors` holds against the file's length.

mod detection;
mod encoder;
mod map;
mod neighbours;
mod pca;
mod pickle;
mod standing;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::files::hex;
use crate::lab::RunDir;

pub use detection::{Features, Kind};
pub use encoder::encoder;
pub use map::{MAP_POINTS, Method, Plane, map, spread_over};
pub use neighbours::{Neighbours, neighbours};
pub use standing::Standing;

#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    #[error("{dir}: found no checkpoint{of}, allowed: {allowed}")]
    Missing { dir: String, of: String, allowed: String },
    #[error("{path}: {why}")]
    Damaged { path: PathBuf, why: String },
    #[error(
        "{path}: found no weights, allowed: a checkpoint of a run (recorded examples hold the memory bank alone)"
    )]
    Bare { path: PathBuf },
    #[error("{path}: found no tensor {name}, allowed: {known}")]
    Unknown { path: PathBuf, name: String, known: String },
    #[error("{path}: {name} is {found}, allowed: {allowed}")]
    Shape { path: PathBuf, name: String, found: String, allowed: &'static str },
}

/// An fp32 tensor as plain numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub numbers: Vec<f32>,
}

impl Array {
    /// The numbers as files hold them.
    pub fn bytes(&self) -> Vec<u8> {
        self.numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
    }
}

/// One checkpoint, whole and checked.
pub struct Saved {
    /// Steps done.
    pub step: u64,
    pub path: PathBuf,
    bytes: Vec<u8>,
}

/// The part of a commit file that is needed here.
#[derive(Deserialize)]
struct Commit {
    file: String,
    hash: String,
    selected: Option<Selected>,
}

#[derive(Deserialize)]
struct Selected {
    step: u64,
}

impl Commit {
    /// That of the checkpoint of `step` in `dir`.
    fn read(dir: &Path, step: u64) -> Result<Commit, SavedError> {
        let path = dir.join(format!("step-{step}.json"));
        let damaged = |why: String| SavedError::Damaged { path: path.clone(), why };
        let text = fs::read(&path).map_err(|e| damaged(e.to_string()))?;
        serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))
    }
}

impl Saved {
    /// The checkpoint of `step`, or the newest that is whole.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn open(dir: &RunDir, step: Option<u64>) -> Result<Saved, SavedError> {
        let steps = committed(&dir.checkpoints());
        let wanted: Vec<u64> =
            steps.iter().rev().copied().filter(|s| step.is_none_or(|x| x == *s)).collect();
        let mut damage = None;
        for &step in &wanted {
            match Saved::read(&dir.checkpoints(), step) {
                Ok(saved) => return Ok(saved),
                Err(why) => damage = damage.or(Some(why)),
            }
        }
        Err(damage.unwrap_or_else(|| SavedError::Missing {
            dir: dir.path().display().to_string(),
            of: step.map(|step| format!(" of step {step}")).unwrap_or_default(),
            allowed: match steps[..] {
                [] => "a run that has trained".to_owned(),
                _ => steps.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
            },
        }))
    }

    fn read(dir: &Path, step: u64) -> Result<Saved, SavedError> {
        let commit = dir.join(format!("step-{step}.json"));
        let damaged = |path: &Path, why: String| SavedError::Damaged { path: path.to_owned(), why };
        let said = Commit::read(dir, step)?;
        // The name is of our own making; whatever else stands there could lead anywhere.
        let name = format!("step-{step}.safetensors");
        if said.file != name {
            return Err(damaged(&commit, format!("found file {}, allowed: {name}", said.file)));
        }
        let path = dir.join(name);
        let bytes = fs::read(&path).map_err(|e| damaged(&path, e.to_string()))?;
        let hash = hex(&Sha256::digest(&bytes));
        if hash != said.hash {
            return Err(damaged(
                &path,
                format!("found sha256 {hash}, its commit says {}", said.hash),
            ));
        }
        SafeTensors::deserialize(&bytes).map_err(|e| damaged(&path, e.to_string()))?;
        Ok(Saved { step, path, bytes })
    }

    fn tensors(&self) -> Result<SafeTensors<'_>, SavedError> {
        SafeTensors::deserialize(&self.bytes)
            .map_err(|e| SavedError::Damaged { path: self.path.clone(), why: e.to_string() })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Result<Vec<String>, SavedError> {
        let mut names: Vec<String> =
            self.tensors()?.names().into_iter().map(|name| name.to_string()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// An fp32 tensor by its name in the file.
    pub fn array(&self, name: &str) -> Result<Array, SavedError> {
        let tensors = self.tensors()?;
        let Ok(view) = tensors.tensor(name) else {
            let known = self.names()?.join(", ");
            return Err(SavedError::Unknown {
                path: self.path.clone(),
                name: name.to_owned(),
                known,
            });
        };
        if view.dtype() != Dtype::F32 {
            return Err(self.shape(name, format!("{:?}", view.dtype()), "fp32"));
        }
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let numbers = view.data().chunks_exact(4).map(number).collect();
        Ok(Array { shape: view.shape().to_vec(), numbers })
    }

    /// Where in the file a tensor's numbers begin, in bytes.
    fn place(&self, name: &str) -> Result<u64, SavedError> {
        let tensors = self.tensors()?;
        let damaged = |e: safetensors::SafeTensorError| SavedError::Damaged {
            path: self.path.clone(),
            why: e.to_string(),
        };
        let view = tensors.tensor(name).map_err(damaged)?;
        // The view borrows from the file's bytes.
        Ok((view.data().as_ptr().addr() - self.bytes.as_ptr().addr()) as u64)
    }

    /// The memory bank, (n, D) unit rows.
    pub fn bank(&self) -> Result<Array, SavedError> {
        let bank = self.array("bank")?;
        match bank.shape[..] {
            [_, dim] if 0 < dim => Ok(bank),
            _ => Err(self.shape("bank", format!("{:?}", bank.shape), "n rows of D numbers")),
        }
    }

    /// Everything whose name begins with `prefix`, by the rest of the name.
    pub fn under(&self, prefix: &str) -> Result<BTreeMap<String, Array>, SavedError> {
        let names = self.names()?;
        let names = names.iter().filter_map(|name| Some((name, name.strip_prefix(prefix)?)));
        names.map(|(name, rest)| Ok((rest.to_owned(), self.array(name)?))).collect()
    }

    fn shape(&self, name: &str, found: String, allowed: &'static str) -> SavedError {
        SavedError::Shape { path: self.path.clone(), name: name.to_owned(), found, allowed }
    }
}

/// Steps of committed checkpoints, ascending.
pub fn committed(dir: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let step = |name: String| name.strip_prefix("step-")?.strip_suffix(".json")?.parse().ok();
    let mut steps: Vec<u64> = names.filter_map(step).collect();
    steps.sort_unstable();
    steps
}

/// The step that a run's images held out from training think best of so far.
///
/// # Errors
/// None are held out, or it has not been evaluated yet.
pub fn selected(dir: &RunDir) -> Result<u64, SavedError> {
    let checkpoints = dir.checkpoints();
    let newest = committed(&checkpoints).last().copied();
    newest.and_then(|step| selected_by(&checkpoints, step)).ok_or_else(|| SavedError::Missing {
        dir: dir.path().display().to_string(),
        of: " that images held out have selected".to_owned(),
        allowed: "a run with data.held_out above 0 that has been evaluated".to_owned(),
    })
}

/// The step that the checkpoint of `step` names as the best by the images held out from training. None where none were.
pub fn selected_by(dir: &Path, step: u64) -> Option<u64> {
    Commit::read(dir, step).ok()?.selected.map(|selected| selected.step)
}

#[cfg(test)]
pub(crate) mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    /// A run directory with a checkpoint of these tensors.
    pub(crate) fn checkpoint(
        dir: &Path,
        step: u64,
        tensors: &[(&str, &[usize], &[f32])],
    ) -> RunDir {
        let run = RunDir::new(dir);
        fs::create_dir_all(run.checkpoints()).unwrap();
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, _, xs)| xs.iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
        });
        let file = safetensors::serialize(views, None).unwrap();
        let hash = hex(&Sha256::digest(&file));
        let name = format!("step-{step}.safetensors");
        fs::write(run.checkpoints().join(&name), file).unwrap();
        let commit = serde_json::json!({"file": name, "hash": hash}).to_string();
        fs::write(run.checkpoints().join(format!("step-{step}.json")), commit).unwrap();
        run
    }

    #[test]
    fn the_newest_whole_checkpoint_is_read_and_damage_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let empty = Saved::open(&RunDir::new(dir.path()), None).err().unwrap().to_string();
        assert!(empty.ends_with("found no checkpoint, allowed: a run that has trained"), "{empty}");

        let run = checkpoint(dir.path(), 5, &[("bank", &[2, 2], &[1.0, 0.0, 0.6, 0.8])]);
        checkpoint(dir.path(), 9, &[("bank", &[1, 1], &[1.0])]);
        assert_eq!(Saved::open(&run, None).unwrap().step, 9);
        let bank = Saved::open(&run, Some(5)).unwrap().bank().unwrap();
        assert_eq!((bank.shape, bank.numbers), (vec![2, 2], vec![1.0, 0.0, 0.6, 0.8]));
        let wrong = Saved::open(&run, Some(7)).err().unwrap().to_string();
        assert!(wrong.ends_with("found no checkpoint of step 7, allowed: 5, 9"), "{wrong}");

        let file = run.checkpoints().join("step-9.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(Saved::open(&run, None).unwrap().step, 5);
        let damage = Saved::open(&run, Some(9)).err().unwrap().to_string();
        assert!(damage.contains("step-9.safetensors: found sha256"), "{damage}");

        let commit = run.checkpoints().join("step-9.json");
        fs::write(&commit, r#"{"file": "../../../etc/passwd", "hash": ""}"#).unwrap();
        let trick = Saved::open(&run, Some(9)).err().unwrap().to_string();
        assert!(trick.contains("allowed: step-9.safetensors"), "{trick}");
    }
}
