//! Exponential smoothing as people know it from TensorBoard: s = w·s + (1 − w)·x, divided by 1 − wⁿ so that the first
//! points are not pulled towards zero. A point that is not finite is passed on as a gap and does not touch the average.

use super::{Sample, Series};

/// A smoothed curve that grows with its raw one.
#[derive(Clone, Debug)]
pub struct Smoothed {
    /// Weight of the past, in [0, 1).
    weight: f64,
    sum: f64,
    /// 1 − wⁿ after n finite points.
    share: f64,
    series: Series,
}

impl Smoothed {
    pub fn new(weight: f64) -> Self {
        Self { weight, sum: 0.0, share: 0.0, series: Series::default() }
    }

    pub fn weight(&self) -> f64 {
        self.weight
    }

    pub fn series(&self) -> &Series {
        &self.series
    }

    /// Takes in what `raw` has grown by since the last time; a curve that was begun anew is smoothed anew.
    pub fn follow(&mut self, raw: &Series) {
        if self.series.len() > raw.len()
            || self.series.sample(0).map(|s| s.step) != raw.sample(0).map(|s| s.step)
        {
            *self = Self::new(self.weight);
        }
        self.series.set_pauses(raw.pauses());
        for at in self.series.len()..raw.len() {
            let Some(sample) = raw.sample(at) else { break };
            let value = match sample.value {
                value if value.is_finite() => {
                    self.sum = self.weight * self.sum + (1.0 - self.weight) * value;
                    self.share = self.weight * self.share + (1.0 - self.weight);
                    self.sum / self.share
                }
                gap => gap,
            };
            self.series.push(Sample { value, ..sample });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_starts_at_the_first_value_and_follows_growth() {
        let mut raw = Series::default();
        let mut smoothed = Smoothed::new(0.5);
        for (step, value) in [(1, 4.0), (2, f64::NAN), (3, 8.0)] {
            raw.push(Sample { step, sec: 0.0, value });
            smoothed.follow(&raw);
        }
        let values: Vec<f64> =
            (0..3).map(|at| smoothed.series().sample(at).unwrap().value).collect();
        // (0.5·(0.5·4) + 0.5·8) / 0.75
        assert_eq!((values[0], values[2]), (4.0, 5.0 / 0.75));
        assert!(values[1].is_nan());
        smoothed.follow(&Series::default());
        assert!(smoothed.series().is_empty());
    }
}
