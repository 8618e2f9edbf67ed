//! Lines that curves are held against.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::tui::figures;
use crate::tui::theme;

use super::axes::Axes;

/// A level worth knowing: chance, the paper's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    pub y: f64,
    pub name: String,
}

/// What a level's line consists of.
const DASH: &str = "╌";

impl Level {
    /// A dotted line, to be drawn before the curves.
    pub fn draw(&self, axes: &Axes, canvas: Rect, buf: &mut Buffer) {
        let Some(y) = axes.row(self.y, canvas) else { return };
        for x in canvas.left()..canvas.right() {
            if buf[(x, y)].symbol() == " " {
                buf.set_string(x, y, DASH, theme::faint());
            }
        }
    }

    /// Its name on its line, to be drawn after them: as far to the right as they leave room, and nowhere where they leave
    /// none, as letters with dots between them are neither. One beyond the axes is named at the edge, with an arrow and
    /// its value.
    pub fn draw_name(&self, axes: &Axes, canvas: Rect, buf: &mut Buffer) {
        let (y, name) = match axes.row(self.y, canvas) {
            Some(y) => (y, self.name.clone()),
            None if axes.y.share(self.y) > 1.0 => {
                (canvas.top(), format!("{} {} ↑", self.name, figures::value(self.y)))
            }
            None => (canvas.bottom() - 1, format!("{} {} ↓", self.name, figures::value(self.y))),
        };
        let width = name.width() as u16;
        let mut free = 0;
        // The last column stays free, for the newest point.
        for x in (canvas.left()..canvas.right().saturating_sub(1)).rev() {
            free = if [" ", DASH].contains(&buf[(x, y)].symbol()) { free + 1 } else { 0 };
            if free == width {
                buf.set_string(x, y, name, theme::faint());
                return;
            }
        }
    }
}
