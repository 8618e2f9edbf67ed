//! NCE and InfoNCE in one pass over the sampled rows of the bank: plain slices in, loss and gradient out.
//!
//! Each sampled row is read once: its dot product with the feature gives the logit, the [`Rule`] turns the logit into
//! a weight, and the row, still in the first-level cache, is added to the gradient with that weight. The tensor forms
//! (`sampled`) write B·m·D gathered numbers, or two (B, n) matrices, to memory and read them back.
//!
//! The rows that an instance drew lie all over the bank, and fetching them from memory is the whole cost. So its draws
//! are first sorted into blocks of the bank that fit the second-level cache, and one thread's instances walk the blocks
//! together. The order of the sums is that of an instance's sorted draws, whatever the threads are, so the results are
//! the same bits for any number of threads (not for any processor: lanes differ).
//!
//! Must never know tensors, Z's history or how negatives are drawn.

mod lanes;
mod rules;

#[cfg(test)]
mod tests;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use lanes::{LANES, add, dots};
pub use rules::{InfoNce, Nce, Rule};

/// Bytes of the bank that one thread's instances visit together: a quarter of the second-level cache of the servers
/// this was measured on (2 MiB), and still half of it on older ones.
const BLOCK: usize = 512 << 10;

/// The rows that stand against each instance of a batch.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// Features f, (B·dim).
    pub feats: &'a [f32],
    /// Memory bank v, (n·dim).
    pub bank: &'a [f32],
    /// D, a multiple of [`Sample::GRAIN`].
    pub dim: usize,
    /// Own slots i, (B) in 0..n.
    pub own: &'a [u32],
    /// Negatives j, (B·m) in 0..n.
    pub negatives: &'a [u32],
}

impl<'a> Sample<'a> {
    /// Embeddings come in multiples of this.
    pub const GRAIN: usize = 16;

    /// Mean over the batch of the loss by `rule`, and its gradient with respect to the features, (B·dim).
    pub fn grade<R: Rule>(&self, rule: R, tau: f32) -> (f64, Vec<f32>) {
        self.grade_on(Arch::new(), rule, tau)
    }

    fn grade_on<R: Rule>(&self, arch: Arch, rule: R, tau: f32) -> (f64, Vec<f32>) {
        let (dim, m) = (self.checked(), self.m());
        let batch = self.own.len();
        let mut grads = vec![0f32; self.feats.len()];
        let mut losses = vec![0f64; batch];
        let size = self.group();
        let groups = grads.par_chunks_mut(size * dim).zip(losses.par_chunks_mut(size));
        groups.enumerate().for_each(|(g, (grads, losses))| {
            let first = g * size;
            let rows = first..first + losses.len();
            let group = Group {
                sample: Sample {
                    feats: &self.feats[first * dim..][..losses.len() * dim],
                    own: &self.own[rows.clone()],
                    negatives: &self.negatives[first * m..rows.end * m],
                    ..*self
                },
                rule,
                tau,
                scale: 1.0 / (tau * batch as f32),
                grads,
                losses,
            };
            arch.dispatch(group);
        });
        (losses.iter().sum::<f64>() / batch as f64, grads)
    }

    /// v_j · f for every negative, (B·m), in the order of the draws.
    pub fn similarities(&self) -> Vec<f32> {
        let (dim, m) = (self.checked(), self.m());
        let mut sims = vec![0f32; self.negatives.len()];
        let arch = Arch::new();
        let rows = sims.par_chunks_mut(m.max(1)).zip(self.negatives.par_chunks(m.max(1)));
        rows.zip(self.feats.par_chunks(dim)).for_each(|((sims, negatives), feat)| {
            arch.dispatch(Similarities { feat, bank: self.bank, negatives, sims });
        });
        sims
    }

    /// m
    fn m(&self) -> usize {
        self.negatives.len() / self.own.len().max(1)
    }

    /// Instances that a thread takes on.
    fn group(&self) -> usize {
        self.own.len().div_ceil(rayon::current_num_threads()).max(1)
    }

    fn checked(&self) -> usize {
        let (batch, dim) = (self.own.len(), self.dim);
        assert!(0 < dim && dim.is_multiple_of(Self::GRAIN), "found D = {dim}");
        assert!(self.feats.len() == batch * dim && self.bank.len().is_multiple_of(dim));
        assert!(self.negatives.len() == batch * self.m(), "as many negatives for each instance");
        dim
    }

    fn row(&self, row: u32) -> &'a [f32] {
        &self.bank[row as usize * self.dim..][..self.dim]
    }
}

