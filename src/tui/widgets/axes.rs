//! Axes of a chart: round ticks, a gutter just wide enough for their labels, and where the curves go.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::figures;
use crate::tui::theme;

use super::range::{Range, time_ticks};

/// Below this many rows a chart has no x axis.
const ROWS_FOR_X: u16 = 6;

/// The visible ranges of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axes<'a> {
    pub x: Range,
    pub y: Range,
    pub x_unit: &'a str,
    /// The x axis counts seconds.
    pub seconds: bool,
    /// Names of the places 0, 1, 2, … along the x axis, instead of numbers.
    pub names: &'a [String],
}

/// A tick's label at values `step` apart; 0 = decades.
fn label(value: f64, step: f64) -> String {
    if step > 0.0 { figures::tick(value, step) } else { figures::short_number(value) }
}

impl Axes<'_> {
    fn y_ticks(&self, rows: u16) -> (Vec<f64>, f64) {
        let (values, step) = self.y.ticks(usize::from(rows / 3).clamp(2, 8));
        let even = values.windows(2).map(|pair| pair[1] - pair[0]);
        // Ticks of a short logarithmic range may be evenly spaced after all.
        let step =
            if step == 0.0 && self.is_narrow() { even.fold(f64::INFINITY, f64::min) } else { step };
        (values, if step.is_finite() { step } else { 1.0 })
    }

    /// A logarithmic range of less than a decade.
    fn is_narrow(&self) -> bool {
        self.y.log && self.y.to < self.y.from * 3.0
    }

    /// The cells that curves are drawn in.
    pub fn canvas(&self, area: Rect) -> Rect {
        let below = if area.height >= ROWS_FOR_X { 2 } else { 0 };
        let height = area.height.saturating_sub(below);
        let (values, step) = self.y_ticks(height);
        let widest = values.iter().map(|&y| label(y, step).width()).max().unwrap_or(0);
        let gutter = (widest as u16 + 2).min(area.width);
        Rect { x: area.x + gutter, width: area.width - gutter, height, ..area }
    }

    /// Row of a value on the canvas; `None` outside.
    pub fn row(&self, value: f64, canvas: Rect) -> Option<u16> {
        let share = 1.0 - self.y.share(value);
        let inside = (0.0..=1.0).contains(&share) && !canvas.is_empty();
        inside.then(|| canvas.y + (share * f64::from(canvas.height * 4 - 1) / 4.0) as u16)
    }

    /// Column of a place on the canvas; `None` outside.
    pub fn column(&self, place: f64, canvas: Rect) -> Option<u16> {
        let share = self.x.share(place);
        let inside = (0.0..=1.0).contains(&share) && !canvas.is_empty();
        inside.then(|| canvas.x + (share * f64::from(canvas.width * 2 - 1) / 2.0) as u16)
    }

    /// Draws the axes around [`Axes::canvas`].
    pub fn draw(&self, area: Rect, buf: &mut Buffer) {
        let canvas = self.canvas(area);
        if canvas.is_empty() {
            return;
        }
        let axis = canvas.x - 1;
        for y in canvas.top()..canvas.bottom() {
            buf.set_string(axis, y, "│", theme::faint());
        }
        let (values, step) = self.y_ticks(canvas.height);
        for value in values {
            let Some(y) = self.row(value, canvas) else { continue };
            let label = label(value, step);
            let x = axis.saturating_sub(label.width() as u16 + 1);
            buf.set_string(x.max(area.x), y, label, theme::faint());
            buf.set_string(axis, y, "┤", theme::faint());
        }
        if area.height >= ROWS_FOR_X {
            self.draw_x(canvas, buf);
        }
    }

    fn draw_x(&self, canvas: Rect, buf: &mut Buffer) {
        let (line, labels) = (canvas.bottom(), canvas.bottom() + 1);
        buf.set_string(canvas.x - 1, line, "└", theme::faint());
        for x in canvas.left()..canvas.right() {
            buf.set_string(x, line, "─", theme::faint());
        }
        let unit_from = canvas.right().saturating_sub(self.x_unit.width() as u16);
        buf.set_stringn(unit_from, labels, self.x_unit, canvas.width.into(), theme::faint());
        let n = usize::from(canvas.width / 12).clamp(2, 10);
        let (values, step) = match self.seconds && !self.x.log {
            _ if !self.names.is_empty() => {
                ((0..self.names.len()).map(|at| at as f64).collect(), 1.0)
            }
            true => time_ticks((self.x.from, self.x.to), n),
            false => self.x.ticks(n),
        };
        let mut free = canvas.x.saturating_sub(1);
        for value in values {
            let Some(x) = self.column(value, canvas) else { continue };
            let name = self.names.get(value as usize);
            let label = match self.seconds {
                _ if name.is_some() => name.cloned().unwrap_or_default(),
                true => figures::tick_duration(value),
                false => label(value, step),
            };
            let from = x.saturating_sub(label.width() as u16 / 2).max(canvas.x);
            let to = from + label.width() as u16;
            if from >= free && to < unit_from {
                buf.set_string(from, labels, label, theme::faint());
                buf.set_string(x, line, "┴", theme::faint());
                free = to + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(axes: &Axes, width: u16, height: u16) -> Vec<String> {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        axes.draw(area, &mut buf);
        let rows = buf.content.chunks(width.into());
        rows.map(|row| row.iter().map(|c| c.symbol()).collect()).collect()
    }

    #[test]
    fn axes_frame_their_canvas() {
        let (x, y) = (Range::linear(0.0, 1000.0), Range::linear(0.0, 10.0));
        let axes = Axes { x, y, x_unit: "step", seconds: false, names: &[] };
        assert_eq!(axes.canvas(Rect::new(0, 0, 26, 8)), Rect::new(4, 0, 22, 6));
        assert_eq!(
            drawn(&axes, 26, 8),
            [
                "10 ┤                      ",
                "   │                      ",
                " 5 ┤                      ",
                "   │                      ",
                "   │                      ",
                " 0 ┤                      ",
                "   └┴─────────┴───────────",
                "    0        500      step",
            ]
        );
    }

    #[test]
    fn logarithms_and_times_have_their_own_ticks() {
        let (x, y) = (Range::linear(0.0, 600.0), Range { from: 0.1, to: 100.0, log: true });
        let axes = Axes { x, y, x_unit: "", seconds: true, names: &[] };
        let shown = drawn(&axes, 40, 14).join("\n");
        for text in ["100 ┤", "10 ┤", "0.1 ┤", "5m"] {
            assert!(shown.contains(text), "{text} in\n{shown}");
        }
    }
}
