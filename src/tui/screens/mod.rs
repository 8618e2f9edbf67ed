//! The screens: state in, cells out. They change nothing and ask nobody.

pub mod ablations;
pub mod charts;
pub mod choose;
pub mod details;
mod evaluations;
pub mod foot;
pub mod form;
pub mod head;
pub mod help;
pub mod images;
pub mod layout;
pub mod legend;
pub mod machine;
pub mod map;
pub mod palette;
pub mod picker;
pub mod queue;
pub mod run;
pub mod table;
pub mod welcome;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Clear, Widget};

use super::app::{App, Layer, Tab};
use super::figures;
use super::keys::{Action, Scope};
use super::theme::{self, THEME};
use charts::Cache;

/// Draws the whole screen. `cache` keeps what need not be computed again for the next frame.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer, cache: &mut Cache) {
    let Some(frame) = layout::frame(area) else {
        return too_small(area, buf);
    };
    head::draw(app, frame.head, buf);
    banner(app, frame.alert, buf);
    match app.tab {
        Tab::Machine => machine::draw(app, frame.body, buf),
        _ if app.rows.is_empty() => welcome::draw(app, frame.body, buf),
        Tab::Runs => runs(app, frame.body, buf, cache),
        Tab::Charts => charts(app, frame.body, buf, cache),
        Tab::Ablations => ablations::draw(app, frame.body, buf, cache),
        Tab::Queue => queue::draw(app, frame.body, buf),
        Tab::Run => run::draw(app, frame.body, buf),
        Tab::Images => images::draw(app, frame.body, buf),
    }
    match &app.layer {
        Layer::Help { search, scroll } => help::draw(app, search, *scroll, frame.body, buf),
        Layer::Palette(palette) => palette::draw(app, palette, frame.body, buf),
        Layer::Choose(choose) => choose::draw(choose, frame.body, buf),
        Layer::Picker(picker) => picker::draw(app, picker, frame.body, buf),
        _ => {}
    }
    foot::draw(app, frame.foot, buf);
}

/// The first early warning, and what to do about it.
fn banner(app: &App, area: Rect, buf: &mut Buffer) {
    let alerts = app.alerts();
    let Some(alert) = alerts.first() else { return };
    let more = match alerts.len() {
        1 => String::new(),
        n => format!(" (+{})", n - 1),
    };
    let key = |action: Action| app.keymap.key_of(Scope::Screen, action).unwrap_or(":");
    let (go, hush) = (key(Action::ToAlert), key(Action::Hush));
    let ways = format!("{go} goes there · {hush} hushes");
    let cure = if alert.cure.is_empty() { String::new() } else { format!("{} · ", alert.cure) };
    let style = theme::fg(THEME.warn).add_modifier(Modifier::BOLD);
    let x = put(buf, area, area.x + 1, area.y, &format!("! {}{more}", alert.text), style);
    put(buf, area, x + 3, area.y, &format!("{cure}{ways}"), theme::faint());
}

fn runs(app: &App, body: Rect, buf: &mut Buffer, cache: &mut Cache) {
    let areas = layout::runs(app, body);
    table::draw(app, areas.table, buf);
    for y in areas.rule.top()..areas.rule.bottom() {
        for x in areas.rule.left()..areas.rule.right() {
            let line = if areas.rule.width == 1 { "│" } else { "─" };
            buf.set_string(x, y, line, theme::faint());
        }
    }
    let places: Vec<_> = app.preview.iter().cloned().zip(areas.charts).collect();
    charts::draw(app, &places, buf, cache);
    legend::draw(app, areas.legend, buf);
    details::draw(app, areas.details, buf);
}

fn charts(app: &App, body: Rect, buf: &mut Buffer, cache: &mut Cache) {
    let metrics = app.page_of_charts();
    if metrics.is_empty() {
        let text = match app.charts.filter.as_str() {
            "" => "nothing measured yet: mark runs in the run table (space), or wait".to_owned(),
            filter => format!("no metric contains {filter:?}"),
        };
        put(buf, body, body.x + 2, body.y + body.height / 3, &text, theme::faint());
        return;
    }
    let (places, legend) = layout::charts(app, body, metrics.len());
    let places: Vec<_> = metrics.into_iter().zip(places).collect();
    charts::draw(app, &places, buf, cache);
    legend::draw(app, legend, buf);
}

fn too_small(area: Rect, buf: &mut Buffer) {
    let (width, height) = layout::SMALLEST;
    let long = format!(
        "This screen needs {width} columns and {height} rows; it has {} and {}.",
        area.width, area.height
    );
    let short = format!("needs {width}x{height}");
    let text = if long.len() <= area.width.into() { long } else { short };
    let y = area.y + area.height / 2;
    if !area.is_empty() {
        buf.set_stringn(area.x, y, text, area.width.into(), theme::bold());
    }
    if area.height > 2 {
        buf.set_stringn(area.x, y + 1, "q quits", area.width.into(), theme::faint());
    }
}

/// An empty framed box over the middle of `area`, and the space inside it.
fn boxed(title: &str, size: (u16, u16), area: Rect, buf: &mut Buffer) -> Rect {
    // Too little of the screen beneath to be read is debris.
    let filling =
        |wanted: u16, all: u16, least: u16| if wanted + least > all { all } else { wanted };
    let (width, height) = (filling(size.0, area.width, 8), filling(size.1, area.height, 2));
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    framed(title, outer, buf)
}

/// An empty framed box, and the space inside it.
fn framed(title: &str, outer: Rect, buf: &mut Buffer) -> Rect {
    use ratatui::widgets::{Block, BorderType};
    Clear.render(outer, buf);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme::faint())
        .title_style(theme::title(true))
        .title(format!(" {title} "));
    let inner = block.inner(outer);
    block.render(outer, buf);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Text inside `area` from a cell on, cut where it ends; the column behind it.
fn put(buf: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let room = usize::from(area.right().saturating_sub(x));
    if y < area.top() || y >= area.bottom() || room == 0 {
        return x;
    }
    buf.set_stringn(x, y, figures::fit(text, room), room, style).0
}
