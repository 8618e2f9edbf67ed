//! Means with their standard deviations over the values of one factor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::theme::{self, THEME};

use super::axes::Axes;
use super::range::Range;

/// Mean ± std at a place of the x axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub place: usize,
    pub mean: f64,
    pub std: f64,
    /// Under the cursor.
    pub here: bool,
}

/// Lines of points over named places; a line is drawn full or faint.
#[derive(Clone, Debug)]
pub struct Slice<'a> {
    pub names: &'a [String],
    pub unit: String,
    pub lines: &'a [(Vec<Point>, bool)],
}

impl Slice<'_> {
    pub fn draw(&self, area: Rect, buf: &mut Buffer) {
        let points = || self.lines.iter().flat_map(|(points, _)| points);
        let low = points().map(|p| p.mean - p.std).fold(f64::INFINITY, f64::min);
        let high = points().map(|p| p.mean + p.std).fold(f64::NEG_INFINITY, f64::max);
        if area.height < 3 || area.width < 16 {
            return;
        }
        let Some(y) = Range::around(low, high, high, false).filter(|_| low <= high) else {
            let text = "no finished run yet";
            buf.set_stringn(
                area.x + 2,
                area.y + area.height / 2,
                text,
                area.width.into(),
                theme::faint(),
            );
            return;
        };
        let x = Range::linear(-0.5, self.names.len() as f64 - 0.5);
        let axes = Axes { x, y, x_unit: &self.unit, seconds: false, names: self.names };
        let canvas = axes.canvas(area);
        if canvas.is_empty() {
            return;
        }
        axes.draw(area, buf);
        for (points, full) in self.lines {
            let style = if *full { theme::fg(THEME.series[0]) } else { theme::faint() };
            for pair in points.windows(2) {
                join(&axes, canvas, pair[0], pair[1], buf);
            }
            for point in points {
                let Some(column) = axes.column(point.place as f64, canvas) else { continue };
                let row = |value: f64| axes.row(value, canvas);
                let (top, bottom) = (row(point.mean + point.std), row(point.mean - point.std));
                if let (Some(top), Some(bottom)) = (top, bottom)
                    && *full
                {
                    (top..=bottom).for_each(|y| {
                        buf.set_string(column, y, "│", style);
                    });
                    if bottom > top {
                        buf.set_string(column, top, "┬", style);
                        buf.set_string(column, bottom, "┴", style);
                    }
                }
                if let Some(y) = row(point.mean) {
                    let marker = if point.here { "◉" } else { "●" };
                    buf.set_string(column, y, marker, style);
                }
            }
        }
    }
}

/// A dotted way from one point to the next, so that what was measured stays apart from what was not.
fn join(axes: &Axes, canvas: Rect, from: Point, to: Point, buf: &mut Buffer) {
    let (Some(a), Some(b)) =
        (axes.column(from.place as f64, canvas), axes.column(to.place as f64, canvas))
    else {
        return;
    };
    for column in (a + 1..b).step_by(2) {
        let share = f64::from(column - a) / f64::from(b - a);
        if let Some(y) = axes.row(from.mean + (to.mean - from.mean) * share, canvas) {
            buf.set_string(column, y, "·", theme::faint());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_stand_over_their_values_with_their_deviation() {
        let point = |place, mean| Point { place, mean, std: 1.0, here: place == 1 };
        let names = ["1".to_owned(), "4096".to_owned()];
        let lines = [(vec![point(0, 60.0), point(1, 70.0)], true)];
        let area = Rect::new(0, 0, 30, 10);
        let mut buf = Buffer::empty(area);
        Slice { names: &names, unit: "m".into(), lines: &lines }.draw(area, &mut buf);
        let rows = buf.content.chunks(30);
        let rows: Vec<String> = rows.map(|row| row.iter().map(|c| c.symbol()).collect()).collect();
        let shown = rows.join("\n");
        assert!(shown.contains('◉') && shown.contains('●') && shown.contains('·'), "{shown}");
        assert!(
            rows[9].contains('1') && rows[9].contains("4096") && rows[9].ends_with('m'),
            "{shown}"
        );
        for (w, h) in [(0, 0), (1, 1), (16, 3), (20, 4)] {
            let area = Rect::new(0, 0, w, h);
            Slice { names: &names, unit: String::new(), lines: &lines }
                .draw(area, &mut Buffer::empty(area));
        }
    }
}
