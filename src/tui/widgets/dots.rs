//! A canvas of braille dots, two by four to a cell.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Dots of one colour over some cells.
pub struct Dots {
    pub canvas: Rect,
    /// A braille pattern a cell, row by row.
    cells: Vec<u8>,
}

impl Dots {
    pub fn new(canvas: Rect) -> Self {
        Self { canvas, cells: vec![0; canvas.area() as usize] }
    }

    pub fn clear(&mut self) {
        self.cells.fill(0);
    }

    /// Dots across and down.
    pub fn size(&self) -> (usize, usize) {
        (usize::from(self.canvas.width) * 2, usize::from(self.canvas.height) * 4)
    }

    /// A dot outside the canvas is none.
    pub fn set(&mut self, column: usize, row: usize) {
        // Unicode numbers the dots 1-2-3-7 down the left and 4-5-6-8 down the right.
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let width = usize::from(self.canvas.width);
        if column < width * 2
            && let Some(cell) = self.cells.get_mut(row / 4 * width + column / 2)
        {
            *cell |= BITS[row % 4][column % 2];
        }
    }

    /// Cells with dots take them and the style; all others stay what they are.
    pub fn paint(&self, style: Style, buf: &mut Buffer) {
        let width = usize::from(self.canvas.width);
        for (i, &pattern) in self.cells.iter().enumerate() {
            if pattern == 0 {
                continue;
            }
            let (x, y) = (self.canvas.x + (i % width) as u16, self.canvas.y + (i / width) as u16);
            if let Some(symbol) = char::from_u32(0x2800 + u32::from(pattern)) {
                buf[(x, y)].set_char(symbol).set_style(Style::reset()).set_style(style);
            }
        }
    }
}
