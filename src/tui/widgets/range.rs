//! A stretch of an axis, linear or logarithmic, and its round ticks.

/// From the left or bottom end to the other; logarithmic ranges are positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    pub from: f64,
    pub to: f64,
    pub log: bool,
}

impl Range {
    pub const fn linear(from: f64, to: f64) -> Self {
        Self { from, to, log: false }
    }

    /// Where a value lies: 0 at `from`, 1 at `to`; below every range for what a logarithm does not have.
    pub fn share(&self, value: f64) -> f64 {
        if self.log {
            if value <= 0.0 {
                return f64::NEG_INFINITY;
            }
            return (value / self.from).ln() / (self.to / self.from).ln();
        }
        (value - self.from) / (self.to - self.from)
    }

    /// The value at a share: the inverse of [`Range::share`].
    pub fn at(&self, share: f64) -> f64 {
        if self.log {
            return self.from * (self.to / self.from).powf(share);
        }
        self.from + (self.to - self.from) * share
    }

    /// A range that holds everything given, never empty, with a little air on both sides. A logarithmic one leaves out
    /// what is not positive; `None` where nothing is left.
    pub fn around(low: f64, high: f64, least_positive: f64, log: bool) -> Option<Self> {
        if log {
            let low = if low > 0.0 { low } else { least_positive };
            let fits = low.is_finite() && low > 0.0 && high >= low;
            let air = (high / low).powf(0.04).max(1.02);
            return fits.then(|| Self { from: low / air, to: high * air, log });
        }
        let air = match high - low {
            span if span > 0.0 => span * 0.04,
            _ => (low.abs() * 0.05).max(0.5),
        };
        Some(Self::linear(low - air, high + air))
    }

    /// About `n` round values inside, and their distance where it is the same everywhere (0 for decades).
    pub fn ticks(&self, n: usize) -> (Vec<f64>, f64) {
        if self.log { (self.decades(n), 0.0) } else { ticks((self.from, self.to), n) }
    }

    /// Powers of ten; where those are few, 2 and 5 times them too.
    fn decades(&self, n: usize) -> Vec<f64> {
        let (first, last) = (self.from.log10().floor() as i32, self.to.log10().ceil() as i32);
        let inside = |x: &f64| (self.from..=self.to).contains(x);
        let at = |of: &[f64]| -> Vec<f64> {
            let tens = (first..=last).take(64);
            tens.flat_map(|power| of.iter().map(move |m| m * 10f64.powi(power)))
                .filter(inside)
                .collect()
        };
        let tens = at(&[1.0]);
        let more = at(&[1.0, 2.0, 5.0]);
        match tens.len() {
            0 | 1 if more.len() < 2 => ticks((self.from, self.to), n).0,
            0..=2 => more,
            many if many > n.max(1) => tens.into_iter().step_by(many.div_ceil(n.max(1))).collect(),
            _ => tens,
        }
    }
}

/// About `n` round values inside `range`, and their distance: 1, 2, 2.5 or 5 times a power of ten.
pub fn ticks(range: (f64, f64), n: usize) -> (Vec<f64>, f64) {
    let span = range.1 - range.0;
    if !span.is_finite() || span <= 0.0 || n == 0 {
        return (Vec::new(), 1.0);
    }
    let rough = span / n as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|&s| s >= rough * 0.99);
    multiples(range, step.unwrap_or(10.0 * power))
}

/// As [`ticks`], for seconds: seconds, minutes, hours and days that people count in.
pub fn time_ticks(range: (f64, f64), n: usize) -> (Vec<f64>, f64) {
    const STEPS: [f64; 22] = [
        1.0,
        2.0,
        5.0,
        10.0,
        15.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        900.0,
        1800.0,
        3600.0,
        7200.0,
        10_800.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        432_000.0,
        864_000.0,
        8_640_000.0,
    ];
    let rough = (range.1 - range.0) / n.max(1) as f64;
    match STEPS.into_iter().find(|&step| step >= rough * 0.99) {
        Some(step) if rough.is_finite() && rough > 0.5 => multiples(range, step),
        _ => ticks(range, n),
    }
}

fn multiples(range: (f64, f64), step: f64) -> (Vec<f64>, f64) {
    let first = (range.0 / step - 1e-9).ceil() as i64;
    let last = (range.1 / step + 1e-9).floor() as i64;
    ((first..=last).take(64).map(|i| i as f64 * step).collect(), step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 100.0), 5), (vec![0.0, 20.0, 40.0, 60.0, 80.0, 100.0], 20.0));
        assert_eq!(ticks((7.3, 8.9), 4).0, [7.5, 8.0, 8.5]);
        assert_eq!(ticks((-1.0, 1.0), 2).0, [-1.0, 0.0, 1.0]);
        assert_eq!(ticks((3.0, 3.0), 4).0, Vec::<f64>::new());
        assert_eq!(ticks((0.0, f64::INFINITY), 4).0, Vec::<f64>::new());
        assert_eq!(time_ticks((0.0, 430.0), 5).0, [0.0, 120.0, 240.0, 360.0]);
        assert_eq!(time_ticks((0.0, 0.0), 5).0, Vec::<f64>::new());
    }

    #[test]
    fn decades_and_what_lies_between() {
        let log = |from, to| Range { from, to, log: true };
        assert_eq!(log(0.5, 2000.0).ticks(5).0, [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(log(3.0, 60.0).ticks(5).0, [5.0, 10.0, 20.0, 50.0]);
        assert_eq!(log(7.2, 8.9).ticks(4).0, [7.5, 8.0, 8.5]);
        let range = log(1.0, 100.0);
        assert_eq!((range.share(10.0), range.share(-1.0)), (0.5, f64::NEG_INFINITY));
        assert!((range.at(range.share(42.0)) - 42.0).abs() < 1e-9);
    }

    #[test]
    fn a_logarithm_leaves_out_what_is_not_positive() {
        assert_eq!(Range::around(-1.0, -0.5, f64::INFINITY, true), None);
        let range = Range::around(0.0, 10.0, 0.1, true).unwrap();
        assert!(range.from > 0.0 && range.from < 0.1 && range.to > 10.0);
        let flat = Range::around(3.0, 3.0, 3.0, false).unwrap();
        assert!(flat.from < 3.0 && 3.0 < flat.to);
    }
}
