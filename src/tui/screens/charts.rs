//! Curves of the shown runs, overlaid: fits the axes, collapses each curve once, hands spans to the plot.

use std::collections::HashMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::model::RunRow;
use crate::tui::app::{App, Shown};
use crate::tui::curves::{Series, Span};
use crate::tui::figures;
use crate::tui::theme;
use crate::tui::widgets::axes::Axes;
use crate::tui::widgets::plot::{Dash, Level, Line, Plot};
use ratatui::widgets::Widget;

/// Collapsed curves of the frames before: a curve that has not grown, in a window that has not moved, is not touched.
#[derive(Default)]
pub struct Cache {
    spans: HashMap<(String, String), Collapsed>,
    frame: u64,
}

struct Collapsed {
    points: usize,
    last_step: Option<u64>,
    window: (f64, f64),
    columns: usize,
    spans: Vec<Span>,
    frame: u64,
}

impl Cache {
    fn refresh(
        &mut self,
        run: &str,
        metric: &str,
        series: &Series,
        window: (f64, f64),
        columns: usize,
    ) {
        let frame = self.frame;
        let key = (run.to_owned(), metric.to_owned());
        let last_step = series.last_step();
        let fresh = self.spans.get_mut(&key).filter(|seen| {
            (seen.points, seen.last_step, seen.columns) == (series.len(), last_step, columns)
                && seen.window == window
        });
        if let Some(seen) = fresh {
            seen.frame = frame;
            return;
        }
        let spans = series.collapse(window, columns);
        self.spans.insert(
            key,
            Collapsed { points: series.len(), last_step, window, columns, spans, frame },
        );
    }

    fn get(&self, run: &str, metric: &str) -> &[Span] {
        let seen = self.spans.get(&(run.to_owned(), metric.to_owned()));
        seen.map_or(&[], |seen| &seen.spans)
    }
}

/// Draws both charts, or the one that has room.
pub fn draw(app: &App, areas: [Rect; 2], buf: &mut Buffer, cache: &mut Cache) {
    cache.frame += 1;
    let shown = app.shown();
    for (metric, area) in app.preview.iter().zip(areas) {
        if area.height >= 3 && area.width >= 16 {
            draw_chart(app, metric, &shown, area, buf, cache);
        }
    }
    let frame = cache.frame;
    cache.spans.retain(|_, seen| seen.frame == frame);
}

fn draw_chart(
    app: &App,
    metric: &str,
    shown: &[Shown],
    area: Rect,
    buf: &mut Buffer,
    cache: &mut Cache,
) {
    let drawn: Vec<(&Shown, &Series)> = shown
        .iter()
        .filter_map(|run| Some((run, app.series(&run.row.id, metric)?)))
        .filter(|(_, series)| !series.is_empty())
        .collect();
    let points = drawn.iter().map(|(_, series)| series.len()).sum::<usize>();
    let gaps = drawn.iter().map(|(_, series)| series.not_finite()).sum::<usize>();
    let counted = match points {
        0 => Vec::new(),
        _ => counts(points, gaps),
    };
    title(app, metric, &counted, area, buf);
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let Some(axes) = axes(app, &drawn) else {
        let text = if shown.is_empty() { "no run chosen" } else { "no points yet" };
        buf.set_stringn(
            area.x + 2,
            area.y + area.height / 2,
            text,
            area.width.into(),
            theme::faint(),
        );
        return;
    };
    let columns = usize::from(axes.canvas(area).width) * 2;
    for (run, series) in &drawn {
        let per_step = app.axis.per_step(run.row);
        let window = (axes.x.0 / per_step, axes.x.1 / per_step);
        cache.refresh(&run.row.id, metric, series, window, columns);
    }
    let several = drawn.len() > 1;
    let lines: Vec<Line> = drawn
        .iter()
        .map(|(run, _)| {
            let (ink, marker) = theme::series(run.slot);
            let dash = if several { Dash::ALL[run.slot % Dash::ALL.len()] } else { Dash::Solid };
            Line { spans: cache.get(&run.row.id, metric), ink, marker, dash }
        })
        .collect();
    let levels: Vec<Level> = chance(metric, &drawn).into_iter().collect();
    (&Plot { axes, levels: &levels, lines: &lines }).render(area, buf);
}

/// How many points are drawn of how many there are, from wordy to terse.
fn counts(points: usize, gaps: usize) -> Vec<String> {
    let n = figures::grouped(points);
    let (all, terse) = (format!("{n} of {n} points"), format!("{n} of {n}"));
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

fn title(app: &App, metric: &str, counted: &[String], area: Rect, buf: &mut Buffer) {
    let unit = app.rows.iter().find_map(|row| row.metrics.get(metric));
    let unit = unit.map_or("", |summary| summary.unit.as_str());
    let (x, y) =
        buf.set_stringn(area.x + 1, area.y, metric, area.width.into(), theme::title(false));
    let (x, _) =
        buf.set_stringn(x + 1, y, unit, area.right().saturating_sub(x + 1).into(), theme::faint());
    let room = usize::from(area.right().saturating_sub(x + 1));
    if let Some(text) = counted.iter().find(|text| text.len() <= room) {
        buf.set_string(area.right() - text.len() as u16, y, text, theme::faint());
    }
}

/// Axes around everything that is drawn; `None` where nothing finite is.
fn axes<'a>(app: &App, drawn: &[(&Shown, &Series)]) -> Option<Axes<'a>> {
    let mut x: Option<(f64, f64)> = None;
    let mut y: Option<(f64, f64)> = None;
    let wider = |range: Option<(f64, f64)>, (low, high): (f64, f64)| {
        Some(range.map_or((low, high), |(a, b)| (a.min(low), b.max(high))))
    };
    for (run, series) in drawn {
        let per_step = app.axis.per_step(run.row);
        if let Some((first, last)) = series.extent() {
            x = wider(x, (first * per_step, last * per_step));
        }
        if let Some(bounds) = series.bounds() {
            y = wider(y, bounds);
        }
    }
    let (x, y) = (x?, y?);
    // A curve that begins at step 20 of 8000 begins at the axis: nothing is to be seen in the sliver before it.
    Some(Axes::around((0.0f64.min(x.0), x.1), y, app.axis.unit()))
}

/// The k-NN accuracy of guessing, where the runs agree on the number of classes.
fn chance(metric: &str, drawn: &[(&Shown, &Series)]) -> Option<Level<'static>> {
    if !metric.starts_with("knn_top1") {
        return None;
    }
    let mut counts = drawn.iter().map(|(run, _)| n_classes(run.row));
    let first = counts.next()??;
    counts.all(|n| n == Some(first)).then(|| Level { y: 100.0 / first as f64, name: "chance" })
}

fn n_classes(row: &RunRow) -> Option<usize> {
    let data = row.spec.get("data")?;
    if let Some(classes) = data.get("classes").and_then(|classes| classes.as_array()) {
        return Some(classes.len().max(1));
    }
    matches!(data.get("dataset")?.as_str()?, "shapes" | "cifar10").then_some(10)
}
