//! Image search: each query with its nearest neighbours beside it, as in the figures of the papers, or all of them on a
//! map; where there is no memory bank, the images alone.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use crate::saved::{Method, Neighbours};
use crate::tui::app::App;
use crate::tui::figures;
use crate::tui::images::{Found, Map};
use crate::tui::theme::{self, THEME};

use super::{map, put};

/// Columns before the first image: the cursor.
pub const MARGIN: u16 = 2;

/// Columns between the query and its neighbours, beyond the one between neighbours.
pub const APART: u16 = 2;

/// Rows above the images, and below them.
pub const HEAD: u16 = 2;
pub const FOOT: u16 = 1;

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(run) = app.selected() else {
        let why = app.none_chosen();
        put(buf, area, area.x + 2, area.y + area.height / 3, &why, theme::fg(THEME.warn));
        return;
    };
    let x = put(buf, area, area.x + 1, area.y, &run.id, theme::bold());
    let found = app.images.found.as_ref().filter(|found| found.run == run.id);
    let Some(found) = found else {
        put(
            buf,
            area,
            x + 2,
            area.y,
            "reading its data set and searching its bank …",
            theme::faint(),
        );
        return;
    };
    put(buf, area, x + 2, area.y, &summary(app, found), Style::new());
    if let Some(why) = &found.why {
        let lines = figures::wrap(why, usize::from(area.width).saturating_sub(3), 3);
        let y = if found.labels.is_empty() { area.y + area.height / 3 } else { area.y + 1 };
        for (i, line) in lines.iter().enumerate() {
            // Over images there is one line for it.
            if i == 0 || found.labels.is_empty() {
                put(buf, area, area.x + 1, y + i as u16, line, theme::fg(THEME.warn));
            }
        }
    }
    if app.has_map() {
        return map::draw(app, found, area, buf);
    }
    let tile = app.tile();
    for (line, y) in app.image_page().zip((0..).map(|i| area.y + HEAD + i * (tile.height + 1))) {
        if y + tile.height >= area.bottom() {
            break;
        }
        draw_line(app, found, line, (area.x + MARGIN, y), area, buf);
    }
    if app.image_lines() > 0 {
        let y = area.bottom() - 1;
        put(buf, area, area.x + 1, y, &chosen(app, found), theme::faint());
    }
}

/// Line and place in it of the image under a cell.
pub fn image_at(app: &App, area: Rect, at: Position) -> Option<(usize, usize)> {
    let tile = app.tile();
    let down = at.y.checked_sub(area.y + HEAD)? / (tile.height + 1);
    let line = app.image_page().nth(down.into())?;
    let x = at.x.checked_sub(area.x + MARGIN)?;
    let image = match app.strip(line) {
        Some(_) if x > tile.width => x.saturating_sub(APART) / (tile.width + 1),
        _ => x / (tile.width + 1),
    };
    (usize::from(image) < app.images_on(line).len()).then_some((line, image.into()))
}

fn summary(app: &App, found: &Found) -> String {
    let mut parts = Vec::new();
    if let Some(step) = found.step {
        parts.push(format!("step {}", figures::grouped(step as usize)));
    }
    if !found.labels.is_empty() {
        parts.push(format!("{}, {} images", found.dataset, figures::grouped(found.labels.len())));
    }
    if let Some(share) = found.agreement() {
        let n = found.strips.len();
        let of = if n < found.labels.len() {
            format!(" over {} queries", figures::grouped(n))
        } else {
            String::new()
        };
        parts.push(format!("{:.1} % alike{of}", 100.0 * share));
        parts.push(match app.images.map.shown() {
            _ if !app.has_map() => app.images.order.words().to_owned(),
            Some(map) => method(map, app.images.map.is_half_drawn()),
            None => "a map".to_owned(),
        });
    }
    if let Some(class) = app.images.class.and_then(|class| found.classes.get(usize::from(class))) {
        parts.push(format!("class {class}: {}", figures::grouped(app.images.n_lines())));
    }
    parts.join(" · ")
}

