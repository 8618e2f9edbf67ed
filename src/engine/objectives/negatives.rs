//! Which instances stand as noise: m a row, uniform over the data, with replacement (InstDisc §3.2, P_n = 1/n).

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::config::spec::OwnSlot;
use crate::random::{self, Purpose};

/// Draws negatives (B, m) i64 in 0..n for the instances `index` (B,) of step `step`.
///
/// The numbers are drawn on the CPU, one stream a row. `Resample` draws from the n − 1 others by drawing a rank among
/// them and stepping over the own slot, which is what repeated drawing would give; with one instance there are no
/// others, and its own slot is all there is.
pub fn draw(n: usize, m: usize, own_slot: OwnSlot, index: &Tensor, seed: u64, step: u64) -> Tensor {
    let b = index.size()[0];
    let step_over = own_slot == OwnSlot::Resample && 1 < n;
    let choices = if step_over { n - 1 } else { n } as u32;
    let mut drawn = vec![0i64; b as usize * m];
    drawn.par_chunks_mut(m.max(1)).enumerate().for_each(|(row, slots)| {
        let mut stream = random::stream(seed, Purpose::Negatives, step, row as u64);
        slots.fill_with(|| i64::from(stream.below(choices)));
    });
    let drawn = Tensor::from_slice(&drawn).view([b, m as i64]).to_device(index.device());
    if step_over {
        &drawn + drawn.ge_tensor(&index.unsqueeze(1)).to_kind(Kind::Int64)
    } else {
        drawn
    }
}

/// Own-slot hits per instance among `negatives` (B, m): a scalar that stays on the device. Expected m/n when kept.
pub fn own_slot_hits(negatives: &Tensor, index: &Tensor) -> Tensor {
    let hits = negatives.eq_tensor(&index.unsqueeze(1)).sum(Kind::Int64);
    hits.to_kind(Kind::Double) / index.size()[0] as f64
}

/// A scalar that says "not yet".
pub fn unknown(device: Device) -> Tensor {
    Tensor::full([0i64; 0], f64::NAN, (Kind::Double, device))
}
