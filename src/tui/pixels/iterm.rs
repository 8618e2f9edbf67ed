//! iTerm2's inline images, <https://iterm2.com/documentation-images.html>: a PNG where the cursor stands, stretched to cells.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use super::Tile;

/// A square RGB image as one sequence.
pub fn encode(side: usize, pixels: &[u8], tile: Tile) -> String {
    let mut png = Vec::new();
    let n = side as u32;
    // Writing into memory fails only where the pixels are not as many as they should be, and then there is no image.
    let _ = PngEncoder::new(&mut png).write_image(pixels, n, n, ExtendedColorType::Rgb8);
    let mut out = String::with_capacity(png.len() * 4 / 3 + 100);
    let _ = write!(
        out,
        "\x1b]1337;File=inline=1;size={};width={};height={};preserveAspectRatio=0:{}\x07",
        png.len(),
        tile.width,
        tile.height,
        STANDARD.encode(&png)
    );
    out
}

#[cfg(test)]
mod tests {
    use super::super::TILES;
    use super::*;

    #[test]
    fn what_is_sent_is_the_image_and_says_its_size() {
        let pixels: Vec<u8> = (0..4 * 4 * 3).map(|i| 5 * i as u8).collect();
        let sent = encode(4, &pixels, TILES[2]);
        let (head, data) = sent.strip_suffix('\x07').unwrap().split_once(':').unwrap();
        let png = STANDARD.decode(data).unwrap();
        let size = png.len();
        assert_eq!(
            head,
            format!("\x1b]1337;File=inline=1;size={size};width=12;height=6;preserveAspectRatio=0")
        );
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8().into_raw(), pixels);
    }
}
