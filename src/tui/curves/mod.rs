//! Curves in memory: what the store has told about a run's metric, ready to be drawn at any width.
//!
//! Every point is kept; nothing is sampled away. What a screen needs is one [`Span`] a dot column: the first, last,
//! smallest and largest value that fall into it, so that a spike of one point in 100,000 is still seen.

mod band;
mod smooth;

pub use band::{Band, band};
pub use smooth::Smoothed;

use crate::store::model::RunId;

use super::widgets::range::Range;

/// Which curve.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CurveId {
    pub run: RunId,
    pub metric: String,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub step: u64,
    /// Active seconds.
    pub sec: f64,
    pub value: f64,
}

/// One run's metric by step. Sixteen bytes a point: twelve charts of eight runs of 100,000 points are 154 MB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Rising.
    steps: Vec<u32>,
    /// Not falling.
    secs: Vec<f32>,
    values: Vec<f64>,
    /// Smallest and largest finite value so far.
    bounds: Option<(f64, f64)>,
    not_finite: usize,
}

impl Series {
    /// Appends a point; one that does not come after the last is dropped, because it is told twice.
    pub fn push(&mut self, sample: Sample) {
        let step = u32::try_from(sample.step).unwrap_or(u32::MAX);
        if self.steps.last().is_some_and(|&last| step <= last) {
            return;
        }
        let sec = self.secs.last().copied().unwrap_or(0.0).max(sample.sec as f32);
        self.steps.push(step);
        self.secs.push(sec);
        self.values.push(sample.value);
        if sample.value.is_finite() {
            let (low, high) = self.bounds.unwrap_or((sample.value, sample.value));
            self.bounds = Some((low.min(sample.value), high.max(sample.value)));
        } else {
            self.not_finite += 1;
        }
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub fn last_step(&self) -> Option<u64> {
        self.steps.last().map(|&step| step.into())
    }

    /// Smallest and largest finite value.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        self.bounds
    }

    /// First and last place along an axis.
    pub fn extent(&self, along: Along) -> Option<(f64, f64)> {
        (!self.is_empty()).then(|| (self.place(0, along), self.place(self.len() - 1, along)))
    }

    /// Points that are NaN or infinite: gaps on screen.
    pub fn not_finite(&self) -> usize {
        self.not_finite
    }

    pub fn sample(&self, at: usize) -> Option<Sample> {
        let step = (*self.steps.get(at)?).into();
        Some(Sample { step, sec: self.secs[at].into(), value: self.values[at] })
    }

    /// Where a point stands along an axis.
    pub fn place(&self, at: usize, along: Along) -> f64 {
        match along {
            Along::Steps { each } => f64::from(self.steps[at]) * each,
            Along::Seconds => self.secs[at].into(),
        }
    }

    /// The last point at or before a place; `None` before the first.
    pub fn before(&self, place: f64, along: Along) -> Option<usize> {
        let n = self.partition(along, |x| x <= place);
        n.checked_sub(1)
    }

    fn partition(&self, along: Along, holds: impl Fn(f64) -> bool) -> usize {
        match along {
            Along::Steps { each } => self.steps.partition_point(|&s| holds(f64::from(s) * each)),
            Along::Seconds => self.secs.partition_point(|&sec| holds(sec.into())),
        }
    }

    /// Points inside `window`, ends included.
    fn visible(&self, window: &Window) -> std::ops::Range<usize> {
        let from = self.partition(window.along, |x| x < window.range.from);
        let to = self.partition(window.along, |x| x <= window.range.to);
        from..to.max(from)
    }

    /// How many points lie in `window`.
    pub fn count(&self, window: &Window) -> usize {
        self.visible(window).len()
    }

    /// One span for each of `n` columns over `window`, in O(columns + visible points); empty columns are left out.
    pub fn collapse(&self, window: &Window, n: usize) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::with_capacity(n.min(self.len()));
        if n == 0 {
            return spans;
        }
        let column =
            |place: f64| (window.range.share(place).max(0.0) * (n - 1) as f64 + 0.5) as usize;
        let visible = self.visible(window);
        let (mut from, mut joined) = (visible.start, false);
        while from < visible.end {
            let at = column(self.place(from, window.along));
            let to = self.partition(window.along, |x| column(x) <= at).clamp(from + 1, visible.end);
            if self.not_finite == 0 {
                spans.push(Span::of(at, &self.values[from..to], joined));
                joined = true;
            } else {
                // A gap within one column cannot be seen, but the line before it must not be joined to the one after.
                for &value in &self.values[from..to] {
                    match spans.last_mut() {
                        _ if !value.is_finite() => {}
                        Some(span) if span.column == at && joined => span.add(value),
                        _ => spans.push(Span::new(at, value, joined)),
                    }
                    joined = value.is_finite();
                }
            }
            from = to;
        }
        spans
    }
}

