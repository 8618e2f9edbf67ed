//! Every objective trains, and what it keeps between steps is in its checkpoint.

use super::*;

/// Every objective by its name, with the keys that it needs at this size.
pub(super) const OBJECTIVES: [&str; 12] = [
    r#""kind": "nce", "m": 8, "tau": 0.2, "z": "frozen", "z_batches": 2, "own_slot": "resample""#,
    r#""kind": "nonparametric", "tau": 0.2"#,
    r#""kind": "parametric", "tau": 0.2"#,
    r#""kind": "infonce", "tau": 0.2, "m": 8, "own_slot": "keep""#,
    r#""kind": "invaspread", "tau": 0.2, "views": "original_augmented", "gradient": "two_sided",
       "diagonal": "keep", "negatives": "random""#,
    r#""kind": "exemplar", "tau": 0.2, "transforms": 2"#,
    r#""kind": "triplet", "margin": 0.5, "views": "two_augmented", "negatives": "hardest""#,
    r#""kind": "deepcluster", "tau": 0.2, "clusters": 7, "reassign_every": 1"#,
    r#""kind": "simclr", "tau": 0.2, "views": "two_augmented""#,
    r#""kind": "moco", "tau": 0.2, "m": 50, "key_momentum": 0.9"#,
    r#""kind": "supervised", "tau": 0.2"#,
    r#""kind": "random""#,
];

pub(super) fn with_objective(objective: &str) -> RunSpec {
    let rest = r#""lambda": 0.0, "lambda_from": 0, "bank_momentum": 0.0, "bank_init": "random""#;
    let mut spec = spec();
    spec.objective = serde_json::from_str(&format!("{{{objective}, {rest}}}")).unwrap();
    spec.train.epochs = 2;
    spec
}

#[test]
fn every_objective_trains_and_resumes_within_an_epoch() {
    for objective in OBJECTIVES {
        let spec = with_objective(objective);
        let data = dataset(&spec);
        let unbroken = tempfile::tempdir().unwrap();
        let (outcome, told) = train(&spec, &data, unbroken.path(), None, None).unwrap();
        let learns = !objective.contains("random\"") || objective.contains("negatives");
        assert_eq!(outcome, Outcome::Finished { step: if learns { 8 } else { 0 } }, "{objective}");
        let expected = told.values();
        assert!(expected.keys().any(|(_, name)| name == "knn_top1"), "{objective}");
        if !learns {
            // Its bank is what it is asked about: the images as the net sees them.
            let last = |name: &str| f64::from_bits(expected[&(0, name.to_owned())]);
            assert_eq!(last("knn_top1_bank"), last("knn_top1"));
            assert!((last("slot_cosine") - 1.0).abs() < 1e-6, "{}", last("slot_cosine"));
            continue;
        }
        let weights = |dir: &Path| newest(dir).tensors["model.conv1.weight"].copy();
        let dir = tempfile::tempdir().unwrap();
        train(&spec, &data, dir.path(), None, Some(6)).unwrap();
        assert_ne!(weights(dir.path()), weights(unbroken.path()), "{objective} does not learn");
        let (_, after) = train(&spec, &data, dir.path(), Some(newest(dir.path())), None).unwrap();
        assert!(after.values().iter().all(|(k, v)| expected.get(k) == Some(v)), "{objective}");
        let (resumed, last) = (newest(dir.path()).meta, newest(unbroken.path()).meta);
        assert_eq!(resumed, last, "hash of all tensors: {objective}");
    }
}

/// A surrogate class is an image under K transforms; where none of them comes again, it is an image.
#[test]
fn exemplars_without_a_second_look_are_warned_of() {
    for (transforms, warned) in [(1, false), (2, true)] {
        let text = r#""kind": "exemplar", "tau": 0.2, "transforms": "#;
        let spec = with_objective(&format!("{text}{transforms}"));
        let (data, dir) = (dataset(&spec), tempfile::tempdir().unwrap());
        let (_, told) = train(&spec, &data, dir.path(), None, None).unwrap();
        assert_eq!(told.warns("transforms_never_repeat"), warned, "{transforms} in 2 epochs");
    }
}

#[test]
fn the_queue_of_keys_is_needed() {
    let spec = with_objective(OBJECTIVES[9]);
    let data = dataset(&spec);
    let (unbroken, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(&spec, &data, unbroken.path(), None, None).unwrap();
    for part in ["objective.queue", "objective.key"] {
        train(&spec, &data, dir.path(), None, Some(6)).unwrap();
        let mut loaded = newest(dir.path());
        zero(&mut loaded, part);
        train(&spec, &data, dir.path(), Some(loaded), None).unwrap();
        assert_ne!(newest(dir.path()).meta, newest(unbroken.path()).meta, "without {part}");
    }
}
