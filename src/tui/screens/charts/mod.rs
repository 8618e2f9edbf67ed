//! Curves of the shown runs, overlaid: fits the axes, collapses each curve once, hands spans to the plot.

mod cache;
mod levels;

pub use cache::Cache;
pub use levels::chance;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Widget;
use unicode_width::UnicodeWidthStr;

use crate::journal::metric;
use crate::store::model::RunRow;
use crate::tui::app::{App, Axis, SMOOTHING, Shown, groups};
use crate::tui::curves::{Band, Series, Window, band};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};
use crate::tui::widgets::axes::Axes;
use crate::tui::widgets::plot::{Dash, Line, Plot, Veil};
use crate::tui::widgets::range::Range;

/// Draws a metric into each area that has room for a chart.
pub fn draw(app: &App, places: &[(String, Rect)], buf: &mut Buffer, cache: &mut Cache) {
    cache.begin_frame();
    let shown = app.shown();
    let focused = app.focused_metric().filter(|_| app.has_crosshair() && places.len() > 1);
    let range = app.x_range();
    for (metric, area) in places {
        if area.height >= 3 && area.width >= 16 {
            let chart = Chart { app, metric, range, focused: focused.as_ref() == Some(metric) };
            chart.draw(&shown, *area, buf, cache);
        }
    }
    cache.end_frame();
}

struct Chart<'a> {
    app: &'a App,
    metric: &'a str,
    /// The stretch of the axis that every chart shows.
    range: Option<Range>,
    focused: bool,
}

/// A run with its curve and its way along the axis.
struct Drawn<'a> {
    run: &'a Shown<'a>,
    series: &'a Series,
    window: Window,
}

