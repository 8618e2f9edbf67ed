//! The fingerprint of a run: what makes two runs the same.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::RunSpec;
use super::elsewhere::Elsewhere;
use super::spec::DatasetKind;
use crate::files::hex;

/// sha256, hex, over the spec as JSON with sorted keys and no white space.
///
/// `data.root` counts only for `folder`: elsewhere it says where the files lie, not what they are. So do the places of
/// `eval.on`.
pub fn fingerprint(spec: &RunSpec) -> String {
    let mut spec = spec.clone();
    if spec.data.dataset != DatasetKind::Folder {
        spec.data.root = None;
    }
    spec.eval.on = spec.eval.on.iter().map(Elsewhere::identity).collect();
    let value = serde_json::to_value(&spec).expect("a spec has string keys and plain values");
    let mut text = String::new();
    canonical(&value, &mut text);
    hex(&Sha256::digest(text.as_bytes()))
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if 0 < i {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if 0 < i {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}
