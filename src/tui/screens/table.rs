//! The run table: what varies and how it goes, a line a run.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::store::model::RunRow;
use crate::tui::app::{App, Focus, SortKey, best, last, share, written};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

/// Cursor and mark.
const MARGIN: u16 = 3;

/// Widest cell of a varied factor.
const FACTOR_MAX: usize = 14;

/// Cells of a progress bar.
const BAR: usize = 8;

#[derive(Clone, Debug, PartialEq)]
struct Column {
    key: Key,
    title: String,
    width: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Key {
    By(SortKey),
    /// Percent without a bar, where there is little room.
    Percent,
    /// Time left.
    Left,
}

/// Columns that are given up, first to last, when the table is too narrow for all.
const GIVEN_UP: [&str; 5] = ["progress", "time", "left", "loss", "best"];

fn columns(app: &App) -> Vec<Column> {
    let column = |key: Key, title: &str, width: usize| Column {
        key,
        title: title.to_owned(),
        width: width.max(title.width() + usize::from(sorted(app, title).is_some())),
    };
    let by = |key: SortKey, title: &str, width: usize| column(Key::By(key), title, width);
    let mut columns =
        vec![by(SortKey::State, "state", 11), by(SortKey::Run, "run", app.table.id_width())];
    for factor in app.table.factors() {
        let sort = SortKey::Factor(factor.key.clone());
        columns.push(by(sort, &short(&factor.key), factor.width.min(FACTOR_MAX)));
    }
    columns.push(by(SortKey::Progress, "progress", BAR + 5));
    columns.push(column(Key::Left, "left", 6));
    columns.push(by(SortKey::Last("knn_top1".into()), "k-NN", 5));
    columns.push(by(SortKey::Best("knn_top1".into()), "best", 5));
    columns.push(by(SortKey::Last("loss".into()), "loss", 6));
    columns.push(by(SortKey::Time, "time", 6));
    columns
}

/// A factor's name in a table head: the last part of its key, the Greek letter where the field writes one.
pub fn short(key: &str) -> String {
    match key.rsplit('.').next().unwrap_or(key) {
        "lambda" => "λ".into(),
        "tau" => "τ".into(),
        last => last.into(),
    }
}

fn title_of(sort: &SortKey) -> String {
    match sort {
        SortKey::Queued => String::new(),
        SortKey::State => "state".into(),
        SortKey::Run => "run".into(),
        SortKey::Factor(key) => short(key),
        SortKey::Progress => "progress".into(),
        SortKey::Last(metric) if metric == "loss" => "loss".into(),
        SortKey::Last(_) => "k-NN".into(),
        SortKey::Best(_) => "best".into(),
        SortKey::Time => "time".into(),
    }
}

/// The arrow of the column that the table is sorted by.
fn sorted(app: &App, title: &str) -> Option<&'static str> {
    let (key, descending) = app.table.sort();
    (title_of(key) == title).then_some(if descending { "↓" } else { "↑" })
}

/// Columns and the cells between them.
struct Fitted {
    columns: Vec<Column>,
    gap: usize,
}

fn total(columns: &[Column], gap: usize) -> usize {
    usize::from(MARGIN) + columns.iter().map(|column| column.width + gap).sum::<usize>()
}

/// The width at which nothing is given up.
pub fn natural_width(app: &App) -> u16 {
    total(&columns(app), 2) as u16
}

/// What fits into `width`: first the gaps narrow, then columns are given up, then the run's name is cut.
fn fitted(app: &App, width: u16) -> Fitted {
    let mut columns = columns(app);
    let gap = if total(&columns, 2) <= width.into() { 2 } else { 1 };
    for title in GIVEN_UP {
        if total(&columns, gap) <= width.into() {
            break;
        }
        let Some(at) = columns.iter().position(|column| column.title == title) else { continue };
        if title == "progress" {
            columns[at] = Column { key: Key::Percent, title: "done".into(), width: 4 };
        } else {
            columns.remove(at);
        }
    }
    let over = total(&columns, gap).saturating_sub(width.into());
    if let Some(run) = columns.iter_mut().find(|column| column.title == "run") {
        run.width = run.width.saturating_sub(over).max(12);
    }
    Fitted { columns, gap }
}

