//! Search: the k-NN evaluation's and one image's.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;

use instdisc_lab::search::{Index, Neighbour, top_k};

use crate::{Measured, given, median};

/// The 200 nearest of 50,000 rows for each of 10,000 queries.
pub fn knn_eval() -> Measured {
    let (queries, bank) = (rows(10_000, 1), rows(given("BENCH_N", 50_000), 2));
    let value = median(3, || {
        black_box(top_k(&queries, &bank, 128, 200));
    });
    Measured { value, unit: "s" }
}

/// One query over as many rows as ImageNet has images, the 10 nearest, with the exact rows in a file.
pub fn search_1m() -> Measured {
    let (bank, queries) = (rows(1_281_167, 2), rows(64, 1));
    let file = file_of(&bank);
    let index = index_of(&bank);
    drop(bank);
    eprintln!("{} MB in memory", index.bytes() / 1_000_000);
    let mut next = 0;
    let seconds = median(50, || {
        next = (next + 1) % 64;
        black_box(nearest(&index, &file, &queries[next * 128..][..128]));
    });
    Measured { value: 1e3 * seconds, unit: "ms" }
}

/// Share of 1,000 such queries whose 10 nearest are those of the exact search, in its order.
pub fn search_recall() -> Measured {
    let (bank, queries) = (rows(1_281_167, 2), rows(1000, 1));
    let (file, index) = (file_of(&bank), index_of(&bank));
    let expected = top_k(&queries, &bank, 128, 10);
    let same = queries.chunks_exact(128).zip(expected.chunks_exact(10));
    let same = same.filter(|(query, expected)| nearest(&index, &file, query) == *expected);
    Measured { value: same.count() as f64 / 1000.0, unit: "share" }
}

fn nearest(index: &Index, file: &File, query: &[f32]) -> Vec<Neighbour> {
    let fetch = |row: u32, out: &mut [f32]| {
        let mut bytes = [0; 512];
        file.read_exact_at(&mut bytes, u64::from(row) * 512)?;
        let numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        out.iter_mut().zip(numbers).for_each(|(out, number)| *out = number);
        Ok::<(), std::io::Error>(())
    };
    index.top_k(query, 10, fetch).unwrap()
}

fn index_of(bank: &[f32]) -> Index {
    let mut index = Index::new(128);
    bank.chunks(1 << 20).for_each(|rows| index.extend(rows));
    index
}

fn file_of(bank: &[f32]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    for numbers in bank.chunks(1 << 20) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.write_all(&bytes).unwrap();
    }
    file
}

/// Random unit rows, (n·128).
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
