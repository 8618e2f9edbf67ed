//! The run table: what varies and how it goes, a line a run.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::report::ablation::mean_and_std;
use crate::store::STROKES;
use crate::store::model::{RunRow, State};
use crate::tui::app::{
    App, Column, Extent, TableLine, best, last, share, short, time_left, written,
};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

/// Cursor and mark.
const MARGIN: u16 = 3;

/// Widest cell of a varied factor.
const FACTOR_MAX: usize = 14;

/// A run's name is cut to this before other columns give way: enough to know it by.
const NAME: usize = 17;

/// Cells of a progress bar.
const BAR: usize = 8;

/// A column as it is drawn here and now.
#[derive(Clone, Debug, PartialEq)]
struct Drawn {
    column: Column,
    title: String,
    width: usize,
    /// A bar takes too much room: the percentage alone.
    terse: bool,
}

impl Drawn {
    fn new(app: &App, column: &Column, extent: Extent) -> Self {
        let mut title = column.title();
        if matches!(column, Column::Curve(_)) {
            title = format!("{title} ~");
        }
        let width = match column {
            Column::State => 11,
            Column::Run => app.table.id_width() + if app.baseline().is_some() { 2 } else { 0 },
            Column::Factor(_) => extent.width.min(FACTOR_MAX),
            Column::Factors => 0,
            Column::Progress => BAR + 5,
            Column::Curve(_) => STROKES,
            Column::Last(_) | Column::Best(_) if extent.percent => 5,
            Column::Left | Column::Time => 6,
            Column::Last(_) | Column::Best(_) | Column::Recent(_) | Column::Delta(_) => 7,
            Column::Queued => 8,
            Column::Tags => extent.width.min(20),
            Column::Note => extent.width.min(32),
            Column::Device => extent.width,
            Column::Attempt => 3,
            Column::Experiments => extent.width.min(24),
        };
        let arrow = usize::from(sorted(app, column).is_some());
        let width = width.max(title.width() + arrow);
        Self { column: column.clone(), title, width, terse: false }
    }

    /// Columns with a small number are given up first when the table is too narrow for all.
    fn worth(&self) -> u8 {
        match &self.column {
            Column::State | Column::Run => 9,
            Column::Factor(_) | Column::Factors => 8,
            Column::Last(metric) if metric == "knn_top1" => 7,
            Column::Last(_) => 6,
            Column::Progress if self.terse => 6,
            Column::Best(_) | Column::Delta(_) | Column::Recent(_) => 5,
            Column::Curve(_) => 4,
            Column::Progress | Column::Left => 3,
            Column::Tags if self.width <= "tags".len() => 0,
            Column::Tags | Column::Time => 2,
            _ => 1,
        }
    }
}

/// The arrow of the column that the table is sorted by.
fn sorted(app: &App, column: &Column) -> Option<&'static str> {
    let (key, descending) = app.table.sort();
    (key == Some(column)).then_some(if descending { "↓" } else { "↑" })
}

/// Columns and the cells between them.
struct Fitted {
    columns: Vec<Drawn>,
    gap: usize,
}

fn total(columns: &[Drawn], gap: usize) -> usize {
    usize::from(MARGIN) + columns.iter().map(|column| column.width + gap).sum::<usize>()
}

/// The width at which nothing is given up.
pub fn natural_width(app: &App) -> u16 {
    total(&worthy(app), 2) as u16
}

/// Columns without those that have nothing to show.
fn worthy(app: &App) -> Vec<Drawn> {
    let here = app.table.column();
    let is_bare = |column: &Column, extent: Extent| *column == Column::Tags && extent.width == 0;
    let columns = app.table.measured();
    let columns = columns.filter(|&(c, extent)| !is_bare(c, extent) || Some(c) == here);
    columns.map(|(column, extent)| Drawn::new(app, column, extent)).collect()
}

/// What fits into `width`: first the gaps narrow, then a long name of a run is cut, then bars become numbers and columns
/// are given up, then the name is cut once more. The column that keys mean stays.
fn fitted(app: &App, width: u16) -> Fitted {
    let mut columns = worthy(app);
    let here = app.table.column().cloned();
    let gap = if total(&columns, 2) <= width.into() { 2 } else { 1 };
    let is_run = |column: &Drawn| column.column == Column::Run;
    let wanted = columns.iter().find(|column| is_run(column)).map_or(0, |column| column.width);
    if let Some(run) = columns.iter_mut().find(|column| is_run(column)) {
        run.width = run.width.min(NAME);
    }
    while total(&columns, gap) > width.into() {
        let given_up = columns.iter().enumerate().filter(|(_, column)| {
            column.worth() < 8
                && (Some(&column.column) != here.as_ref()
                    || !column.terse && column.column == Column::Progress)
        });
        let Some(at) = given_up.min_by_key(|(_, column)| column.worth()).map(|(at, _)| at) else {
            break;
        };
        match columns[at].column {
            Column::Progress if !columns[at].terse => {
                let title = "done".to_owned();
                columns[at] = Drawn { column: Column::Progress, width: 5, title, terse: true };
            }
            _ => drop(columns.remove(at)),
        }
    }
    let taken = total(&columns, gap);
    if let Some(run) = columns.iter_mut().find(|column| is_run(column)) {
        let spare = usize::from(width).saturating_sub(taken);
        let over = taken.saturating_sub(width.into());
        run.width = wanted.min(run.width + spare).saturating_sub(over).max(12);
    }
    Fitted { columns, gap }
}

