//! Products with sampled rows of the bank: the two passes of NCE, each by two routes that give the same numbers.
//!
//! `Product` multiplies with the whole bank and picks from (or scatters into) the (B, n) result; `Gather` reads the m
//! rows of each instance where they lie. The first costs B·n·D multiplications at matrix-product speed, the second
//! B·m·D at the speed of scattered reads. A plain gather would first copy (B, m, D), 268 MB at m = 4096, and was four
//! times as slow.

use tch::{Kind, Tensor};

use super::graded::chunks;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Product,
    Gather,
}

impl Route {
    /// The cheaper route for `m` samples out of `n` rows. The two met at n/m ≈ 43 forward and 20 back (two x86 cores,
    /// B = 128, D = 128, n = 50,000).
    pub fn cheaper(n: usize, m: usize) -> Route {
        if n <= 32 * m { Route::Product } else { Route::Gather }
    }

    /// feats · bank[sample], row by row: `feats` (B, D), `bank` (n, D), `sample` (B, m) → (B, m).
    pub fn similarities(self, feats: &Tensor, bank: &Tensor, sample: &Tensor) -> Tensor {
        match self {
            Route::Product => by_chunks(bank, sample, |start, rows| {
                let sims = feats.narrow(0, start, rows).matmul(&bank.tr()); // (b, n)
                sims.gather(1, &sample.narrow(0, start, rows), false) // (b, m)
            }),
            Route::Gather => {
                // The weights of a weighted sum of rows have just these products as their gradient.
                let Bags { rows, offsets, bag_of_row } = bags(sample);
                let sims = Tensor::internal_embedding_bag_per_sample_weights_backward(
                    feats,
                    bank,
                    &rows,
                    &offsets,
                    &bag_of_row,
                    SUM,
                    NO_PADDING,
                );
                sims.view_as(sample) // (B, m)
            }
        }
    }

    /// Σ_k weights[k] · bank[sample[k]], row by row: `weights` and `sample` (B, m), `bank` (n, D) → (B, D).
    pub fn weighted_rows(self, weights: &Tensor, bank: &Tensor, sample: &Tensor) -> Tensor {
        match self {
            Route::Product => by_chunks(bank, sample, |start, rows| {
                let size = [rows, bank.size()[0]];
                let (sample, weights) =
                    (sample.narrow(0, start, rows), weights.narrow(0, start, rows));
                let dense = Tensor::zeros(size, (bank.kind(), bank.device()));
                dense.scatter_add(1, &sample, &weights).matmul(bank) // (b, D)
            }),
            Route::Gather => {
                let Bags { rows, offsets, .. } = bags(sample);
                let weights = Some(weights.reshape([-1]));
                let (sums, ..) =
                    Tensor::embedding_bag(bank, &rows, &offsets, false, SUM, false, weights, false);
                sums // (B, D)
            }
        }
    }
}

/// libtorch's code for a bag whose rows are summed.
const SUM: i64 = 0;
/// No row stands for "nothing".
const NO_PADDING: i64 = -1;

/// (B, m) sampled rows in the form that libtorch's embedding bags take.
struct Bags {
    /// (B·m,)
    rows: Tensor,
    /// Where each bag starts, (B,).
    offsets: Tensor,
    /// (B·m,)
    bag_of_row: Tensor,
}

fn bags(sample: &Tensor) -> Bags {
    let (b, m) = (sample.size()[0], sample.size()[1]);
    let bag = Tensor::arange(b, (Kind::Int64, sample.device()));
    // A bag of one comes out of `reshape` as a strided view, which the bags refuse.
    let bag_of_row = bag.unsqueeze(1).expand([b, m], false).reshape([-1]).contiguous();
    Bags { rows: sample.reshape([-1]).contiguous(), offsets: bag * m, bag_of_row }
}

/// Concatenates `f` over chunks of the batch whose (b, n) scratch is bounded.
fn by_chunks(bank: &Tensor, sample: &Tensor, f: impl Fn(i64, i64) -> Tensor) -> Tensor {
    let bytes = bank.size()[0] * bank.kind().elt_size_in_bytes() as i64;
    let parts: Vec<Tensor> =
        chunks(sample.size()[0], bytes).map(|(start, rows)| f(start, rows)).collect();
    Tensor::cat(&parts, 0)
}
