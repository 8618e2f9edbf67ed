//! Images of every mode that JPEG and PNG have, and damaged ones; `assets/fixtures/data/generate.py` made them with PIL
//! and says what it reads back.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::decode::{Region, cut, fit, open};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/data")
}

#[test]
fn every_mode_becomes_the_rgb_that_pil_makes_of_it() {
    let text = fs::read(folder().join("modes.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        let image = open(&folder().join("modes").join(name)).unwrap();
        let numbers = |key: &str| -> Vec<i64> {
            expected[key].as_array().unwrap().iter().map(|x| x.as_i64().unwrap()).collect()
        };
        assert_eq!([image.width(), image.height()].map(i64::from)[..], numbers("size"), "{name}");
        let found = image.get_pixel(5, 3).0.map(i64::from);
        // JPEG decoders may differ by the rounding of their transforms.
        let tolerance = if name.ends_with(".jpg") { 2 } else { 0 };
        for (found, expected) in found.iter().zip(numbers("pixel")) {
            assert!((found - expected).abs() <= tolerance, "{name}: {found} for {expected}");
        }
    }
}

#[test]
fn a_file_that_ends_too_early_is_no_image_wherever_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["rgb.jpg", "progressive.jpg", "cmyk.jpg", "rgb.png", "deep_grey.png"] {
        let bytes = fs::read(folder().join("modes").join(name)).unwrap();
        let path = dir.path().join(name);
        // The last two bytes of a JPEG are its end; the last 12 of a PNG only say so.
        let end = if name.ends_with(".jpg") { 1 } else { 13 };
        for cut in [bytes.len() - end, bytes.len() * 3 / 4, bytes.len() / 2, 30, 3, 0] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(open(&path).is_err(), "{name}: {cut} of {} bytes", bytes.len());
        }
        // Whatever follows the end is harmless.
        fs::write(&path, [&bytes[..], b"trailing"].concat()).unwrap();
        assert!(open(&path).is_ok(), "{name}");
    }
}

#[test]
fn a_region_is_cut_out_before_it_is_scaled() {
    // Left half black, right half white.
    let image =
        image::RgbImage::from_fn(64, 32, |x, _| image::Rgb([if x < 32 { 0 } else { 255 }; 3]));
    let mut slot = [7; 8 * 8 * 3];
    cut(&image, Region { left: 32, top: 4, width: 30, height: 20 }, 8, &mut slot);
    assert!(slot.iter().all(|&value| value == 255));
    cut(&image, Region { left: 0, top: 0, width: 32, height: 32 }, 8, &mut slot);
    assert!(slot.iter().all(|&value| value == 0), "nothing of the other half leaks in");
    fit(&image, 8, 1.0, &mut slot);
    assert_eq!((slot[0], slot[7 * 3]), (0, 255), "the middle square has both");
}

#[test]
fn a_share_of_the_shorter_side_is_seen() {
    // A white frame of an eighth of the height, on all sides of the middle square.
    let frame = |at: u32, length: u32| at < 32 || length - 32 <= at;
    let image = image::RgbImage::from_fn(320, 256, |x, y| {
        let framed = frame(y, 256) || !(64..256).contains(&x);
        image::Rgb([if framed { 255 } else { 0 }; 3])
    });
    let mut slot = vec![7; 96 * 96 * 3];
    fit(&image, 96, 0.75, &mut slot);
    let inner = |slot: &[u8]| slot.chunks_exact(3).filter(|pixel| pixel[0] < 128).count();
    assert_eq!(inner(&slot), 96 * 96, "128 pixels high, and 96 of them are seen");
    fit(&image, 96, 1.0, &mut slot);
    assert_eq!(inner(&slot), 72 * 72, "three quarters of each side");
}
