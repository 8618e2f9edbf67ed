//! The constant Z of NCE (InstDisc Eq. 8): Z ≈ (n/m) Σ_k exp(v_jk·f/τ), and three ways to hold on to it.
//!
//! Only negatives are counted, as the paper has it; the released code takes its one estimate from the first batch with
//! the positive among the m + 1. No gradient flows through Z. It stays on the device as a double, so that following it
//! costs no sync.

use tch::{Device, Kind, Tensor};

use super::negatives::unknown;
use super::{State, StateError};
use crate::config::spec::ZMode;

/// Share of the old value that the moving average keeps (He's advice for a bank that is no longer random noise).
const EMA_KEEP: f64 = 0.99;

/// How Z comes about, and what is known of it.
#[derive(Debug)]
pub enum Normaliser {
    /// Collecting the first `of` batches' estimates; each batch uses the mean of those so far, its own included.
    Pending { sum: Tensor, batches: u32, of: u32 },
    /// Frozen.
    Fixed(Tensor),
    /// Moving average of the batches' estimates; `None` before the first.
    Ema(Option<Tensor>),
    /// Summed over the bank at every step; holds the last value, for the log.
    Exact(Option<Tensor>),
}

impl Normaliser {
    pub fn new(mode: ZMode, z_batches: u32, device: Device) -> Normaliser {
        match mode {
            ZMode::Frozen => Normaliser::Pending {
                sum: Tensor::zeros([0i64; 0], (Kind::Double, device)),
                batches: 0,
                of: z_batches.max(1),
            },
            ZMode::Ema => Normaliser::Ema(None),
            ZMode::Exact => Normaliser::Exact(None),
        }
    }

    /// Z for this batch, a double scalar. `sampled` estimates it from the batch's negatives, `exact` from the bank;
    /// only what is needed is computed.
    pub fn observe(
        &mut self,
        sampled: impl FnOnce() -> Tensor,
        exact: impl FnOnce() -> Tensor,
    ) -> Tensor {
        match self {
            Normaliser::Fixed(z) => z.shallow_clone(),
            Normaliser::Pending { sum, batches, of } => {
                *sum = &*sum + sampled();
                *batches += 1;
                let z = &*sum / f64::from(*batches);
                if *of <= *batches {
                    *self = Normaliser::Fixed(z.shallow_clone());
                }
                z
            }
            Normaliser::Ema(held) => {
                let now = sampled();
                match held {
                    // In place, so that a recorded step goes on from what the one before it left.
                    Some(z) => z.copy_(&(&*z * EMA_KEEP + now * (1.0 - EMA_KEEP))),
                    None => *held = Some(now),
                }
                held.as_ref().map_or_else(|| unknown(Device::Cpu), Tensor::shallow_clone)
            }
            Normaliser::Exact(held) => {
                let now = exact();
                match held {
                    Some(z) => z.copy_(&now),
                    None => *held = Some(now.shallow_clone()),
                }
                now
            }
        }
    }

    /// Whether the next batch is treated as this one was.
    pub fn is_steady(&self) -> bool {
        matches!(self, Normaliser::Fixed(_) | Normaliser::Ema(Some(_)) | Normaliser::Exact(Some(_)))
    }

    /// The value in use; NaN before the first batch.
    pub fn z(&self, device: Device) -> Tensor {
        match self {
            Normaliser::Pending { batches: 0, .. } => unknown(device),
            Normaliser::Pending { sum, batches, .. } => sum / f64::from(*batches),
            Normaliser::Fixed(z) => z.shallow_clone(),
            Normaliser::Ema(held) | Normaliser::Exact(held) => {
                held.as_ref().map_or_else(|| unknown(device), Tensor::shallow_clone)
            }
        }
    }

    /// Writes what a resumed run must know into `state`.
    pub fn save(&self, state: &mut State) {
        let mut put = |name: &str, value: f64| {
            state.scalars.insert(name.to_string(), value);
        };
        match self {
            Normaliser::Pending { sum, batches, .. } => {
                put("z.pending_sum", sum.double_value(&[]));
                put("z.pending_batches", f64::from(*batches));
            }
            Normaliser::Fixed(z) => put("z.fixed", z.double_value(&[])),
            Normaliser::Ema(Some(z)) => put("z.ema", z.double_value(&[])),
            // Recomputed from the bank, or not begun.
            Normaliser::Ema(None) | Normaliser::Exact(_) => {}
        }
    }

