//! Lines that curves are held against.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::figures;
use crate::tui::theme;

use super::axes::Axes;

/// A level worth knowing: chance, the paper's value, the way there where that was published.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    pub y: f64,
    pub name: String,
    /// (x, y) in the order of x, in place of one `y` for all; empty for a level.
    pub curve: Vec<(f64, f64)>,
}

/// What a level's line consists of.
const DASH: &str = "╌";

impl Level {
    pub fn new(y: f64, name: impl Into<String>) -> Self {
        Self { y, name: name.into(), curve: Vec::new() }
    }

    /// Its value at a place of the axis, straight between the points of a curve; `None` beyond them.
    fn at(&self, x: f64) -> Option<f64> {
        if self.curve.is_empty() {
            return Some(self.y);
        }
        self.curve.windows(2).find(|pair| (pair[0].0..=pair[1].0).contains(&x)).map(|pair| {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        })
    }

    /// Its value in a column of the canvas, where it has one.
    fn in_column(&self, x: u16, axes: &Axes, canvas: Rect) -> Option<f64> {
        let share = (f64::from(x - canvas.x) + 0.5) / f64::from(canvas.width);
        self.at(axes.x.at(share))
    }

    /// A dotted line, to be drawn before the curves.
    pub fn draw(&self, axes: &Axes, canvas: Rect, buf: &mut Buffer) {
        for x in canvas.left()..canvas.right() {
            let y = self.in_column(x, axes, canvas).and_then(|y| axes.row(y, canvas));
            if let Some(y) = y.filter(|&y| buf[(x, y)].symbol() == " ") {
                buf.set_string(x, y, DASH, theme::faint());
            }
        }
    }

    /// Its name on its line, to be drawn after them: as far to the right as they leave room, and nowhere where they leave
    /// none, as letters with dots between them are neither. One beyond the axes is named at the edge, with an arrow and
    /// its value.
    pub fn draw_name(&self, axes: &Axes, canvas: Rect, buf: &mut Buffer) {
        // A curve is named at its end, as far as that is seen.
        let columns = (canvas.left()..canvas.right()).rev();
        let end = columns.clone().find_map(|x| self.in_column(x, axes, canvas));
        let seen = columns.filter_map(|x| Some((x, self.in_column(x, axes, canvas)?)));
        let seen = seen.filter_map(|(x, y)| Some((x, axes.row(y, canvas)?))).next();
        let Some(end) = end else { return };
        // The last column stays free, for the newest point.
        let mut last = canvas.right().saturating_sub(1);
        let (y, name) = match seen {
            Some((x, y)) => {
                last = last.min(x + 2 + self.name.width() as u16);
                (y, self.name.clone())
            }
            None if axes.y.share(end) > 1.0 => {
                (canvas.top(), format!("{} {} ↑", self.name, figures::value(end)))
            }
            None => (canvas.bottom() - 1, format!("{} {} ↓", self.name, figures::value(end))),
        };
        let width = name.width() as u16;
        let mut free = 0;
        for x in (canvas.left()..last).rev() {
            free = if [" ", DASH].contains(&buf[(x, y)].symbol()) { free + 1 } else { 0 };
            if free == width {
                buf.set_string(x, y, name, theme::faint());
                return;
            }
        }
    }
}
