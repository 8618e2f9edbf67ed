//! Which others of a batch count as negatives, row by row.

use tch::{Kind, Tensor};

use crate::config::spec::BatchNegatives;
use crate::engine::device::upload;
use crate::random::{self, Purpose};

/// Key of a step's draws.
#[derive(Clone, Copy)]
pub struct Key {
    pub seed: u64,
    pub step: u64,
}

/// How many of the candidates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Half,
    One,
}

/// The chosen among `candidates` (R, C) bool, of which every row has the same number, by similarity `sims` (R, C):
/// (R, C) bool. A half is rounded down, to one at least. Constant.
pub fn choose(
    which: BatchNegatives,
    share: Share,
    sims: &Tensor,
    candidates: &Tensor,
    n_candidates: i64,
    key: Key,
) -> Tensor {
    if which == BatchNegatives::All || n_candidates < 1 {
        return candidates.shallow_clone();
    }
    let n = match share {
        Share::Half => (n_candidates / 2).max(1),
        Share::One => 1,
    };
    let sims = sims.detach();
    let score = match which {
        BatchNegatives::Easiest => -sims,
        BatchNegatives::Random => scores(&sims, key),
        BatchNegatives::All | BatchNegatives::Hardest => sims,
    };
    let score = score.masked_fill(&candidates.logical_not(), f64::NEG_INFINITY);
    let (_, chosen) = score.topk(n, 1, true, false); // (R, n)
    let none = candidates.zeros_like();
    none.scatter_value(1, &chosen, 1)
}

/// Uniform numbers, like `sims`.
fn scores(sims: &Tensor, Key { seed, step }: Key) -> Tensor {
    let mut stream = random::stream(seed, Purpose::BatchNegatives, step, 0);
    let numbers: Vec<f32> = (0..sims.numel()).map(|_| stream.unit()).collect();
    upload(&numbers, sims.device()).view_as(sims)
}

/// (N, N) bool, true where row and column differ by a multiple of `period` (the same instance in another view); with
/// `period` = N the diagonal alone.
pub fn same_instance(n: i64, period: i64, device: tch::Device) -> Tensor {
    let i = Tensor::arange(n, (Kind::Int64, device)).remainder(period);
    i.unsqueeze(1).eq_tensor(&i.unsqueeze(0))
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn chosen(which: BatchNegatives, share: Share) -> Vec<Vec<bool>> {
        let sims = Tensor::from_slice2(&[[9.0f32, 0.1, 0.4, 0.2, 0.3], [0.5, 9.0, 0.1, 0.2, 0.3]]);
        let own = Tensor::eye(5, (Kind::Float, Device::Cpu)).narrow(0, 0, 2).to_kind(Kind::Bool);
        let chosen = choose(which, share, &sims, &own.logical_not(), 4, Key { seed: 1, step: 2 });
        Vec::try_from(chosen).unwrap()
    }

    #[test]
    fn hardest_and_easiest_are_ranked_without_the_own_column() {
        use BatchNegatives::{All, Easiest, Hardest, Random};
        let [t, f] = [true, false];
        assert_eq!(chosen(All, Share::Half), [[f, t, t, t, t], [t, f, t, t, t]]);
        assert_eq!(chosen(Hardest, Share::Half), [[f, f, t, f, t], [t, f, f, f, t]]);
        assert_eq!(chosen(Easiest, Share::Half), [[f, t, f, t, f], [f, f, t, t, f]]);
        assert_eq!(chosen(Hardest, Share::One), [[f, f, t, f, f], [t, f, f, f, f]]);
        for row in chosen(Random, Share::Half) {
            assert_eq!(row.iter().filter(|&&x| x).count(), 2);
        }
        assert!(!chosen(Random, Share::One)[0][0] && !chosen(Random, Share::One)[1][1]);
    }
}
