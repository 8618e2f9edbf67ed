//! What a person can ask for, and the one registry of keys that says how.
//!
//! [`KEYS`] drives dispatch, the hint bar, the searchable help page, the `:` palette and what a key file can remap, so
//! that none of them can tell a different story. Keys are written as people read them (`ctrl-d`, `g g`).

mod action;
mod names;
mod remap;
mod table;

pub use action::{Action, Scope};
pub use names::{key_named, name_of};
pub use remap::{KeysError, file as key_file};
pub use table::KEYS;

/// One row of the registry.
pub struct Binding {
    pub scope: Scope,
    /// Keys as shipped; none = by name only, in the palette.
    pub keys: &'static [&'static str],
    pub action: Action,
    /// What the palette and a key file call it; several scopes may share a name. Empty = neither lists it.
    pub name: &'static str,
    /// One or two words for the hint bar; empty = not hinted at.
    pub hint: &'static str,
    /// What the help page says; empty = not listed.
    pub help: &'static str,
    /// Does not work under `--readonly`.
    pub writes: bool,
}

/// What the keys typed so far mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Does(Action),
    /// The beginning of a sequence.
    Waits,
    Nothing,
}

/// The registry with the keys that hold for this person.
#[derive(Clone)]
pub struct Keymap {
    /// Beside each row of [`KEYS`], its keys.
    keys: Vec<Vec<String>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let owned = |binding: &Binding| binding.keys.iter().map(|&key| key.to_owned()).collect();
        Self { keys: KEYS.iter().map(owned).collect() }
    }
}

impl Keymap {
    /// Rows that hold in a scope with their keys: its own, then what it inherits.
    pub fn of(&self, scope: Scope) -> impl Iterator<Item = (&'static Binding, &[String])> {
        let rows = move |wanted: Scope| {
            let rows = KEYS.iter().zip(&self.keys);
            rows.filter(move |(binding, _)| binding.scope == wanted)
        };
        let inherited = scope.inherits().iter().flat_map(move |&wanted| rows(wanted));
        rows(scope).chain(inherited).map(|(binding, keys)| (binding, keys.as_slice()))
    }

    /// Looks up key names typed one after another (`"g g"`).
    pub fn look_up(&self, scope: Scope, typed: &str) -> Meaning {
        let found = self.of(scope).find(|(_, keys)| keys.iter().any(|key| key == typed));
        if let Some((binding, _)) = found {
            return Meaning::Does(binding.action);
        }
        match self.continuations(scope, typed).next() {
            Some(_) => Meaning::Waits,
            None => Meaning::Nothing,
        }
    }

    /// What may follow an unfinished sequence: the rest of the keys, and what they do.
    pub fn continuations<'a>(
        &'a self,
        scope: Scope,
        typed: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'static Binding)> {
        self.of(scope).flat_map(move |(binding, keys)| {
            let rest = move |keys: &'a String| keys.strip_prefix(typed)?.strip_prefix(' ');
            keys.iter().filter_map(rest).map(move |rest| (rest, binding))
        })
    }

    /// The first key of an action in a scope, for sentences such as "press r".
    pub fn key_of(&self, scope: Scope, action: Action) -> Option<&str> {
        let found =
            self.of(scope).find(|(binding, keys)| binding.action == action && !keys.is_empty());
        found.and_then(|(_, keys)| keys.first()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_registry_can_be_typed() {
        for binding in KEYS {
            for keys in binding.keys {
                for name in keys.split(' ') {
                    let typed = key_named(name).and_then(name_of);
                    assert_eq!(typed.as_deref(), Some(name), "{:?}", binding.action);
                }
            }
        }
    }

    #[test]
    fn no_key_means_two_things_in_one_place() {
        let keymap = Keymap::default();
        for scope in Scope::ALL {
            let mut seen: Vec<&String> = Vec::new();
            for (binding, keys) in keymap.of(scope) {
                // An own key may hide an inherited one on purpose; among its own there is no doubt.
                if binding.scope == scope {
                    seen.extend(keys);
                }
            }
            let n = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), n, "{scope:?}");
            // A key that begins a sequence must mean nothing by itself.
            for keys in keymap.of(scope).flat_map(|(_, keys)| keys) {
                if let Some((first, _)) = keys.split_once(' ') {
                    assert_ne!(
                        keymap.look_up(scope, keys),
                        Meaning::Nothing,
                        "{keys} in {scope:?}"
                    );
                    assert_eq!(
                        keymap.look_up(scope, first),
                        Meaning::Waits,
                        "{first} in {scope:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_listed_has_a_name_and_names_are_words() {
        for binding in KEYS.iter().filter(|binding| !binding.help.is_empty()) {
            let name = binding.name;
            assert!(!name.is_empty(), "{:?}", binding.action);
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        }
    }

    #[test]
    fn sequences_wait_and_then_act() {
        let keymap = Keymap::default();
        assert_eq!(keymap.look_up(Scope::Runs, "g"), Meaning::Waits);
        assert_eq!(keymap.look_up(Scope::Runs, "g g"), Meaning::Does(Action::First));
        assert_eq!(keymap.look_up(Scope::Runs, "g x"), Meaning::Nothing);
        assert_eq!(keymap.look_up(Scope::Help, "ctrl-c"), Meaning::Does(Action::Quit));
        let next: Vec<&str> = keymap.continuations(Scope::Runs, "g").map(|(key, _)| key).collect();
        assert!(next.contains(&"g"), "{next:?}");
    }
}
