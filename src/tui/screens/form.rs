//! The form of a plan: keys, what they are, what they may be.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::config::keys::KEYS;
use crate::tui::app::{Form, Picker, form_values};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

use super::put;

/// Columns of the names, and of the values behind them.
const NAMES: u16 = 24;
const VALUES: u16 = 22;

pub fn draw(picker: &Picker, form: &Form, area: Rect, buf: &mut Buffer) {
    if area.height < 3 {
        return;
    }
    let runs = picker.last_good().unwrap_or_default();
    // The last line is for the key under the cursor.
    let rows = usize::from(area.height) - 2;
    let from = (form.cursor + 1).saturating_sub(rows);
    for (y, (at, key)) in (area.y..).zip(KEYS.iter().enumerate().skip(from).take(rows)) {
        let here = at == form.cursor;
        let values = form_values(runs, key.name).join(", ");
        let changed = picker.change(key.name);
        let name = if here { theme::title(true) } else { Style::new() };
        put(buf, area, area.x, y, if here { ">" } else { " " }, name);
        // A key that means nothing here can still be set, which may make it mean something.
        let idle = values.is_empty() && changed.is_none();
        put(buf, area, area.x + 2, y, key.name, if idle && !here { theme::faint() } else { name });
        let x = area.x + 2 + NAMES;
        if let (true, Some(line)) = (here, &form.line) {
            let wrong = form.problem().is_some();
            let style = if wrong { theme::fg(THEME.bad) } else { Style::new() };
            let style = style.add_modifier(Modifier::BOLD);
            let (before, after) = line.split();
            let x = put(buf, area, x, y, before, style);
            let under = after.chars().next().map_or(" ".to_owned(), String::from);
            let x = put(buf, area, x, y, &under, theme::cursor(true));
            put(buf, area, x, y, &after.chars().skip(1).collect::<String>(), style);
            continue;
        }
        let (text, style) = match changed {
            Some(value) => (format!("{value} *"), theme::bold()),
            None if idle => ("–".to_owned(), theme::faint()),
            None => (values, Style::new()),
        };
        let end = put(
            buf,
            Rect { width: (x + VALUES).saturating_sub(area.x).min(area.width), ..area },
            x,
            y,
            &text,
            style,
        );
        let help = (x + VALUES + 1).max(end + 1);
        put(buf, area, help, y, key.help, theme::faint());
    }
    let key = form.key();
    let y = area.bottom() - 1;
    if let Some(search) = &form.search {
        let x = put(buf, area, area.x, y, "/", theme::title(true));
        let x = put(buf, area, x, y, search.text(), theme::bold());
        put(buf, area, x, y, " ", theme::cursor(true));
        return;
    }
    let unit = if key.unit.is_empty() { String::new() } else { format!(" {}", key.unit) };
    let (text, style) = match form.problem() {
        Some(why) => (why, theme::fg(THEME.bad)),
        None => {
            let conditions = key.applies.iter().map(ToString::to_string).collect::<Vec<_>>();
            let needs = match conditions.is_empty() {
                true => String::new(),
                false => format!("; where {}", conditions.join(", ")),
            };
            let text = format!(
                "{}{unit}{needs}; commas make an axis, nothing as written",
                key.kind.words()
            );
            (text, theme::faint())
        }
    };
    // The blank line above takes what is too long for one.
    let lines = figures::wrap(&text, area.width.into(), 2);
    for (y, line) in (y + 1 - lines.len() as u16..).zip(&lines) {
        put(buf, area, area.x, y, line, style);
    }
}
