//! The live ablation table, a slice through it, and the learning curves of the row under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use crate::journal::metric;
use crate::report::ablation::{Ablation, Row};
use crate::report::table::Align;
use crate::tui::app::{App, short};
use crate::tui::figures;
use crate::tui::theme;
use crate::tui::widgets::slice::{Point, Slice};

use super::charts::{self, Cache};
use super::put;

/// Cells of a bar.
const BAR: usize = 12;

/// From this width on the plots stand beside the table.
const WIDE: u16 = 110;

pub fn draw(app: &App, area: Rect, buf: &mut Buffer, cache: &mut Cache) {
    let table = match app.ablation() {
        Ok(table) => table,
        Err(why) => {
            put(buf, area, area.x + 2, area.y + area.height / 3, why, theme::faint());
            return;
        }
    };
    let head = Rect { height: HEAD.min(area.height), ..area };
    draw_head(app, table, head, buf);
    let grid = Grid::new(table);
    let Places { left, slice, curves, notes: lines } = places(&grid, table, area);
    let cursor = app.ablations.cursor.min(table.rows.len().saturating_sub(1));
    grid.draw(table, cursor, left, buf);
    let notes = left.y + grid.height() as u16 + 1;
    for (i, text) in lines.iter().enumerate() {
        put(buf, left, left.x + 3, notes + i as u16, text, theme::faint());
    }
    draw_slice(app, table, cursor, slice, buf);
    charts::draw(app, &[(app.tabled_metric().to_owned(), curves)], buf, cache);
}

/// The row of the table under a cell of the terminal; in a two-way table the first of its line.
pub fn row_at(app: &App, area: Rect, at: Position) -> Option<usize> {
    let table = app.ablation().ok()?;
    let grid = Grid::new(table);
    let left = places(&grid, table, area).left;
    let cursor = app.ablations.cursor.min(table.rows.len().saturating_sub(1));
    let line = grid.offset(table, cursor, left) + usize::from(at.y.checked_sub(left.y + 1)?);
    let in_line = |row: &usize| table.place(*row).is_some_and(|(y, _)| y == line);
    (0..table.rows.len()).find(in_line).filter(|_| left.contains(at))
}

/// Rows above the table.
const HEAD: u16 = 3;

/// Lines that a note below the table may take: beside the plots, and above them.
const TALL_NOTE: usize = 8;
const SHORT_NOTE: usize = 2;

/// Where table, slice and curves stand, and what stands below the table, in lines that fit there.
struct Places {
    left: Rect,
    slice: Rect,
    curves: Rect,
    notes: Vec<String>,
}

fn places(grid: &Grid, table: &Ablation, area: Rect) -> Places {
    let head = HEAD.min(area.height);
    let area = Rect { y: area.y + head, height: area.height - head, ..area };
    let notes = |width: u16, most: usize| -> Vec<String> {
        let lines = table.notes().lines();
        let width = usize::from(width.saturating_sub(4));
        lines.iter().flat_map(|line| figures::wrap(line, width, most)).collect()
    };
    if area.width >= WIDE {
        let width = (grid.width() as u16 + 4).clamp(50, area.width * 3 / 5);
        let [left, right] = Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)])
            .spacing(1)
            .areas(area);
        let [slice, curves] = Layout::vertical([Constraint::Fill(1); 2]).areas(right);
        Places { left, slice, curves, notes: notes(width, TALL_NOTE) }
    } else {
        let notes = notes(area.width, SHORT_NOTE);
        let wanted = (grid.height() + notes.len() + 1) as u16;
        let height = wanted.min(area.height.saturating_sub(7).max(4));
        let [left, below] =
            Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
        let [slice, curves] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(1).areas(below);
        Places { left, slice, curves, notes }
    }
}

/// The question, and what the numbers are.
fn draw_head(app: &App, table: &Ablation, area: Rect, buf: &mut Buffer) {
    let x = put(buf, area, area.x + 1, area.y, &table.experiment, theme::title(true));
    put(buf, area, x + 2, area.y, &table.question, theme::faint());
    let unit = metric::written_unit(&table.unit);
    let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
    let (n, planned) =
        table.rows.iter().fold((0, 0), |(n, all), row| (n + row.n, all + row.n_planned));
    let counted = match app.ablations.interim {
        true => [
            "mean ± sample std · unfinished runs count at their latest value · ",
            "mean ± sample std · unfinished runs count too · ",
            "unfinished runs too · ",
            "",
        ],
        false => [
            "mean ± sample std · finished runs only · ",
            "mean ± std · finished runs only · ",
            "finished runs only · ",
            "",
        ],
    };
    let text = |words: &str| format!("{}{unit}, {words}{n} of {planned} runs", table.metric);
    let room = usize::from(area.width).saturating_sub(1);
    let fits = |words: &&str| text(words).width() <= room;
    let words = counted.into_iter().find(fits).unwrap_or_default();
    put(buf, area, area.x + 1, area.y + 1, &text(words), Style::new());
}

/// The table as people read it elsewhere, and where each row's value stands in it.
struct Grid {
    heads: Vec<(String, Align)>,
    lines: Vec<Vec<String>>,
    strong: Vec<(usize, usize)>,
    widths: Vec<usize>,
    bars: Vec<Option<String>>,
}

