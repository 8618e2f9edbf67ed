//! An experiment becomes an ordered list of runs: the product of its axes, seeds innermost. Pure.

use serde_json::{Map, Value};

use crate::config::experiment::Axis;
use crate::config::{Experiment, Invalid, RunSpec, applies, default, fingerprint, keys, resolve};

/// A run that an experiment asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub spec: RunSpec,
    pub fingerprint: String,
    /// The experiment's factors as this run has them, `seed` left out; a factor that means nothing here is absent.
    pub varied: Map<String, Value>,
    pub variant: Option<String>,
}

/// Runs in order, each fingerprint once: first the plain grid, then each variant crossed with the axes that it does
/// not set itself. Axes turn as digits do, the last fastest, seeds innermost wherever the file has them.
pub fn expand(experiment: &Experiment) -> Result<Vec<Planned>, Invalid> {
    let mut axes: Vec<&Axis> = experiment.grid.iter().collect();
    axes.sort_by_key(|axis| axis.key == "seed");
    let mut runs: Vec<Planned> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let plain = Map::new();
    let variants = experiment.variants.iter().map(|variant| (Some(&variant.name), &variant.set));
    for (variant, set) in std::iter::once((None, &plain)).chain(variants) {
        let crossed: Vec<&Axis> =
            axes.iter().filter(|axis| !set.contains_key(&axis.key)).copied().collect();
        for point in product(&crossed) {
            let mut settings = experiment.base.clone();
            settings.extend(point.into_iter().map(|(key, value)| (key.clone(), value.clone())));
            settings.extend(set.clone());
            let spec = resolve(&settings).map_err(|problem| Invalid(vec![problem]))?;
            let fingerprint = fingerprint(&spec);
            if seen.insert(fingerprint.clone()) {
                let varied = varied(experiment, &settings);
                runs.push(Planned { spec, fingerprint, varied, variant: variant.cloned() });
            }
        }
    }
    Ok(runs)
}

/// One setting a key, the last axis fastest. No axes: one empty point.
fn product<'a>(axes: &[&'a Axis]) -> Vec<Vec<(&'a String, &'a Value)>> {
    axes.iter().fold(vec![Vec::new()], |points, axis| {
        let longer = |point: &Vec<(&'a String, &'a Value)>| {
            let point = point.clone();
            axis.values.iter().map(move |value| [&point[..], &[(&axis.key, value)]].concat())
        };
        points.iter().flat_map(|point| longer(point).collect::<Vec<_>>()).collect()
    })
}

fn varied(experiment: &Experiment, settings: &Map<String, Value>) -> Map<String, Value> {
    let keys = experiment.factors.iter().filter_map(|name| keys::key(name));
    let keys = keys.filter(|key| applies(key, settings));
    let value =
        |key: &keys::Key| settings.get(key.name).cloned().or_else(|| default(key, settings));
    keys.filter_map(|key| Some((key.name.to_owned(), value(key)?))).collect()
}
