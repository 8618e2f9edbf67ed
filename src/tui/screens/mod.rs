//! The screens: state in, cells out. They change nothing and ask nobody.

pub mod charts;
pub mod details;
pub mod foot;
pub mod help;
pub mod layout;
pub mod legend;
pub mod picker;
pub mod table;
pub mod welcome;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::widgets::{Clear, Widget};

use crate::store::model::State;

use super::app::{App, Layer};
use super::theme::{self, THEME};
use charts::Cache;

/// Draws the whole screen. `cache` keeps what need not be computed again for the next frame.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer, cache: &mut Cache) {
    let Some(areas) = layout::areas(app, area) else {
        return too_small(area, buf);
    };
    head(app, areas.head, buf);
    if app.rows.is_empty() {
        welcome::draw(app, areas.body, buf);
    } else {
        table::draw(app, areas.table, buf);
        for x in areas.rule.left()..areas.rule.right() {
            for y in areas.rule.top()..areas.rule.bottom() {
                let line = if areas.rule.width == 1 { "│" } else { "─" };
                buf.set_string(x, y, line, theme::faint());
            }
        }
        charts::draw(app, areas.charts, buf, cache);
        legend::draw(app, areas.legend, buf);
        details::draw(app, areas.details, buf);
    }
    match &app.layer {
        Layer::Help { scroll } => help::draw(*scroll, areas.body, buf),
        Layer::Picker(picker) => picker::draw(picker, areas.body, buf),
        _ => {}
    }
    foot::draw(app, areas.foot, buf);
}

fn too_small(area: Rect, buf: &mut Buffer) {
    let (width, height) = layout::SMALLEST;
    let long = format!(
        "This screen needs {width} columns and {height} rows; it has {} and {}.",
        area.width, area.height
    );
    let short = format!("needs {width}x{height}");
    let text = if long.len() <= area.width.into() { long } else { short };
    if !area.is_empty() {
        buf.set_stringn(area.x, area.y + area.height / 2, text, area.width.into(), theme::bold());
    }
    if area.height > 2 {
        buf.set_stringn(
            area.x,
            area.y + area.height / 2 + 1,
            "q quits",
            area.width.into(),
            theme::faint(),
        );
    }
}

/// Where there is little room, what needs a person is named first.
const BY_URGENCY: [State; 9] = [
    State::Running,
    State::Starting,
    State::Stopping,
    State::Queued,
    State::Failed,
    State::Lost,
    State::Paused,
    State::Finished,
    State::Cancelled,
];

/// Name, place, how many runs stand where.
fn head(app: &App, area: Rect, buf: &mut Buffer) {
    let accent = theme::fg(THEME.accent).add_modifier(Modifier::BOLD);
    let (mut x, y) = buf.set_stringn(area.x + 1, area.y, "instdisc-lab", area.width.into(), accent);
    let mut counts: Vec<(String, ratatui::style::Style)> = Vec::new();
    for state in BY_URGENCY {
        let n = app.rows.iter().filter(|row| row.state == state && !row.archived).count();
        if n > 0 {
            let (glyph, style) = theme::state(state);
            counts.push((format!("{glyph} {n} {state}"), style));
        }
    }
    if app.readonly {
        counts.push(("read only".into(), theme::fg(THEME.warn).add_modifier(Modifier::BOLD)));
    }
    let width = |text: &str| text.chars().count() as u16;
    let counted: u16 = counts.iter().map(|(text, _)| width(text) + 2).sum();
    let room = area.right().saturating_sub(x + 2 + counted + 1);
    if room > 8 {
        let place = super::figures::fit(&app.place, room.into());
        (x, _) = buf.set_stringn(x + 2, y, place, room.into(), theme::faint());
    }
    let mut at = area.right().saturating_sub(counted).max(x + 2);
    for (text, style) in counts {
        if at + width(&text) > area.right() {
            break;
        }
        buf.set_string(at, y, &text, style);
        at += width(&text) + 2;
    }
}

/// An empty framed box over the middle of `area`, and the space inside it.
fn boxed(title: &str, size: (u16, u16), area: Rect, buf: &mut Buffer) -> Rect {
    use ratatui::widgets::{Block, BorderType};
    let (width, height) = (size.0.min(area.width), size.1.min(area.height));
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
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
