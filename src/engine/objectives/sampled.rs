//! Products with sampled rows of the bank: the two passes of NCE by tensor operations, and the choice of a route.
//!
//! The tensor forms are the reference, and what other devices than the CPU use. `Product` multiplies with the whole bank and picks from (or scatters into) the (B, n) result; `Gather` fetches the
//! m rows of each instance. The first moves D·n + B·n numbers at matrix-product speed, the second B·m·D at the speed
//! of memory, so the first wins until n is a large multiple of m.

use tch::{Device, Kind, Tensor};

use super::graded::{Graded, chunks};
use super::negatives::numbers;
use super::onepass::{Rule, Sample};
use crate::engine::slices::floats;

/// How a loss over sampled rows is computed. Equal numbers by either, but for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// One pass over the sampled rows (`onepass`), on the CPU.
    OnePass,
    /// Two passes of tensor operations.
    Tensors(Form),
}

impl Route {
    /// The cheaper route for `m` samples out of `n` rows of `dim` numbers.
    ///
    /// The kernel does B·m rows of work and one matrix product B·n, but the product runs faster, so that the kernel wins
    /// from n = 2·m on. `cargo bench --bench ours -- nce_routes` holds that against the clock: on two cores with AVX-512 the
    /// rule takes the cheapest route for 15 of 16 pairs of n from 2,000 to 200,000 and m from 256 to 16,384, and loses
    /// 0.9 ms at n = 2,000, m = 256.
    pub fn cheaper(n: usize, m: usize, dim: usize, device: Device) -> Route {
        let fits = device == Device::Cpu && dim.is_multiple_of(Sample::GRAIN);
        // Without optimisation the kernel is hundreds of times slower, and libtorch is not.
        let fits = fits && !cfg!(debug_assertions);
        if fits && 2 * m < n { Route::OnePass } else { Route::Tensors(Form::cheaper(n, m)) }
    }
}

/// The batch and its negatives as the kernel reads them.
pub struct InMemory {
    feats: Tensor,
    bank: Tensor,
    own: Vec<u32>,
    negatives: Vec<u32>,
}

impl InMemory {
    /// `feats` (B, D), `bank` (n, D), fp32 on the CPU, for instances `own` (B) with `negatives` (B·m).
    pub fn new(feats: &Tensor, bank: &Tensor, own: Vec<u32>, negatives: Vec<u32>) -> InMemory {
        let (n, b) = (bank.size()[0] as u32, feats.size()[0] as usize);
        // Once here, so that a wrong number is a message and not a slice out of range on another thread.
        assert!(own.len() == b && own.iter().chain(&negatives).all(|&row| row < n), "foreign rows");
        InMemory { feats: feats.detach().contiguous(), bank: bank.contiguous(), own, negatives }
    }

    /// The same from tensors, `index` (B,) and `negatives` (B, m).
    pub fn of(feats: &Tensor, index: &Tensor, bank: &Tensor, negatives: &Tensor) -> InMemory {
        InMemory::new(feats, bank, numbers(index), numbers(negatives))
    }

    /// Loss and gradient by `rule` in the kernel.
    pub fn grade<R: Rule>(&self, rule: R, tau: f64) -> Graded {
        let (loss, grad) = self.sample().grade(rule, tau as f32);
        Graded {
            loss: Tensor::from(loss).to_kind(Kind::Float),
            grad: Tensor::from_slice(&grad).view_as(&self.feats),
        }
    }

    /// Similarities of the negatives, (B, m).
    pub fn similarities(&self) -> Tensor {
        let b = self.own.len() as i64;
        Tensor::from_slice(&self.sample().similarities()).view([b, -1])
    }

    fn sample(&self) -> Sample<'_> {
        Sample {
            feats: floats(&self.feats),
            bank: floats(&self.bank),
            dim: self.feats.size()[1] as usize,
            own: &self.own,
            negatives: &self.negatives,
        }
    }
}

/// A tensor form of the two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Product,
    Gather,
}

impl Form {
    /// The cheaper form for `m` samples out of `n` rows.
    pub fn cheaper(n: usize, m: usize) -> Form {
        if n <= 64 * m { Form::Product } else { Form::Gather }
    }

    /// `feats · bank[sample]`, row by row: `feats` (B, D), `bank` (n, D), `sample` (B, m) → (B, m).
    pub fn similarities(self, feats: &Tensor, bank: &Tensor, sample: &Tensor) -> Tensor {
        self.by_chunks(bank, sample, |start, rows| {
            let (feats, sample) = (feats.narrow(0, start, rows), sample.narrow(0, start, rows));
            match self {
                Form::Product => feats.matmul(&bank.tr()).gather(1, &sample, false), // (b, m)
                Form::Gather => {
                    gather(bank, &sample).matmul(&feats.unsqueeze(2)).squeeze_dim(2) // (b, m)
                }
            }
        })
    }

    /// `Σ_k weights[k] · bank[sample[k]]`, row by row: `weights` and `sample` (B, m), `bank` (n, D) → (B, D).
    pub fn weighted_rows(self, weights: &Tensor, bank: &Tensor, sample: &Tensor) -> Tensor {
        self.by_chunks(bank, sample, |start, rows| {
            let (weights, sample) = (weights.narrow(0, start, rows), sample.narrow(0, start, rows));
            match self {
                Form::Product => {
                    let mut dense =
                        Tensor::zeros([rows, bank.size()[0]], (bank.kind(), bank.device()));
                    dense.scatter_add_(1, &sample, &weights).matmul(bank) // (b, D)
                }
                Form::Gather => {
                    weights.unsqueeze(1).matmul(&gather(bank, &sample)).squeeze_dim(1) // (b, D)
                }
            }
        })
    }

    fn by_chunks(self, bank: &Tensor, sample: &Tensor, f: impl Fn(i64, i64) -> Tensor) -> Tensor {
        let (b, m) = (sample.size()[0], sample.size()[1]);
        let (n, dim) = (bank.size()[0], bank.size()[1]);
        let width = if self == Form::Product { n } else { m * dim };
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
