//! A map of the memory bank: every point an image, near others where their embeddings are near; the neighbours of the
//! chosen one beneath. Points are dots of braille in the colour of their class; classes have their name where they are, and a
//! mark for eyes and terminals without colours.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::data::UNLABELLED;
use crate::tui::app::App;
use crate::tui::figures;
use crate::tui::images::{Found, Map};
use crate::tui::theme::{self, THEME};
use crate::tui::widgets::dots::Dots;

use super::{images, layout, put};

pub fn draw(app: &App, found: &Found, area: Rect, buf: &mut Buffer) {
    let places = layout::map(app, area);
    let canvas = places.canvas;
    let words = match app.images.map.shown().map(AsRef::as_ref) {
        None => "drawing the map …".to_owned(),
        Some(Map { why: Some(why), .. }) => format!("there is no map: {why}"),
        Some(map) => {
            draw_points(app, map, canvas, buf);
            draw_names(app, found, map, canvas, buf);
            draw_chosen(app, found, map, canvas, buf);
            let strip = app.mapped_strip();
            let rows = strip.map(|strip| app.images_of(strip)).unwrap_or_default();
            let at = (area.x + images::MARGIN, places.strip.y);
            let row = images::Row { strip, rows: &rows, chosen: None };
            images::draw_row(app, found, &row, at, area, buf);
            chosen(app, found)
        }
    };
    put(buf, area, area.x + 1, area.bottom() - 1, &words, theme::faint());
}

/// Every point is a dot. A cell has one colour or one mark, that of most of its points.
fn draw_points(app: &App, map: &Map, canvas: Rect, buf: &mut Buffer) {
    let mut cells: BTreeMap<(u16, u16), Vec<u16>> = BTreeMap::new();
    let mut dots = Dots::new(canvas);
    for (point, place) in map.places.iter().enumerate() {
        let Some((_, class)) = app.mapped(point) else { continue };
        cells.entry(layout::cell(*place, canvas)).or_default().push(class);
        let (column, row) = layout::dot(*place, dots.size());
        dots.set(column, row);
    }
    let has_marks = app.images.map.marks;
    if !has_marks {
        dots.paint(theme::faint(), buf);
    }
    for ((x, y), classes) in cells {
        let weight = |class: u16| {
            let n = classes.iter().filter(|other| **other == class).count();
            (app.images.class == Some(class), n, std::cmp::Reverse(class))
        };
        if let Some(owner) = classes.iter().copied().max_by_key(|class| weight(*class)) {
            let (mark, style) = mark(app, owner);
            match buf.cell_mut((x, y)) {
                Some(cell) if !has_marks => drop(cell.set_style(style)),
                _ => drop(put(buf, canvas, x, y, mark, style)),
            }
        }
    }
}

/// How a class is drawn: what the filter leaves out is faint, as is what has no class.
fn mark(app: &App, class: u16) -> (&'static str, Style) {
    let is_out = app.images.class.is_some_and(|wanted| wanted != class);
    if is_out || class == UNLABELLED {
        return ("·", theme::faint());
    }
    let (ink, mark) = theme::series(class.into());
    (mark, theme::fg(ink))
}

/// The name of each class in the middle of its points, or near it where another name or a sign stands there.
fn draw_names(app: &App, found: &Found, map: &Map, canvas: Rect, buf: &mut Buffer) {
    let cell = |(x, y)| Rect { x, y, width: 1, height: 1 };
    let mut taken: Vec<Rect> =
        signs(app, found, map, canvas).into_iter().map(|(at, ..)| cell(at)).collect();
    let mut points: BTreeMap<u16, Vec<[f32; 2]>> = BTreeMap::new();
    for (point, place) in map.places.iter().enumerate().filter(|(at, _)| app.stands_out(*at)) {
        let class = app.mapped(point).map(|(_, class)| class);
        if let Some(class) = class {
            points.entry(class).or_default().push(*place);
        }
    }
    for (class, mut places) in points {
        let Some(name) = found.classes.get(usize::from(class)) else { continue };
        let mut middle = |axis: usize| {
            places.sort_by(|a, b| a[axis].total_cmp(&b[axis]));
            places[places.len() / 2][axis]
        };
        let (x, y) = layout::cell([middle(0), middle(1)], canvas);
        let (mark, style) = mark(app, class);
        let name = format!(" {mark} {name} ");
        let width = (name.width() as u16).min(canvas.width);
        let x = x.saturating_sub(width / 2).clamp(canvas.x, canvas.right() - width);
        let free = |y: &u16| {
            let place = Rect { x, y: *y, width: width + 1, height: 1 };
            canvas.top() <= *y
                && *y < canvas.bottom()
                && taken.iter().all(|other| other.intersection(place).is_empty())
        };
        let near = (0..canvas.height).flat_map(|far| [y + far, y.saturating_sub(far)]);
        if let Some(y) = near.take(8).find(free) {
            taken.push(Rect { x, y, width, height: 1 });
            let style = Style::reset().patch(style).add_modifier(Modifier::BOLD);
            put(buf, canvas, x, y, &name, style);
        }
    }
}

/// The chosen point and, as far as they are on the map, its neighbours: right and wrong have their signs. Where each
/// stands, the most important last.
fn signs(
    app: &App,
    found: &Found,
    map: &Map,
    canvas: Rect,
) -> Vec<((u16, u16), &'static str, Style)> {
    let Some(strip) = app.mapped_strip() else { return Vec::new() };
    let place = |row: u32| {
        let at = map.places.get(map.rows.binary_search(&row).ok()?)?;
        Some(layout::cell(*at, canvas))
    };
    let mut signs = Vec::new();
    for other in strip.near.iter().rev() {
        let (sign, ink) = match found.alike(strip.query, other.row as usize) {
            true => ("✓", THEME.good),
            false => ("✗", THEME.bad),
        };
        signs.extend(place(other.row).map(|at| (at, sign, theme::fg(ink))));
    }
    let style = theme::title(true).add_modifier(Modifier::REVERSED);
    signs.extend(place(strip.query as u32).map(|at| (at, "◉", style)));
    signs
}

fn draw_chosen(app: &App, found: &Found, map: &Map, canvas: Rect, buf: &mut Buffer) {
    for ((x, y), sign, style) in signs(app, found, map, canvas) {
        put(buf, canvas, x, y, sign, Style::reset().patch(style));
    }
}

/// The chosen point in words.
fn chosen(app: &App, found: &Found) -> String {
    let Some(strip) = app.mapped_strip() else { return String::new() };
    let (hits, n) = (images::hits(strip), strip.near.len());
    format!(
        "◉ image {}, {} · {hits} of its {n} nearest are of its class: ✓ · {} of {}",
        strip.query,
        found.class(strip.query),
        figures::grouped(app.images.map.at + 1),
        figures::grouped(app.images.map.shown().map_or(0, |map| map.rows.len())),
    )
}
