//! Which instances stand as noise: m a row, uniform over the data, with replacement (InstDisc §3.2, P_n = 1/n).

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::Batch;
use crate::config::spec::OwnSlot;
use crate::engine::device::upload;
use crate::random::{self, Purpose};

/// Draws negatives (B, m) i32 in 0..n for the instances `own` of step `step`, on `device`.
///
/// The numbers are drawn on the CPU, one stream a row. `Resample` draws from the n − 1 others by drawing a rank among
/// them and stepping over the own slot, which is what repeated drawing would give; with one instance there are no
/// others, and its own slot is all there is.
pub fn draw(
    n: usize,
    m: usize,
    own_slot: OwnSlot,
    own: &[u32],
    (seed, step): (u64, u64),
    device: Device,
) -> Tensor {
    let rows = draw_rows(n, m, own_slot, own, seed, step);
    // Row numbers are below 2³¹: a bank of that many would be a terabyte.
    let rows: Vec<i32> = rows.into_iter().map(u32::cast_signed).collect();
    upload(&rows, device).view([own.len() as i64, m as i64])
}

/// The negatives of a batch as (B, m) i64, drawn here where the step brought none. Reads back from the device then.
pub fn negatives_of(batch: &Batch, m: usize, own_slot: OwnSlot) -> Tensor {
    let drawn = match batch.noise {
        Some(drawn) => drawn.shallow_clone(),
        None => {
            let (own, n) = (numbers(batch.index), batch.bank.len());
            draw(n, m, own_slot, &own, (batch.seed, batch.step), batch.index.device())
        }
    };
    drawn.to_kind(Kind::Int64)
}

/// The same draws where they are used in memory, (B·m).
pub fn draw_rows(
    n: usize,
    m: usize,
    own_slot: OwnSlot,
    own: &[u32],
    seed: u64,
    step: u64,
) -> Vec<u32> {
    let mut rows = vec![0u32; own.len() * m];
    let choices = if steps_over(n, own_slot) { n - 1 } else { n } as u32;
    rows.par_chunks_mut(m.max(1)).enumerate().for_each(|(row, slots)| {
        let mut stream = random::stream(seed, Purpose::Negatives, step, row as u64);
        slots.fill_with(|| stream.below(choices));
    });
    if steps_over(n, own_slot) {
        for (rows, own) in rows.chunks_exact_mut(m.max(1)).zip(own) {
            rows.iter_mut().for_each(|row| *row += u32::from(*own <= *row));
        }
    }
    rows
}

fn steps_over(n: usize, own_slot: OwnSlot) -> bool {
    own_slot == OwnSlot::Resample && 1 < n
}

/// Own-slot hits per instance among `negatives` (B, m): a scalar that stays on the device. Expected m/n when kept.
pub fn own_slot_hits(negatives: &Tensor, index: &Tensor) -> Tensor {
    let hits = negatives.eq_tensor(&index.unsqueeze(1)).sum(Kind::Int64);
    hits.to_kind(Kind::Double) / index.size()[0] as f64
}

/// The same among `negatives` (B·m) of the instances `own`.
pub fn own_slot_hits_of(negatives: &[u32], own: &[u32]) -> Tensor {
    let m = negatives.len() / own.len().max(1);
    let of = |(draws, own): (&[u32], &u32)| draws.iter().filter(|draw| *draw == own).count();
    let hits: usize = negatives.chunks_exact(m.max(1)).zip(own).map(of).sum();
    Tensor::from(hits as f64 / own.len() as f64)
}

/// Row numbers of a tensor of them, any shape, in memory. Reads back from the device.
pub fn numbers(rows: &Tensor) -> Vec<u32> {
    let mut numbers = vec![0i64; rows.numel()];
    rows.copy_data(&mut numbers, rows.numel());
    numbers.into_iter().map(|row| row as u32).collect()
}

/// A scalar that says "not yet".
pub fn unknown(device: Device) -> Tensor {
    Tensor::full([0i64; 0], f64::NAN, (Kind::Double, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_cpu(n: usize, m: usize, own_slot: OwnSlot, own: &[u32], step: u64) -> Tensor {
        draw(n, m, own_slot, own, (11, step), Device::Cpu).to_kind(Kind::Int64)
    }

    fn drawn(n: usize, m: usize, own_slot: OwnSlot, own: &[u32], step: u64) -> Vec<Vec<i64>> {
        Vec::try_from(on_cpu(n, m, own_slot, own, step)).unwrap()
    }

    #[test]
    fn a_draw_is_a_function_of_seed_step_and_row() {
        let two = drawn(1000, 50, OwnSlot::Keep, &[7, 8], 3);
        assert_eq!(two, drawn(1000, 50, OwnSlot::Keep, &[7, 8], 3));
        assert_eq!(two[..1], drawn(1000, 50, OwnSlot::Keep, &[7], 3));
        assert_ne!(two, drawn(1000, 50, OwnSlot::Keep, &[7, 8], 4));
        assert_ne!(two[0], two[1]);
    }

    #[test]
    fn both_forms_of_a_draw_are_the_same_numbers() {
        let (own, index) = ([3u32, 0, 19], Tensor::from_slice(&[3i64, 0, 19]));
        for own_slot in [OwnSlot::Keep, OwnSlot::Resample] {
            let rows = draw_rows(20, 300, own_slot, &own, 11, 4);
            let tensor = on_cpu(20, 300, own_slot, &own, 4);
            assert_eq!(rows, numbers(&tensor));
            assert_eq!(own_slot_hits_of(&rows, &own), own_slot_hits(&tensor, &index));
        }
    }

    #[test]
    fn kept_own_slots_come_as_often_as_any_other_and_are_counted() {
        let (n, m) = (20, 4000);
        let rows = drawn(n, m, OwnSlot::Keep, &[3, 19], 0);
        for slot in 0..n as i64 {
            // Binomial(8000, 1/20): mean 400, standard deviation 19.5.
            let count = rows.iter().flatten().filter(|&&x| x == slot).count();
            assert!((320..480).contains(&count), "slot {slot} came {count} times");
        }
        let own: usize = rows
            .iter()
            .zip([3, 19])
            .map(|(row, own)| row.iter().filter(|&&x| x == own).count())
            .sum();
        let index = Tensor::from_slice(&[3i64, 19]);
        let hits = own_slot_hits(&on_cpu(n, m, OwnSlot::Keep, &[3, 19], 0), &index);
        assert_eq!(hits.double_value(&[]), own as f64 / 2.0);
    }

    #[test]
    fn resampled_draws_are_uniform_over_the_others() {
        let (n, m) = (20, 8000);
        for own in [0u32, 7, 19] {
            let row = &drawn(n, m, OwnSlot::Resample, &[own], 0)[0];
            for slot in 0..n as i64 {
                let count = row.iter().filter(|&&x| x == slot).count();
                let expected = if slot == i64::from(own) { 0..1 } else { 340..505 };
                assert!(expected.contains(&count), "slot {slot} came {count} times");
            }
        }
    }
}
