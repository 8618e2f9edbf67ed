//! Job arrays before and after they are submitted: the folder `slurm/<submission>/` of a home.
//!
//! `manifest` says which run each element trains and `batch.sh` what it does; both are on the disk before Slurm is asked,
//! and `job` has Slurm's answer. The name of a submission is drawn from its manifest, in which no attempt at a run ever
//! stands twice, so that whoever asks again for the same asks under the same name: that is how a job is found whose
//! number nobody lived to write down.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Settings;
use super::client::{self, Trouble};
use super::script::{self, Script};
use crate::files::{DRAFT, hex, replace, sync_parent};
use crate::lab::Home;

/// Names of our jobs begin with it.
pub const PREFIX: &str = "instdisc-";

/// One element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    pub run: String,
    /// Of its first start; each time that Slurm starts it anew adds one.
    pub attempt: u32,
    /// When the run was first queued: one that is removed and queued again has the same name and counts from 1 again.
    pub queued_at: i64,
    pub fresh: bool,
}

/// A submission as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// The folder's name.
    pub id: String,
    pub folder: PathBuf,
    pub elements: Vec<Element>,
}

impl Array {
    /// Writes the folder, whole or not at all; one that is there already is taken as it is.
    ///
    /// # Errors
    /// When the shared disk does not take it, or the home's path cannot stand in a batch script.
    pub fn make(
        home: &Home,
        elements: Vec<Element>,
        settings: &Settings,
        trainer: &Path,
    ) -> io::Result<Self> {
        let root = std::path::absolute(home.root())?;
        let text: String = elements.iter().map(line).collect();
        let id = id(&root, &text);
        let folder = root.join("slurm").join(&id);
        let array = Self { id, folder: folder.clone(), elements };
        if folder.join("manifest").exists() {
            return Ok(array);
        }
        let script = Script {
            name: &array.name(),
            elements: array.elements.len(),
            folder: &shown(&folder)?,
            runs: &shown(&root.join("runs"))?,
            trainer: &shown(trainer)?,
            settings,
        };
        fs::create_dir_all(&folder)?;
        write_synced(&array.script(), script.text().as_bytes())?;
        // Last, and renamed: with it the folder counts.
        replace(&folder.join("manifest"), DRAFT, text.as_bytes())?;
        sync_parent(&folder)?;
        Ok(array)
    }

    /// Every submission of a home, by name. Folders without a manifest are of a crash before Slurm was asked.
    pub fn all(home: &Home) -> io::Result<Vec<Self>> {
        let root = std::path::absolute(home.root())?.join("slurm");
        let entries = match fs::read_dir(&root) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let folder = entry?.path();
            let text = match fs::read_to_string(folder.join("manifest")) {
                Ok(text) => text,
                Err(why)
                    if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory]
                        .contains(&why.kind()) =>
                {
                    continue;
                }
                // Passed over, its runs would be submitted again.
                Err(why) => return Err(why),
            };
            let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            all.push(Self { id, folder, elements: text.lines().filter_map(parse).collect() });
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// Of the job.
    pub fn name(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }

    pub fn script(&self) -> PathBuf {
        self.folder.join("batch.sh")
    }

    /// What Slurm calls it, as far as that was noted.
    pub fn job(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("job")).ok()?;
        Some(text.trim().to_owned()).filter(|job| !job.is_empty())
    }

    /// # Errors
    /// When it cannot be written.
    pub fn note_job(&self, job: &str) -> io::Result<()> {
        replace(&self.folder.join("job"), DRAFT, format!("{job}\n").as_bytes())
    }
}

/// Asks Slurm whether it would take such an array; nothing is submitted, nothing is left behind.
///
/// # Errors
/// [`Trouble`], with Slurm's reason.
pub fn rehearse(home: &Home, settings: &Settings, trainer: &Path) -> Result<(), Trouble> {
    let wrong =
        |why: io::Error| Trouble::Home { home: home.root().to_owned(), why: why.to_string() };
    let folder = std::path::absolute(home.root()).map_err(wrong)?.join("slurm");
    for path in [folder.as_path(), trainer] {
        shown(path).map_err(|why| Trouble::Refused(why.to_string()))?;
    }
    let text = Script {
        name: "instdisc-rehearsal",
        elements: 1,
        folder: &folder.display().to_string(),
        runs: &folder.display().to_string(),
        trainer: &trainer.display().to_string(),
        settings,
    }
    .text();
    fs::create_dir_all(&folder).map_err(wrong)?;
    let path = folder.join(format!(".rehearsal-{}", std::process::id()));
    let written = write_synced(&path, text.as_bytes());
    let answer = written.map_err(wrong).and_then(|()| client::try_out(&path));
    let _ = fs::remove_file(&path);
    answer
}

/// The script of a job that says in `folder`/found what a node has, under the same settings as a run.
pub fn probe(settings: &Settings, trainer: &Path, folder: &Path) -> String {
    script::probe(settings, &trainer.display().to_string(), &folder.display().to_string())
}

/// Elements for each array: as many as Slurm takes in one.
pub fn split(runs: usize, most: usize) -> Vec<usize> {
    let most = most.max(1);
    let mut sizes = vec![most; runs / most];
    sizes.extend((!runs.is_multiple_of(most)).then_some(runs % most));
    sizes
}

/// A path as a batch script can have it.
fn shown(path: &Path) -> io::Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['%', '\\', '\n', '"']));
    let why = || format!("{}: no path for a batch script", path.display());
    text.map(str::to_owned).ok_or_else(|| io::Error::other(why()))
}

fn id(root: &Path, manifest: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(root.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(manifest);
    hex(&hash.finalize()[..6])
}

fn line(element: &Element) -> String {
    let fresh = if element.fresh { " --fresh" } else { "" };
    format!("{} {} {}{fresh}\n", element.run, element.attempt, element.queued_at)
}

fn parse(line: &str) -> Option<Element> {
    let mut words = line.split(' ');
    let (run, attempt) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    let queued_at = words.next()?.parse().ok()?;
    Some(Element { run, attempt, queued_at, fresh: words.next() == Some("--fresh") })
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(run: &str, attempt: u32) -> Element {
        Element { run: run.into(), attempt, queued_at: 7, fresh: attempt == 3 }
    }

    #[test]
    fn a_submission_reads_back_and_the_same_wish_has_the_same_name() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let make = |elements: &[Element]| {
            Array::make(&home, elements.to_vec(), &Settings::default(), Path::new("/t")).unwrap()
        };
        let (one, two) = (element("a-1", 1), element("b-2.3", 3));
        let first = make(&[one.clone(), two.clone()]);
        assert_eq!(first.elements, [one.clone(), two.clone()]);
        assert_eq!(make(&[one.clone(), two.clone()]), first);
        assert_ne!(make(&[Element { attempt: 2, ..one.clone() }, two]).id, first.id);
        first.note_job("41").unwrap();
        let all = Array::all(&home).unwrap();
        assert_eq!(all.len(), 2);
        let read = all.iter().find(|array| array.id == first.id).unwrap();
        assert_eq!((read, read.job().as_deref()), (&first, Some("41")));
        // A crash before the manifest was there.
        fs::create_dir_all(dir.path().join("slurm/half")).unwrap();
        assert_eq!(Array::all(&home).unwrap().len(), 2);
    }

    #[test]
    fn a_grid_fills_arrays_to_their_limit() {
        assert_eq!(split(1200, 1001), [1001, 199]);
        assert_eq!(split(1001, 1001), [1001]);
        assert_eq!(split(3, 1001), [3]);
        assert!(split(0, 1001).is_empty());
    }
}