/// How the map was made, and of how many images.
fn method(map: &Map, is_half_drawn: bool) -> String {
    let name = map.method.name();
    let of = format!("{name} of {}", figures::grouped(map.rows.len()));
    match map.words.strip_prefix(name) {
        _ if is_half_drawn => format!("{of}, {} follows", Method::Tsne.name()),
        Some(more) => format!("{of}{more}"),
        None => of,
    }
}

fn draw_line(app: &App, found: &Found, line: usize, at: (u16, u16), area: Rect, buf: &mut Buffer) {
    let here = line == app.images.cursor;
    if here {
        put(buf, area, area.x, at.1 + app.tile().height, ">", theme::title(true));
    }
    let rows = app.images_on(line);
    let row = Row { strip: app.strip(line), rows: &rows, chosen: here.then_some(app.images.at) };
    draw_row(app, found, &row, at, area, buf);
}

/// Images side by side.
pub struct Row<'a> {
    /// What they are, where they are a query and its neighbours.
    pub strip: Option<&'a Neighbours>,
    /// Their numbers.
    pub rows: &'a [u32],
    /// The one that is looked at.
    pub chosen: Option<usize>,
}

/// Draws a row from a cell on, each image with its caption.
pub fn draw_row(
    app: &App,
    found: &Found,
    row: &Row,
    (x, y): (u16, u16),
    area: Rect,
    buf: &mut Buffer,
) {
    let Row { strip, rows, chosen } = *row;
    let tile = app.tile();
    let caption = y + tile.height;
    for (at, &row) in rows.iter().enumerate() {
        let apart = if at > 0 && strip.is_some() { APART } else { 0 };
        let x = x + at as u16 * (tile.width + 1) + apart;
        let place = Rect { x, y, width: tile.width, height: tile.height };
        match app.images.picture(row) {
            Some(picture) => picture.draw(app.graphics, tile, place.intersection(area), buf),
            None => drop(put(buf, area, x, y, "…", theme::faint())),
        }
        let (text, style) = said(found, strip, at, row);
        let style = if chosen == Some(at) {
            style.add_modifier(Modifier::REVERSED | Modifier::BOLD)
        } else {
            style
        };
        let room = Rect { x, y: caption, width: tile.width, height: 1 }.intersection(area);
        put(buf, room, x, caption, &text, style);
    }
}

/// What stands under an image. Right and wrong have their signs, and a wrong one the name of its class.
fn said(found: &Found, strip: Option<&Neighbours>, at: usize, row: u32) -> (String, Style) {
    let class = found.class(row as usize);
    match strip {
        None => (class.to_owned(), theme::faint()),
        Some(strip) if at == 0 => {
            (format!("{}/{} {class}", hits(strip), strip.near.len()), theme::bold())
        }
        Some(strip) if found.alike(strip.query, row as usize) => {
            ("✓".to_owned(), theme::fg(THEME.good))
        }
        Some(_) => (format!("✗ {class}"), theme::fg(THEME.bad)),
    }
}

/// Neighbours of the query's class.
pub fn hits(strip: &Neighbours) -> usize {
    (strip.alike * strip.near.len() as f64).round() as usize
}

/// The image under the cursor in words.
fn chosen(app: &App, found: &Found) -> String {
    let line = app.images.cursor;
    let rows = app.images_on(line);
    let Some(&row) = rows.get(app.images.at) else { return String::new() };
    let of = format!("{} of {}", figures::grouped(line + 1), figures::grouped(app.image_lines()));
    let name = format!("image {row}, {}", found.class(row as usize));
    match (app.strip(line), app.images.at.checked_sub(1)) {
        (Some(strip), Some(at)) => {
            let similarity = strip.near.get(at).map_or(f32::NAN, |other| other.similarity);
            let query = found.class(strip.query);
            format!(
                "{name} · neighbour {} of image {} ({query}), cosine {similarity:.3} · line {of}",
                at + 1,
                strip.query
            )
        }
        (Some(strip), None) => {
            let (hits, n) = (hits(strip), strip.near.len());
            format!("{name} · {hits} of its {n} nearest are of its class · line {of}")
        }
        (None, _) => format!("{name} · line {of}"),
    }
}
