//! `lab.toml`: all that may stand in it, read in one place, so that a slip is said whichever part somebody needs.
//!
//! Knows tables, keys and types; what a value means, and which are allowed together, is for the room that takes it.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml_edit::{Document, Item, TableLike};

use crate::config::keys::nearest;
use crate::config::layer::{Place, Reader, brief};
use crate::lab::Home;

/// What a key's value may be.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Path,
    /// A list of texts.
    Texts,
    /// From 0.
    Whole,
    Number,
    Choice(&'static [&'static str]),
    /// Device → how many trainers.
    Slots,
}

/// Every table with its keys.
const TABLES: &[(&str, &[(&str, Kind)])] = &[
    ("store", &[("path", Kind::Path)]),
    (
        "workers",
        &[
            ("slots", Kind::Slots),
            ("grace", Kind::Number),
            ("launcher", Kind::Choice(&["local", "slurm"])),
        ],
    ),
    (
        "slurm",
        &[
            ("partition", Kind::Text),
            ("account", Kind::Text),
            ("qos", Kind::Text),
            ("time", Kind::Text),
            ("gpus", Kind::Whole),
            ("gres", Kind::Text),
            ("cpus", Kind::Whole),
            ("memory", Kind::Text),
            ("constraint", Kind::Text),
            ("cap", Kind::Whole),
            ("most", Kind::Whole),
            ("notice", Kind::Whole),
            ("device", Kind::Text),
            ("extra", Kind::Texts),
            ("setup", Kind::Texts),
            ("poll", Kind::Whole),
            ("settle", Kind::Whole),
        ],
    ),
];

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read {path}: {why}")]
    Read { path: String, why: std::io::Error },
    /// One line for each mistake: file, line, key, what was found, what is allowed.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// A value that its room does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Dotted.
    pub key: String,
    /// `found …, allowed: …`
    pub words: String,
}

impl Wrong {
    pub fn new(key: impl Into<String>, words: impl Into<String>) -> Self {
        Self { key: key.into(), words: words.into() }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.words)
    }
}

/// The file as it was written; empty where there is none.
#[derive(Clone, Debug, Default)]
pub struct LabToml {
    file: String,
    tables: Map<String, Value>,
    /// Dotted key → line.
    lines: BTreeMap<String, usize>,
}

impl LabToml {
    /// # Errors
    /// Where the file cannot be read, and all that is wrong with it.
    pub fn load(home: &Home) -> Result<Self, SettingsError> {
        let file = home.settings().display().to_string();
        match std::fs::read_to_string(home.settings()) {
            Ok(text) => Self::parse(&file, &text),
            Err(why) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&why.kind()) => {
                Ok(Self::default())
            }
            Err(why) => Err(SettingsError::Read { path: file, why }),
        }
    }

    /// Reads `text`; `file` names it in messages.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, SettingsError> {
        let reader = Reader { file: file.to_owned(), text: text.to_owned(), problems: Vec::new() };
        let mut reading = Reading { reader, lab: Self::default() };
        reading.lab.file = file.to_owned();
        match Document::parse(text) {
            Ok(document) => reading.tables(document.as_table()),
            Err(error) => {
                let place = reading.reader.place(error.span());
                reading.wrong("", &place, &brief(error.message()), "valid TOML");
            }
        }
        match reading.reader.problems.as_slice() {
            [] => Ok(reading.lab),
            wrong => Err(SettingsError::Invalid(wrong.iter().map(ToString::to_string).collect())),
        }
    }

    /// A table as its room holds it.
    ///
    /// # Errors
    /// Where the room does not know every key of it: a fault of ours.
    pub fn table<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, SettingsError> {
        match self.tables.get(name) {
            None => Ok(T::default()),
            Some(table) => serde_json::from_value(table.clone()).map_err(|why| {
                SettingsError::Invalid(vec![format!("{}: {name}: {why}", self.file)])
            }),
        }
    }

    /// What a room has against its table, with the lines that say so.
    pub fn refuse(&self, wrong: impl IntoIterator<Item = Wrong>) -> Result<(), SettingsError> {
        let said = |wrong: Wrong| {
            // What stands in a nested table is named by the key before it.
            let line = self.lines.get(&wrong.key).map_or(String::new(), |line| format!(":{line}"));
            format!("{}{line}: {wrong}", self.file)
        };
        let lines: Vec<String> = wrong.into_iter().map(said).collect();
        if lines.is_empty() { Ok(()) } else { Err(SettingsError::Invalid(lines)) }
    }
}

struct Reading {
    reader: Reader,
    lab: LabToml,
}

impl Reading {
    fn wrong(&mut self, key: &str, place: &Place, found: &str, allowed: &str) {
        self.reader.problems.push(place.problem(key, found, allowed));
    }

    fn note(&mut self, key: &str, place: &Place) {
        self.lab.lines.extend(place.line.map(|line| (key.to_owned(), line)));
    }

    fn tables(&mut self, root: &dyn TableLike) {
        for (name, place, item) in self.reader.entries(root) {
            let Some((_, keys)) = TABLES.iter().find(|(known, _)| *known == name) else {
                let found =
                    if item.is_table_like() { "an unknown table" } else { "an unknown key" };
                self.unknown(&name, &place, found, TABLES.iter().map(|(table, _)| *table));
                continue;
            };
            let Some(table) = item.as_table_like() else {
                let found = self.reader.found(item, &place).raw;
                self.wrong(&name, &place, &found, "a table");
                continue;
            };
            let values = self.values(&name, keys, table);
            self.lab.tables.insert(name, values.into());
        }
    }

