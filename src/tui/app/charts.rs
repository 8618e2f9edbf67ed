//! The chart screen's own state: which metrics, which stretch of the axis, where the crosshair stands.

use std::collections::BTreeSet;

use crate::journal::event::Better;
use crate::store::model::RunRow;
use crate::tui::curves::{Along, Sample, Series, Window};
use crate::tui::keys::Action;
use crate::tui::screens::layout;
use crate::tui::widgets::range::Range;

use super::cursor::moved;
use super::line::Line;
use super::shown::Axis;
use super::{App, Layer, Purpose, Tab, Typed};

/// Weights of the past that smoothing steps through; 0 = the raw curve alone.
pub const SMOOTHING: [f64; 7] = [0.0, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99];

/// Metrics that are looked at first, in this order; the others follow by name.
const FIRST: [&str; 10] = [
    "loss",
    "knn_top1",
    "knn_top1_held_out",
    "knn_top1_selected",
    "knn_top1/pooled",
    "loss/instance",
    "loss/proximal",
    "loss/roughness",
    "knn_top1_bank",
    "images_per_second",
];

/// Share of the window that a key moves it by.
const PAN: f64 = 0.25;

/// The smallest share of a curve that can be zoomed into.
const CLOSEST: f64 = 1e-6;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Charts {
    pub axis: Axis,
    pub log_x: bool,
    /// Metrics with a logarithmic y axis.
    pub log_y: BTreeSet<String>,
    /// The stretch of the axis that is seen; `None` = all of it.
    pub window: Option<(f64, f64)>,
    /// Where the crosshair stands, on the axis; the same in every chart.
    pub cursor: Option<f64>,
    /// Index into [`SMOOTHING`].
    pub smoothing: usize,
    /// Seeds are drawn as mean ± standard deviation.
    pub band: bool,
    /// Chance, ln n and the paper's value are left out.
    pub bare: bool,
    /// The metric that keys mean, by its place among [`App::chart_metrics`].
    pub focus: usize,
    /// It fills the screen.
    pub full: bool,
    /// Only metrics whose names contain this.
    pub filter: String,
}