    /// Reads back what [`Normaliser::save`] wrote.
    pub fn load(&mut self, state: &State, device: Device) -> Result<(), StateError> {
        let scalar = |value: f64| Tensor::full([0i64; 0], value, (Kind::Double, device));
        match self {
            Normaliser::Pending { sum, batches, .. } => {
                if let Ok(z) = state.scalar("z.fixed") {
                    *self = Normaliser::Fixed(scalar(z));
                } else {
                    *sum = scalar(state.scalar("z.pending_sum")?);
                    *batches = state.scalar("z.pending_batches")? as u32;
                }
            }
            // In place: a recorded step reads it where it lies.
            Normaliser::Fixed(z) => z.copy_(&scalar(state.scalar("z.fixed")?)),
            Normaliser::Ema(held) => {
                match (held.as_mut(), state.scalar("z.ema").ok().map(scalar)) {
                    (Some(z), Some(saved)) => z.copy_(&saved),
                    (_, saved) => *held = saved,
                }
            }
            Normaliser::Exact(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(normaliser: &mut Normaliser, sampled: f64, exact: f64) -> f64 {
        normaliser.observe(|| Tensor::from(sampled), || Tensor::from(exact)).double_value(&[])
    }

    fn reloaded(from: &Normaliser, mode: ZMode, of: u32) -> Normaliser {
        let mut state = State::default();
        from.save(&mut state);
        let mut to = Normaliser::new(mode, of, Device::Cpu);
        to.load(&state, Device::Cpu).unwrap();
        to
    }

    #[test]
    fn frozen_is_the_running_mean_of_the_first_batches_and_then_stays() {
        let mut z = Normaliser::new(ZMode::Frozen, 2, Device::Cpu);
        assert!(z.z(Device::Cpu).double_value(&[]).is_nan());
        let seen: Vec<f64> = [10.0, 14.0, 99.0].map(|x| see(&mut z, x, 0.0)).to_vec();
        assert_eq!(seen, [10.0, 12.0, 12.0]);
        assert_eq!(z.z(Device::Cpu).double_value(&[]), 12.0);
    }

    #[test]
    fn ema_keeps_99_parts_in_100_and_exact_keeps_nothing() {
        let mut z = Normaliser::new(ZMode::Ema, 1, Device::Cpu);
        assert_eq!(see(&mut z, 100.0, 0.0), 100.0);
        assert_eq!(see(&mut z, 200.0, 0.0), 101.0);
        let mut z = Normaliser::new(ZMode::Exact, 1, Device::Cpu);
        assert_eq!([see(&mut z, 0.0, 5.0), see(&mut z, 0.0, 6.0)], [5.0, 6.0]);
    }

    #[test]
    fn a_reload_at_any_point_changes_nothing() {
        for (mode, of) in [(ZMode::Frozen, 3), (ZMode::Ema, 1), (ZMode::Exact, 1)] {
            for stop in 0..5 {
                let batches = [1.1, 2.7, 0.3, 9.9, 5.1];
                let mut unbroken = Normaliser::new(mode, of, Device::Cpu);
                let mut broken = Normaliser::new(mode, of, Device::Cpu);
                for (i, x) in batches.into_iter().enumerate() {
                    if i == stop {
                        broken = reloaded(&broken, mode, of);
                    }
                    assert_eq!(see(&mut unbroken, x, x), see(&mut broken, x, x), "{mode:?} {stop}");
                }
            }
        }
    }

    #[test]
    fn what_a_recorded_step_reads_stays_where_it_lies() {
        for mode in [ZMode::Frozen, ZMode::Ema, ZMode::Exact] {
            let mut z = Normaliser::new(mode, 1, Device::Cpu);
            assert!(!z.is_steady());
            see(&mut z, 100.0, 100.0);
            assert!(z.is_steady());
            let (place, mut state) = (z.z(Device::Cpu).data_ptr(), State::default());
            z.save(&mut state);
            see(&mut z, 200.0, 300.0);
            z.load(&state, Device::Cpu).unwrap();
            // What is summed anew at every step is not saved.
            let expected = if mode == ZMode::Exact { 300.0 } else { 100.0 };
            assert_eq!(z.z(Device::Cpu).double_value(&[]), expected);
            assert_eq!(z.z(Device::Cpu).data_ptr(), place, "{mode:?}");
        }
    }

    #[test]
    fn a_state_without_z_is_refused() {
        let mut z = Normaliser::new(ZMode::Frozen, 1, Device::Cpu);
        let error = z.load(&State::default(), Device::Cpu).unwrap_err();
        assert_eq!(error.to_string(), "the checkpoint has no `z.pending_sum` for the objective");
    }
}