    fn values(
        &mut self,
        table: &str,
        keys: &[(&str, Kind)],
        written: &dyn TableLike,
    ) -> Map<String, Value> {
        let mut values = Map::new();
        for (name, place, item) in self.reader.entries(written) {
            let key = format!("{table}.{name}");
            let Some((_, kind)) = keys.iter().find(|(known, _)| *known == name) else {
                self.unknown(&key, &place, "an unknown key", keys.iter().map(|(key, _)| *key));
                continue;
            };
            self.note(&key, &place);
            let value = match (kind, item.as_table_like()) {
                (Kind::Slots, Some(slots)) => Some(self.slots(&key, slots).into()),
                _ => self.value(&key, *kind, &place, item),
            };
            values.extend(value.map(|value| (name, value)));
        }
        values
    }

    fn slots(&mut self, key: &str, written: &dyn TableLike) -> Map<String, Value> {
        let mut slots = Map::new();
        for (device, place, item) in self.reader.entries(written) {
            let key = format!("{key}.{device}");
            self.note(&key, &place);
            let value = self.value(&key, Kind::Whole, &place, item);
            slots.extend(value.map(|value| (device, value)));
        }
        slots
    }

    fn value(&mut self, key: &str, kind: Kind, place: &Place, item: &Item) -> Option<Value> {
        let found = self.reader.found(item, place);
        let value = kind.check(found.value);
        if value.is_none() {
            self.wrong(key, &found.place, &found.raw, &kind.words());
        }
        value
    }

    fn unknown<'a>(
        &mut self,
        key: &str,
        place: &Place,
        found: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) {
        let leaf = key.rsplit('.').next().unwrap_or(key);
        let near = nearest(leaf, known.clone()).map(str::to_owned);
        let allowed = near.unwrap_or_else(|| known.collect::<Vec<_>>().join(", "));
        self.wrong(key, place, found, &allowed);
    }
}

impl Kind {
    /// The value, where it is one of these.
    fn check(self, value: Value) -> Option<Value> {
        let fits = match self {
            Kind::Text | Kind::Path => value.is_string(),
            Kind::Texts => value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string)),
            Kind::Whole => value.as_u64().is_some_and(|n| u32::try_from(n).is_ok()),
            Kind::Number => value.is_number(),
            Kind::Choice(names) => value.as_str().is_some_and(|name| names.contains(&name)),
            Kind::Slots => false,
        };
        fits.then_some(value)
    }

    fn words(self) -> String {
        match self {
            Kind::Text => "a text in quotes".into(),
            Kind::Path => "a path in quotes".into(),
            Kind::Texts => "a list of texts in quotes".into(),
            Kind::Whole => "a whole number from 0".into(),
            Kind::Number => "a number".into(),
            Kind::Choice(names) => names.join(", "),
            Kind::Slots => "a table of devices, such as { cpu = 2 }".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        match LabToml::parse("lab.toml", text) {
            Err(SettingsError::Invalid(lines)) => lines,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_slip_is_said_at_once_whoever_reads() {
        let text = "[worker]\nslots = { cpu = 1 }\n[store]\npth = \"x\"\n[slrum]\n[slurm]\npartitoin = \"gpu\"\n\
                    gpus = \"two\"\nextra = [1]\n[workers]\nslots = 3\ngrace = \"long\"\nlauncher = \"sge\"\n";
        assert_eq!(
            said(text),
            [
                "lab.toml:1: worker: found an unknown table, allowed: workers",
                "lab.toml:4: store.pth: found an unknown key, allowed: path",
                "lab.toml:5: slrum: found an unknown table, allowed: slurm",
                "lab.toml:7: slurm.partitoin: found an unknown key, allowed: partition",
                "lab.toml:8: slurm.gpus: found \"two\", allowed: a whole number from 0",
                "lab.toml:9: slurm.extra: found [1], allowed: a list of texts in quotes",
                "lab.toml:11: workers.slots: found 3, allowed: a table of devices, such as { cpu = 2 }",
                "lab.toml:12: workers.grace: found \"long\", allowed: a number",
                "lab.toml:13: workers.launcher: found \"sge\", allowed: local, slurm",
            ]
        );
        assert_eq!(
            said("grace = 3\nstore = 1\n"),
            [
                "lab.toml:1: grace: found an unknown key, allowed: store, workers, slurm",
                "lab.toml:2: store: found 1, allowed: a table",
            ]
        );
    }

    #[test]
    fn what_is_no_toml_is_one_line() {
        for text in
            ["[workers\n", "x = [1,\n\n", "[store]\npath = \"a\npath = 2\n", "a = 1\na = 2\n"]
        {
            let said = said(text);
            let [line] = said.as_slice() else { panic!("{said:?}") };
            assert!(
                line.starts_with("lab.toml:") && line.ends_with("allowed: valid TOML"),
                "{line}"
            );
            assert!(!line.contains('\n'), "{line}");
        }
    }
}
