//! Keys of one's own: a TOML file that gives registry rows other keys.
//!
//! ```toml
//! [runs]
//! pause = "P"
//! sort = ["s", "o s"]
//! mark = []            # no key; the palette still has it
//! ```
//!
//! A section is a place (`runs`, `charts`, `screens`, …), a name what the palette calls the command.

use std::path::PathBuf;

use toml_edit::{Document, Item};

use super::{KEYS, Keymap, Scope, key_named, name_of};
use crate::config::{Invalid, Problem, keys::nearest};

/// What is wrong with a key file, or why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("cannot read {path}: {why}")]
    Read { path: String, why: std::io::Error },
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Where a person's key file is: `INSTDISC_LAB_KEYS`, else `instdisc-lab/keys.toml` in the folder for configuration.
pub fn file(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("INSTDISC_LAB_KEYS").or_else(|| {
        let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
        Some(config.join("instdisc-lab/keys.toml"))
    })
}

impl Keymap {
    /// The registry with the file at `path` laid over it; a file that is not there changes nothing.
    ///
    /// # Errors
    /// All that is wrong with the file, with line, key and what is allowed.
    pub fn load(path: Option<PathBuf>) -> Result<Self, KeysError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let name = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self::remapped(&name, &text)?),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(KeysError::Read { path: name, why }),
        }
    }

    /// The registry with `text` laid over it; `file` names it in messages.
    pub fn remapped(file: &str, text: &str) -> Result<Self, Invalid> {
        let mut problems = Vec::new();
        let mut keymap = Self::default();
        let line_of = |at: usize| 1 + text[..at.min(text.len())].matches('\n').count();
        let problem = |line: Option<usize>, key: String, found: String, allowed: String| Problem {
            file: file.to_owned(),
            line,
            key,
            found,
            allowed,
        };
        let document = Document::parse(text).map_err(|error| {
            let line = error.span().map(|span| line_of(span.start));
            Invalid(vec![problem(line, String::new(), error.message().into(), "valid TOML".into())])
        })?;
        let mut changed: Vec<(usize, Option<usize>)> = Vec::new();
        for (section, item) in document.as_table() {
            let line = item.span().map(|span| line_of(span.start));
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == section);
            let (Some(scope), Some(table)) = (scope, item.as_table_like()) else {
                let names: Vec<&str> = listed_scopes().map(Scope::name).collect();
                problems.push(problem(
                    line,
                    section.into(),
                    "no such place".into(),
                    names.join(", "),
                ));
                continue;
            };
            for (name, item) in table.iter() {
                let line = item.span().map(|span| line_of(span.start));
                let key = format!("{section}.{name}");
                let row = |(_, binding): &(usize, &super::Binding)| {
                    binding.scope == scope && binding.name == name && !name.is_empty()
                };
                let Some((row, _)) = KEYS.iter().enumerate().find(row) else {
                    let names = KEYS.iter().filter(|b| b.scope == scope && !b.name.is_empty());
                    let names: Vec<&str> = names.map(|binding| binding.name).collect();
                    let near = nearest(name, names.iter().copied());
                    let allowed = near.map_or_else(|| names.join(", "), str::to_owned);
                    problems.push(problem(line, key, name.into(), allowed));
                    continue;
                };
                match keys_of(item) {
                    Ok(keys) => {
                        keymap.keys[row] = keys;
                        changed.push((row, line));
                    }
                    Err(found) => {
                        let allowed =
                            "a key such as \"p\", \"ctrl-p\", \"g p\", \"f5\", or a list of them";
                        problems.push(problem(line, key, found, allowed.into()));
                    }
                }
            }
        }
        for (row, line) in changed {
            for (keys, other) in keymap.conflicts(row) {
                let key = format!("{}.{}", KEYS[row].scope.name(), KEYS[row].name);
                let other = format!("{}.{}", KEYS[other].scope.name(), KEYS[other].name);
                let allowed = format!("a key that {other} does not have");
                problems.push(problem(line, key, format!("{keys:?}"), allowed));
            }
        }
        if problems.is_empty() { Ok(keymap) } else { Err(Invalid(problems)) }
    }

    /// Other rows of the same place that `row` shares a key with, or whose sequence one of its keys begins.
    fn conflicts(&self, row: usize) -> Vec<(String, usize)> {
        let begins = |a: &str, b: &str| b.strip_prefix(a).is_some_and(|rest| rest.starts_with(' '));
        let mut found = Vec::new();
        for (other, binding) in KEYS.iter().enumerate() {
            if other == row || binding.scope != KEYS[row].scope {
                continue;
            }
            for key in &self.keys[row] {
                let clash = |k: &&String| *k == key || begins(key, k) || begins(k, key);
                if let Some(taken) = self.keys[other].iter().find(clash) {
                    found.push((taken.clone(), other));
                }
            }
        }
        found
    }
}

