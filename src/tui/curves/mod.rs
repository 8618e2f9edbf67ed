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

/// Points whose smallest and largest value are kept, so that a frame need not look at each of them: that would be 77 MB
/// in twelve charts of eight runs of 100,000 points.
const BLOCK: usize = 32;

/// One run's metric by step. Sixteen bytes a point: twelve charts of eight runs of 100,000 points are 154 MB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Rising.
    steps: Vec<u32>,
    /// Not falling.
    secs: Vec<f32>,
    values: Vec<f64>,
    /// Smallest and largest of each [`BLOCK`] of values, the last one perhaps begun; of use while all are finite.
    blocks: Vec<(f64, f64)>,
    /// Smallest and largest finite value so far.
    bounds: Option<(f64, f64)>,
    not_finite: usize,
    pauses: Vec<Pause>,
}

/// What lies between two attempts at a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pause {
    /// The last step before it.
    pub after: u64,
    /// Seconds since the run's first start, less the active ones, from there on.
    pub idle: f64,
}

impl Series {
    /// What its run's later attempts add to the active time.
    pub fn set_pauses(&mut self, pauses: &[Pause]) {
        if self.pauses != pauses {
            self.pauses = pauses.to_vec();
        }
    }

    pub fn pauses(&self) -> &[Pause] {
        &self.pauses
    }

    /// Where the first point after each pause stands.
    pub fn resumptions(&self, along: Along) -> Vec<f64> {
        let first_after = |pause: &Pause| {
            let at = self.steps.partition_point(|&step| u64::from(step) <= pause.after);
            (0 < at && at < self.len()).then(|| self.place(at, along))
        };
        self.pauses.iter().filter_map(first_after).collect()
    }

    /// Appends a point; one that does not come after the last is dropped, because it is told twice.
    pub fn push(&mut self, sample: Sample) {
        let step = u32::try_from(sample.step).unwrap_or(u32::MAX);
        if self.steps.last().is_some_and(|&last| step <= last) {
            return;
        }
        let sec = self.secs.last().copied().unwrap_or(0.0).max(sample.sec as f32);
        self.steps.push(step);
        self.secs.push(sec);
        match self.blocks.last_mut().filter(|_| !self.values.len().is_multiple_of(BLOCK)) {
            Some((low, high)) => (*low, *high) = (low.min(sample.value), high.max(sample.value)),
            None => self.blocks.push((sample.value, sample.value)),
        }
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
            Along::Clock => {
                let step = u64::from(self.steps[at]);
                let idle = self.pauses.iter().rev().find(|pause| pause.after < step);
                f64::from(self.secs[at]) + idle.map_or(0.0, |pause| pause.idle)
            }
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
            Along::Clock => {
                let (mut from, mut to) = (0, self.len());
                while from < to {
                    let middle = from.midpoint(to);
                    match holds(self.place(middle, along)) {
                        true => from = middle + 1,
                        false => to = middle,
                    }
                }
                from
            }
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
                let (min, max) = self.bounds_of(from..to);
                let (first, last) = (self.values[from], self.values[to - 1]);
                spans.push(Span { column: at, first, last, min, max, joined });
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

    /// Smallest and largest of some values; there is one, and all of the curve are finite.
    fn bounds_of(&self, range: std::ops::Range<usize>) -> (f64, f64) {
        let (first, last) = (range.start.div_ceil(BLOCK), range.end / BLOCK);
        if last <= first {
            return bounds(&self.values[range]);
        }
        let before = bounds(&self.values[range.start..first * BLOCK]);
        let after = bounds(&self.values[last * BLOCK..range.end]);
        let wider = |a: (f64, f64), b: &(f64, f64)| (a.0.min(b.0), a.1.max(b.1));
        self.blocks[first..last].iter().fold(wider(before, &after), wider)
    }
}

/// Smallest and largest of finite values; of none, infinities the wrong way round.
fn bounds(values: &[f64]) -> (f64, f64) {
    let outermost = (f64::INFINITY, f64::NEG_INFINITY);
    values.iter().fold(outermost, |(low, high), &value| (low.min(value), high.max(value)))
}

/// What runs along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Along {
    /// Steps, `each` of which is this much of the axis: 1, or a run's epochs per step.
    Steps { each: f64 },
    /// Active seconds.
    Seconds,
    /// Seconds since the run's first start, pauses included.
    Clock,
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
    fn spans_hold_the_extremes_of_their_points_wherever_they_begin() {
        let value = |step: u64| ((step * 7919) % 1013) as f64 - 500.0;
        let curve = series(&(0..1000).map(|step| (step, value(step))).collect::<Vec<_>>());
        for (from, to) in [(0, 999), (1, 998), (31, 96), (32, 95), (33, 40), (500, 500), (7, 777)] {
            let spans = curve.collapse(&steps(from as f64, to as f64), 1);
            let seen: Vec<f64> = (from..=to).map(value).collect();
            let fold = |pick: fn(f64, f64) -> f64| seen.iter().copied().reduce(pick).unwrap();
            assert_eq!((spans[0].first, spans[0].last), (value(from), value(to)));
            assert_eq!(
                (spans[0].min, spans[0].max),
                (fold(f64::min), fold(f64::max)),
                "{from} to {to}"
            );
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
    fn the_clock_goes_on_while_a_run_is_paused() {
        // Two seconds a step; after step 3, at 6 s, an hour of nothing, and ten seconds more after step 5.
        let mut curve = series(&[(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0), (5, 1.0), (6, 1.0)]);
        curve.set_pauses(&[Pause { after: 3, idle: 3600.0 }, Pause { after: 5, idle: 3610.0 }]);
        let places: Vec<f64> = (0..6).map(|at| curve.place(at, Along::Clock)).collect();
        assert_eq!(places, [2.0, 4.0, 6.0, 3608.0, 3610.0, 3622.0]);
        assert_eq!(curve.before(100.0, Along::Clock), Some(2));
        assert_eq!(curve.resumptions(Along::Clock), [3608.0, 3622.0]);
        assert_eq!(curve.resumptions(Along::Steps { each: 1.0 }), [4.0, 6.0]);
        curve.set_pauses(&[Pause { after: 6, idle: 9.0 }, Pause { after: 0, idle: 9.0 }]);
        assert_eq!(curve.resumptions(Along::Seconds), Vec::<f64>::new(), "nothing on one side");
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
