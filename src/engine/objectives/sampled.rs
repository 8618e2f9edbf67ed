//! Products with sampled rows of the bank: the two passes of NCE, each by two routes that give the same numbers.
//!
//! `Product` multiplies with the whole bank and picks from (or scatters into) the (B, n) result; `Gather` fetches the
//! m rows of each instance. The first moves D·n + B·n numbers at matrix-product speed, the second B·m·D at the speed
//! of memory, so the first wins until n is a large multiple of m.

use tch::Tensor;

use super::graded::chunks;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Product,
    Gather,
}

impl Route {
    /// The cheaper route for `m` samples out of `n` rows.
    pub fn cheaper(n: usize, m: usize) -> Route {
        if n <= 64 * m { Route::Product } else { Route::Gather }
    }

    /// feats · bank[sample], row by row: `feats` (B, D), `bank` (n, D), `sample` (B, m) → (B, m).
    pub fn similarities(self, feats: &Tensor, bank: &Tensor, sample: &Tensor) -> Tensor {
        self.by_chunks(bank, sample, |start, rows| {
            let (feats, sample) = (feats.narrow(0, start, rows), sample.narrow(0, start, rows));
            match self {
                Route::Product => feats.matmul(&bank.tr()).gather(1, &sample, false), // (b, m)
                Route::Gather => {
                    gather(bank, &sample).matmul(&feats.unsqueeze(2)).squeeze_dim(2) // (b, m)
                }
            }
        })
    }

    /// Σ_k weights[k] · bank[sample[k]], row by row: `weights` and `sample` (B, m), `bank` (n, D) → (B, D).
    pub fn weighted_rows(self, weights: &Tensor, bank: &Tensor, sample: &Tensor) -> Tensor {
        self.by_chunks(bank, sample, |start, rows| {
            let (weights, sample) = (weights.narrow(0, start, rows), sample.narrow(0, start, rows));
            match self {
                Route::Product => {
                    let mut dense =
                        Tensor::zeros([rows, bank.size()[0]], (bank.kind(), bank.device()));
                    dense.scatter_add_(1, &sample, &weights).matmul(bank) // (b, D)
                }
                Route::Gather => {
                    weights.unsqueeze(1).matmul(&gather(bank, &sample)).squeeze_dim(1) // (b, D)
                }
            }
        })
    }

    fn by_chunks(self, bank: &Tensor, sample: &Tensor, f: impl Fn(i64, i64) -> Tensor) -> Tensor {
        let (b, m) = (sample.size()[0], sample.size()[1]);
        let (n, dim) = (bank.size()[0], bank.size()[1]);
        let width = if self == Route::Product { n } else { m * dim };
        let bytes = width * bank.kind().elt_size_in_bytes() as i64;
        let parts: Vec<Tensor> = chunks(b, bytes).map(|(start, rows)| f(start, rows)).collect();
        Tensor::cat(&parts, 0)
    }
}

/// (n, D), (b, m) → (b, m, D).
fn gather(bank: &Tensor, sample: &Tensor) -> Tensor {
    let size = [sample.size()[0], sample.size()[1], bank.size()[1]];
    bank.index_select(0, &sample.reshape([-1])).view(size)
}
