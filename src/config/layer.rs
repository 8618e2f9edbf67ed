//! Reading settings out of TOML and off the command line: each value with the place it was written at.

use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use toml_edit::{Item, TableLike};

use super::Problem;
use super::elsewhere;
use super::keys::{self, KEYS};
use super::ranges::Kind;

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub file: String,
    pub line: Option<usize>,
}

impl Place {
    pub fn problem(
        &self,
        key: &str,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Problem {
        let (file, line) = (self.file.clone(), self.line);
        Problem { file, line, key: key.to_owned(), found: found.into(), allowed: allowed.into() }
    }
}

/// A value as JSON, as it was written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub value: Value,
    pub raw: String,
    pub place: Place,
}

/// Settings in the order they were written, each key once.
pub(crate) type Layer = Vec<(String, Found)>;

/// Axes in the order they were written.
pub(crate) type Axes = Vec<(String, Place, Vec<Found>)>;

/// A file being read: its text for line numbers, and the mistakes so far.
pub(crate) struct Reader {
    pub file: String,
    pub text: String,
    pub problems: Vec<Problem>,
}

impl Reader {
    pub fn place(&self, span: Option<Range<usize>>) -> Place {
        let line = span.map(|span| {
            let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
            1 + before.iter().filter(|&&byte| byte == b'\n').count()
        });
        Place { file: self.file.clone(), line }
    }

    pub fn found(&self, item: &Item, place: &Place) -> Found {
        let at = item.span();
        let place = if at.is_some() { self.place(at.clone()) } else { place.clone() };
        let raw =
            at.and_then(|span| self.text.get(span)).map_or_else(|| item.type_name().into(), brief);
        Found { value: json(item), raw, place }
    }

    /// Entries of a table; where the key stands, and its item.
    pub fn entries<'t>(&self, table: &'t dyn TableLike) -> Vec<(String, Place, &'t Item)> {
        let entry = |(name, item): (&str, &'t Item)| {
            let span = table.get_key_value(name).and_then(|(key, _)| key.span());
            (name.to_owned(), self.place(span.or_else(|| item.span())), item)
        };
        table.iter().map(|(name, item)| entry((name, item))).collect()
    }

    /// Nested and dotted keys as dotted ones, each once.
    pub fn leaves<'t>(&mut self, table: &'t dyn TableLike) -> Vec<(String, Place, &'t Item)> {
        let mut leaves: Vec<(String, Place, &Item)> = Vec::new();
        let mut todo: Vec<(String, Place, &Item)> = self.entries(table);
        todo.reverse();
        while let Some((key, place, item)) = todo.pop() {
            let is_section = KEYS.iter().any(|known| {
                known.name.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('.'))
            });
            // What is in a section that there is not is named whole, too.
            let may_hold = |nested: &&dyn TableLike| {
                is_section || (keys::key(&key).is_none() && !nested.is_empty())
            };
            if let Some(nested) = item.as_table_like().filter(may_hold) {
                let inner = self.entries(nested).into_iter().rev();
                todo.extend(
                    inner.map(|(name, place, item)| (format!("{key}.{name}"), place, item)),
                );
            } else if let Some((_, first, _)) = leaves.iter().find(|(known, ..)| *known == key) {
                let line = first.line.map(|line| format!(" (first in line {line})"));
                let found = format!("the key again{}", line.unwrap_or_default());
                self.problems.push(place.problem(&key, found, "each key once"));
            } else {
                leaves.push((key, place, item));
            }
        }
        leaves
    }

    /// A table of settings, checked against the key table.
    pub fn layer(&mut self, table: &dyn TableLike) -> Layer {
        let mut layer = Layer::new();
        for (key, place, item) in self.leaves(table) {
            let found = self.found(item, &place);
            match check(&key, found) {
                Ok(found) => layer.push((key, found)),
                Err(problem) => self.problems.push(problem),
            }
        }
        layer
    }

    /// A table of axes, checked against the key table.
    pub fn axes(&mut self, table: &dyn TableLike) -> Axes {
        let mut axes = Axes::new();
        for (key, place, item) in self.leaves(table) {
            let values = match item.as_array() {
                Some(array) => {
                    array.iter().map(|value| self.found(&value.clone().into(), &place)).collect()
                }
                None => Vec::new(),
            };
            let raw = self.found(item, &place).raw;
            match axis(key, place, raw, values) {
                Ok(axis) => axes.push(axis),
                Err(problems) => self.problems.extend(problems),
            }
        }
        axes
    }
}

