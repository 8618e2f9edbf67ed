//! kitty's graphics protocol, <https://sw.kovidgoyal.net/kitty/graphics-protocol/>: the image is sent once and then stands
//! wherever its placeholder characters stand, so that redrawing and scrolling cost what text costs.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::Tile;

/// Stands for a cell of an image; its colour is the image's number, its marks are the row and column.
const PLACEHOLDER: char = '\u{10EEEE}';

/// Marks that number rows and columns from 0: the head of kitty's `rowcolumn-diacritics.txt`, as many as the largest tile
/// has columns.
const MARKS: [char; 32] = [
    '\u{305}', '\u{30D}', '\u{30E}', '\u{310}', '\u{312}', '\u{33D}', '\u{33E}', '\u{33F}',
    '\u{346}', '\u{34A}', '\u{34B}', '\u{34C}', '\u{350}', '\u{351}', '\u{352}', '\u{357}',
    '\u{35B}', '\u{363}', '\u{364}', '\u{365}', '\u{366}', '\u{367}', '\u{368}', '\u{369}',
    '\u{36A}', '\u{36B}', '\u{36C}', '\u{36D}', '\u{36E}', '\u{36F}', '\u{483}', '\u{484}',
];

/// The longest piece of base64 that one sequence may carry.
const PIECE: usize = 4096;

/// The sequences that send an image with `id` and make it as large as `tile`; what it was before is forgotten.
pub fn transmission(side: usize, pixels: &[u8], tile: Tile, id: u32) -> String {
    let data = STANDARD.encode(pixels);
    let pieces = data.len().div_ceil(PIECE).max(1);
    let mut out = String::with_capacity(data.len() + 64 * pieces);
    for at in 0..pieces {
        let piece = &data[at * PIECE..data.len().min((at + 1) * PIECE)];
        let more = u8::from(at + 1 < pieces);
        let head = match at {
            // Sent and placed (T), without an answer (q=2), by placeholders (U=1), as RGB (f=24).
            0 => format!(
                "a=T,U=1,q=2,f=24,s={side},v={side},i={},c={},r={},",
                id & 0xff_ffff,
                tile.width,
                tile.height
            ),
            _ => String::new(),
        };
        // Writing into a string cannot fail.
        let _ = write!(out, "\x1b_G{head}m={more};{piece}\x1b\\");
    }
    out
}

pub fn draw(id: u32, area: Rect, buf: &mut Buffer) {
    let [_, r, g, b] = id.to_be_bytes();
    let mut symbol = String::new();
    for (y, row) in (area.top()..area.bottom()).zip(MARKS) {
        for (x, column) in (area.left()..area.right()).zip(MARKS) {
            symbol.clear();
            symbol.extend([PLACEHOLDER, row, column]);
            buf[(x, y)].set_symbol(&symbol).set_style(Style::reset().fg(Color::Rgb(r, g, b)));
        }
    }
}

/// Whether a cell is part of an image: its colour is a number and must not be repainted.
pub fn is_placeholder(symbol: &str) -> bool {
    symbol.starts_with(PLACEHOLDER)
}

#[cfg(test)]
mod tests {
    use super::super::{Graphics, Picture, TILES};
    use super::*;

    #[test]
    fn an_image_arrives_whole_in_pieces_of_the_size_that_is_allowed() {
        let pixels: Vec<u8> = (0..64 * 64 * 3).map(|i| (i % 251) as u8).collect();
        let sent = transmission(64, &pixels, TILES[2], 0x01_02_03);
        let mut data = String::new();
        let pieces: Vec<&str> = sent.split_terminator("\x1b\\").collect();
        for (at, piece) in pieces.iter().enumerate() {
            let (head, body) = piece.strip_prefix("\x1b_G").unwrap().split_once(';').unwrap();
            assert!(body.len() <= PIECE);
            assert_eq!(head.ends_with("m=0"), at + 1 == pieces.len(), "{head}");
            data.push_str(body);
        }
        assert_eq!(STANDARD.decode(data).unwrap(), pixels);
        assert!(sent.starts_with("\x1b_Ga=T,U=1,q=2,f=24,s=64,v=64,i=66051,c=12,r=6,m=1;"));
    }

    #[test]
    fn placeholders_number_their_cells_and_are_one_column_wide() {
        let picture = Picture::new(1, &[1, 2, 3], TILES[0], Graphics::Kitty, 0x0a_0b_0c);
        let mut buf = Buffer::empty(Rect::new(0, 0, 6, 3));
        picture.draw(Graphics::Kitty, TILES[0], buf.area, &mut buf);
        let cell = &buf[(2, 1)];
        assert_eq!(cell.symbol(), "\u{10EEEE}\u{30D}\u{30E}");
        assert_eq!(cell.fg, Color::Rgb(10, 11, 12));
        assert_eq!(unicode_width::UnicodeWidthStr::width(cell.symbol()), 1);
    }
}
