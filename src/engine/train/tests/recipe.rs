//! What came after the papers, as keys: a head of two layers, half a cosine after a warm-up, pooled features that vote.

use super::*;
use crate::config::spec::{HeadKind, Schedule};
use crate::engine::encoder::Encoder;
use crate::engine::eval::knn::vote;
use crate::engine::models::unit;

#[test]
fn pooled_features_vote_beside_the_embedding_under_a_head_of_two_layers() {
    let mut spec = spec();
    spec.model.head = HeadKind::Mlp;
    spec.train.schedule = Schedule::Cosine;
    spec.train.warmup = 1.0;
    spec.eval.knn_pooled = true;
    let data = dataset(&spec);
    let dir = tempfile::tempdir().unwrap();
    let (_, told) = train(&spec, &data, dir.path(), None, None).unwrap();
    let values = told.values();
    let curve = |metric: &str| -> Vec<(u64, f64)> {
        let of = values.iter().filter(|((_, name), _)| name == metric);
        of.map(|(&(step, _), &bits)| (step, f64::from_bits(bits))).collect()
    };
    // Four steps an epoch: all of the rate at the end of the first, then half a cosine over two.
    let rates = curve("lr");
    assert_eq!(rates.iter().map(|&(step, _)| step).collect::<Vec<_>>(), [4, 8, 12]);
    for (found, expected) in rates.iter().zip([0.03, 0.03, 0.015]) {
        assert!((found.1 - expected).abs() < 1e-9, "{rates:?}");
    }
    let pooled = curve("knn_top1/pooled");
    assert_eq!(pooled.iter().map(|&(step, _)| step).collect::<Vec<_>>(), [8, 12]);
    let settings = told.0.iter().find_map(|event| match event {
        Event::Eval(eval) if eval.metric == "knn_top1/pooled" => Some(&eval.settings),
        _ => None,
    });
    assert_eq!(settings.unwrap()["feature"], "pooled");

    // The same by the encoder of the last checkpoint.
    let loaded = newest(dir.path());
    let encoder = Encoder::new(&spec, &data, Device::Cpu, Arithmetic::Fp32, &loaded).unwrap();
    let [bank, queries] =
        [&data.train, &data.test].map(|split| encoder.features(split, data.side).unwrap());
    assert_ne!(bank.pooled.size()[1], bank.embedding.size()[1]);
    let (k, tau) = (spec.eval.knn_k as usize, spec.eval.knn_tau);
    let accuracy = |bank: &Tensor, queries: &Tensor| {
        let (labels, known) = (&data.test.labels, &data.train.labels);
        vote(queries, labels, bank, known, data.classes.len(), k, tau).top1
    };
    assert_eq!(accuracy(&unit(&bank.pooled), &unit(&queries.pooled)), pooled[1].1);
    assert_eq!(accuracy(&bank.embedding, &queries.embedding), curve("knn_top1")[1].1);
}
