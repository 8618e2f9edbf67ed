//! Settings become a specification: defaults filled in, keys that mean nothing under the others left out.

use serde_json::{Map, Value};

use super::keys::{self, KEYS, Key};
use super::ranges::Default;
use super::{Problem, RunSpec};

/// The value that `key` has under `settings` (dotted key → value): set, or its default.
pub fn effective(settings: &Map<String, Value>, key: &str) -> Value {
    let unset = || keys::key(key).and_then(|key| default(key, settings));
    settings.get(key).cloned().or_else(unset).unwrap_or(Value::Null)
}

/// What `key` is under `settings` when nothing sets it.
pub fn default(key: &Key, settings: &Map<String, Value>) -> Option<Value> {
    match key.default {
        Default::Under(_) => key.default.under(effective(settings, "data.dataset").as_str()?),
        plain => plain.value(),
    }
}

/// Whether `key` means something under `settings`.
pub fn applies(key: &Key, settings: &Map<String, Value>) -> bool {
    key.applies.iter().all(|condition| condition.holds(&effective(settings, condition.key)))
}

/// A specification from settings whose values have been checked.
///
/// A key that means nothing here falls back to its default, so that every way of writing a run gives one spec.
pub fn resolve(settings: &Map<String, Value>) -> Result<RunSpec, Problem> {
    let mut spec = Map::new();
    for key in KEYS {
        let value =
            if applies(key, settings) { Some(effective(settings, key.name)) } else { idle(key) };
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        match key.name.split_once('.') {
            None => spec.insert(key.name.to_owned(), value),
            Some((section, leaf)) => {
                let section = spec.entry(section).or_insert_with(|| Map::new().into());
                section.as_object_mut().and_then(|keys| keys.insert(leaf.to_owned(), value))
            }
        };
    }
    serde_json::from_value(spec.into()).map_err(|e| Problem {
        file: "the specification".to_owned(),
        line: None,
        key: String::new(),
        found: e.to_string(),
        allowed: "a value for every key".to_owned(),
    })
}

/// What stands in a spec where the key means nothing: nothing at all where the spec has no room for it, else the
/// default.
fn idle(key: &Key) -> Option<Value> {
    let strict = key.applies.iter().any(|condition| condition.is_strict());
    if strict && key.name.starts_with("data.") { None } else { key.default.value() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::fingerprint;
    use crate::config::spec::{ObjectiveKind, ZMode};

    fn settings(pairs: Value) -> Map<String, Value> {
        pairs.as_object().unwrap().clone()
    }

    #[test]
    fn nothing_set_is_the_papers_recipe() {
        let spec = resolve(&Map::new()).unwrap();
        assert!(matches!(
            spec.objective.kind,
            ObjectiveKind::Nce { m: 4096, tau: 0.07, z: ZMode::Frozen, z_batches: 1, .. }
        ));
        assert_eq!((spec.train.epochs, spec.train.lr_drops.as_slice()), (200, &[0.6, 0.8][..]));
        assert_eq!((spec.data.root, spec.data.side), (None, None));
    }

    #[test]
    fn what_means_nothing_leaves_no_trace() {
        let same = |a: Value, b: Value| {
            let [a, b] = [a, b].map(|pairs| resolve(&settings(pairs)).unwrap());
            assert_eq!(a, b);
            assert_eq!(fingerprint(&a), fingerprint(&b));
        };
        same(
            json!({"objective.kind": "nonparametric", "objective.m": 7, "objective.z": "ema"}),
            json!({"objective.kind": "nonparametric"}),
        );
        same(json!({"objective.lambda": 0.0, "objective.lambda_from": 3}), json!({}));
        same(
            json!({"objective.z": "exact", "objective.z_batches": 9}),
            json!({"objective.z": "exact"}),
        );
        same(json!({"data.subset_seed": 5}), json!({}));
        same(
            json!({"data.dataset": "shapes", "data.root": "/x", "data.side": 64}),
            json!({"data.dataset": "shapes"}),
        );
    }

    #[test]
    fn a_spec_reads_back_from_its_json() {
        let spec =
            resolve(&settings(json!({"data.dataset": "folder", "data.root": "/x"}))).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<RunSpec>(&text).unwrap(), spec);
        assert!(text.contains(r#""side":32"#) && text.contains(r#""bad_images":"refuse""#));
    }
}
