//! A list to choose from, over the screen that it changes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::app::Choose;
use crate::tui::theme;

use super::{framed, put};

pub fn draw(choose: &Choose, area: Rect, buf: &mut Buffer) {
    let widest = (0..choose.len()).map(|at| choose.line(at).1.chars().count()).max().unwrap_or(0);
    let width = (widest as u16 + 10).clamp(24, area.width);
    let height = (choose.len() as u16 + 2).clamp(3, area.height);
    // At the right edge: what it changes stays in sight.
    let outer = Rect { x: area.right() - width, y: area.y, width, height };
    let inner = framed(choose.title(), outer, buf);
    let rows = usize::from(inner.height);
    let from = (choose.cursor + 1).saturating_sub(rows);
    let below = choose.len().saturating_sub(from + rows);
    if below > 0 {
        put(
            buf,
            outer,
            outer.x + 2,
            inner.bottom(),
            &format!(" {below} more below "),
            theme::faint(),
        );
    }
    for (line, at) in (from..choose.len()).take(rows).enumerate() {
        let y = inner.y + line as u16;
        let (ticked, words) = choose.line(at);
        let here = at == choose.cursor;
        let style = match (here, ticked) {
            (true, _) => theme::title(true),
            (_, Some(false)) => theme::faint(),
            _ => theme::bold(),
        };
        put(buf, inner, inner.x, y, if here { ">" } else { " " }, style);
        let tick = match ticked {
            Some(true) => "[x] ",
            Some(false) => "[ ] ",
            None => "",
        };
        put(buf, inner, inner.x + 2, y, &format!("{tick}{words}"), style);
    }
}
