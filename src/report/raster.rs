//! A figure as PNG: its SVG drawn with a font of its own, so that it looks the same on every machine.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::figure::FigureError;

/// Latin, Greek and Cyrillic letters and the signs of mathematics; other letters are boxes. `assets/font/README.md` says
/// where it is from.
const FONT: &[u8] = include_bytes!("../../assets/font/DejaVuSans.ttf");
const FAMILY: &str = "DejaVu Sans";

/// Pixels of the picture to one of the drawing: sharp on screens, on slides and in a column of a paper.
const SCALE: f32 = 2.0;

/// What a figure is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Svg,
    Png,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Svg, Kind::Png];

    /// What its files' names end in.
    pub fn extension(self) -> &'static str {
        match self {
            Kind::Svg => "svg",
            Kind::Png => "png",
        }
    }

    /// A file of it.
    ///
    /// # Errors
    /// Those of [`png`].
    pub fn bytes(self, svg: &str) -> Result<Vec<u8>, FigureError> {
        match self {
            Kind::Svg => Ok(svg.as_bytes().to_vec()),
            Kind::Png => png(svg),
        }
    }
}

/// Draws an SVG figure on white.
///
/// # Errors
/// What was drawn is no SVG figure.
pub fn png(svg: &str) -> Result<Vec<u8>, FigureError> {
    let failed = |why: String| FigureError { what: "a figure as PNG".to_owned(), why };
    let mut options = Options { font_family: FAMILY.to_owned(), ..Options::default() };
    options.fontdb_mut().load_font_data(FONT.to_vec());
    options.fontdb_mut().set_sans_serif_family(FAMILY);
    let tree = Tree::from_str(svg, &options).map_err(|why| failed(why.to_string()))?;
    let [width, height] =
        [tree.size().width(), tree.size().height()].map(|side| (side * SCALE).ceil() as u32);
    let mut picture = Pixmap::new(width, height)
        .ok_or_else(|| failed(format!("found {width}×{height} pixels")))?;
    picture.fill(Color::WHITE);
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut picture.as_mut());
    // Opaque everywhere, so that the fourth channel says nothing.
    let colours: Vec<u8> =
        picture.data().as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let mut out = Vec::new();
    PngEncoder::new(&mut out)
        .write_image(&colours, width, height, ExtendedColorType::Rgb8)
        .map_err(|why| failed(why.to_string()))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::{Series, curves};

    fn drawn(name: &str) -> image::RgbImage {
        let line = vec![(0.0, 1.0), (1.0, 3.0)];
        let series = [Series { name: name.to_owned(), lines: vec![line], published: Vec::new() }];
        let svg = curves("epoch", "k-NN (%)", &series).unwrap().unwrap();
        image::load_from_memory(&png(&svg).unwrap()).unwrap().to_rgb8()
    }

    /// Pixels that are not white, between these columns and rows.
    fn inked(
        picture: &image::RgbImage,
        columns: std::ops::Range<u32>,
        rows: std::ops::Range<u32>,
    ) -> usize {
        let places = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
        places
            .filter(|&(x, y)| picture.get_pixel(x, y).0.iter().any(|channel| *channel < 200))
            .count()
    }

    #[test]
    fn a_picture_is_the_figure_twice_as_large_with_its_line_and_its_letters() {
        let picture = drawn("λ = 10");
        assert_eq!(picture.dimensions(), (1440, 720));
        let is_blue = |pixel: &&image::Rgb<u8>| pixel.0 == [0, 114, 178];
        assert!(1000 < picture.pixels().filter(is_blue).count(), "the line");
        // Left of the axis stand its numbers and its name, below it the same.
        assert!(400 < inked(&picture, 0..110, 0..640), "{}", inked(&picture, 0..110, 0..640));
        assert!(400 < inked(&picture, 200..1400, 624..720));
        // A letter that the font has not is a box, and no two of these are drawn alike.
        let [greek, latin, none] = ["λ", "l", "学"].map(|name| drawn(name).into_raw());
        assert!(greek != latin && greek != none && latin != none);
    }

    #[test]
    fn what_is_no_figure_is_refused() {
        let why = png("<html></html>").unwrap_err().to_string();
        assert!(why.starts_with("cannot draw a figure as PNG: "), "{why}");
    }
}