impl Chart<'_> {
    fn draw(&self, shown: &[Shown], area: Rect, buf: &mut Buffer, cache: &mut Cache) {
        let Chart { app, metric, range, .. } = *self;
        let with_points = shown.iter().filter_map(|run| {
            let series = app.series(&run.row.id, metric).filter(|series| !series.is_empty())?;
            Some((run, series))
        });
        let drawn: Vec<Drawn> = with_points
            .zip(std::iter::repeat(range))
            .filter_map(|((run, series), range)| {
                Some(Drawn { run, series, window: app.window_of(run.row, range?) })
            })
            .collect();
        let head = Rect { height: 1, ..area };
        let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let smooth = SMOOTHING[app.view().smoothing];
        // The gutter depends on the labels, hence on what is seen; the widest there is does for a first look.
        let columns = usize::from(area.width) * 2;
        for Drawn { run, series, window } in &drawn {
            cache.refresh(&run.row.id, metric, series, 0.0, *window, columns);
        }
        let rows: Vec<&RunRow> = drawn.iter().map(|drawn| drawn.run.row).collect();
        let Some(axes) = self.axes(&drawn, range, cache) else {
            self.title(&drawn, head, buf);
            let text = if shown.is_empty() { "no run chosen" } else { "no points yet" };
            let y = area.y + area.height / 2;
            buf.set_stringn(area.x + 2, y, text, area.width.into(), theme::faint());
            return;
        };
        let columns = usize::from(axes.canvas(area).width) * 2;
        for Drawn { run, series, window } in &drawn {
            cache.refresh(&run.row.id, metric, series, 0.0, *window, columns);
            if smooth > 0.0 {
                cache.smooth(&run.row.id, metric, series, smooth);
                cache.refresh(&run.row.id, metric, series, smooth, *window, columns);
            }
        }
        let several = drawn.len() > 1;
        let line = |drawn: &Drawn, smoothed: bool| {
            let (ink, marker) = theme::series(drawn.run.slot);
            let dash = if several { Dash::of(drawn.run.slot) } else { Dash::Solid };
            Line { spans: cache.spans(&drawn.run.row.id, metric, smoothed), ink, marker, dash }
        };
        let levels = if app.view().bare { Vec::new() } else { levels::levels(app, metric, &rows) };
        let crosshair = app.view().cursor.filter(|_| app.has_crosshair());
        let banded = app.view().band && several;
        let bands = if banded { self.bands(&drawn, cache, smooth, columns) } else { Vec::new() };
        let veils: Vec<Veil> = bands
            .iter()
            .map(|(slot, band)| Veil { around: &band.around, ink: theme::series(*slot).0 })
            .collect();
        let raw = |smoothed: bool| drawn.iter().map(move |drawn| (drawn, smoothed));
        let behind: Vec<Line> = match !banded && smooth > 0.0 {
            true => raw(false).map(|(drawn, smoothed)| line(drawn, smoothed)).collect(),
            false => Vec::new(),
        };
        let lines: Vec<Line> = match banded {
            true => bands
                .iter()
                .map(|(slot, band)| {
                    let (ink, marker) = theme::series(*slot);
                    Line { spans: &band.mean, ink, marker, dash: Dash::of(*slot) }
                })
                .collect(),
            false => raw(smooth > 0.0).map(|(drawn, smoothed)| line(drawn, smoothed)).collect(),
        };
        let resumed = drawn.iter().flat_map(|Drawn { run, series, window }| {
            let ink = theme::series(run.slot).0;
            series.resumptions(window.along).into_iter().map(move |place| (place, ink))
        });
        let plot = Plot {
            axes,
            resumed: &resumed.collect::<Vec<_>>(),
            levels: &levels,
            veils: &veils,
            behind: &behind,
            lines: &lines,
            crosshair,
        };
        (&plot).render(area, buf);
        self.title(&drawn, head, buf);
        self.place_at_crosshair(&plot.axes, area, buf);
    }

    /// Runs that differ in their seed alone, as one.
    fn bands(
        &self,
        drawn: &[Drawn],
        cache: &Cache,
        smooth: f64,
        columns: usize,
    ) -> Vec<(usize, Band)> {
        let rows: Vec<&RunRow> = drawn.iter().map(|drawn| drawn.run.row).collect();
        let groups = groups(&rows).into_iter().map(|members| {
            let curves: Vec<(&Series, Window)> = members
                .iter()
                .map(|&at| {
                    let Drawn { run, series, window } = &drawn[at];
                    let smoothed = cache.smoothed(&run.row.id, self.metric);
                    (smoothed.filter(|_| smooth > 0.0).unwrap_or(series), *window)
                })
                .collect();
            let slot = members.iter().map(|&at| drawn[at].run.slot).min().unwrap_or(0);
            (slot, band(&curves, columns))
        });
        groups.collect()
    }

    /// Axes around everything that is seen; `None` where nothing finite is.
    fn axes(&self, drawn: &[Drawn], range: Option<Range>, cache: &Cache) -> Option<Axes<'static>> {
        let log = self.app.view().log_y.contains(self.metric);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut positive = f64::INFINITY;
        for Drawn { run, .. } in drawn {
            for span in cache.spans(&run.row.id, self.metric, false) {
                (low, high) = (low.min(span.min), high.max(span.max));
                for x in [span.min, span.max].into_iter().filter(|&x| x > 0.0) {
                    positive = positive.min(x);
                }
            }
        }
        if low > high {
            return None;
        }
        // A metric without a positive value has no logarithm: it is drawn as it is.
        let y = Range::around(low, high, positive, log)
            .or(Range::around(low, high, positive, false))?;
        let axis = self.app.view().axis;
        Some(Axes { x: range?, y, x_unit: axis.unit(), seconds: axis.is_time(), names: &[] })
    }

    /// Name, unit and what was done to the axis; at the right how many points are drawn, or what stands at the crosshair.
    fn title(&self, drawn: &[Drawn], area: Rect, buf: &mut Buffer) {
        let known = self.app.rows.iter().find_map(|row| row.metrics.get(self.metric));
        let unit = known.map_or("", |summary| metric::written_unit(&summary.unit));
        let mut unit = unit.to_owned();
        if self.app.view().log_y.contains(self.metric) {
            unit.push_str(" log");
        }
        let smooth = SMOOTHING[self.app.view().smoothing];
        if smooth > 0.0 {
            unit.push_str(&format!(" ~{smooth}"));
        }
        let style = theme::title(self.focused);
        let marker = if self.focused { ">" } else { " " };
        let (x, y) = buf.set_stringn(area.x, area.y, marker, 1, style);
        let (x, _) = buf.set_stringn(x, y, self.metric, area.width.saturating_sub(1).into(), style);
        let left = usize::from(area.right().saturating_sub(x + 1));
        let (x, _) = buf.set_stringn(x + 1, y, unit.trim(), left, theme::faint());
        let room = usize::from(area.right().saturating_sub(x + 1));
        if self.app.view().cursor.is_some() && self.app.has_crosshair() {
            return self.values(drawn, Rect { x: x + 1, width: room as u16, ..area }, buf);
        }
        let points = drawn.iter().map(|drawn| drawn.series.len()).sum::<usize>();
        let seen = drawn.iter().map(|drawn| drawn.series.count(&drawn.window)).sum::<usize>();
        let gaps = drawn.iter().map(|drawn| drawn.series.not_finite()).sum::<usize>();
        let counted = if points == 0 { Vec::new() } else { counts(seen, points, gaps) };
        if let Some(text) = counted.iter().find(|text| text.len() <= room) {
            buf.set_string(area.right() - text.len() as u16, y, text, theme::faint());
        }
    }

    /// Every curve's value at the crosshair: of the last point at or before it.
    fn values(&self, drawn: &[Drawn], area: Rect, buf: &mut Buffer) {
        let Some(cursor) = self.app.view().cursor else { return };
        let mut by_slot: Vec<&Drawn> = drawn.iter().collect();
        by_slot.sort_by_key(|drawn| drawn.run.slot);
        let texts = by_slot.iter().map(|drawn| {
            let at = drawn.series.before(cursor, drawn.window.along);
            let value = at.and_then(|at| drawn.series.sample(at));
            let (ink, marker) = theme::series(drawn.run.slot);
            let text = value.map_or("–".into(), |sample| figures::value(sample.value));
            (marker, ink, text)
        });
        let mut texts: Vec<_> = texts.collect();
        let width = |texts: &[(&str, theme::Ink, String)]| {
            texts.iter().map(|(_, _, text)| text.width() + 3).sum::<usize>()
        };
        let hidden = texts.len();
        while width(&texts) > usize::from(area.width).saturating_sub(2) && !texts.is_empty() {
            texts.pop();
        }
        let hidden = hidden - texts.len();
        let more = if hidden > 0 { 2 } else { 0 };
        let mut x = area.right().saturating_sub(width(&texts) as u16 + more);
        for (marker, ink, text) in texts {
            (x, _) = buf.set_stringn(x + 1, area.y, marker, 2, theme::fg(ink));
            (x, _) = buf.set_stringn(x + 1, area.y, &text, text.width(), theme::bold());
        }
        if hidden > 0 && x + 1 < area.right() {
            buf.set_string(x + 1, area.y, "…", theme::faint());
        }
    }

    /// Where the crosshair stands, under the axis.
    fn place_at_crosshair(&self, axes: &Axes, area: Rect, buf: &mut Buffer) {
        let canvas = axes.canvas(area);
        let cursor = self.app.view().cursor.filter(|_| self.app.has_crosshair());
        let Some(place) = cursor else { return };
        let Some(x) = axes.column(place, canvas).filter(|_| canvas.bottom() < area.bottom()) else {
            return;
        };
        let text = match self.app.view().axis {
            Axis::Step => figures::grouped(place.round().max(0.0) as usize),
            Axis::Epoch => format!("{place:.2}"),
            Axis::Time | Axis::Clock => figures::duration(place),
        };
        let text = format!(" {text} ");
        let width = text.width() as u16;
        let from =
            x.saturating_sub(width / 2).max(canvas.x).min(canvas.right().saturating_sub(width));
        let unit = canvas.right().saturating_sub(axes.x_unit.width() as u16);
        if from + width >= unit {
            // Half a unit behind the place would read as part of it.
            let blank = " ".repeat(axes.x_unit.width());
            buf.set_stringn(
                unit.max(canvas.x),
                area.bottom() - 1,
                blank,
                canvas.width.into(),
                Style::reset(),
            );
        }
        let style = theme::fg(THEME.accent).add_modifier(Modifier::REVERSED);
        buf.set_stringn(from, area.bottom() - 1, text, canvas.width.into(), style);
    }
}

/// How many points are drawn of how many there are, from wordy to terse.
fn counts(seen: usize, points: usize, gaps: usize) -> Vec<String> {
    let (seen, n) = (figures::grouped(seen), figures::grouped(points));
    let (all, terse) = (format!("{seen} of {n} points"), format!("{seen} of {n}"));
    let not_finite = format!("{} not finite", figures::grouped(gaps));
    match gaps {
        0 => vec![all, terse],
        _ => vec![
            format!("{all}, {not_finite}"),
            format!("{terse}, {not_finite}"),
            not_finite,
            terse,
        ],
    }
}
