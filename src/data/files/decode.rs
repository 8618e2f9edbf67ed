//! One image file into pixels: any size, any mode that JPEG and PNG have, to 8-bit RGB.
//!
//! Grey becomes three equal channels, transparency is dropped, 16 bits are scaled to 8, CMYK is converted: as PIL's
//! `convert("RGB")` does, but that PIL clips 16-bit grey. A file that ends too early is refused, where decoders would fill
//! the rest with grey.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::imageops::{self, FilterType};
use image::{ImageFormat, ImageReader, RgbImage};

/// A box in pixels; inside the image, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// The image in a file; why there is none, in words.
pub(crate) fn open(path: &Path) -> Result<RgbImage, String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    // By content: a PNG under the name of a JPEG is common and harmless.
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format();
    let reader = reader.map_err(|e| e.to_string())?;
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole_jpeg(&bytes) {
        return Err("it ends too early".to_owned());
    }
    let image = reader.decode().map_err(|e| e.to_string())?.into_rgb8();
    if image.width() == 0 || image.height() == 0 {
        return Err("it has no pixels".to_owned());
    }
    Ok(image)
}

/// Fills `slot`, (side, side, 3), with the centre: resized so that `side` is the share `kept` of the shorter side. An image
/// of which all is kept and that already has the size passes through untouched.
pub(crate) fn fit(image: &RgbImage, side: u32, kept: f64, slot: &mut [u8]) {
    let (width, height) = image.dimensions();
    let whole = ((f64::from(side) / kept).round() as u32).max(side);
    if (width, height) == (side, side) && whole == side {
        slot.copy_from_slice(image.as_raw());
        return;
    }
    let shorter = width.min(height);
    let scaled = |length: u32| {
        let exact = u64::from(length) * u64::from(whole);
        ((exact + u64::from(shorter) / 2) / u64::from(shorter)).max(u64::from(side)) as u32
    };
    let (width, height) = (scaled(width), scaled(height));
    let image = imageops::resize(image, width, height, FilterType::Triangle);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let cropped = imageops::crop_imm(&image, left, top, side, side).to_image();
    slot.copy_from_slice(cropped.as_raw());
}

/// Fills `slot`, (side, side, 3), with a region of the image, scaled in each direction as it takes.
pub(crate) fn cut(image: &RgbImage, region: Region, side: u32, slot: &mut [u8]) {
    let Region { left, top, width, height } = region;
    let cropped = imageops::crop_imm(image, left, top, width, height).to_image();
    let resized = imageops::resize(&cropped, side, side, FilterType::Triangle);
    slot.copy_from_slice(resized.as_raw());
}

/// Whether a JPEG goes on to its end-of-image marker. Markers are walked, because thumbnails bring markers of their own.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        match (first, marker) {
            (0xFF, 0xD9) => return true,
            // Fill bytes, and markers without a length.
            (0xFF, 0xFF) => at += 1,
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
            // Entropy-coded data after a scan's header.
            _ => at += 1,
        }
    }
    false
}
