//! Named recipes that lie under `[base]`: `preset = "paper"`.

use serde_json::{Map, Value, json};

/// Names of the presets.
pub const PRESETS: [&str; 2] = ["paper", "released"];

/// The settings of a preset.
///
/// `paper`: Wu et al. 2018. The bank takes each feature as it is, τ = 0.07.
///
/// `released`: what cifar.py of zhirongw/lemniscate.pytorch runs (at f7cfe29): memory momentum 0.5 and no proximal term
/// (issues #11 and #18: the author takes the two for equivalent; their gradients differ), τ = 0.1 for the loss and the
/// vote alike, horizontal flip commented out.
pub fn preset(name: &str) -> Option<Map<String, Value>> {
    let settings = match name {
        "paper" => json!({
            "objective.tau": 0.07,
            "objective.bank_momentum": 0.0,
            "eval.knn_tau": 0.07,
        }),
        "released" => json!({
            "objective.tau": 0.1,
            "objective.lambda": 0.0,
            "objective.bank_momentum": 0.5,
            "augment.flip": false,
            "eval.knn_tau": 0.1,
        }),
        _ => return None,
    };
    settings.as_object().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn presets_set_known_keys_to_allowed_values() {
        for name in PRESETS {
            for (key, value) in preset(name).unwrap() {
                assert_eq!(keys::key(&key).unwrap().kind.check(&value), Some(value), "{key}");
            }
        }
    }
}
