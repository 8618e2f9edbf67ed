//! Curves and maps as SVG drawings, self-contained: for reports and papers. [`super::raster`] makes pictures of them.

use std::collections::BTreeMap;
use std::ops::Range;

use plotters::prelude::*;

use crate::journal::metric;
use crate::store::CurvePoint;

/// Lines of one colour and one name: the seeds of one row of a table.
pub struct Series {
    pub name: String,
    /// (x, y), in order; where y is not finite the line is broken.
    pub lines: Vec<Vec<(f64, f64)>>,
    /// (x, y) of what was published for the same: points on a broken line.
    pub published: Vec<(f64, f64)>,
}

impl Series {
    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        self.lines.iter().flatten().chain(&self.published)
    }
}

/// Points of a drawn curve; of more than that nothing is seen, and neighbours are drawn as their mean.
const DRAWN_POINTS: usize = 400;

/// (x, y) of a curve, no more of them than are seen.
pub fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(DRAWN_POINTS).max(1);
    let mean = |group: &[(f64, f64)]| {
        let n = group.len() as f64;
        (group.iter().map(|p| p.0).sum::<f64>() / n, group.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(size).map(mean).collect()
}

/// A curve over its epochs, thinned.
pub fn over_epochs(points: &[CurvePoint]) -> Vec<(f64, f64)> {
    thinned(&points.iter().map(|point| (point.epoch, point.value)).collect::<Vec<_>>())
}

/// What stands at the axis of a metric: its name and its unit.
pub fn axis(name: &str) -> String {
    match metric::meaning(name).map_or("", |(unit, _)| metric::written_unit(unit)) {
        "" => name.to_owned(),
        unit => format!("{name} ({unit})"),
    }
}

/// The beginning of a file's name for a metric, which may have slashes.
pub fn file_stem(name: &str) -> String {
    name.replace('/', "_")
}

/// What cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw {what}: {why}")]
pub struct FigureError {
    pub what: String,
    pub why: String,
}

/// Width and height in pixels.
const SIZE: (u32, u32) = (720, 360);
/// Height of its letters.
const LETTERS: u32 = 15;
/// Told apart by eyes that do not tell red from green (Okabe & Ito 2008).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(153, 153, 153),
];

/// Draws `series` over `x`, with `y` and its name at the axes. None where there is nothing finite to draw.
///
/// # Errors
/// The drawing library's, in its words.
pub fn curves(x: &str, y: &str, series: &[Series]) -> Result<Option<String>, FigureError> {
    let points = || series.iter().flat_map(Series::points).filter(|p| p.1.is_finite());
    let range = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let low = points().map(of).fold(f64::INFINITY, f64::min);
        let high = points().map(of).fold(f64::NEG_INFINITY, f64::max);
        // A single value still gets a scale.
        let margin = if low < high { (high - low) * 0.04 } else { low.abs().max(1.0) * 0.04 };
        low - margin..high + margin
    };
    if points().next().is_none() {
        return Ok(None);
    }
    let (xs, ys) = (range(&|p| p.0), range(&|p| p.1));
    let mut svg = String::new();
    draw(&mut svg, x, y, xs, ys, series)
        .map_err(|why| FigureError { what: y.to_owned(), why: why.to_string() })?;
    Ok(Some(svg))
}

fn draw(
    svg: &mut String,
    x: &str,
    y: &str,
    xs: Range<f64>,
    ys: Range<f64>,
    series: &[Series],
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(xs.clone(), ys.clone())?;
    let letters = ("sans-serif", LETTERS);
    chart
        .configure_mesh()
        .x_desc(x)
        .y_desc(y)
        .label_style(letters)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (number, one) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let whole = |line: &Vec<(f64, f64)>| -> Vec<Vec<(f64, f64)>> {
            line.split(|p| !p.1.is_finite()).filter(|p| !p.is_empty()).map(<[_]>::to_vec).collect()
        };
        for (first, line) in one.lines.iter().flat_map(whole).enumerate() {
            let drawn = chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
            if first == 0 {
                let key =
                    move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
                drawn.label(&one.name).legend(key);
            }
        }
        let (published, dashed) = (&one.published, colour.stroke_width(1));
        chart.draw_series(DashedLineSeries::new(published.iter().copied(), 4, 4, dashed))?;
        let point = |&place| Circle::new(place, 3, colour.stroke_width(1));
        let drawn = chart.draw_series(published.iter().map(point))?;
        if !published.is_empty() {
            let key = move |(x, y)| Circle::new((x + 9, y), 3, colour.stroke_width(1));
            drawn.label(format!("{}, published", one.name)).legend(key);
        }
    }
    chart
        .configure_series_labels()
        .position(emptiest(series, &xs, &ys))
        .label_font(letters)
        .background_style(WHITE.mix(0.8))
        .border_style(TRANSPARENT)
        .draw()?;
    area.present()?;
    Ok(())
}

