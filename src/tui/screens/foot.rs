//! The last line: a question, the filter being typed, a message, or which keys are worth knowing here.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use unicode_width::UnicodeWidthStr;

use crate::tui::action::{self, Scope};
use crate::tui::app::{App, Layer};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let warn = theme::fg(THEME.warn).add_modifier(Modifier::BOLD);
    let write = |buf: &mut Buffer, text: &str, style| {
        let width = usize::from(area.width).saturating_sub(1);
        buf.set_stringn(area.x + 1, area.y, figures::fit(text, width), width, style);
    };
    match &app.layer {
        Layer::Confirm { runs } => write(buf, &question(runs, area.width.into()), warn),
        Layer::Filter { .. } => filter_line(app, area, buf),
        _ if app.trouble.is_some() => {
            let why = app.trouble.as_deref().unwrap_or_default();
            write(buf, &format!("! {why}; trying again"), theme::fg(THEME.bad));
        }
        layer => match &app.toast {
            Some(toast) if toast.good => {
                write(buf, &format!("✓ {}", toast.text), theme::fg(THEME.good));
            }
            Some(toast) => write(buf, &format!("! {}", toast.text), warn),
            None => {
                let taken = if *layer == Layer::None { chip(app, area, buf) } else { 0 };
                let rest = Rect { width: area.width - taken, ..area };
                hints(app, rest, buf);
            }
        },
    }
}

/// Asks by name; how many where the names do not fit.
fn question(runs: &[String], width: usize) -> String {
    let all = format!(
        "cancel {}? It cannot be resumed from the queue, only retried.  y / n",
        runs.join(", ")
    );
    let short = format!("cancel {}?  y / n", runs.join(", "));
    let counted = match runs {
        [first, rest @ ..] if !rest.is_empty() => {
            format!("cancel {} runs ({first} and {} more)?  y / n", runs.len(), rest.len())
        }
        _ => short.clone(),
    };
    [all, short].into_iter().find(|text| text.width() + 2 <= width).unwrap_or(counted)
}

fn matches(app: &App) -> String {
    let all = app.rows.iter().filter(|row| !row.archived).count();
    format!("{} of {all} runs", app.table.shown().len())
}

fn filter_line(app: &App, area: Rect, buf: &mut Buffer) {
    let accent = theme::fg(THEME.accent).add_modifier(Modifier::BOLD);
    let (x, y) = buf.set_stringn(area.x + 1, area.y, "/", 1, accent);
    let (right, style) = match app.table.filter_error() {
        Some(why) => (figures::fit(why, usize::from(area.width / 2)), theme::fg(THEME.warn)),
        None => (format!("{}   enter keep · esc as it was", matches(app)), theme::faint()),
    };
    let room = usize::from(area.width).saturating_sub(right.width() + 6);
    // The end of a long filter is what is being typed.
    let text: String = app.table.filter().to_owned();
    let skip = text.chars().count().saturating_sub(room);
    let tail: String = text.chars().skip(skip).collect();
    let (x, _) = buf.set_stringn(x, y, tail, room.max(1), theme::bold());
    buf.set_string(x, y, " ", theme::cursor(true));
    let from = area.right().saturating_sub(right.width() as u16 + 1);
    let left = usize::from(area.right().saturating_sub(from.max(x + 2)));
    buf.set_stringn(from.max(x + 2), y, right, left, style);
}

/// The filter in force and the number of marks, at the right; returns the columns taken.
fn chip(app: &App, area: Rect, buf: &mut Buffer) -> u16 {
    let mut parts = Vec::new();
    if !app.table.filter().is_empty() {
        parts.push(format!("/{}  {}", app.table.filter(), matches(app)));
    }
    if app.table.has_marks() {
        parts.push(format!("{} marked", app.targets().len()));
    }
    if !app.typed.is_empty() {
        parts.push(format!("{} …", app.typed));
    }
    let text = figures::fit(&parts.join("  "), usize::from(area.width / 2));
    let width = text.width() as u16;
    if width > 0 {
        let x = area.right().saturating_sub(width + 1);
        buf.set_string(x, area.y, text, theme::fg(THEME.accent));
        return width + 2;
    }
    0
}

/// Key and word, as many as fit; the way to the help page and the way out are always there.
fn hints(app: &App, area: Rect, buf: &mut Buffer) {
    let scope = app.scope();
    let allowed =
        |binding: &&action::Binding| !(binding.hint.is_empty() || app.readonly && binding.writes);
    let all: Vec<_> = action::bindings(scope).filter(allowed).collect();
    let width = |binding: &action::Binding| binding.keys[0].width() + binding.hint.width() + 3;
    let vital =
        |binding: &action::Binding| scope == Scope::Runs && matches!(binding.hint, "help" | "quit");
    let mut room = usize::from(area.width).saturating_sub(1);
    room = room.saturating_sub(all.iter().filter(|b| vital(b)).map(|b| width(b)).sum());
    let mut x = area.x + 1;
    for binding in all {
        if !vital(binding) {
            if width(binding) > room {
                continue;
            }
            room -= width(binding);
        }
        let left = |x: u16| usize::from(area.right().saturating_sub(x));
        (x, _) = buf.set_stringn(x, area.y, binding.keys[0], left(x), theme::bold());
        (x, _) = buf.set_stringn(x + 1, area.y, binding.hint, left(x + 1), theme::faint());
        x += 2;
    }
}
