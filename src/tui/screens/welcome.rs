//! What stands where no runs are: what this is, and what to press.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::app::App;
use crate::tui::figures;
use crate::tui::theme;

/// Lines that what is wrong may take.
const WHY: usize = 6;

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    // One line at the foot may be too short for what is to be done.
    let why = app.trouble.as_deref().unwrap_or_default();
    let why = figures::wrap(why, usize::from(area.width.saturating_sub(4)), WHY);
    let trouble: Vec<(&str, &str)> = [("", "The run log cannot be read."), ("", "")]
        .into_iter()
        .chain(why.iter().map(|line| ("", line.as_str())))
        .collect();
    let nothing =
        format!("This lab has no runs yet, and this screen only looks ({}).", app.why_readonly());
    let lines: &[(&str, &str)] = if app.trouble.is_some() {
        &trouble
    } else if !app.loaded {
        &[("", "reading the run log …")]
    } else if app.readonly {
        &[("", &nothing), ("", ""), ("?", "all keys"), ("q", "quit")]
    } else {
        &[
            ("", "This lab has no runs yet."),
            ("", ""),
            ("a", "queue an experiment: a grid of runs from experiments/*.toml"),
            ("?", "all keys"),
            ("q", "quit; what runs goes on running"),
            ("", ""),
            ("", "Runs that `instdisc-lab queue FILE` queues appear here too."),
        ]
    };
    let width = lines
        .iter()
        .map(|(key, text)| 4 * u16::from(!key.is_empty()) + text.chars().count() as u16);
    let width = width.max().unwrap_or(0).min(area.width);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + area.height.saturating_sub(lines.len() as u16) / 3;
    for (i, (key, text)) in lines.iter().enumerate() {
        let y = y + i as u16;
        if y >= area.bottom() {
            break;
        }
        let (style, indent) = match (i, key.is_empty()) {
            (0, _) => (theme::bold(), 0),
            (_, true) => (theme::faint(), 0),
            (_, false) => (Default::default(), 4),
        };
        buf.set_string(x, y, key, theme::title(true));
        let room = usize::from(area.right().saturating_sub(x + indent));
        buf.set_stringn(x + indent, y, text, room, style);
    }
}