impl Grid {
    fn new(table: &Ablation) -> Self {
        let text = table.table();
        let heads: Vec<(String, Align)> =
            text.columns().iter().map(|column| (column.name.clone(), column.align)).collect();
        let mut lines = text.rows().to_vec();
        let mut strong = Vec::new();
        for (y, line) in lines.iter().enumerate() {
            strong.extend((0..line.len()).filter(|&x| text.is_strong(y, x)).map(|x| (y, x)));
        }
        let share = shares(&table.rows);
        let mut bars = vec![None; lines.len()];
        for (row, share) in share.iter().enumerate() {
            let (Some(share), Some((y, x))) = (*share, table.place(row)) else { continue };
            if table.two_way {
                // One block a cell: how high it stands among all cells.
                let block = figures::strokes(&[0.0, share, 1.0]).chars().nth(1).unwrap_or(' ');
                lines[y][x] = format!("{} {block}", lines[y][x]);
            } else {
                bars[y] = Some(figures::bar(share, BAR));
            }
        }
        let widths = (0..heads.len())
            .map(|x| {
                let cells = lines.iter().map(|line| line[x].width());
                cells.chain([heads[x].0.width()]).max().unwrap_or(0)
            })
            .collect();
        Self { heads, lines, strong, widths, bars }
    }

    fn width(&self) -> usize {
        let bars = if self.bars.iter().any(Option::is_some) { BAR + 2 } else { 0 };
        self.widths.iter().map(|width| width + 2).sum::<usize>() + bars
    }

    fn height(&self) -> usize {
        self.lines.len() + 1
    }

    /// First line on screen.
    fn offset(&self, table: &Ablation, cursor: usize, area: Rect) -> usize {
        let room = usize::from(area.height).saturating_sub(1);
        table.place(cursor).map_or(0, |(y, _)| (y + 1).saturating_sub(room))
    }

    fn draw(&self, table: &Ablation, cursor: usize, area: Rect, buf: &mut Buffer) {
        let here = table.place(cursor);
        let room = usize::from(area.height).saturating_sub(1);
        let from = self.offset(table, cursor, area);
        let gap = if self.width() + 3 <= area.width.into() { 2 } else { 1 };
        let row = |buf: &mut Buffer, y: u16, cells: &[&str], style: &dyn Fn(usize) -> Style| {
            let mut x = area.x + 3;
            for (at, cell) in cells.iter().enumerate() {
                let width = self.widths[at];
                let pad = match self.heads[at].1 {
                    Align::Right => width.saturating_sub(cell.width()) as u16,
                    Align::Left => 0,
                };
                put(buf, area, x + pad, y, cell, style(at));
                x += (width + gap) as u16;
            }
            x
        };
        let heads: Vec<&str> = self.heads.iter().map(|(name, _)| name.as_str()).collect();
        row(buf, area.y, &heads, &|_| theme::faint());
        for (line, (y, cells)) in self.lines.iter().enumerate().skip(from).take(room).enumerate() {
            let at = area.y + 1 + line as u16;
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            let is_here = |x: usize| here == Some((y, x));
            let style = |x: usize| {
                let strong = self.strong.contains(&(y, x));
                let style = if strong { theme::bold() } else { Style::new() };
                match table.two_way && is_here(x) {
                    true => style.add_modifier(Modifier::REVERSED),
                    false => style,
                }
            };
            let x = row(buf, at, &cells, &style);
            if let Some(bar) = &self.bars[y] {
                put(buf, area, x, at, bar, theme::faint());
            }
            if here.is_some_and(|(line, _)| line == y) {
                // Reversed, a bar would read as its opposite.
                let end = if self.bars[y].is_some() { x - 1 } else { area.right() };
                let strip =
                    Rect { y: at, height: 1, width: end.min(area.right()) - area.x, ..area };
                if !table.two_way {
                    buf.set_style(strip, theme::cursor(true));
                }
                put(buf, area, area.x, at, ">", theme::title(true));
            }
        }
    }
}

/// Where each mean lies between the lowest and the highest; `None` without a mean or without a difference.
fn shares(rows: &[Row]) -> Vec<Option<f64>> {
    let means = || rows.iter().filter_map(|row| row.mean).filter(|x| x.is_finite());
    let (low, high) =
        (means().fold(f64::INFINITY, f64::min), means().fold(f64::NEG_INFINITY, f64::max));
    let share = |row: &Row| Some((row.mean? - low) / (high - low)).filter(|x| x.is_finite());
    rows.iter().map(share).collect()
}

/// Means along one factor, the others as those of the row under the cursor; other rows faintly.
fn draw_slice(app: &App, table: &Ablation, cursor: usize, area: Rect, buf: &mut Buffer) {
    let Some(key) =
        table.factors.get(app.ablations.slice.min(table.factors.len().saturating_sub(1)))
    else {
        return;
    };
    let mut names: Vec<String> = Vec::new();
    for row in &table.rows {
        let name = crate::report::shown(row.factors.get(key));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let others = |row: &Row| {
        let mut factors = row.factors.clone();
        factors.remove(key);
        factors
    };
    let mut series: Vec<(_, Vec<Point>, bool)> = Vec::new();
    for (at, row) in table.rows.iter().enumerate() {
        let name = crate::report::shown(row.factors.get(key));
        let place = names.iter().position(|known| *known == name).unwrap_or(0);
        let Some(mean) = row.mean.filter(|x| x.is_finite()) else { continue };
        let point = Point { place, mean, std: row.std.unwrap_or(0.0), here: at == cursor };
        let under_cursor = table.rows.get(cursor).is_some_and(|c| others(c) == others(row));
        match series.iter_mut().find(|(known, ..)| *known == others(row)) {
            Some((_, points, _)) => points.push(point),
            None => series.push((others(row), vec![point], under_cursor)),
        }
    }
    series.sort_by_key(|(_, _, under_cursor)| *under_cursor);
    let lines: Vec<(Vec<Point>, bool)> =
        series.into_iter().map(|(_, points, here)| (points, here)).collect();
    let title = format!("{} by {key}", table.metric);
    put(buf, area, area.x + 1, area.y, &title, theme::title(false));
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    Slice { names: &names, unit: short(key), lines: &lines }.draw(area, buf);
}