/// The corner that the fewest points of curves lie in: there the names cover least.
fn emptiest(series: &[Series], xs: &Range<f64>, ys: &Range<f64>) -> SeriesLabelPosition {
    use SeriesLabelPosition::{LowerLeft, LowerRight, UpperLeft, UpperRight};
    let share = |x: f64, of: &Range<f64>| (x - of.start) / (of.end - of.start);
    let n_in = |right: bool, upper: bool| {
        let points = series.iter().flat_map(Series::points).filter(|point| point.1.is_finite());
        let inside = points.filter(|point| {
            (share(point.0, xs) > 0.6) == right && (share(point.1, ys) > 0.6) == upper
        });
        inside.count()
    };
    let corners = [
        (UpperRight, n_in(true, true)),
        (LowerRight, n_in(true, false)),
        (UpperLeft, n_in(false, true)),
        (LowerLeft, n_in(false, false)),
    ];
    corners.into_iter().min_by_key(|corner| corner.1).map_or(UpperRight, |corner| corner.0)
}

/// Points of one class of a map, at places in [0, 1].
pub struct Class {
    pub label: u16,
    pub name: String,
    pub places: Vec<[f32; 2]>,
}

/// Parts points, each with its label and its class's name, into classes, by label.
pub fn classes<'a>(points: impl Iterator<Item = (u16, &'a str, [f32; 2])>) -> Vec<Class> {
    let mut classes: BTreeMap<u16, Class> = BTreeMap::new();
    for (label, name, place) in points {
        let class = || Class { label, name: name.to_owned(), places: Vec::new() };
        classes.entry(label).or_insert_with(class).places.push(place);
    }
    classes.into_values().collect()
}

/// Side of a map in pixels, and what its names take beside it.
const MAP: (u32, u32) = (640, 160);
/// Names that have room there.
const MOST_NAMES: usize = 33;

/// Draws a map of an embedding: a mark for each image, in the colour of its label, and the classes' names beside it. Its
/// axes mean nothing and are left out. There are eight colours, filled and then hollow; beyond sixteen labels they come
/// again.
///
/// # Errors
/// The drawing library's, in its words.
pub fn map(title: &str, classes: &[Class]) -> Result<String, FigureError> {
    let mut svg = String::new();
    draw_map(&mut svg, title, classes)
        .map_err(|why| FigureError { what: title.to_owned(), why: why.to_string() })?;
    Ok(svg)
}