fn listed_scopes() -> impl Iterator<Item = Scope> {
    let named = |scope: &Scope| KEYS.iter().any(|b| b.scope == *scope && !b.name.is_empty());
    Scope::ALL.into_iter().filter(named)
}

/// The keys that a file gives; what it gives instead where those are none.
fn keys_of(item: &Item) -> Result<Vec<String>, String> {
    let texts: Vec<&toml_edit::Value> = match item.as_value() {
        Some(toml_edit::Value::Array(keys)) => keys.iter().collect(),
        Some(key) => vec![key],
        None => return Err(item.type_name().to_owned()),
    };
    texts.into_iter().map(key_of).collect()
}

fn key_of(value: &toml_edit::Value) -> Result<String, String> {
    let text = value.as_str().ok_or_else(|| value.to_string().trim().to_owned())?;
    let known = |name: &str| key_named(name).and_then(name_of).as_deref() == Some(name);
    let fits = !text.is_empty() && text.split(' ').all(known);
    if fits { Ok(text.to_owned()) } else { Err(format!("{text:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::{Action, Meaning};

    #[test]
    fn a_row_takes_other_keys() {
        let text = "[runs]\npause = \"P\"\nsort = [\"ctrl-s\", \"g s\"]\nmark = []\n";
        let keymap = Keymap::remapped("keys.toml", text).unwrap();
        assert_eq!(keymap.look_up(Scope::Runs, "P"), Meaning::Does(Action::Pause));
        assert_eq!(keymap.look_up(Scope::Runs, "p"), Meaning::Nothing);
        assert_eq!(keymap.look_up(Scope::Runs, "g s"), Meaning::Does(Action::Sort));
        assert_eq!(keymap.look_up(Scope::Runs, "space"), Meaning::Nothing);
    }

    #[test]
    fn the_keys_in_the_documents_are_keys() {
        let page = include_str!("../../../docs/settings.md");
        let text =
            page.split("```toml\n").nth(2).and_then(|rest| rest.split("```").next()).unwrap();
        let keymap = Keymap::remapped("keys.toml", text).map_err(|why| why.to_string()).unwrap();
        assert_eq!(keymap.look_up(Scope::Runs, "P"), Meaning::Does(Action::Pause));
        for scope in listed_scopes().take(8) {
            assert!(page.contains(&format!("`{}`", scope.name())), "{}", scope.name());
        }
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let text = "[runs]\npause = \"r\"\nsrot = \"z\"\nmark = 3\n[nowhere]\nx = \"y\"\n[screens]\nquit = \"g\"\n";
        let Invalid(problems) = Keymap::remapped("keys.toml", text).err().unwrap();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let expected = [
            "keys.toml:3: runs.srot: found srot, allowed: sort",
            "keys.toml:4: runs.mark: found 3, allowed: a key such as",
            "nowhere: found no such place, allowed: anywhere, screens, runs",
            "keys.toml:2: runs.pause: found \"r\", allowed: a key that runs.resume does not have",
            "keys.toml:8: screens.quit: found \"g g\", allowed: a key that screens.first does not have",
        ];
        for text in expected {
            assert!(said.iter().any(|line| line.contains(text)), "{text} in {said:#?}");
        }
        assert_eq!(said.len(), expected.len(), "{said:#?}");
    }

    #[test]
    fn the_file_lies_where_configuration_lies() {
        let with = |vars: &'static [(&str, &str)]| {
            file(|name| vars.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(with(&[]), None);
        let home = "/h/.config/instdisc-lab/keys.toml";
        assert_eq!(with(&[("HOME", "/h")]), Some(home.into()));
        let xdg = with(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]);
        assert_eq!(xdg, Some("/c/instdisc-lab/keys.toml".into()));
        assert_eq!(with(&[("INSTDISC_LAB_KEYS", "/k"), ("HOME", "/h")]), Some("/k".into()));
    }
}