/// Checks the values of an axis.
pub(super) fn axis(
    key: String,
    place: Place,
    raw: String,
    values: Vec<Found>,
) -> Result<(String, Place, Vec<Found>), Vec<Problem>> {
    let Some(known) = keys::key(&key) else { return Err(vec![unknown(&key, &place)]) };
    if values.is_empty() {
        let allowed = format!("a list of one or more values, each {}", known.kind.words());
        return Err(vec![place.problem(&key, raw, allowed)]);
    }
    let (good, bad): (Vec<_>, Vec<_>) =
        values.into_iter().map(|found| check(&key, found)).partition(Result::is_ok);
    if bad.is_empty() {
        Ok((key, place, good.into_iter().flatten().collect()))
    } else {
        Err(bad.into_iter().filter_map(Result::err).collect())
    }
}

/// The value as a specification holds it.
pub(super) fn check(key: &str, found: Found) -> Result<Found, Problem> {
    let Some(known) = keys::key(key) else { return Err(unknown(key, &found.place)) };
    match known.kind.check(&found.value) {
        Some(value) if known.kind == Kind::Path => {
            Ok(Found { value: beside(&value, &found.place), ..found })
        }
        Some(value) if known.kind == Kind::Sets => {
            let mut sets = elsewhere::listed(&value).unwrap_or_default();
            if let Some(folder) = folder(&found.place) {
                sets.iter_mut().for_each(|set| set.from_folder(folder));
            }
            let value = sets.into_iter().map(String::from).collect();
            Ok(Found { value, ..found })
        }
        Some(value) => Ok(Found { value, ..found }),
        None => Err(found.place.problem(key, found.raw, known.kind.words())),
    }
}

fn unknown(key: &str, place: &Place) -> Problem {
    let section = format!("{key}.");
    let inside: Vec<&str> =
        KEYS.iter().filter_map(|known| known.name.strip_prefix(&section)).collect();
    if !inside.is_empty() {
        return place.problem(key, "a value", format!("a table of {}", inside.join(", ")));
    }
    let allowed = match keys::nearest(key, KEYS.iter().map(|key| key.name)) {
        Some(nearest) => format!("a key of a specification, such as {nearest}"),
        None => "a key of a specification (`instdisc-lab keys` lists them)".to_owned(),
    };
    place.problem(key, "an unknown key", allowed)
}

/// A relative path in a file is meant from that file's folder.
fn beside(path: &Value, place: &Place) -> Value {
    match (folder(place), path.as_str()) {
        (Some(folder), Some(path)) => folder.join(path).to_string_lossy().into(),
        _ => path.clone(),
    }
}

/// That of the file, where it is one.
fn folder(place: &Place) -> Option<&Path> {
    Path::new(&place.file).parent().filter(|_| place.line.is_some())
}

/// One short line of a value, for a message.
pub(crate) fn brief(raw: &str) -> String {
    let line: Vec<&str> = raw.split_whitespace().collect();
    let line = line.join(" ");
    if line.is_empty() {
        return "nothing".to_owned();
    }
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Plain values as JSON. Null for what a specification cannot hold: dates, tables in lists, NaN and infinities.
pub(super) fn json(item: &Item) -> Value {
    item.as_value().map_or(Value::Null, plain)
}

fn plain(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => text.value().as_str().into(),
        toml_edit::Value::Integer(x) => (*x.value()).into(),
        toml_edit::Value::Float(x) => (*x.value()).into(),
        toml_edit::Value::Boolean(x) => (*x.value()).into(),
        toml_edit::Value::Array(items) => items.iter().map(plain).collect(),
        toml_edit::Value::Datetime(_) | toml_edit::Value::InlineTable(_) => Value::Null,
    }
}
