//! Several runs as one: their mean and sample standard deviation along the axis.

use crate::report::ablation::mean_and_std;

use super::{Series, Span, Window};

/// Mean ± standard deviation a dot column, where every run has a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Band {
    pub mean: Vec<Span>,
    /// (column, mean − std, mean + std).
    pub around: Vec<(usize, f64, f64)>,
}

/// The band of several curves over `n` columns. Each curve comes in with its own way along the axis.
///
/// A curve's value in a column is the mean of its points there, else it is interpolated between its neighbours; where a
/// curve has not begun or has ended there is no band, as a mean over fewer runs would jump.
pub fn band(curves: &[(&Series, Window)], n: usize) -> Band {
    let values: Vec<Vec<Option<f64>>> =
        curves.iter().map(|(series, window)| resampled(series, window, n)).collect();
    let mut band = Band::default();
    let mut joined = false;
    for column in 0..n {
        let here: Option<Vec<f64>> = values.iter().map(|values| values[column]).collect();
        let Some((Some(mean), std)) = here.map(|here| mean_and_std(&here)) else {
            joined = false;
            continue;
        };
        let std = std.unwrap_or(0.0);
        band.mean.push(Span::new(column, mean, joined));
        band.around.push((column, mean - std, mean + std));
        joined = true;
    }
    band
}

fn resampled(series: &Series, window: &Window, n: usize) -> Vec<Option<f64>> {
    let mut out = vec![None; n];
    let spans = series.means(window, n);
    for &(column, mean) in &spans {
        out[column] = Some(mean);
    }
    for pair in spans.windows(2) {
        let ((a, from), (b, to)) = (pair[0], pair[1]);
        for (at, value) in out[a..b].iter_mut().enumerate().skip(1) {
            let share = at as f64 / (b - a) as f64;
            *value = Some(from + (to - from) * share);
        }
    }
    out
}

impl Series {
    /// Mean of the finite points of each column that has any.
    fn means(&self, window: &Window, n: usize) -> Vec<(usize, f64)> {
        let mut means: Vec<(usize, f64)> = Vec::new();
        let mut count = 0.0;
        for at in self.visible(window) {
            let value = self.values[at];
            if !value.is_finite() || n == 0 {
                continue;
            }
            let share = window.range.share(self.place(at, window.along)).clamp(0.0, 1.0);
            let column = (share * (n - 1) as f64 + 0.5) as usize;
            match means.last_mut() {
                Some((last, mean)) if *last == column => {
                    count += 1.0;
                    *mean += (value - *mean) / count;
                }
                _ => {
                    means.push((column, value));
                    count = 1.0;
                }
            }
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::curves::{Along, Sample};
    use crate::tui::widgets::range::Range;

    #[test]
    fn a_band_stands_where_every_run_has_a_value() {
        let curve = |points: &[(u64, f64)]| {
            let mut series = Series::default();
            for &(step, value) in points {
                series.push(Sample { step, sec: 0.0, value });
            }
            series
        };
        let (a, b) = (curve(&[(0, 1.0), (4, 5.0)]), curve(&[(0, 3.0), (2, 5.0)]));
        let window = Window { along: Along::Steps { each: 1.0 }, range: Range::linear(0.0, 4.0) };
        let band = band(&[(&a, window), (&b, window)], 5);
        let std = 2f64.sqrt();
        assert_eq!(
            band.around,
            [(0, 2.0 - std, 2.0 + std), (1, 3.0 - std, 3.0 + std), (2, 4.0 - std, 4.0 + std)]
        );
        assert_eq!(
            band.mean.iter().map(|span| span.joined).collect::<Vec<_>>(),
            [false, true, true]
        );
    }
}
