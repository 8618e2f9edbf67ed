//! Half blocks: the upper half of a cell is its foreground, the lower one its background.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::scaled;

const HALF: &str = "▀";

/// From nothing to all of a cell, for terminals that show no colours.
const SHADES: [&str; 10] = [" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"];

pub fn draw(pixels: &[u8], side: usize, area: Rect, buf: &mut Buffer) {
    if side == 0 || area.is_empty() {
        return;
    }
    let rows = scaled(pixels, side, area.width.into(), 2 * usize::from(area.height));
    let colour = |row: &[u8], x: usize| Color::Rgb(row[3 * x], row[3 * x + 1], row[3 * x + 2]);
    for (y, pair) in (area.top()..area.bottom()).zip(rows.chunks_exact(2)) {
        for (at, x) in (area.left()..area.right()).enumerate() {
            let style = Style::new().fg(colour(&pair[0], at)).bg(colour(&pair[1], at));
            buf[(x, y)].set_symbol(HALF).set_style(style);
        }
    }
}

/// Turns half blocks into characters as dense as they are bright, or as dark on a light ground.
pub fn shade(buffer: &mut Buffer, light_ground: bool) {
    for cell in buffer.content.iter_mut().filter(|cell| cell.symbol() == HALF) {
        let (Color::Rgb(r, g, b), Color::Rgb(r2, g2, b2)) = (cell.fg, cell.bg) else { continue };
        let both = |a: u8, b: u8| u32::from(a) + u32::from(b);
        // Rec. 709 luma, in thousandths of twice 255.
        let luma = 213 * both(r, r2) + 715 * both(g, g2) + 72 * both(b, b2);
        let level = (luma as usize * SHADES.len() / 510_001).min(SHADES.len() - 1);
        let level = if light_ground { SHADES.len() - 1 - level } else { level };
        cell.set_symbol(SHADES[level]).set_style(Style::reset());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_two_pixels_and_without_colour_their_brightness() {
        let (black, white) = ([0u8; 3], [255u8; 3]);
        let pixels = [black, white, black, white].concat();
        let mut buf = Buffer::empty(Rect::new(0, 0, 2, 1));
        draw(&pixels, 2, buf.area, &mut buf);
        assert_eq!(
            (buf[(0, 0)].fg, buf[(1, 0)].bg),
            (Color::Rgb(0, 0, 0), Color::Rgb(255, 255, 255))
        );
        let shaded = |light: bool| {
            let mut buf = buf.clone();
            shade(&mut buf, light);
            buf.content.iter().map(|cell| cell.symbol()).collect::<String>()
        };
        assert_eq!((shaded(false).as_str(), shaded(true).as_str()), (" @", "@ "));
    }
}
