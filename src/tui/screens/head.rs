//! The first line: which screens there are, where the lab lies, how many runs stand where.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::store::model::State;
use crate::tui::app::{App, Tab};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

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

/// Where each tab stands in a head line: its first column and its width.
pub fn tabs(area: Rect) -> Vec<(Tab, u16, u16)> {
    let gap = if area.width < 100 { 1 } else { 2 };
    let mut x = area.x + 1;
    let mut places = Vec::new();
    for tab in Tab::ALL {
        let width = tab.title().width() as u16 + 2;
        places.push((tab, x, width));
        x += width + gap;
    }
    places
}

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let mut x = area.x + 1;
    for (at, (tab, from, width)) in tabs(area).into_iter().enumerate() {
        let here = tab == app.tab;
        let room = area.right().saturating_sub(from).into();
        let digit = format!("{}", at + 1);
        // Without colour the screen at hand is underlined.
        let title =
            if here { theme::title(true).add_modifier(Modifier::UNDERLINED) } else { Style::new() };
        buf.set_stringn(from, area.y, digit, room, theme::faint());
        buf.set_stringn(from + 2, area.y, tab.title(), room.saturating_sub(2), title);
        x = from + width;
    }
    let counts = counts(app, area.right().saturating_sub(x + 2).into());
    let counted: usize = counts.iter().map(|(text, _)| text.width() + 2).sum();
    let room = usize::from(area.right().saturating_sub(x + 3)).saturating_sub(counted);
    if room > 12 {
        let place = figures::fit(&app.place, room);
        buf.set_stringn(x + 3, area.y, place, room, theme::faint());
    }
    let mut at = area.right().saturating_sub(counted as u16).max(x + 2);
    for (text, style) in counts {
        let width = text.width() as u16;
        if at + width > area.right() {
            break;
        }
        buf.set_string(at, area.y, &text, style);
        at += width + 2;
    }
}

/// States with their numbers, in words where `room` allows.
fn counts(app: &App, room: usize) -> Vec<(String, Style)> {
    let mut badges: Vec<(String, Style)> = Vec::new();
    let warn = theme::fg(THEME.warn).add_modifier(Modifier::BOLD);
    if let Some(held) = &app.frozen {
        let text =
            if held.is_empty() { "FROZEN".into() } else { format!("FROZEN +{}", held.len()) };
        badges.push((text, warn.add_modifier(Modifier::REVERSED)));
    }
    if app.readonly {
        badges.push(("read only".into(), warn));
    }
    // All states in one pass: there may be thousands of runs.
    let mut present = BY_URGENCY.map(|state| (state, 0));
    for row in app.rows.iter().filter(|row| !row.archived) {
        if let Some((_, n)) = present.iter_mut().find(|(state, _)| *state == row.state) {
            *n += 1;
        }
    }
    let present: Vec<_> = present.into_iter().filter(|(_, n)| *n > 0).collect();
    let written = |words: bool| -> Vec<(String, Style)> {
        let counts = present.iter().map(|(state, n)| {
            let (glyph, style) = theme::state(*state);
            (if words { format!("{glyph} {n} {state}") } else { format!("{glyph}{n}") }, style)
        });
        counts.chain(badges.iter().cloned()).collect()
    };
    let width = |texts: &[(String, Style)]| texts.iter().map(|(t, _)| t.width() + 2).sum::<usize>();
    let long = written(true);
    if width(&long) <= room { long } else { written(false) }
}
