//! Experiment files that can be queued from here, and the runs that they would make.

use std::path::{Path, PathBuf};

use crate::config::experiment::{Experiment, Overrides, parse};
use crate::queue::Plan as Planned;
use crate::store::Store;
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
    match read(cwd, &file, None) {
        Ok(experiment) => Listed {
            file,
            name: experiment.name,
            question: experiment.question,
            sizes: experiment.sizes.into_iter().map(|size| size.name).collect(),
            problem: None,
        },
        Err(why) => Listed {
            file,
            name: stem.unwrap_or_default(),
            question: String::new(),
            sizes: Vec::new(),
            problem: Some(why),
        },
    }
}

/// Reads and validates a file at a size; mistakes come back in words.
fn read(cwd: &Path, file: &Path, size: Option<&str>) -> Result<Experiment, String> {
    let shown = file.strip_prefix(cwd).unwrap_or(file).display().to_string();
    let text = std::fs::read_to_string(file).map_err(|why| format!("{shown}: {why}"))?;
    let overrides = Overrides { size: size.map(str::to_owned), ..Overrides::default() };
    parse(&shown, &text, &overrides).map_err(|invalid| invalid.to_string())
}

/// The runs of a file at a size, resolved.
pub fn planned(cwd: &Path, file: &Path, size: Option<&str>) -> Result<Planned, String> {
    let experiment = read(cwd, file, size)?;
    Planned::new(experiment, cwd).map_err(|invalid| invalid.to_string())
}

/// As [`planned`], for the preview: what varies, and what is there already.
pub async fn plan(store: Option<&Store>, cwd: &Path, file: PathBuf, size: Option<String>) -> Plan {
    let runs = match planned(cwd, &file, size.as_deref()) {
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
                    exists: known.map(|(_, state)| state),
                });
            }
            Ok(runs)
        }
    };
    Plan { file, size, runs }
}