/// The column over a column of the terminal.
pub fn column_at(app: &App, area: Rect, x: u16) -> Option<Column> {
    let fitted = fitted(app, area.width);
    let mut from = area.x + MARGIN;
    fitted.columns.into_iter().find_map(|column| {
        let here = (from..from + column.width as u16).contains(&x);
        from += (column.width + fitted.gap) as u16;
        here.then_some(column.column)
    })
}

/// Draws head and rows.
pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let fitted = fitted(app, area.width);
    let mut x = area.x + MARGIN;
    for column in &fitted.columns {
        let arrow = sorted(app, &column.column).unwrap_or("");
        let title = format!("{}{arrow}", column.title);
        let mut style = if arrow.is_empty() { theme::faint() } else { theme::bold() };
        if app.table.column() == Some(&column.column) {
            style = theme::title(true).add_modifier(Modifier::UNDERLINED);
        }
        put(buf, area, x, area.y, column, &title, style);
        x += (column.width + fitted.gap) as u16;
    }
    let rows = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let lines = app.table.lines().iter().skip(app.table.offset());
    for (at, line) in lines.take(rows.height.into()).enumerate() {
        let strip = Rect { y: rows.y + at as u16, height: 1, ..rows };
        match line {
            TableLine::Head { value, runs } => draw_head(app, value, runs.clone(), strip, buf),
            TableLine::Run(at) => {
                let row = &app.rows[app.table.shown()[*at]];
                draw_row(app, &fitted, row, strip, buf);
                if Some(*at) == app.table.cursor() {
                    // One calm bar: colours inside it would become blocks.
                    buf.set_style(strip, Style::reset());
                    buf.set_style(strip, theme::cursor(true));
                    buf.set_string(area.x, strip.y, ">", theme::cursor(true));
                }
            }
        }
    }
    if app.table.shown().is_empty() {
        let text = "no run passes the filter";
        buf.set_stringn(area.x + MARGIN, rows.y, text, area.width.into(), theme::faint());
    }
}

/// Over a group: its factor, how many runs, and what the k-NN accuracy (else the loss) of the finished ones comes to. Runs
/// of several data sets or experiments have no mean that says anything.
fn draw_head(app: &App, value: &str, runs: std::ops::Range<usize>, area: Rect, buf: &mut Buffer) {
    let rows: Vec<&RunRow> = runs.map(|at| &app.rows[app.table.shown()[at]]).collect();
    let mut text = format!("{} = {value}   ", short(app.table.group().unwrap_or_default()));
    text.push_str(&match unlike(&rows) {
        Some(why) => format!("{} runs of {why}: no mean", rows.len()),
        None => mean(&rows),
    });
    super::put(buf, area, area.x + 1, area.y, &text, theme::bold());
}

/// In what the runs are no sample of one thing.
fn unlike(rows: &[&RunRow]) -> Option<String> {
    let sets: BTreeSet<String> = rows.iter().map(|row| written(row, "data.dataset")).collect();
    let shares_one = rows.first().is_none_or(|first| {
        let is_of = |name: &String| rows.iter().all(|row| row.experiments.contains(name));
        first.experiments.iter().any(is_of) || rows.iter().all(|row| row.experiments.is_empty())
    });
    match sets.len() {
        0 | 1 if shares_one => None,
        0 | 1 => Some("several experiments".to_owned()),
        n => Some(format!("{n} data sets")),
    }
}

/// Mean and standard deviation over those that are finished, and how many these are of all.
fn mean(rows: &[&RunRow]) -> String {
    let finished = || rows.iter().filter(|row| row.state == State::Finished);
    let of = |metric: &str| -> Vec<f64> {
        finished().map(|row| last(row, metric)).filter(|x| x.is_finite()).collect()
    };
    let metric = if of("knn_top1").is_empty() { "loss" } else { "knn_top1" };
    let values = of(metric);
    let n = if values.len() == rows.len() {
        format!("({})", rows.len())
    } else {
        format!("({}/{})", values.len(), rows.len())
    };
    let write = if metric == "loss" { figures::value } else { figures::percent };
    match mean_and_std(&values) {
        (Some(mean), Some(std)) => format!("{metric} {} ± {} {n}", write(mean), write(std)),
        (Some(mean), None) => format!("{metric} {} {n}", write(mean)),
        (None, _) => n,
    }
}

