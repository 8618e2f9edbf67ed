//! Rows against run directories and their checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize as _;
use serde_json::Value;

use super::{Problem, REPAIR};
use crate::config::{RunSpec, fingerprint};
use crate::files::sha256;
use crate::lab::{Home, RunDir};
use crate::queue::desk::{QueueError, file_error};
use crate::queue::meta::Meta;
use crate::store::{Custody, Membership, RunRow, Store};

pub(super) async fn check(
    home: &Home,
    store: &Store,
    run: &Custody,
    found: &mut Vec<Problem>,
) -> Result<(), QueueError> {
    let dir = home.run(&run.id);
    let what = "directories";
    if !dir.path().is_dir() {
        if home.trash().join(&run.id).is_dir() {
            let words = "is half-way into the trash";
            let cure = "`instdisc-lab rm` it again, or `rm --undo`";
            found.push(Problem::leftover(what, &run.id, words, cure));
            return Ok(());
        }
        let cure = "put it back, or `instdisc-lab rm` the run";
        found.push(Problem::flaw(what, &run.id, "its directory is gone", cure));
        return Ok(());
    }
    let row = store.run(&run.id).await?;
    let spec = fs::read(dir.spec()).and_then(|text| Ok(serde_json::from_slice::<Value>(&text)?));
    match spec {
        Ok(spec) if spec == *row.spec => {}
        Ok(spec) if is_same_run(&spec, &row.spec) => {
            let words = "spec.json has its files elsewhere than the run log has them";
            found.push(Problem::leftover(what, &run.id, words, REPAIR));
        }
        Ok(_) => {
            let words = "spec.json is not the specification that was queued";
            let cure = "put the file back as it was: the run would train something else";
            found.push(Problem::flaw(what, &run.id, words, cure));
        }
        Err(why) => {
            let cure = "put the file back: the run cannot start without it";
            found.push(Problem::flaw(what, &run.id, format!("spec.json: {why}"), cure));
        }
    }
    match Meta::read(&dir) {
        Ok(meta) if agrees(&meta, &row, &store.memberships(&run.id).await?) => {}
        Ok(_) => {
            let words = "what meta.json says and what the run log says of it differ";
            found.push(Problem::leftover(what, &run.id, words, REPAIR));
        }
        Err(why) => {
            found.push(Problem::flaw(what, &run.id, format!("meta.json: {why}"), REPAIR));
        }
    }
    if !run.state.is_active() {
        checkpoints(store, run, &dir, found).await?;
    }
    Ok(())
}

/// Whether two specifications differ only in what makes no other run of them.
fn is_same_run(a: &Value, b: &Value) -> bool {
    let print = |spec: &Value| RunSpec::deserialize(spec).ok().map(|spec| fingerprint(&spec));
    print(a).is_some_and(|a| Some(a) == print(b))
}

/// The file is written first, so a command that was killed in between leaves the two apart until it is repeated.
///
/// An experiment may have been queued again since, with another text that asks for other runs; this one's own place in
/// it is as it was.
fn agrees(meta: &Meta, row: &RunRow, memberships: &[Membership]) -> bool {
    let sorted = |words: &[String]| words.iter().cloned().collect::<BTreeSet<_>>();
    let mut known: Vec<&Membership> = meta.experiments.iter().collect();
    known.sort_by(|a, b| a.name.cmp(&b.name));
    let place =
        |it: &Membership| (it.name.clone(), it.ordinal, it.variant.clone(), it.varied.clone());
    let places = known.iter().map(|it| place(it)).eq(memberships.iter().map(place));
    (meta.priority, meta.pinned, meta.archived) == (row.priority, row.pinned, row.archived)
        && meta.note == row.note
        && sorted(&meta.tags) == sorted(&row.tags)
        && places
}

/// The newest checkpoint on record is there, and every one that is there is whole. Older ones are retired by the
/// trainer; the one that a fresh start is about to discard is nobody's loss.
async fn checkpoints(
    store: &Store,
    run: &Custody,
    dir: &RunDir,
    found: &mut Vec<Problem>,
) -> Result<(), QueueError> {
    let recorded = store.checkpoints(&run.id).await?;
    let mut flaw = |words: String, cure: &'static str| {
        found.push(Problem::flaw("checkpoints", &run.id, words, cure));
    };
    let kept = committed(&dir.checkpoints()).map_err(file_error(dir.checkpoints()))?;
    if let Some(newest) = recorded.last().filter(|_| !run.fresh)
        && !kept.contains_key(&newest.step)
    {
        let cure = "put it back, or let the run go on from an older one";
        flaw(format!("{} is on record and not there", newest.file), cure);
    }
    for (step, claimed) in &kept {
        let name = format!("step-{step}.safetensors");
        let cure = "nothing to do: the run goes on from the one before it, and says so";
        match sha256(&dir.checkpoints().join(&name)) {
            Ok(hash) if Some(&hash) == claimed.as_ref() => {
                let on_record = recorded.iter().find(|row| row.step == *step);
                if on_record.is_some_and(|row| row.hash != hash) {
                    flaw(format!("{name} is whole, but not the one on record"), REPAIR);
                }
            }
            Ok(_) => {
                flaw(
                    format!("{name} is damaged: its hash is not what step-{step}.json says"),
                    cure,
                );
            }
            Err(why) => flaw(format!("{name}: {why}"), cure),
        }
    }
    Ok(())
}

/// Steps with a commit, and the hash that it carries.
fn committed(folder: &Path) -> io::Result<BTreeMap<u64, Option<String>>> {
    let entries = match fs::read_dir(folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut steps = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let step = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".json"));
        let Some(step) = step.and_then(|step| step.parse().ok()) else { continue };
        let commit = fs::read(entry.path()).unwrap_or_default();
        let commit: Value = serde_json::from_slice(&commit).unwrap_or_default();
        steps.insert(step, commit["hash"].as_str().map(str::to_owned));
    }
    Ok(steps)
}

/// Directories that no row tells of. One without a journal has done nothing yet and is made again by the next queueing
/// of the same run; one with a journal holds numbers that no list shows.
pub(super) async fn strangers(
    home: &Home,
    store: &Store,
    known: &BTreeSet<&str>,
    found: &mut Vec<Problem>,
) -> Result<(), QueueError> {
    let runs = home.runs();
    let entries = match fs::read_dir(&runs) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(file_error(&runs))?,
    };
    for entry in entries {
        let entry = entry.map_err(file_error(&runs))?;
        let id = entry.file_name().to_string_lossy().into_owned();
        let dir = home.run(&id);
        if id.starts_with('.') || known.contains(id.as_str()) || !dir.path().is_dir() {
            continue;
        }
        // Its directory is made before its row.
        if store.custody().await?.iter().any(|run| run.id == id) {
            continue;
        }
        let words = "its directory is there, but the run log knows nothing of it";
        found.push(if dir.journal().exists() {
            Problem::flaw("directories", &id, words, REPAIR)
        } else {
            Problem::leftover("directories", &id, words, REPAIR)
        });
    }
    Ok(())
}