impl App {
    /// Metrics that the shown runs have and the filter lets through, the important ones first.
    pub fn chart_metrics(&self) -> Vec<String> {
        let shown = self.shown();
        let names = shown.iter().flat_map(|run| run.row.metrics.keys());
        let names: BTreeSet<&String> =
            names.filter(|name| name.contains(&self.charts.filter)).collect();
        let mut names: Vec<String> = names.into_iter().cloned().collect();
        names.sort_by_key(|name| {
            FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len())
        });
        names
    }

    /// The metric that keys mean.
    pub fn focused_metric(&self) -> Option<String> {
        let metrics = self.chart_metrics();
        let last = metrics.len().checked_sub(1)?;
        metrics.into_iter().nth(self.charts.focus.min(last))
    }

    /// Metrics of the charts on screen.
    pub fn page_of_charts(&self) -> Vec<String> {
        let metrics = self.chart_metrics();
        if self.charts.full {
            return self.focused_metric().into_iter().collect();
        }
        let per_page = layout::charts_per_page(self, metrics.len()).max(1);
        let focus = self.charts.focus.min(metrics.len().saturating_sub(1));
        metrics.into_iter().skip(focus / per_page * per_page).take(per_page).collect()
    }

    /// How curves are looked at here: the chart screen as its keys have it, other screens plainly.
    pub fn view(&self) -> &Charts {
        match self.tab {
            Tab::Charts => &self.charts,
            Tab::Ablations => &self.of_row,
            _ => &self.plain,
        }
    }

    /// Whether the crosshair is on this screen.
    pub fn has_crosshair(&self) -> bool {
        self.tab == Tab::Charts
    }

    /// A curve's value where the crosshair stands: that of the last point at or before it.
    pub fn at_crosshair(&self, row: &RunRow, metric: &str) -> Option<f64> {
        let place = self.charts.cursor.filter(|_| self.has_crosshair())?;
        let series = self.series(&row.id, metric)?;
        let at = series.before(place, self.charts.axis.along(row))?;
        series.sample(at).map(|sample| sample.value)
    }

    /// First and last place along the axis over every curve on screen.
    pub fn x_extent(&self) -> Option<(f64, f64)> {
        let mut extent: Option<(f64, f64)> = None;
        let metrics = self.metrics_on_screen();
        for run in self.shown() {
            for metric in &metrics {
                let series = self.series(&run.row.id, metric);
                let along = self.view().axis.along(run.row);
                if let Some((from, to)) = series.and_then(|series| series.extent(along)) {
                    let (low, high) = extent.unwrap_or((from, to));
                    extent = Some((low.min(from), high.max(to)));
                }
            }
        }
        extent
    }

    /// The stretch of the axis that is seen.
    pub fn x_range(&self) -> Option<Range> {
        let (first, last) = self.x_extent()?;
        let log = self.view().log_x && last > 0.0;
        // A curve that begins at step 20 of 8000 begins at the axis: nothing is to be seen in the sliver before it.
        let from = if log { first.max(last * 1e-9) } else { first.min(0.0) };
        let (from, to) = self.view().window.unwrap_or((from, last));
        let from = if log && from <= 0.0 { first.max(last * 1e-9) } else { from };
        let to = if to > from { to } else { from + from.abs().max(1.0) };
        Some(Range { from, to, log })
    }

    /// The same stretch for one run's curves.
    pub fn window_of(&self, row: &RunRow, range: Range) -> Window {
        Window { along: self.view().axis.along(row), range }
    }

    pub(super) fn act_in_charts(&mut self, action: Action) {
        let last = self.chart_metrics().len().saturating_sub(1);
        let page = layout::charts_per_page(self, last + 1).max(1);
        let focus = self.charts.focus.min(last);
        let charts = &mut self.charts;
        if let Some(to) = moved(action, focus, last, page) {
            charts.focus = to;
        }
        match action {
            Action::Open | Action::Zoom => charts.full = !charts.full,
            Action::Left => self.move_crosshair(-1.0),
            Action::Right => self.move_crosshair(1.0),
            Action::FarLeft => self.move_crosshair(-10.0),
            Action::FarRight => self.move_crosshair(10.0),
            Action::ZoomIn => self.zoom(0.5),
            Action::ZoomOut => self.zoom(2.0),
            Action::ZoomAll => charts.window = None,
            Action::PanLeft => self.pan(-PAN),
            Action::PanRight => self.pan(PAN),
            Action::Smoother => charts.smoothing = (charts.smoothing + 1).min(SMOOTHING.len() - 1),
            Action::Rougher => charts.smoothing = charts.smoothing.saturating_sub(1),
            Action::LogX => {
                charts.log_x = !charts.log_x;
                charts.window = None;
            }
            Action::LogY => {
                if let Some(metric) = self.focused_metric()
                    && !self.charts.log_y.remove(&metric)
                {
                    self.charts.log_y.insert(metric);
                }
            }
            Action::Axis => {
                charts.axis = charts.axis.next();
                (charts.window, charts.cursor) = (None, None);
            }
            Action::Band => charts.band = !charts.band,
            Action::References => charts.bare = !charts.bare,
            Action::Filter => {
                let line = Line::new(charts.filter.as_str());
                let purpose = Purpose::Metrics { before: charts.filter.clone() };
                self.layer = Layer::Typed(Typed { purpose, line });
            }
            Action::ToBest
            | Action::ToLowest
            | Action::ToHighest
            | Action::ToGap
            | Action::ToResume => {
                self.jump(action);
            }
            Action::Back => self.step_out_of_charts(),
            _ => {}
        }
    }

    fn step_out_of_charts(&mut self) {
        let charts = &mut self.charts;
        let was_looking = charts.cursor.take().is_some() || charts.window.take().is_some();
        if was_looking {
            return;
        }
        if charts.full {
            charts.full = false;
        } else if charts.filter.is_empty() {
            self.tab = if self.opened.is_some() { Tab::Ablations } else { Tab::Runs };
        } else {
            charts.filter.clear();
        }
    }

    /// By cells; the first key puts it at the right end of what is seen.
    fn move_crosshair(&mut self, cells: f64) {
        let Some(range) = self.x_range() else { return };
        let width = f64::from(layout::chart_width(self).max(8));
        let at = match self.charts.cursor {
            Some(place) => (range.share(place) + cells / width).clamp(0.0, 1.0),
            None if cells < 0.0 => 1.0,
            None => 0.0,
        };
        self.charts.cursor = Some(range.at(at));
    }

    /// All of the axis, and the shares of it between which the window lies.
    fn whole(&self) -> Option<(Range, f64, f64)> {
        let (range, (first, last)) = (self.x_range()?, self.x_extent()?);
        let from = if range.log { first.max(last * 1e-9) } else { first.min(0.0) };
        let whole = Range { from, to: last, ..range };
        Some((whole, whole.share(range.from).max(0.0), whole.share(range.to).min(1.0)))
    }

    /// Around the crosshair, else around the right end, where what is new is.
    fn zoom(&mut self, by: f64) {
        let Some((whole, from, to)) = self.whole() else { return };
        let width = (to - from) * by;
        if !width.is_finite() || width < CLOSEST {
            return;
        }
        let pivot = self.charts.cursor.map_or(to, |place| whole.share(place).clamp(from, to));
        let from = pivot - (pivot - from) * by;
        self.see(whole, from, width);
    }

    /// By a share of what is seen; stops at both ends.
    fn pan(&mut self, by: f64) {
        let Some((whole, from, to)) = self.whole() else { return };
        if self.charts.window.is_some() {
            self.see(whole, from + (to - from) * by, to - from);
        }
    }

    /// Looks at a stretch of the whole, pushed inside it.
    fn see(&mut self, whole: Range, from: f64, width: f64) {
        let from = from.clamp(0.0, (1.0 - width).max(0.0));
        let part = width < 1.0 - 1e-9;
        self.charts.window = part.then(|| (whole.at(from), whole.at(from + width)));
    }

    /// Puts the crosshair on a remarkable point of the chart that keys mean, over all of its curves.
    fn jump(&mut self, action: Action) {
        let Some(metric) = self.focused_metric() else { return };
        let mut found: Option<(f64, f64)> = None;
        for run in self.shown() {
            let Some(series) = self.series(&run.row.id, &metric) else { continue };
            let along = self.charts.axis.along(run.row);
            let lower = run.row.metrics.get(&metric).is_some_and(|m| m.better == Better::Lower);
            let lowest = match action {
                Action::ToLowest => true,
                Action::ToHighest => false,
                _ => lower,
            };
            if matches!(action, Action::ToGap | Action::ToResume) {
                let places = match action {
                    Action::ToGap => gaps(series, along),
                    _ => series.resumptions(along),
                };
                found = next_after(&places, self.charts.cursor)
                    .into_iter()
                    .chain(found.map(|(_, place)| place))
                    .reduce(f64::min)
                    .map(|p| (0.0, p));
            } else if let Some(at) = extreme(series, lowest)
                && let Some(Sample { value, .. }) = series.sample(at)
                && found.is_none_or(|(best, _)| if lowest { value < best } else { value > best })
            {
                found = Some((value, series.place(at, along)));
            }
        }
        match found {
            Some((_, place)) => {
                self.charts.cursor = Some(place);
                self.bring_into_sight(place);
            }
            None => self.say(false, format!("no curve of {metric} has such a point")),
        }
    }

    fn bring_into_sight(&mut self, place: f64) {
        if let Some((from, to)) = self.charts.window
            && !(from..=to).contains(&place)
        {
            let half = (to - from) / 2.0;
            self.charts.window = Some((place - half, place + half));
        }
    }
}

/// The first smallest or largest finite value.
fn extreme(series: &Series, lowest: bool) -> Option<usize> {
    let values = (0..series.len()).filter_map(|at| Some((at, series.sample(at)?.value)));
    let finite = values.filter(|(_, value)| value.is_finite());
    let better = |a: f64, b: f64| if lowest { a < b } else { a > b };
    let best = finite.reduce(|best, next| if better(next.1, best.1) { next } else { best });
    best.map(|(at, _)| at)
}

/// Places of points that are not finite.
fn gaps(series: &Series, along: Along) -> Vec<f64> {
    if series.not_finite() == 0 {
        return Vec::new();
    }
    let is_gap = |&at: &usize| series.sample(at).is_some_and(|s| !s.value.is_finite());
    (0..series.len()).filter(is_gap).map(|at| series.place(at, along)).collect()
}

/// The next of rising `places` after the crosshair, else the first.
fn next_after(places: &[f64], cursor: Option<f64>) -> Option<f64> {
    let after = |place: &&f64| cursor.is_none_or(|cursor| **place > cursor);
    places.iter().find(after).or(places.first()).copied()
}
