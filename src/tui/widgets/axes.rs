//! Axes of a chart: round ticks, a gutter just wide enough for their labels, and where the curves go.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::figures;
use crate::tui::theme;

/// Below this many rows a chart has no x axis.
const ROWS_FOR_X: u16 = 6;

/// The visible ranges of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axes<'a> {
    pub x: (f64, f64),
    pub y: (f64, f64),
    pub x_unit: &'a str,
}

impl<'a> Axes<'a> {
    /// Ranges that hold everything given, never empty, with a little air above and below.
    pub fn around(x: (f64, f64), y: (f64, f64), x_unit: &'a str) -> Self {
        let air = match y.1 - y.0 {
            range if range > 0.0 => range * 0.04,
            _ => (y.0.abs() * 0.05).max(0.5),
        };
        let x = if x.1 > x.0 { x } else { (x.0, x.0 + 1.0) };
        Self { x, y: (y.0 - air, y.1 + air), x_unit }
    }

    fn y_ticks(&self, rows: u16) -> (Vec<f64>, f64) {
        ticks(self.y, usize::from(rows / 3).clamp(2, 8))
    }

    /// The cells that curves are drawn in.
    pub fn canvas(&self, area: Rect) -> Rect {
        let below = if area.height >= ROWS_FOR_X { 2 } else { 0 };
        let height = area.height.saturating_sub(below);
        let (values, step) = self.y_ticks(height);
        let widest = values.iter().map(|&y| figures::tick(y, step).len()).max().unwrap_or(0);
        let gutter = (widest as u16 + 2).min(area.width);
        Rect { x: area.x + gutter, width: area.width - gutter, height, ..area }
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
            let share = (self.y.1 - value) / (self.y.1 - self.y.0);
            let y = canvas.y + (share * f64::from(canvas.height * 4 - 1) / 4.0) as u16;
            let label = figures::tick(value, step);
            let x = axis - label.len() as u16 - 1;
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
        let unit_from = canvas.right().saturating_sub(self.x_unit.len() as u16);
        buf.set_stringn(unit_from, labels, self.x_unit, canvas.width.into(), theme::faint());
        let (values, step) = ticks(self.x, usize::from(canvas.width / 12).clamp(2, 10));
        let mut free = canvas.x.saturating_sub(1);
        for value in values {
            let share = (value - self.x.0) / (self.x.1 - self.x.0);
            let x = canvas.x + (share * f64::from(canvas.width * 2 - 1) / 2.0) as u16;
            let label = figures::tick(value, step);
            let from = x.saturating_sub(label.len() as u16 / 2).max(canvas.x);
            let to = from + label.len() as u16;
            if from >= free && to < unit_from {
                buf.set_string(from, labels, label, theme::faint());
                buf.set_string(x, line, "┴", theme::faint());
                free = to + 1;
            }
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
    let step = step.unwrap_or(10.0 * power);
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
    }

    #[test]
    fn axes_frame_their_canvas() {
        let axes = Axes { x: (0.0, 1000.0), y: (0.0, 10.0), x_unit: "step" };
        let area = Rect::new(0, 0, 26, 8);
        let mut buf = Buffer::empty(area);
        axes.draw(area, &mut buf);
        assert_eq!(axes.canvas(area), Rect::new(4, 0, 22, 6));
        let shown: Vec<String> =
            buf.content.chunks(26).map(|row| row.iter().map(|c| c.symbol()).collect()).collect();
        assert_eq!(
            shown,
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
}
