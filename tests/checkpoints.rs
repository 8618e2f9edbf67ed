//! The trainer's reader of checkpoints against files that mean harm.
//!
//! A binary of its own, because it links libtorch, which every start of a program pays with half a second: the other one
//! is started again as the stand-in of a trainer, thousands of times.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

#[path = "support/faults.rs"]
mod support;

/// Found by `make test-faults` beside those of the other binary.
mod faults {
    use std::fs;

    use instdisc_lab::engine::checkpoint;
    use sha2::{Digest, Sha256};

    use crate::support::{Chance, confined, either, is_confined, mutate};

    #[test]
    fn checkpoints() {
        confined("faults::inside");
    }

    #[test]
    fn inside() {
        if is_confined() {
            read(&mut Chance::new("checkpoints"));
        }
    }

    /// Tensors that somebody changed, with a commit whose hash was changed along: the hash guards against accidents, the
    /// reader against the rest.
    fn read(chance: &mut Chance) {
        let dir = tempfile::tempdir().unwrap();
        let header = br#"{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
        let mut whole = (header.len() as u64).to_le_bytes().to_vec();
        whole.extend_from_slice(header);
        whole.extend_from_slice(&[0; 16]);
        let commit = |bytes: &[u8]| {
            let hash: String =
                Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let meta = serde_json::json!({
                "version": 1, "step": 1, "file": "step-1.safetensors", "hash": hash, "sec": 0.0,
                "spec_fingerprint": "", "data_fingerprint": "", "objective": {},
                "epoch_loss": {"values": {"n": 0, "mean": 0.0, "m2": 0.0},
                               "differences": {"n": 0, "mean": 0.0, "m2": 0.0}, "last": null},
            });
            fs::write(dir.path().join("step-1.safetensors"), bytes).unwrap();
            fs::write(dir.path().join("step-1.json"), meta.to_string()).unwrap();
            checkpoint::load_newest(dir.path())
        };
        let (loaded, damaged) = commit(&whole);
        assert!(loaded.is_some(), "{damaged:?}");
        let mut claims = vec![u64::MAX.to_le_bytes().to_vec(), (1u64 << 40).to_le_bytes().to_vec()];
        let shape =
            br#"{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#;
        let mut huge = (shape.len() as u64).to_le_bytes().to_vec();
        huge.extend_from_slice(shape);
        huge.extend_from_slice(&[0; 16]);
        claims.push(huge);
        for claim in claims {
            let (loaded, damaged) = commit(&claim);
            assert!(loaded.is_none() && damaged.len() == 1, "{damaged:?}, seed {}", chance.seed);
        }
        for _ in 0..either(200, 20_000) {
            let _ = commit(&mutate(chance, &whole));
            let text = mutate(chance, br#"{"version":1,"step":1,"hash":"00"}"#);
            fs::write(dir.path().join("step-1.json"), text).unwrap();
            let _ = checkpoint::load_newest(dir.path());
        }
    }
}
