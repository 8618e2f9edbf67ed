//! Experiment files that can be queued from here, and the runs that they would make.

use std::path::{Path, PathBuf};

use crate::config::experiment::{Experiment, Overrides, parse};
use crate::config::rewrite::rewrite;
use crate::grid::Planned as PlannedSpec;
use crate::queue::Plan as Planned;
use crate::store::Store;
use crate::tui::effect::Wanted;
use crate::tui::event::{Listed, Plan, PlannedRun};
use crate::tui::figures;

/// `experiments/*.toml` under `cwd`, by name.
pub fn list(cwd: &Path) -> Vec<Listed> {
    let entries = std::fs::read_dir(cwd.join("experiments"));
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|ext| ext == "toml")).collect();
    paths.sort();
    paths.into_iter().map(|file| listed(cwd, file)).collect()
}

fn listed(cwd: &Path, file: PathBuf) -> Listed {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    match read(cwd, &Wanted { file: file.clone(), ..Wanted::default() }) {
        Ok(experiment) => Listed {
            file,
            name: experiment.name,
            question: experiment.question,
            sizes: experiment.sizes.into_iter().map(|size| size.name).collect(),
            problem: None,
            text: None,
        },
        Err(why) => Listed {
            file,
            name: stem.unwrap_or_default(),
            question: String::new(),
            sizes: Vec::new(),
            problem: Some(why),
            text: None,
        },
    }
}

/// Reads and validates what is wanted; mistakes come back in words.
fn read(cwd: &Path, wanted: &Wanted) -> Result<Experiment, String> {
    let shown = wanted.file.strip_prefix(cwd).unwrap_or(&wanted.file).display().to_string();
    let text = match &wanted.text {
        Some(text) => text.clone(),
        None => std::fs::read_to_string(&wanted.file).map_err(|why| format!("{shown}: {why}"))?,
    };
    let overrides = overrides(wanted)?;
    parse(&shown, &text, &overrides).map_err(|invalid| invalid.to_string())
}

fn overrides(wanted: &Wanted) -> Result<Overrides, String> {
    let words = Wanted::words(&wanted.changes)
        .ok_or("found a quote that is not closed, allowed: quotes as in a shell")?;
    let (grid, set) = words.into_iter().partition(|change| {
        // A list in brackets is one value.
        change.split_once('=').is_some_and(|(_, value)| value.contains(',') && !value.contains('['))
    });
    Ok(Overrides { size: wanted.size.clone(), set, grid })
}

/// Writes what is wanted into `experiments/<name>.toml`, which must not be there yet; returns the file's name.
///
/// # Errors
/// In words: the name is none, the file is there, or it would not make the runs that were shown.
pub fn save(cwd: &Path, wanted: &Wanted, name: &str) -> Result<String, String> {
    let file = format!("experiments/{name}.toml");
    let text = match &wanted.text {
        Some(text) => text.clone(),
        None => std::fs::read_to_string(&wanted.file)
            .map_err(|why| format!("{}: {why}", wanted.file.display()))?,
    };
    let text = rewrite(&text, name, &overrides(wanted)?)?;
    let first = |why: String| why.lines().next().unwrap_or_default().to_owned();
    let saved = parse(&file, &text, &Overrides::default()).map_err(|why| first(why.to_string()))?;
    // The file is only worth something if it asks for the same.
    let fingerprints = |runs: Vec<PlannedSpec>| {
        let mut all: Vec<String> = runs.into_iter().map(|run| run.fingerprint).collect();
        all.sort();
        all
    };
    let saved = Planned::new(saved, cwd).map_err(|why| first(why.to_string()))?;
    if fingerprints(saved.runs) != fingerprints(planned(cwd, wanted).map_err(first)?.runs) {
        return Err(format!("{file} would not make these runs: write it by hand"));
    }
    let path = cwd.join(&file);
    let folder = std::fs::create_dir_all(cwd.join("experiments"));
    let opened = folder.and_then(|()| std::fs::File::create_new(&path));
    let written = opened.and_then(|mut out| std::io::Write::write_all(&mut out, text.as_bytes()));
    written.map_err(|why| format!("cannot write {file}: {why}"))?;
    Ok(file)
}

