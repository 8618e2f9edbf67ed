//! The sections of an experiment file that are not plain settings: name, variants, sizes, references.

use std::collections::BTreeSet;

use serde_json::Map;
use toml_edit::{Item, TableLike};

use super::experiment::{WrittenSize, section};
use super::keys;
use super::layer::{Axes, Layer, Place, Reader};
use super::reference::{Reference, Status};
use crate::journal::event::METRICS;
use crate::journal::metric;

/// Names become folder names.
pub(super) const NAME_RULE: &str =
    "1 to 64 letters, digits, `-` and `_`, beginning with a letter or digit";

pub(super) fn name(reader: &mut Reader, place: &Place, item: &Item) -> String {
    let name = item.as_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || 64 < name.len() || !name.chars().all(plain) {
        let found = reader.found(item, place).raw;
        reader.problems.push(place.problem("name", found, NAME_RULE));
    }
    name.to_owned()
}

pub(super) fn text(reader: &mut Reader, key: &str, place: &Place, item: &Item) -> String {
    if let Some(text) = item.as_str() {
        return text.trim().to_owned();
    }
    let found = reader.found(item, place).raw;
    reader.problems.push(place.problem(key, found, "text"));
    String::new()
}

/// Reads `[grid]`, which must not be empty.
pub(super) fn grid(place: &Place) -> impl FnOnce(&mut Reader, &dyn TableLike) -> Axes + use<> {
    let place = place.clone();
    move |reader, table| {
        if table.is_empty() {
            let allowed = "one or more axes, `KEY = [VALUE, …]`, or no [grid]";
            reader.problems.push(place.problem("grid", "no axis", allowed));
        }
        reader.axes(table)
    }
}

/// Reads `[[NAME]]`: every element a table.
fn tables<T>(
    reader: &mut Reader,
    key: &str,
    place: &Place,
    item: &Item,
    mut read: impl FnMut(&mut Reader, &Place, &dyn TableLike) -> Option<T>,
) -> Vec<T> {
    if let Some(array) = item.as_array_of_tables() {
        let read = |table: &toml_edit::Table| read(reader, &reader.place(table.span()), table);
        return array.iter().map(read).collect::<Vec<_>>().into_iter().flatten().collect();
    }
    let inline = item.as_array().map(|items| items.iter().map(|item| item.as_inline_table()));
    match inline.and_then(|tables| tables.collect::<Option<Vec<_>>>()) {
        Some(tables) => {
            let read =
                |table: &toml_edit::InlineTable| read(reader, &reader.place(table.span()), table);
            tables.into_iter().map(read).collect::<Vec<_>>().into_iter().flatten().collect()
        }
        None => {
            let found = reader.found(item, place).raw;
            reader.problems.push(place.problem(key, found, format!("[[{key}]] tables")));
            Vec::new()
        }
    }
}

pub(super) fn variants(reader: &mut Reader, place: &Place, item: &Item) -> Vec<(String, Layer)> {
    let mut names: Vec<String> = Vec::new();
    tables(reader, "variant", place, item, |reader, place, table| {
        let (mut name, mut set) = (String::new(), Layer::new());
        for (key, place, item) in reader.entries(table) {
            match key.as_str() {
                "name" => name = text(reader, "variant.name", &place, item),
                "set" => set = section(reader, "variant.set", &place, item, Reader::layer),
                _ => unknown(reader, &format!("variant.{key}"), &place, "name, set"),
            }
        }
        if name.is_empty() || names.contains(&name) {
            let found =
                if name.is_empty() { "nothing".to_owned() } else { format!("{name} again") };
            reader.problems.push(place.problem("variant.name", found, "a name, each once"));
        }
        if !table.contains_key("set") {
            reader.problems.push(place.problem("variant.set", "nothing", "{ KEY = VALUE, … }"));
        }
        names.push(name.clone());
        Some((name, set))
    })
}

pub(super) fn sizes(reader: &mut Reader, table: &dyn TableLike) -> Vec<WrittenSize> {
    let mut sizes = Vec::new();
    for (name, place, item) in reader.entries(table) {
        let Some(table) = item.as_table_like() else {
            let found = reader.found(item, &place).raw;
            reader.problems.push(place.problem(&format!("size.{name}"), found, "a table"));
            continue;
        };
        let mut size =
            WrittenSize { name, why: String::new(), base: Layer::new(), grid: Axes::new() };
        let mut settings = toml_edit::Table::new();
        for (key, place, item) in reader.entries(table) {
            match key.as_str() {
                "why" => size.why = text(reader, "size.why", &place, item),
                "grid" => size.grid = section(reader, "size.grid", &place, item, grid(&place)),
                _ => {
                    // Keys keep their spans, so the settings can be read as one table.
                    if let Some((key, item)) = table.get_key_value(&key) {
                        settings.insert_formatted(key, item.clone());
                    }
                }
            }
        }
        size.base = reader.layer(&settings);
        sizes.push(size);
    }
    sizes
}

