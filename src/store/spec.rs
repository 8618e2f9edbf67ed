//! A resolved specification as the run log keeps it.

use std::ops::Deref;
use std::sync::OnceLock;

use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON that is taken apart when somebody first looks into it, and that the run log accepted as an object: a list of runs
/// shows what was varied, and of ten thousand specifications nobody reads most.
#[derive(Clone, Debug)]
pub struct SpecJson {
    text: Box<str>,
    value: OnceLock<Value>,
}

/// The parts that every list shows.
#[derive(Deserialize)]
struct Seed {
    #[serde(default)]
    seed: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Planned {
    train: Train,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Train {
    epochs: u32,
}

impl SpecJson {
    /// As it stands in the run log.
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.into(), value: OnceLock::new() }
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// `seed`, without looking at the rest; 0 where there is none.
    pub fn seed(&self) -> u64 {
        self.last_seed().unwrap_or_else(|| {
            serde_json::from_str::<Seed>(self.text()).map_or(0, |spec| spec.seed)
        })
    }

    /// `train.epochs`, without taking the rest apart; 0 where there is none.
    pub fn epochs(&self) -> u32 {
        self.only_epochs().unwrap_or_else(|| {
            serde_json::from_str::<Planned>(self.text()).map_or(0, |spec| spec.train.epochs)
        })
    }

    /// The epochs where one key alone is called so, as in what we write, right inside `train`. In a text in quotes the quotes
    /// around it would be escaped.
    fn only_epochs(&self) -> Option<u32> {
        let (before, after) = self.text().split_once("\"epochs\":")?;
        let is_first = before.ends_with("\"train\":{") && !after.contains("\"epochs\":");
        let number = after.split([',', '}']).next().filter(|_| is_first)?;
        number.parse().ok()
    }

    /// The seed where it is the last key of all, as in what we write. The brace at the end closes the whole, so what stands
    /// right before it is the whole's; and no text in quotes ends there, as its quotes would have to be closed.
    fn last_seed(&self) -> Option<u64> {
        let (before, seed) = self.text().strip_suffix('}')?.rsplit_once(':')?;
        let is_key = before.ends_with(",\"seed\"") || before == "{\"seed\"";
        // A sign or a space is for serde to judge.
        (is_key && seed.bytes().all(|byte| byte.is_ascii_digit())).then(|| seed.parse().ok())?
    }

    /// Changes what a dotted key names.
    #[cfg(test)]
    pub fn set(&mut self, key: &str, value: Value) {
        let mut all = Value::clone(self);
        *key.split('.').fold(&mut all, |place, part| &mut place[part]) = value;
        *self = all.into();
    }
}

impl Deref for SpecJson {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value.get_or_init(|| serde_json::from_str(self.text()).unwrap_or_default())
    }
}

impl From<Value> for SpecJson {
    fn from(value: Value) -> Self {
        Self { text: value.to_string().into(), value: OnceLock::from(value) }
    }
}

impl PartialEq for SpecJson {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || **self == **other
    }
}

impl Serialize for SpecJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: &RawValue = serde_json::from_str(self.text()).map_err(S::Error::custom)?;
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SpecJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Box<RawValue> = Box::deserialize(deserializer)?;
        Ok(Self::new(text.get()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_written_as_it_was_and_read_when_it_is_looked_into() {
        let text = r#"{"train":{"epochs":200.0},"seed":7}"#;
        let spec = SpecJson::new(text);
        assert_eq!(spec.seed(), 7);
        assert!(spec.value.get().is_none());
        assert_eq!(serde_json::to_string(&[&spec]).unwrap(), format!("[{text}]"));
        assert_eq!(spec["train"]["epochs"], 200.0);
        assert_eq!(spec, SpecJson::from(json!({"seed": 7, "train": {"epochs": 200.0}})));
        assert_eq!(serde_json::from_str::<SpecJson>(text).unwrap(), spec);
        assert!(serde_json::to_string(&SpecJson::new("{")).is_err());
    }

    #[test]
    fn epochs_are_read_without_the_rest() {
        for (text, epochs) in [
            (r#"{"train":{"epochs":20,"lr":0.1},"seed":1}"#, 20),
            (r#"{"train":{"lr":0.1,"epochs":20},"seed":1}"#, 20),
            (r#"{"train":{"epochs":20},"eval":{"epochs":7}}"#, 20),
            (r#"{"eval":{"epochs":7},"train":{"epochs": 20}}"#, 20),
            (r#"{"note":"\"train\":{\"epochs\":9}","train":{"epochs":20}}"#, 20),
            (r#"{"eval":{"epochs":7}}"#, 0),
            (r#"{"seed":1}"#, 0),
            ("{", 0),
        ] {
            let spec = SpecJson::new(text);
            assert_eq!(spec.epochs(), epochs, "{text}");
            assert!(spec.value.get().is_none());
        }
    }

    #[test]
    fn the_seed_is_the_same_wherever_it_stands() {
        for (text, seed) in [
            (r#"{"train":{"lr":0.1},"seed":18446744073709551615}"#, u64::MAX),
            (r#"{"seed":3}"#, 3),
            (r#"{"seed":3,"train":{"lr":0.1}}"#, 3),
            (r#"{"seed":3,"train":{"seed":4}}"#, 3),
            (r#"{"data":{"seed":4}}"#, 0),
            (r#"{"note":",\"seed\":4"}"#, 0),
            (r#"{"subset_seed":4}"#, 0),
            (r#"{"a":1,"seed": 5 }"#, 5),
        ] {
            let spec = SpecJson::new(text);
            assert_eq!(spec.seed(), seed, "{text}");
            assert_eq!(spec["seed"].as_u64().unwrap_or_default(), seed, "{text}");
        }
    }
}
