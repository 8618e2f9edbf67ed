//! The last line: a question, the filter being typed, a message, or which keys are worth knowing here.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::tui::app::{App, Layer, Line, Panel, Purpose, Tab, Typed, to_type, word};
use crate::tui::figures;
use crate::tui::keys::{Action, Binding, Scope};
use crate::tui::theme::{self, THEME};

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let warn = theme::fg(THEME.warn).add_modifier(Modifier::BOLD);
    let write = |buf: &mut Buffer, text: &str, style| {
        let width = usize::from(area.width).saturating_sub(1);
        buf.set_stringn(area.x + 1, area.y, figures::fit(text, width), width, style);
    };
    match &app.layer {
        Layer::Confirm { verb, runs } => {
            write(buf, &question(app, *verb, runs, area.width.into()), warn);
        }
        Layer::Filter { line, .. } => filter_line(app, line, area, buf),
        Layer::Palette(palette) => {
            line(":", &palette.line, "tab completes · ↑ history", theme::faint(), area, buf);
        }
        Layer::Typed(typed) => typed_line(app, typed, area, buf),
        Layer::Help { search, .. } => {
            let hint = "type to search · ↑ ↓ · esc";
            line("?", search, hint, theme::faint(), area, buf);
        }
        _ if !app.typed.is_empty() => continuations(app, area, buf),
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
fn question(app: &App, verb: Action, runs: &[String], width: usize) -> String {
    let word = word(verb);
    if 0 < app.hidden_among(runs) {
        return format!("{word} {}?  y / n", app.named(runs));
    }
    let all = format!(
        "{word} {}? It cannot be resumed from the queue, only retried.  y / n",
        runs.join(", ")
    );
    let short = format!("{word} {}?  y / n", runs.join(", "));
    let counted = match runs {
        [first, rest @ ..] if !rest.is_empty() => {
            format!("{word} {} runs ({first} and {} more)?  y / n", runs.len(), rest.len())
        }
        _ => short.clone(),
    };
    [all, short].into_iter().find(|text| text.width() + 2 <= width).unwrap_or(counted)
}

fn matches(app: &App) -> String {
    let all = app.rows.iter().filter(|row| !row.archived).count();
    format!("{} of {all} runs", app.table.shown().len())
}

fn filter_line(app: &App, filter: &Line, area: Rect, buf: &mut Buffer) {
    match app.table.filter_error() {
        Some(why) => {
            // Of a long filter the end is enough to go on; what is wrong with it has to be read.
            let width = usize::from(area.width);
            let room = width.saturating_sub(filter.text().width() + 6).max(width * 3 / 5);
            let why = figures::fit(why, room);
            with_hint("/", filter, &why, theme::fg(THEME.warn), area, buf);
        }
        None => {
            let hint = format!("{}   enter keep · esc as it was · ctrl-s save", matches(app));
            line("/", filter, &hint, theme::faint(), area, buf);
        }
    }
}

fn typed_line(app: &App, typed: &Typed, area: Rect, buf: &mut Buffer) {
    let (prompt, hint) = match &typed.purpose {
        Purpose::Tag(runs) => {
            (format!("tag {}: ", app.named(runs)), "name adds, -name removes".into())
        }
        Purpose::Metrics { .. } => ("/".to_owned(), "charts whose names contain it".into()),
        Purpose::Search => ("/".to_owned(), "words in the log".into()),
        Purpose::Note(runs) => (format!("note on {}: ", app.named(runs)), "enter keeps".into()),
        Purpose::Remove(runs) => {
            let prompt = format!("{} into the trash? ", app.named(runs));
            let undo = app.keymap.key_of(Scope::Screen, Action::Undo);
            let back = undo.map_or(String::new(), |key| format!("; {key} brings back"));
            (prompt, format!("type {}{back}", to_type(runs)))
        }
    };
    let prompt = figures::fit(&prompt, usize::from(area.width / 2));
    let style = match typed.purpose {
        Purpose::Remove(_) => theme::fg(THEME.warn).add_modifier(Modifier::BOLD),
        _ => theme::faint(),
    };
    line(&prompt, &typed.line, &hint, style, area, buf);
}

/// A line being typed behind its prompt, and something said at the right where there is room.
fn line(prompt: &str, typed: &Line, hint: &str, style: Style, area: Rect, buf: &mut Buffer) {
    // What is typed needs its room first.
    let wanted = prompt.width() + typed.text().width() + hint.width() + 6;
    let hint = if wanted <= area.width.into() { hint } else { "" };
    with_hint(prompt, typed, hint, style, area, buf);
}

fn with_hint(prompt: &str, typed: &Line, hint: &str, style: Style, area: Rect, buf: &mut Buffer) {
    let width = usize::from(area.width).saturating_sub(2);
    let accent = theme::fg(THEME.accent).add_modifier(Modifier::BOLD);
    let (x, y) = buf.set_stringn(area.x + 1, area.y, prompt, width, accent);
    let left = usize::from(area.right().saturating_sub(x + 1));
    let room = left.saturating_sub(hint.width() + 2).max(1);
    let (before, after) = typed.split();
    // The end of a long line is what is being typed.
    let mut start = before;
    while start.width() + 1 > room {
        let Some(c) = start.chars().next() else { break };
        start = &start[c.len_utf8()..];
    }
    let (x, _) = buf.set_stringn(x, y, start, room, theme::bold());
    let under = after.chars().next().map_or(" ".to_owned(), String::from);
    if x < area.right() {
        let (x, _) = buf.set_stringn(x, y, &under, 1.max(under.width()), theme::cursor(true));
        let rest = &after[after.chars().next().map_or(0, char::len_utf8)..];
        let left = room.saturating_sub(start.width() + 1);
        buf.set_stringn(x, y, rest, left, theme::bold());
    }
    if !hint.is_empty() {
        let from = area.right().saturating_sub(hint.width() as u16 + 1);
        buf.set_string(from, y, hint, style);
    }
}

/// What may follow the keys typed so far.
fn continuations(app: &App, area: Rect, buf: &mut Buffer) {
    let mut x = area.x + 1;
    let left = |x: u16| usize::from(area.right().saturating_sub(x));
    (x, _) = buf.set_stringn(x, area.y, &app.typed, left(x), theme::title(true));
    x += 2;
    for (rest, binding) in app.keymap.continuations(app.scope(), &app.typed) {
        let words = if binding.hint.is_empty() { binding.name } else { binding.hint };
        if rest.width() + words.width() + 3 > left(x) {
            break;
        }
        (x, _) = buf.set_stringn(x, area.y, rest, left(x), theme::bold());
        (x, _) = buf.set_stringn(x + 1, area.y, words, left(x + 1), theme::faint());
        x += 2;
    }
}

/// The filter in force and the number of marks, at the right; returns the columns taken.
fn chip(app: &App, area: Rect, buf: &mut Buffer) -> u16 {
    // Each where it decides what is seen: the filter also which run comes next.
    let is_filtered = matches!(app.tab, Tab::Runs | Tab::Run | Tab::Images);
    let is_filtered = is_filtered && !app.table.filter().is_empty();
    let has_marks = matches!(app.tab, Tab::Runs | Tab::Charts) && !app.table.marks.is_empty();
    let counts = match &app.opened {
        Some(runs) if app.tab == Tab::Charts => {
            vec![format!("{} of a row · esc to the table", runs.len())]
        }
        _ => {
            let shown = is_filtered.then(|| matches(app));
            let marked = has_marks.then(|| format!("{} marked", app.table.marks.len()));
            shown.into_iter().chain(marked).collect()
        }
    };
    let counts = counts.join("  ");
    let room = usize::from(area.width / 2);
    // Of a long filter its beginning is known again; a number that is cut is none.
    let text = match room.saturating_sub(counts.width() + 2) {
        left if is_filtered && left >= 6 => {
            let filter = figures::fit(&format!("/{}", app.table.filter()), left);
            format!("{filter}  {counts}")
        }
        _ => figures::fit(&counts, room),
    };
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
    let covered = app.layer != Layer::None;
    let all: Vec<(&str, &String)> = app
        .keymap
        .of(app.scope())
        .filter(|(binding, _)| !(app.readonly && binding.writes))
        .filter_map(|(binding, keys)| Some((hint(app, binding), keys.first()?)))
        .filter(|(hint, _)| !hint.is_empty())
        .collect();
    let width = |(hint, key): &(&str, &String)| key.width() + hint.width() + 3;
    let vital = |hint: &str| if covered { hint == "back" } else { matches!(hint, "help" | "quit") };
    let mut room = usize::from(area.width).saturating_sub(1);
    room = room.saturating_sub(all.iter().filter(|row| vital(row.0)).map(width).sum());
    let mut x = area.x + 1;
    for row in &all {
        let (hint, key) = row;
        if !vital(hint) {
            if width(row) > room {
                continue;
            }
            room -= width(row);
        }
        let left = |x: u16| usize::from(area.right().saturating_sub(x));
        (x, _) = buf.set_stringn(x, area.y, key, left(x), theme::bold());
        (x, _) = buf.set_stringn(x + 1, area.y, hint, left(x + 1), theme::faint());
        x += 2;
    }
}

/// What a key does as things stand; empty where that is nothing.
fn hint(app: &App, binding: &Binding) -> &'static str {
    let is_here = app.layer == Layer::None && binding.scope == app.tab.scope();
    match binding.action {
        action if matches!(&app.layer, Layer::Choose(choose) if !choose.knows(action)) => "",
        action if is_here && app.tab == Tab::Ablations && !app.can_turn(action) => "",
        Action::Method | Action::Marks if is_here && !app.has_map() => "",
        Action::Right if is_here && app.tab == Tab::Run && app.run.panel == Panel::Log => "sheet",
        _ => binding.hint,
    }
}