/// Reads `metrics`, each once.
pub(super) fn metrics(reader: &mut Reader, place: &Place, item: &Item) -> Vec<String> {
    let found = reader.found(item, place);
    let names = serde_json::from_value::<Vec<String>>(found.value).unwrap_or_default();
    let each_once = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    if names.is_empty() || !each_once {
        let allowed = "a list of one or more metrics, each once";
        reader.problems.push(place.problem("metrics", found.raw, allowed));
        return Vec::new();
    }
    for name in &names {
        if let Some(nearest) = slip(name) {
            let allowed = format!("a metric that runs have, such as {nearest}");
            reader.problems.push(place.problem("metrics", name.as_str(), allowed));
        }
    }
    names
}

/// What a metric's name that is almost one of ours was meant to be. Another program's runs may have others.
fn slip(name: &str) -> Option<&'static str> {
    if metric::meaning(metric::split(name).0).is_some() {
        return None;
    }
    if name.is_empty() { Some("knn_top1") } else { keys::nearest(name, METRICS) }
}

pub(super) fn references(reader: &mut Reader, place: &Place, item: &Item) -> Vec<Reference> {
    tables(reader, "reference", place, item, |reader, place, table| {
        let n_problems = reader.problems.len();
        let (mut where_, mut metric, mut source) = (Map::new(), String::new(), String::new());
        let (mut value, mut status) = (None, None);
        let (mut curve, mut on) = (Vec::new(), None);
        for (key, place, item) in reader.entries(table) {
            let name = format!("reference.{key}");
            match key.as_str() {
                "where" => {
                    let layer = section(reader, &name, &place, item, Reader::layer);
                    where_ = layer.into_iter().map(|(key, found)| (key, found.value)).collect();
                }
                "metric" => {
                    metric = text(reader, &name, &place, item);
                    if let Some(nearest) = slip(&metric).filter(|_| item.is_str()) {
                        let allowed = format!("a metric that runs have, such as {nearest}");
                        let found = reader.found(item, &place);
                        reader.problems.push(found.place.problem(&name, found.raw, allowed));
                    }
                }
                "source" => source = text(reader, &name, &place, item),
                "on" => on = Some(text(reader, &name, &place, item)),
                "curve" => {
                    let found = reader.found(item, &place);
                    let points = serde_json::from_value::<Vec<(f64, f64)>>(found.value);
                    let rises = |points: &Vec<(f64, f64)>| points.is_sorted_by(|a, b| a.0 < b.0);
                    match points.ok().filter(|points| !points.is_empty() && rises(points)) {
                        Some(points) => curve = points,
                        None => {
                            let allowed = "a list of [EPOCH, VALUE] with rising epochs";
                            reader.problems.push(place.problem(&name, found.raw, allowed));
                        }
                    }
                }
                "value" => {
                    let found = reader.found(item, &place);
                    value = found.value.as_f64();
                    if value.is_none() {
                        reader.problems.push(place.problem(&name, found.raw, "a number"));
                    }
                }
                "status" => {
                    let found = reader.found(item, &place);
                    status = serde_json::from_value::<Status>(found.value).ok();
                    if status.is_none() {
                        let allowed = "verified, recalled, figure";
                        reader.problems.push(place.problem(&name, found.raw, allowed));
                    }
                }
                _ => unknown(
                    reader,
                    &name,
                    &place,
                    "where, metric, value, source, status, curve, on",
                ),
            }
        }
        for key in ["where", "metric", "value", "source", "status"] {
            if !table.contains_key(key) {
                reader.problems.push(place.problem(
                    &format!("reference.{key}"),
                    "nothing",
                    "a value",
                ));
            }
        }
        let whole = reader.problems.len() == n_problems;
        whole.then_some(())?;
        Some(Reference { where_, metric, value: value?, curve, on, source, status: status? })
    })
}

fn unknown(reader: &mut Reader, key: &str, place: &Place, allowed: &str) {
    reader.problems.push(place.problem(key, "an unknown key", allowed));
}