/// The runs of what is wanted, resolved.
pub fn planned(cwd: &Path, wanted: &Wanted) -> Result<Planned, String> {
    let experiment = read(cwd, wanted)?;
    Planned::new(experiment, cwd).map_err(|invalid| invalid.to_string())
}

/// As [`planned`], for the preview: what varies, and what is there already.
pub async fn plan(store: Option<&Store>, cwd: &Path, wanted: Wanted) -> Plan {
    let runs = match planned(cwd, &wanted) {
        Err(why) => Err(why),
        Ok(planned) => {
            let mut runs = Vec::with_capacity(planned.runs.len());
            for run in &planned.runs {
                let known = match store {
                    Some(store) => store.by_fingerprint(&run.fingerprint).await.ok().flatten(),
                    None => None,
                };
                let mut varied: Vec<String> = Vec::new();
                varied.extend(run.variant.clone());
                let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
                let settings = run.varied.iter();
                varied.extend(
                    settings.map(|(key, x)| format!("{}={}", short(key), figures::setting(x))),
                );
                varied.push(format!("seed={}", run.spec.seed));
                runs.push(PlannedRun {
                    varied: varied.join(" "),
                    spec: serde_json::to_value(&run.spec).unwrap_or_default(),
                    exists: known.map(|(_, state)| state),
                });
            }
            Ok(runs)
        }
    };
    Plan { wanted, runs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_saved_once_and_makes_the_same_runs() {
        let dir = tempfile::tempdir().unwrap();
        let text = "name = 'clone'\n[base]\ndata.dataset = 'shapes'\nobjective.kind = 'nce'\n";
        let wanted = Wanted {
            text: Some(text.to_owned()),
            changes: "objective.lambda=0,10 train.epochs=3".to_owned(),
            ..Wanted::default()
        };
        assert_eq!(save(dir.path(), &wanted, "mine"), Ok("experiments/mine.toml".to_owned()));
        let saved = Wanted { file: dir.path().join("experiments/mine.toml"), ..Wanted::default() };
        let runs = |wanted: &Wanted| planned(dir.path(), wanted).map(|plan| plan.runs);
        let prints = |wanted: &Wanted| -> Vec<String> {
            runs(wanted).unwrap().into_iter().map(|run| run.fingerprint).collect()
        };
        assert_eq!(prints(&saved), prints(&wanted));
        let again = save(dir.path(), &wanted, "mine").unwrap_err();
        assert!(again.contains("cannot write experiments/mine.toml"), "{again}");
        let name = save(dir.path(), &wanted, "../mine").unwrap_err();
        assert!(name.contains("name"), "{name}");
    }

    #[test]
    fn changes_set_one_value_and_spread_several() {
        let text =
            "name = 'x'\n[base]\ndata.dataset = 'shapes'\nobjective = { kind = 'nce', m = 16 }\n";
        let wanted = |changes: &str| Wanted {
            text: Some(text.to_owned()),
            changes: changes.to_owned(),
            ..Wanted::default()
        };
        let runs =
            |changes: &str| planned(Path::new("/"), &wanted(changes)).map(|plan| plan.runs.len());
        assert_eq!(runs(""), Ok(1));
        assert_eq!(runs("objective.lambda=0,10 seed=0,1,2 train.epochs=3"), Ok(6));
        assert_eq!(runs("data.dataset=folder data.root='/my images' seed=0,1"), Ok(2));
        assert!(runs("data.root='/my images").unwrap_err().contains("a quote that is not closed"));
        let wrong = runs("objective.tau=0 objective.lamda=1").unwrap_err();
        assert!(wrong.contains("objective.tau") && wrong.contains("objective.lambda"), "{wrong}");
    }
}