/// What runs along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Along {
    /// Steps, `each` of which is this much of the axis: 1, or a run's epochs per step.
    Steps {
        each: f64,
    },
    Seconds,
}

/// The visible part of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub along: Along,
    pub range: Range,
}

/// What falls into one dot column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub column: usize,
    pub first: f64,
    pub last: f64,
    pub min: f64,
    pub max: f64,
    /// A line leads here from the span before.
    pub joined: bool,
}

impl Span {
    fn new(column: usize, value: f64, joined: bool) -> Self {
        Self { column, first: value, last: value, min: value, max: value, joined }
    }

    /// All of a column at once; `values` is neither empty nor holds anything but finite numbers.
    fn of(column: usize, values: &[f64], joined: bool) -> Self {
        let (first, last) = (values[0], values[values.len() - 1]);
        // Eight lanes that the compiler turns into vector minima and maxima: this loop sees every point of a chart.
        let (mut low, mut high) = ([first; 8], [first; 8]);
        let eights = values.chunks_exact(8);
        let rest = eights.remainder();
        for eight in eights {
            for lane in 0..8 {
                low[lane] = if eight[lane] < low[lane] { eight[lane] } else { low[lane] };
                high[lane] = if eight[lane] > high[lane] { eight[lane] } else { high[lane] };
            }
        }
        let min = low.iter().chain(rest).copied().fold(first, f64::min);
        let max = high.iter().chain(rest).copied().fold(first, f64::max);
        Self { column, first, last, min, max, joined }
    }

    fn add(&mut self, value: f64) {
        self.last = value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(u64, f64)]) -> Series {
        let mut series = Series::default();
        for &(step, value) in points {
            series.push(Sample { step, sec: step as f64 * 2.0, value });
        }
        series
    }

    fn steps(from: f64, to: f64) -> Window {
        Window { along: Along::Steps { each: 1.0 }, range: Range::linear(from, to) }
    }

    #[test]
    fn a_single_spike_survives_any_width() {
        let mut curve = Series::default();
        for step in 0..100_000 {
            let value = if step == 31_417 { 9.0 } else { 1.0 };
            curve.push(Sample { step, sec: step as f64, value });
        }
        assert_eq!(curve.bounds(), Some((1.0, 9.0)));
        for n in [2, 37, 160, 600] {
            let spans = curve.collapse(&steps(0.0, 99_999.0), n);
            assert_eq!(spans.len(), n);
            assert_eq!(spans.iter().filter(|span| span.max == 9.0).count(), 1);
            assert!(spans.iter().all(|span| span.min == 1.0));
        }
    }

    #[test]
    fn not_finite_values_are_gaps_outside_the_bounds() {
        let curve = series(&[(0, 1.0), (1, f64::NAN), (2, 3.0), (3, f64::INFINITY), (4, 2.0)]);
        assert_eq!(curve.bounds(), Some((1.0, 3.0)));
        assert_eq!(curve.not_finite(), 2);
        let joined: Vec<_> =
            curve.collapse(&steps(0.0, 4.0), 5).iter().map(|span| span.joined).collect();
        assert_eq!(joined, [false, false, false]);
    }

    #[test]
    fn a_window_shows_what_lies_in_it() {
        let curve = series(&[(10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)]);
        assert_eq!(curve.count(&steps(15.0, 30.0)), 2);
        assert_eq!(curve.count(&steps(41.0, 50.0)), 0);
        let spans = curve.collapse(&steps(20.0, 30.0), 3);
        assert_eq!(
            spans.iter().map(|s| (s.column, s.first)).collect::<Vec<_>>(),
            [(0, 2.0), (2, 3.0)]
        );
        assert!(spans[1].joined && !spans[0].joined);
    }

    #[test]
    fn a_curve_can_run_along_epochs_seconds_or_decades() {
        let curve = series(&[(1, 1.0), (10, 2.0), (100, 3.0)]);
        let epochs = Along::Steps { each: 0.5 };
        assert_eq!(curve.extent(epochs), Some((0.5, 50.0)));
        assert_eq!(curve.extent(Along::Seconds), Some((2.0, 200.0)));
        assert_eq!(curve.before(5.0, epochs), Some(1));
        assert_eq!((curve.before(0.4, epochs), curve.before(1e9, epochs)), (None, Some(2)));
        let range = Range { from: 1.0, to: 100.0, log: true };
        let window = Window { along: Along::Steps { each: 1.0 }, range };
        let columns: Vec<_> = curve.collapse(&window, 21).iter().map(|span| span.column).collect();
        assert_eq!(columns, [0, 10, 20]);
    }

    #[test]
    fn points_told_twice_count_once() {
        let curve = series(&[(1, 1.0), (2, 2.0), (2, 5.0), (1, 7.0), (3, 3.0)]);
        assert_eq!(
            (curve.len(), curve.last_step(), curve.bounds()),
            (3, Some(3), Some((1.0, 3.0)))
        );
    }
}
