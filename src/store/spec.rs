//! A resolved specification as the run log keeps it.

use std::ops::Deref;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// JSON that is known to be sound and taken apart when somebody first looks into it: a list of runs shows what was varied,
/// and of ten thousand specifications nobody reads most.
#[derive(Clone, Debug)]
pub struct SpecJson {
    text: Box<RawValue>,
    value: OnceLock<Value>,
}

/// The part that every list shows.
#[derive(Deserialize)]
struct Seed {
    #[serde(default)]
    seed: u64,
}

impl SpecJson {
    /// # Errors
    /// `text` is no JSON.
    pub fn new(text: String) -> serde_json::Result<Self> {
        Ok(Self { text: RawValue::from_string(text)?, value: OnceLock::new() })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        self.text.get()
    }

    /// `seed`, without looking at the rest; 0 where there is none.
    pub fn seed(&self) -> u64 {
        serde_json::from_str::<Seed>(self.text()).map_or(0, |spec| spec.seed)
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
        // A value's own text is sound.
        let text = RawValue::from_string(value.to_string()).unwrap_or_default();
        Self { text, value: OnceLock::from(value) }
    }
}

impl PartialEq for SpecJson {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || **self == **other
    }
}

impl Serialize for SpecJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SpecJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { text: Box::deserialize(deserializer)?, value: OnceLock::new() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_written_as_it_was_and_read_when_it_is_looked_into() {
        let text = r#"{"train":{"epochs":200.0},"seed":7}"#;
        let spec = SpecJson::new(text.to_owned()).unwrap();
        assert_eq!(spec.seed(), 7);
        assert!(spec.value.get().is_none());
        assert_eq!(serde_json::to_string(&[&spec]).unwrap(), format!("[{text}]"));
        assert_eq!(spec["train"]["epochs"], 200.0);
        assert_eq!(spec, SpecJson::from(json!({"seed": 7, "train": {"epochs": 200.0}})));
        assert_eq!(serde_json::from_str::<SpecJson>(text).unwrap(), spec);
        assert!(SpecJson::new("{".to_owned()).is_err());
    }
}