/// Draws head and rows.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let fitted = fitted(app, area.width);
    let mut x = area.x + MARGIN;
    for column in &fitted.columns {
        let arrow = sorted(app, &column.title).unwrap_or("");
        let title = format!("{}{arrow}", column.title);
        let style = if arrow.is_empty() { theme::faint() } else { theme::title(false) };
        put(buf, area, x, area.y, column, &title, style);
        x += (column.width + fitted.gap) as u16;
    }
    let rows = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let shown = app.table.shown();
    for (line, &i) in shown.iter().enumerate().skip(app.table.offset()).take(rows.height.into()) {
        let y = rows.y + (line - app.table.offset()) as u16;
        draw_row(app, &fitted, &app.rows[i], Rect { y, height: 1, ..rows }, buf);
        if line == app.table.cursor() {
            let strip = Rect { y, height: 1, ..rows };
            let focused = app.focus == Focus::Table;
            if focused {
                // One calm bar: colours inside it would become blocks.
                buf.set_style(strip, Style::reset());
            }
            buf.set_style(strip, theme::cursor(focused));
            buf.set_string(area.x, y, ">", theme::cursor(focused));
        }
    }
    if shown.is_empty() {
        let text = "no run passes the filter";
        buf.set_stringn(area.x + MARGIN, rows.y, text, area.width.into(), theme::faint());
    }
}

fn draw_row(app: &App, fitted: &Fitted, row: &RunRow, area: Rect, buf: &mut Buffer) {
    if let Some(slot) = app.table.colour(&row.id) {
        let (ink, marker) = theme::series(slot);
        buf.set_string(area.x + 1, area.y, marker, theme::fg(ink));
    }
    let mut x = area.x + MARGIN;
    for column in &fitted.columns {
        let (text, style) = cell(row, &column.key);
        put(buf, area, x, area.y, column, &text, style);
        x += (column.width + fitted.gap) as u16;
    }
}

/// Writes a cell, numbers to the right.
fn put(buf: &mut Buffer, area: Rect, x: u16, y: u16, column: &Column, text: &str, style: Style) {
    let room = usize::from(area.right().saturating_sub(x)).min(column.width);
    if room == 0 {
        return;
    }
    let text = figures::fit(text, room);
    let left = matches!(&column.key, Key::By(SortKey::State | SortKey::Run | SortKey::Progress));
    let pad = if left { 0 } else { room - text.width() };
    buf.set_stringn(x + pad as u16, y, text, room, style);
}

fn cell(row: &RunRow, key: &Key) -> (String, Style) {
    let plain = Style::new();
    match key {
        Key::By(SortKey::State) => {
            let (glyph, style) = theme::state(row.state);
            (format!("{glyph} {}", row.state), style)
        }
        Key::By(SortKey::Run | SortKey::Queued) => {
            (row.id.clone(), if row.pinned { theme::bold() } else { plain })
        }
        Key::By(SortKey::Factor(key)) => (written(row, key), plain),
        Key::By(SortKey::Progress) => {
            let style = if row.state.is_active() { plain } else { theme::faint() };
            (format!("{} {:>3.0}%", bar(share(row)), percent(row)), style)
        }
        Key::Percent => (format!("{:.0}%", percent(row)), plain),
        Key::Left => (time_left(row).map_or(String::new(), figures::duration), plain),
        Key::By(SortKey::Last(metric)) if metric == "loss" => {
            (number(row, metric, last(row, metric), figures::value), warned(row))
        }
        Key::By(SortKey::Last(metric)) => {
            (number(row, metric, last(row, metric), figures::percent), plain)
        }
        Key::By(SortKey::Best(metric)) => (
            number(row, metric, best(row, metric), figures::percent),
            plain.add_modifier(Modifier::BOLD),
        ),
        Key::By(SortKey::Time) => match row.progress.sec {
            0.0 => (String::new(), plain),
            sec => (figures::duration(sec), theme::faint()),
        },
    }
}

/// A loss that somebody should look at.
fn warned(row: &RunRow) -> Style {
    if row.warning.is_some() { theme::fg(THEME.warn) } else { Style::new() }
}

/// A metric's cell: empty before the first value, `NaN` in words when it is one.
fn number(row: &RunRow, metric: &str, x: f64, write: fn(f64) -> String) -> String {
    if row.metrics.contains_key(metric) { write(x) } else { String::new() }
}

/// Done, in whole percent; never 100 before the end.
fn percent(row: &RunRow) -> f64 {
    (share(row) * 100.0).floor()
}

/// Eighths of a cell, so that slow runs are seen to move.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    let filled = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    let rest = BAR - filled.chars().count();
    format!("{filled}{}", "·".repeat(rest))
}

/// Seconds to go at the pace so far; nothing where nothing runs.
pub fn time_left(row: &RunRow) -> Option<f64> {
    let progress = &row.progress;
    let known = row.state.is_active() && progress.step > 0 && progress.steps >= progress.step;
    known.then(|| progress.sec / progress.step as f64 * (progress.steps - progress.step) as f64)
}
