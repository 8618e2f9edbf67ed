//! What the table of specification keys ([`KEYS`]) says of each: type, range, default, unit, where it means something.
//!
//! Validation, defaults, `keys`, the filter language and the messages about mistakes all read that table.

mod table;

use std::fmt;

use serde_json::Value;

use super::elsewhere;
use super::ranges::{Default, Kind};

pub use table::KEYS;

/// One key of a specification.
#[derive(Debug)]
pub struct Key {
    /// Dotted, as `--set` and `[grid]` name it.
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
    /// Empty where the number has none.
    pub unit: &'static str,
    /// All must hold for the key to mean something; none = always.
    pub applies: &'static [Condition],
    pub help: &'static str,
}

/// A key means something only where another key has certain values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    pub key: &'static str,
    pub accepts: Accepts,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accepts {
    OneOf(&'static [&'static str]),
    NoneOf(&'static [&'static str]),
    Above(f64),
    Below(f64),
    /// A list with something in it.
    Something,
}

impl Condition {
    pub fn holds(&self, value: &Value) -> bool {
        match self.accepts {
            Accepts::OneOf(names) => value.as_str().is_some_and(|value| names.contains(&value)),
            Accepts::NoneOf(names) => value.as_str().is_none_or(|value| !names.contains(&value)),
            Accepts::Above(low) => value.as_f64().is_some_and(|x| low < x),
            Accepts::Below(high) => value.as_f64().is_some_and(|x| x < high),
            Accepts::Something => value.as_array().is_some_and(|items| !items.is_empty()),
        }
    }

    /// Whether setting the key elsewhere is a mistake. Under another objective or data set it is, or where nothing is to be
    /// evaluated; a number that a second number switches off (λ's first epoch at λ = 0) is only idle.
    pub fn is_strict(&self) -> bool {
        matches!(self.key, "objective.kind" | "data.dataset" | "eval.finally")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accepts {
            Accepts::OneOf(names) => write!(f, "{} = {}", self.key, names.join(" or ")),
            Accepts::NoneOf(names) => write!(f, "{} ≠ {}", self.key, names.join(" or ")),
            Accepts::Above(low) => write!(f, "{} > {low}", self.key),
            Accepts::Below(high) => write!(f, "{} < {high}", self.key),
            Accepts::Something => write!(f, "{} names something", self.key),
        }
    }
}

/// The key called `name`.
pub fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The value at a dotted key of a resolved specification.
pub fn value<'a>(spec: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(spec, |value, part| value.get(part))
}

/// Keys that a specification does not have where they are at their default: it is older than they are, or could be.
const UNWRITTEN: [&str; 11] = [
    "data.held_out",
    "data.crop",
    "data.resident",
    "model.head",
    "model.init",
    "model.stem",
    "augment.jitter_p",
    "train.bn_splits",
    "train.schedule",
    "train.warmup",
    "eval.knn_pooled",
];

/// As [`value`], with what is not written where it is the default: keys that specifications did not always have. Of the
/// sets of `eval.on` their names alone: where published ones lie tells no runs apart.
pub fn effective(spec: &Value, name: &str) -> Option<Value> {
    if name == "eval.on" {
        return elsewhere::identities(value(spec, name)?);
    }
    let unwritten = || key(name).filter(|key| UNWRITTEN.contains(&key.name))?.default.value();
    value(spec, name).cloned().or_else(unwritten)
}

/// The name in `names` that a mistyped one most likely meant. A third of it may be wrong.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    let distance = |known: &str| {
        let known_leaf = known.rsplit('.').next().unwrap_or(known);
        // `tau` for `objective.tau`: the section is what people leave out.
        let by_leaf =
            if leaf == name { strsim::osa_distance(leaf, known_leaf) } else { usize::MAX };
        by_leaf.min(strsim::osa_distance(name, known))
    };
    let best = names.into_iter().map(|known| (distance(known), known)).min_by_key(|&(d, _)| d)?;
    (best.0.saturating_mul(3) <= name.chars().count()).then_some(best.1)
}

/// What `data.dataset` may be.
pub const DATASETS: &[&str] = &[
    "shapes",
    "cifar10",
    "cifar100",
    "stl10",
    "mnist",
    "fashion_mnist",
    "kmnist",
    "cub200",
    "cars196",
    "sop",
    "folder",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::{applies, resolve};

    #[test]
    fn what_a_plain_specification_does_not_say_is_known() {
        let settings = serde_json::Map::new();
        let spec = serde_json::to_value(resolve(&settings).unwrap()).unwrap();
        for key in KEYS.iter().filter(|key| applies(key, &settings)) {
            assert_eq!(effective(&spec, key.name), key.default.under("cifar10"), "{}", key.name);
        }
        for name in UNWRITTEN {
            assert_eq!(value(&spec, name), None, "{name}");
        }
    }

    #[test]
    fn every_default_is_allowed_and_every_condition_names_a_key() {
        for key in KEYS {
            if let Some(default) = key.default.value() {
                assert_eq!(key.kind.check(&default), Some(default), "{}", key.name);
            }
            assert!(key.applies.iter().all(|c| super::key(c.key).is_some()), "{}", key.name);
            assert!(!key.help.is_empty());
        }
    }

    #[test]
    fn the_nearest_key_is_named_with_or_without_its_section() {
        let nearest = |name| nearest(name, KEYS.iter().map(|key| key.name));
        assert_eq!(nearest("objective.lamda"), Some("objective.lambda"));
        assert_eq!(nearest("lamda"), Some("objective.lambda"));
        assert_eq!(nearest("train.lr_drop"), Some("train.lr_drops"));
        assert_eq!(nearest("model.embedding_size"), None);
    }
}