/// One thread's instances.
struct Group<'a, R> {
    sample: Sample<'a>,
    rule: R,
    tau: f32,
    /// 1/(τB)
    scale: f32,
    grads: &'a mut [f32],
    losses: &'a mut [f64],
}

/// How far an instance has come.
struct Walk<T> {
    /// f/τ
    feat: Vec<f32>,
    /// v_i · f/τ
    own: f32,
    /// Draws that are done.
    done: usize,
    tally: T,
}

impl<R: Rule> WithSimd for Group<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Group { sample, rule, tau, scale, grads, losses } = self;
        let (dim, m) = (sample.dim, sample.m());
        let block = (BLOCK / (dim * size_of::<f32>())).max(1);
        let n_blocks = (sample.bank.len() / dim).div_ceil(block);
        let draws = by_block(sample.negatives, m, block, n_blocks);
        let mut walks: Vec<Walk<R::Tally>> = sample
            .feats
            .chunks_exact(dim)
            .zip(sample.own)
            .map(|(feat, &own)| {
                let feat: Vec<f32> = feat.iter().map(|x| x / tau).collect();
                let own = dots(simd, &feat, &[sample.row(own); LANES])[0];
                Walk { feat, own, done: 0, tally: rule.begin(own) }
            })
            .collect();
        for b in 0..n_blocks as u32 {
            for (i, walk) in walks.iter_mut().enumerate() {
                let (draws, grad) = (&draws[i * m..][..m], &mut grads[i * dim..][..dim]);
                // A full set of lanes may reach back into the block before.
                while let Some(set) = draws.get(walk.done..walk.done + LANES)
                    && set[LANES - 1] / block as u32 <= b
                {
                    let rows: [&[f32]; LANES] = std::array::from_fn(|lane| sample.row(set[lane]));
                    let mut weights = dots(simd, &walk.feat, &rows);
                    let earlier = rule.weigh(&mut walk.tally, &mut weights);
                    add(simd, grad, earlier, &weights, &rows);
                    walk.done += LANES;
                }
            }
        }
        for (i, walk) in walks.iter_mut().enumerate() {
            let (draws, grad) = (&draws[i * m..][..m], &mut grads[i * dim..][..dim]);
            let left = &draws[walk.done..];
            if let Some(&last) = left.last() {
                let row = |lane| sample.row(left.get(lane).copied().unwrap_or(last));
                let rows: [&[f32]; LANES] = std::array::from_fn(row);
                let mut weights = dots(simd, &walk.feat, &rows);
                // Lanes without a draw: as unlikely as can be.
                weights[left.len()..].fill(f32::NEG_INFINITY);
                let earlier = rule.weigh(&mut walk.tally, &mut weights);
                add(simd, grad, earlier, &weights, &rows);
            }
            let end = rule.finish(&walk.tally, walk.own);
            losses[i] = end.loss;
            let (push, pull) = (end.push * scale, end.pull * scale);
            for (g, v) in grad.iter_mut().zip(sample.row(sample.own[i])) {
                *g = *g * push - pull * v;
            }
        }
    }
}

/// Each instance's `m` draws sorted by the block of `rows` bank rows that they fall into; within a block as drawn.
fn by_block(draws: &[u32], m: usize, rows: usize, n_blocks: usize) -> Vec<u32> {
    let mut sorted = vec![0u32; draws.len()];
    let mut ends = vec![0u32; n_blocks];
    for (draws, sorted) in draws.chunks_exact(m.max(1)).zip(sorted.chunks_exact_mut(m.max(1))) {
        ends.fill(0);
        for &draw in draws {
            ends[draw as usize / rows] += 1;
        }
        let mut before = 0;
        for end in &mut ends {
            before += std::mem::replace(end, before);
        }
        for &draw in draws {
            let place = &mut ends[draw as usize / rows];
            sorted[*place as usize] = draw;
            *place += 1;
        }
    }
    sorted
}

/// One instance's similarities.
struct Similarities<'a> {
    feat: &'a [f32],
    bank: &'a [f32],
    negatives: &'a [u32],
    sims: &'a mut [f32],
}

impl WithSimd for Similarities<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let dim = self.feat.len();
        for (sims, set) in self.sims.chunks_mut(LANES).zip(self.negatives.chunks(LANES)) {
            let row = |lane: usize| {
                let row = set[lane.min(set.len() - 1)];
                &self.bank[row as usize * dim..][..dim]
            };
            let found = dots(simd, self.feat, &std::array::from_fn(row));
            sims.copy_from_slice(&found[..sims.len()]);
        }
    }
}
