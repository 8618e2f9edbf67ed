//! Photographs on a terminal: by half blocks, which every terminal shows, or by the graphics of kitty, of
//! iTerm2 or by sixels.
//!
//! Owns the way from RGB bytes to cells and escape sequences. Knows nothing of runs, of data sets or of what an image
//! stands for; whoever draws says where.

mod blocks;
mod iterm;
mod kitty;
mod sixel;

use std::sync::Arc;

use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::Rect;

pub use blocks::shade;
pub use kitty::is_placeholder;

/// How a terminal shows photographs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Graphics {
    /// Two pixels a cell, by the characters that all have.
    #[default]
    Blocks,
    /// The graphics protocol of kitty, by placeholders.
    Kitty,
    /// The inline images of iTerm2.
    Iterm,
    /// Sixels; a cell has this many pixels across and down.
    Sixel { cell: (u16, u16) },
}

/// Columns and rows of one image on screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub width: u16,
    pub height: u16,
}

/// Sizes to choose from. Twice as wide as high: a cell is about twice as high as wide.
pub const TILES: [Tile; 6] = [tile(3), tile(4), tile(6), tile(8), tile(12), tile(16)];

const fn tile(height: u16) -> Tile {
    Tile { width: 2 * height, height }
}

/// A square RGB image, ready for a tile of one size.
#[derive(Clone, PartialEq)]
pub struct Picture {
    side: usize,
    /// (side, side, 3), row-major.
    pixels: Arc<[u8]>,
    /// What the terminal has to be told: before the first frame (kitty) or in the frame (iTerm2, sixel).
    escape: Option<Arc<str>>,
    /// By which the terminal knows it (kitty).
    id: u32,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({0}x{0}, id {1})", self.side, self.id)
    }
}

/// Pixels of a side that a picture keeps: more than a tile of half blocks shows, enough for sharp ones.
const KEPT: usize = 96;

impl Graphics {
    /// Whether images stay on screen until every cell is drawn again.
    pub fn is_painted(self) -> bool {
        matches!(self, Graphics::Iterm | Graphics::Sixel { .. })
    }
}

impl Picture {
    /// Prepares (side, side, 3) bytes for a tile. `id` tells the picture from all others; 24 bits of it count.
    ///
    /// # Panics
    /// When `pixels` are of another size.
    pub fn new(side: usize, pixels: &[u8], tile: Tile, graphics: Graphics, id: u32) -> Self {
        assert_eq!(pixels.len(), side * side * 3, "a square of RGB");
        let (side, pixels) = match side {
            0..=KEPT => (side, pixels.to_vec()),
            _ => (KEPT, scaled(pixels, side, KEPT, KEPT).concat()),
        };
        let escape = match graphics {
            Graphics::Blocks => None,
            Graphics::Kitty => Some(kitty::transmission(side, &pixels, tile, id)),
            Graphics::Iterm => Some(iterm::encode(side, &pixels, tile)),
            Graphics::Sixel { cell } => {
                let (width, height) = (tile.width * cell.0, tile.height * cell.1);
                let rows = scaled(&pixels, side, width.into(), height.into());
                Some(sixel::encode(usize::from(width), &rows))
            }
        };
        Self { side, pixels: pixels.into(), escape: escape.map(Into::into), id }
    }

    /// What is written to the terminal before the picture is first drawn.
    pub fn transmission(&self, graphics: Graphics) -> Option<&str> {
        self.escape.as_deref().filter(|_| graphics == Graphics::Kitty)
    }

    /// Draws it over `area`, which has the size of the tile that it was made for; cut off pictures are blocks.
    pub fn draw(&self, graphics: Graphics, tile: Tile, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        let whole = (area.width, area.height) == (tile.width, tile.height);
        match (graphics, &self.escape) {
            (Graphics::Kitty, Some(_)) if whole => kitty::draw(self.id, area, buf),
            (Graphics::Iterm | Graphics::Sixel { .. }, Some(escape)) if whole => {
                paint(escape, area, buf);
            }
            _ => blocks::draw(&self.pixels, self.side, area, buf),
        }
    }
}

/// What is painted where the cursor stands: the first cell says it all, the others are left to it.
fn paint(escape: &str, area: Rect, buf: &mut Buffer) {
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let cell = &mut buf[(x, y)];
            cell.reset();
            if (x, y) == (area.left(), area.top()) {
                cell.set_symbol(escape);
                cell.set_diff_option(CellDiffOption::ForcedWidth(std::num::NonZeroU16::MIN));
            } else {
                cell.set_diff_option(CellDiffOption::Skip);
            }
        }
    }
}

/// `(width × height)` pixels of a square image, each the mean of what lies under it; one `Vec` a row of RGB.
fn scaled(pixels: &[u8], side: usize, width: usize, height: usize) -> Vec<Vec<u8>> {
    let span = |at: usize, of: usize| {
        let from = at * side / of;
        from..((at + 1) * side).div_ceil(of).clamp(from + 1, side.max(from + 1))
    };
    let pixel = |x: usize, y: usize| -> [u8; 3] {
        let (rows, columns) = (span(y, height), span(x, width));
        let n = rows.len() * columns.len();
        let mut sums = [0usize; 3];
        for row in rows {
            for column in columns.clone() {
                let at = 3 * (row * side + column);
                for (sum, channel) in sums.iter_mut().zip(pixels.get(at..at + 3).unwrap_or(&[0; 3]))
                {
                    *sum += usize::from(*channel);
                }
            }
        }
        sums.map(|sum| (sum / n) as u8)
    };
    let row = |y: usize| (0..width).flat_map(|x| pixel(x, y)).collect();
    (0..height).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_averaged_going_down_and_repeated_going_up() {
        let four = [0, 0, 0, 100, 100, 100, 200, 200, 200, 100, 100, 100];
        assert_eq!(scaled(&four, 2, 1, 1), [vec![100, 100, 100]]);
        let up = scaled(&four, 2, 4, 2);
        assert_eq!(up[0], [0, 0, 0, 0, 0, 0, 100, 100, 100, 100, 100, 100]);
        // Sizes that do not divide cover every pixel.
        assert_eq!(scaled(&[9; 3 * 25], 5, 3, 2), vec![vec![9; 9]; 2]);
    }

    #[test]
    fn a_large_image_is_kept_small() {
        let picture = Picture::new(224, &vec![7; 224 * 224 * 3], TILES[0], Graphics::Blocks, 1);
        assert_eq!((picture.side, picture.pixels.len()), (KEPT, KEPT * KEPT * 3));
    }
}