fn draw_row(app: &App, fitted: &Fitted, row: &RunRow, area: Rect, buf: &mut Buffer) {
    if let Some(slot) = app.table.marks.colour(&row.id) {
        let (ink, marker) = theme::series(slot);
        buf.set_string(area.x + 1, area.y, marker, theme::fg(ink));
    }
    let mut x = area.x + MARGIN;
    for column in &fitted.columns {
        let (text, style) = cell(app, row, column);
        put(buf, area, x, area.y, column, &text, style);
        x += (column.width + fitted.gap) as u16;
    }
}

/// Writes a cell, numbers to the right.
fn put(buf: &mut Buffer, area: Rect, x: u16, y: u16, column: &Drawn, text: &str, style: Style) {
    let room = usize::from(area.right().saturating_sub(x)).min(column.width);
    if room == 0 {
        return;
    }
    let text = figures::fit(text, room);
    let left = matches!(
        &column.column,
        Column::State
            | Column::Run
            | Column::Progress
            | Column::Curve(_)
            | Column::Tags
            | Column::Note
            | Column::Device
            | Column::Experiments
    );
    let pad = if left && !column.terse { 0 } else { room.saturating_sub(text.width()) };
    buf.set_stringn(x + pad as u16, y, text, room, style);
}

fn cell(app: &App, row: &RunRow, drawn: &Drawn) -> (String, Style) {
    let plain = Style::new();
    let number = |metric: &str, x: f64| {
        let percent = row.metrics.get(metric).is_some_and(|summary| summary.unit == "%");
        let write = if percent { figures::percent } else { figures::value };
        // Empty before the first value, `NaN` in words when it is one.
        if row.metrics.contains_key(metric) { write(x) } else { String::new() }
    };
    match &drawn.column {
        Column::State => {
            let (glyph, style) = theme::state(row.state);
            (format!("{glyph} {}", row.state), style)
        }
        Column::Run | Column::Factors => {
            let is_baseline = app.memory.baseline.as_ref() == Some(&row.id);
            let style = if is_baseline || row.pinned { theme::bold() } else { plain };
            let sign = if is_baseline { "◎ " } else { "" };
            let room = drawn.width.saturating_sub(sign.width());
            (format!("{sign}{}", figures::fit_id(&row.id, room)), style)
        }
        Column::Factor(key) => (written(row, key), plain),
        Column::Progress if drawn.terse => (format!("{:.0}%", percent(row)), plain),
        Column::Progress => {
            let style = if row.state.is_active() { plain } else { theme::faint() };
            (format!("{} {:>3.0}%", figures::bar(share(row), BAR), percent(row)), style)
        }
        Column::Left => (time_left(row).map_or(String::new(), figures::duration), plain),
        Column::Curve(metric) => {
            let sketch = app.table.sketch(&row.id, metric);
            (
                sketch.map_or(String::new(), |sketch| figures::strokes(&sketch.strokes)),
                theme::faint(),
            )
        }
        Column::Last(metric) if metric == "loss" => {
            // A loss that somebody should look at.
            let style = if row.warning.is_some() { theme::fg(THEME.warn) } else { plain };
            (number(metric, last(row, metric)), style)
        }
        Column::Last(metric) => (number(metric, last(row, metric)), plain),
        Column::Best(metric) => (number(metric, best(row, metric)), theme::bold()),
        Column::Recent(metric) => {
            let known = app.table.sketch(&row.id, metric).map(|sketch| sketch.recent);
            (known.map_or(String::new(), |x| number(metric, x)), plain)
        }
        Column::Delta(metric) => {
            let base = app.baseline().map_or(f64::NAN, |base| last(base, metric));
            let delta = last(row, metric) - base;
            (if delta.is_finite() { figures::signed(delta) } else { String::new() }, plain)
        }
        Column::Time => match row.progress.sec {
            0.0 => (String::new(), plain),
            sec => (figures::duration(sec), theme::faint()),
        },
        Column::Queued => {
            let ago = (app.now - row.queued_at) as f64 / 1000.0;
            (format!("{} ago", figures::brief_duration(ago)), theme::faint())
        }
        Column::Tags => (row.tags.join(" "), theme::fg(THEME.accent)),
        Column::Note => (row.note.clone(), theme::faint()),
        Column::Device => (row.device.clone().unwrap_or_default(), plain),
        Column::Attempt => (row.attempt.to_string(), plain),
        Column::Experiments => (row.experiments.join(" "), plain),
    }
}

/// Done, in whole percent; never 100 before the end.
fn percent(row: &RunRow) -> f64 {
    (share(row) * 100.0).floor()
}
