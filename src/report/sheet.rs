//! A contact sheet: each query image with its nearest neighbours beside it, as in the figures of the papers.

use image::{Rgb, RgbImage, imageops};

/// An image of the sheet: (side, side, 3) bytes, and whether it is of the query's class.
pub struct Cell<'a> {
    pub pixels: &'a [u8],
    pub alike: bool,
}

/// Pixels that one image takes, its frame, and the space between.
const TILE: u32 = 64;
const FRAME: u32 = 3;
const GAP: u32 = 5;
const ALIKE: Rgb<u8> = Rgb([0, 158, 115]);
const UNLIKE: Rgb<u8> = Rgb([213, 94, 0]);
const QUERY: Rgb<u8> = Rgb([0, 0, 0]);
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// One row a query, the query first and set apart. Frames tell neighbours of the query's class (bluish green) from others
/// (vermilion).
pub fn sheet(side: u32, rows: &[Vec<Cell>]) -> RgbImage {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let step = TILE + 2 * FRAME + GAP;
    let mut sheet =
        RgbImage::from_pixel(columns * step + 2 * GAP, rows.len() as u32 * step + GAP, PAPER);
    for (r, row) in (0..).zip(rows) {
        for (c, cell) in (0..).zip(row) {
            let Some(image) = RgbImage::from_raw(side, side, cell.pixels.to_vec()) else {
                continue;
            };
            let apart = if 0 < c { GAP } else { 0 };
            let (x, y) = (GAP + c * step + apart, GAP + r * step);
            let colour = match (c, cell.alike) {
                (0, _) => QUERY,
                (_, true) => ALIKE,
                (_, false) => UNLIKE,
            };
            let frame = RgbImage::from_pixel(TILE + 2 * FRAME, TILE + 2 * FRAME, colour);
            // Small images are shown by their pixels.
            let image = imageops::resize(&image, TILE, TILE, imageops::FilterType::Nearest);
            imageops::replace(&mut sheet, &frame, x.into(), y.into());
            imageops::replace(&mut sheet, &image, (x + FRAME).into(), (y + FRAME).into());
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_say_which_neighbours_are_alike() {
        let grey = vec![90u8; 2 * 2 * 3];
        let cell = |alike| Cell { pixels: &grey, alike };
        let sheet = sheet(2, &[vec![cell(true), cell(true), cell(false)]]);
        let step = TILE + 2 * FRAME + GAP;
        assert_eq!((sheet.width(), sheet.height()), (3 * step + 2 * GAP, step + GAP));
        let at = |c: u32| *sheet.get_pixel(GAP + c * step + if c > 0 { GAP } else { 0 }, GAP);
        assert_eq!([at(0), at(1), at(2)], [QUERY, ALIKE, UNLIKE]);
        assert_eq!(*sheet.get_pixel(GAP + FRAME + 1, GAP + FRAME + 1), Rgb([90, 90, 90]));
    }
}
