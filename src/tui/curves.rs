//! Curves in memory: what the store has told about a run's metric, ready to be drawn at any width.
//!
//! Every point is kept; nothing is sampled away. What a screen needs is one [`Span`] a dot column: the first, last,
//! smallest and largest value that fall into it, so that a spike of one point in 100,000 is still seen.

use crate::store::model::RunId;

/// Which curve.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CurveId {
    pub run: RunId,
    pub metric: String,
}

/// One run's metric by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Rising.
    steps: Vec<f64>,
    values: Vec<f64>,
    /// Smallest and largest finite value so far.
    bounds: Option<(f64, f64)>,
    not_finite: usize,
}

impl Series {
    /// Appends a point; one that does not come after the last is dropped, because it is told twice.
    pub fn push(&mut self, step: u64, value: f64) {
        let step = step as f64;
        if self.steps.last().is_some_and(|&last| step <= last) {
            return;
        }
        self.steps.push(step);
        self.values.push(value);
        if value.is_finite() {
            let (low, high) = self.bounds.unwrap_or((value, value));
            self.bounds = Some((low.min(value), high.max(value)));
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
        self.steps.last().map(|&step| step as u64)
    }

    /// Smallest and largest finite value.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        self.bounds
    }

    /// First and last step.
    pub fn extent(&self) -> Option<(f64, f64)> {
        Some((*self.steps.first()?, *self.steps.last()?))
    }

    /// Points that are NaN or infinite: gaps on screen.
    pub fn not_finite(&self) -> usize {
        self.not_finite
    }

    /// Points whose step lies in `window`, ends included.
    fn visible(&self, window: (f64, f64)) -> std::ops::Range<usize> {
        let from = self.steps.partition_point(|&step| step < window.0);
        let to = self.steps.partition_point(|&step| step <= window.1);
        from..to.max(from)
    }

    /// How many points lie in `window`.
    pub fn count(&self, window: (f64, f64)) -> usize {
        self.visible(window).len()
    }

    /// One span for each of `n` columns over `window`, in O(columns + visible points); empty columns are left out.
    pub fn collapse(&self, window: (f64, f64), n: usize) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::with_capacity(n.min(self.len()));
        if n == 0 {
            return spans;
        }
        let width = window.1 - window.0;
        let per_step = if width > 0.0 { (n - 1) as f64 / width } else { 0.0 };
        let column = |step: f64| ((step - window.0) * per_step + 0.5) as usize;
        let visible = self.visible(window);
        let (mut from, mut joined) = (visible.start, false);
        while from < visible.end {
            let at = column(self.steps[from]);
            let rest = &self.steps[from..visible.end];
            let to = from + rest.partition_point(|&step| column(step) <= at);
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
            series.push(step, value);
        }
        series
    }

    #[test]
    fn a_single_spike_survives_any_width() {
        let mut curve = Series::default();
        for step in 0..100_000 {
            curve.push(step, if step == 31_417 { 9.0 } else { 1.0 });
        }
        assert_eq!(curve.bounds(), Some((1.0, 9.0)));
        for n in [2, 37, 160, 600] {
            let spans = curve.collapse((0.0, 99_999.0), n);
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
        let joined: Vec<_> = curve.collapse((0.0, 4.0), 5).iter().map(|span| span.joined).collect();
        assert_eq!(joined, [false, false, false]);
    }

    #[test]
    fn a_window_shows_what_lies_in_it() {
        let curve = series(&[(10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)]);
        assert_eq!(curve.count((15.0, 30.0)), 2);
        assert_eq!(curve.count((41.0, 50.0)), 0);
        let spans = curve.collapse((20.0, 30.0), 3);
        assert_eq!(
            spans.iter().map(|s| (s.column, s.first)).collect::<Vec<_>>(),
            [(0, 2.0), (2, 3.0)]
        );
        assert!(spans[1].joined && !spans[0].joined);
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
