//! The commands that fit what is being typed behind `:`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::app::{App, Palette};
use crate::tui::theme;

use super::{framed, put};

/// Commands shown at once.
const ROWS: usize = 10;

/// A box at the foot of `area`, over the line in which one types.
pub fn draw(app: &App, palette: &Palette, area: Rect, buf: &mut Buffer) {
    let candidates = app.candidates(palette);
    if candidates.is_empty() {
        return;
    }
    let rows = candidates.len().min(ROWS).min(usize::from(area.height).saturating_sub(2));
    let height = rows as u16 + 2;
    let outer =
        Rect { y: area.bottom().saturating_sub(height), height, width: area.width.min(92), ..area };
    let inner = framed("commands", outer, buf);
    let from = (palette.chosen + 1).saturating_sub(rows);
    let widest = candidates.iter().map(|c| c.text.chars().count()).max().unwrap_or(0) as u16;
    for (line, (at, candidate)) in candidates.iter().enumerate().skip(from).take(rows).enumerate() {
        let y = inner.y + line as u16;
        let here = at == palette.chosen;
        let style = if here { theme::title(true) } else { theme::bold() };
        if here {
            put(buf, outer, inner.x - 1, y, ">", style);
        }
        let name = inner.x + 1;
        put(buf, inner, name, y, &candidate.text, style);
        let keys = name + widest.max(14) + 2;
        put(buf, inner, keys, y, &candidate.keys, theme::faint());
        put(buf, inner, keys + 12, y, &candidate.help, theme::faint());
    }
}
