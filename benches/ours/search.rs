//! Search: the k-NN evaluation's and one image's.

use std::hint::black_box;

use instdisc_lab::search::top_k;

use crate::median;

pub fn knn_eval() -> f64 {
    let (queries, bank) = (rows(10_000, 1), rows(50_000, 2));
    median(3, || {
        black_box(top_k(&queries, &bank, 128, 200));
    })
}

pub fn search_1m() -> f64 {
    f64::NAN
}

fn rows(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut unit = vec![0f32; n * 128];
    for x in &mut unit {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *x = (state >> 40) as f32 / 16_777_216.0 - 0.5;
    }
    for row in unit.chunks_exact_mut(128) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
    unit
}