fn draw_map(
    svg: &mut String,
    title: &str,
    classes: &[Class],
) -> Result<(), Box<dyn std::error::Error>> {
    let (side, names) = MAP;
    let area = SVGBackend::with_string(svg, (side + names, side)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = ("sans-serif", 14).into_font();
    area.draw(&Text::new(title.to_owned(), (12, 8), text.clone()))?;
    // Below the title, and a margin of 12 pixels around.
    let room = f64::from(side - 42);
    let at = |share: f32, from: i32| from + (f64::from(share) * room) as i32;
    let style = |class: &Class| {
        let number = usize::from(class.label);
        let colour = COLOURS[number % COLOURS.len()];
        let is_hollow = (number / COLOURS.len()) % 2 == 1;
        if is_hollow { colour.stroke_width(1) } else { colour.mix(0.7).filled() }
    };
    for class in classes {
        for place in &class.places {
            // Up is up.
            let point = (at(place[0], 12), at(1.0 - place[1], 30));
            area.draw(&Circle::new(point, 2, style(class)))?;
        }
    }
    let n_named = if classes.len() <= MOST_NAMES { classes.len() } else { MOST_NAMES - 1 };
    let (x, y) = (side as i32 + 8, |number: usize| 30 + 18 * number as i32);
    for (number, class) in classes[..n_named].iter().enumerate() {
        area.draw(&Circle::new((x, y(number) + 7), 4, style(class)))?;
        area.draw(&Text::new(class.name.clone(), (x + 10, y(number)), text.clone()))?;
    }
    if n_named < classes.len() {
        let rest = format!("… and {} more", classes.len() - n_named);
        area.draw(&Text::new(rest, (x + 10, y(n_named)), text))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_gaps_are_kept_and_nothing_is_drawn_of_nothing() {
        let line = vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 2.0)];
        let series = [Series { name: "a < b".into(), lines: vec![line], published: vec![] }];
        let svg = curves("epoch", "k-NN (%)", &series).unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("a &lt; b") && svg.contains("k-NN (%)"));
        let published = vec![(0.0, 2.0), (3.0, 9.5)];
        let with = [Series { published, ..series.into_iter().next().unwrap() }];
        let with = curves("epoch", "k-NN (%)", &with).unwrap().unwrap();
        assert!(!svg.contains("published") && with.contains("a &lt; b, published"), "{with}");
        assert!(!svg.contains("<circle") && with.matches("<circle").count() == 3, "and its key");
        let nothing =
            [Series { name: "x".into(), lines: vec![vec![(0.0, f64::NAN)]], published: vec![] }];
        assert!(curves("epoch", "y", &nothing).unwrap().is_none());
    }

    #[test]
    fn names_stand_where_they_cover_least_and_long_curves_are_thinned() {
        let place = |line: Vec<(f64, f64)>| {
            let named = |lines| Series { name: "here".into(), lines, published: Vec::new() };
            let svg = curves("epoch", "y", &[named(vec![line])]).unwrap().unwrap();
            let text = svg.split("<text").find(|text| text.contains("here")).unwrap().to_owned();
            let number = |key: &str| -> f64 {
                let rest = &text[text.find(key).unwrap() + key.len()..];
                rest[..rest.find('"').unwrap()].parse().unwrap()
            };
            (number(" x=\"") > 360.0, number(" y=\"") > 180.0)
        };
        let rising: Vec<(f64, f64)> = (0..=20).map(|x| (x.into(), f64::from(x * x))).collect();
        let falling: Vec<(f64, f64)> = rising.iter().map(|(x, y)| (*x, -y)).collect();
        assert_eq!(place(rising.clone()), (false, false), "the upper left corner");
        assert_eq!(
            place(rising.iter().map(|(x, y)| (*x, y.sqrt().sqrt())).collect()),
            (true, true)
        );
        assert_eq!(
            place(falling.iter().map(|(x, y)| (*x, -(-y).sqrt().sqrt())).collect()),
            (true, false)
        );
        let long: Vec<(f64, f64)> = (0..4001).map(|x| (x.into(), 1.0)).collect();
        let thin = thinned(&long);
        assert!(
            thin.len() <= 400 && thin[0] == (5.0, 1.0) && thin.last() == Some(&(3996.5, 1.0)),
            "{:?}",
            thin.last()
        );
        assert_eq!(thinned(&rising), rising);
        assert_eq!([axis("knn_top1"), axis("lr"), axis("mine")], ["knn_top1 (%)", "lr", "mine"]);
    }

    #[test]
    fn a_map_has_a_mark_for_each_image_and_each_name() {
        let class = |label, name: &str, places: &[[f32; 2]]| Class {
            label,
            name: name.into(),
            places: places.into(),
        };
        let cat = class(0, "cat", &[[0.0, 0.0], [1.0, 1.0]]);
        let svg = map("a & b", &[cat, class(9, "<ox>", &[[0.5, 0.5]])]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 5);
        assert!(svg.contains("a &amp; b") && svg.contains("&lt;ox&gt;"));
        let many: Vec<Class> = (0..100).map(|label| class(label, "one of many", &[])).collect();
        let many = map("many", &many).unwrap();
        assert!(many.matches("one of many").count() == 32 && many.contains("… and 68 more"));
        // (0, 0) is at the bottom left, (1, 1) at the top right.
        assert!(
            svg.contains("cx=\"12\" cy=\"628\"") && svg.contains("cx=\"610\" cy=\"30\""),
            "{svg}"
        );
    }
}
