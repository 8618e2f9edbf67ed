//! What makes an experiment's runs again: the commands, each with the size and the changes that its runs were queued with.
//! Nobody wrote those down, so they are read off the runs: whatever size explains most of them, the rest as it stands. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use shlex::try_quote;

use super::ablation::setting;
use super::setting::{Asked, same};
use super::shown;
use crate::config::Experiment;
use crate::config::experiment::{Axis, Overrides, parse};
use crate::store::RunRow;

/// One command for each of `settings`, the runs of one setting each. Where the file's text can no longer be read, the
/// command without changes.
pub fn commands(name: &str, text: &str, settings: &[Vec<&RunRow>]) -> Vec<String> {
    let file = || vec!["instdisc-lab".to_owned(), "run".to_owned(), format!("{name}.toml")];
    let Ok(plain) = parse(name, text, &Overrides::default()) else { return vec![file().join(" ")] };
    let sizes = plain.sizes.iter().filter_map(|size| {
        let overrides = Overrides { size: Some(size.name.clone()), ..Overrides::default() };
        parse(name, text, &overrides).ok()
    });
    let forms: Vec<Experiment> = std::iter::once(plain.clone()).chain(sizes).collect();
    let command = |runs: &Vec<&RunRow>| {
        let asked = forms.iter().map(|form| (form, differs(form, runs)));
        let (form, set) = asked.min_by_key(|(_, set)| set.len())?;
        let mut words = file();
        if let Some(size) = &form.size {
            words.extend(["--size".to_owned(), size.clone()]);
        }
        for (key, value) in set {
            words.extend(["--set".to_owned(), format!("{key}={}", quoted(&value))]);
        }
        let seeds = (!form.grid.iter().any(|axis| axis.key == "seed")).then(|| seeds(form, runs));
        for (key, values) in axes(form, runs).into_iter().chain(seeds.flatten()) {
            let values: Vec<String> = values.iter().map(quoted).collect();
            words.extend(["--grid".to_owned(), format!("{key}={}", values.join(","))]);
        }
        Some(words.join(" "))
    };
    settings.iter().filter_map(command).collect()
}

/// A value as a shell takes it; commas part values and stay as they are.
fn quoted(value: &Value) -> String {
    let text = shown(Some(value));
    try_quote(&text).map_or_else(|_| text.clone(), |quoted| quoted.into_owned())
}

/// What the runs have that `form` does not ask for, and where a folder of images lies.
fn differs(form: &Experiment, runs: &[&RunRow]) -> Map<String, Value> {
    let asked = Asked::wholly(form);
    let mut differs = Map::new();
    for run in runs {
        differs.extend(asked.differs(run));
        let in_folder = setting(run, "data.dataset") == Some("folder".into());
        if let Some(root) = setting(run, "data.root").filter(|_| in_folder) {
            differs.insert("data.root".to_owned(), root);
        }
    }
    differs
}

/// Where `form` has no axis of seeds: those of the runs, unless they are the one that it asks for.
fn seeds(form: &Experiment, runs: &[&RunRow]) -> Option<(String, Vec<Value>)> {
    let seeds: BTreeSet<u64> = runs.iter().map(|run| run.seed).collect();
    let asked = form.base.get("seed").and_then(Value::as_u64).unwrap_or(0);
    let values = seeds.iter().map(|&seed| seed.into()).collect();
    (!seeds.iter().eq([&asked])).then(|| ("seed".to_owned(), values))
}

/// Axes of `form` that the runs have other values of.
fn axes(form: &Experiment, runs: &[&RunRow]) -> Vec<(String, Vec<Value>)> {
    let has = |all: &[Value], value: &Value| all.iter().any(|known| same(known, value));
    let mut axes = Vec::new();
    for Axis { key, values: asked } in &form.grid {
        // What a variant sets is no value of the axis.
        let set: Vec<Value> =
            form.variants.iter().filter_map(|variant| variant.set.get(key).cloned()).collect();
        let mut values: Vec<Value> = Vec::new();
        for run in runs {
            let value = if key == "seed" { Some(run.seed.into()) } else { setting(run, key) };
            let of_axis = |value: &Value| has(asked, value) || !has(&set, value);
            values.extend(value.filter(|value| of_axis(value) && !has(&values, value)));
        }
        let alike = values.len() == asked.len() && values.iter().all(|value| has(asked, value));
        if !alike && !values.is_empty() {
            axes.push((key.clone(), values));
        }
    }
    axes
}
