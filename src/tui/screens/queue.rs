//! The queue: who works, what runs, what waits and why, and when all of it will be done.

use chrono::{DateTime, Local};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::queue::Slot;
use crate::report::runs::varied;
use crate::store::model::{RunRow, State};
use crate::tui::app::{App, Forecast};
use crate::tui::event::{Worker, Working};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

use super::put;

/// Least columns of the time line at the right.
const TIMELINE: u16 = 20;

/// Each worker's words and where they stand; the row below them.
fn hands(app: &App, area: Rect) -> (Vec<(String, Style, u16, u16)>, u16) {
    let mut places = Vec::new();
    let mut y = area.y + 1;
    let mut x = area.x + 1;
    for worker in &app.workers {
        let (glyph, words, style) = match worker.state {
            Working::Working => ("●", "works", theme::fg(THEME.good)),
            Working::Idle => ("○", "idle", Style::new()),
            Working::Draining => ("◐", "leaves after its run", theme::fg(THEME.warn)),
            Working::Gone => ("?", "gone", theme::fg(THEME.bad)),
            Working::None => ("·", "no worker", theme::faint()),
        };
        let text = format!("{glyph} {} {words}", worker.slot);
        if x > area.x + 1 && x + text.width() as u16 > area.right() {
            (x, y) = (area.x + 1, y + 1);
        }
        let width = text.width() as u16;
        places.push((text, style, x, y));
        x += width + 3;
    }
    (places, y + 1)
}

/// Where the queue's lines begin: two rows for the time line and the heads.
fn lines_area(below: u16, area: Rect) -> Rect {
    Rect { y: below + 1, height: area.bottom().saturating_sub(below + 1), ..area }
}

/// First line on screen.
fn offset(cursor: usize, area: Rect) -> usize {
    (cursor + 1).saturating_sub(usize::from(area.height).saturating_sub(1))
}

/// The line of the queue in a row of the terminal.
pub fn line_at(app: &App, area: Rect, y: u16) -> Option<usize> {
    let lines = lines_area(hands(app, area).1, area);
    let row = y.checked_sub(lines.y + 1)?;
    let cursor = app.queue_cursor.min(app.queue().len().saturating_sub(1));
    Some(offset(cursor, lines) + usize::from(row))
}

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let queue = app.queue();
    let forecast = app.forecast();
    put(buf, area, area.x + 1, area.y, &summary(app, &queue, &forecast), theme::bold());
    let (places, below) = hands(app, area);
    for (text, style, x, y) in &places {
        put(buf, area, *x, *y, text, *style);
    }
    let lines = lines_area(below, area);
    if queue.is_empty() {
        let text = "nothing runs and nothing waits: a queues an experiment";
        put(buf, lines, lines.x + 2, lines.y, text, theme::faint());
        return;
    }
    draw_lines(app, &queue, &forecast, lines, buf);
}

fn summary(app: &App, queue: &[&RunRow], forecast: &Forecast) -> String {
    let active = queue.iter().filter(|row| row.state.is_active()).count();
    let with_slurm =
        queue.iter().filter(|row| row.launch.is_some() && row.state == State::Starting).count();
    let mut text = format!("{} at work, {} waiting", active - with_slurm, queue.len() - active);
    if 0 < with_slurm {
        text.push_str(&format!(", {with_slurm} with slurm"));
    }
    match forecast.done {
        _ if queue.is_empty() => {}
        _ if app.hands() == 0 && active == 0 => text.push_str(" · nobody works: + starts a worker"),
        Some(seconds) => {
            let at = DateTime::from_timestamp_millis(app.now + (seconds * 1000.0) as i64);
            let at = at.unwrap_or_default().with_timezone(&Local).format("%a %H:%M");
            text.push_str(&format!(" · all done in about {} ({at})", figures::duration(seconds)));
        }
        None => text
            .push_str(&format!(" · {} of them unlike any run measured so far", forecast.unknown)),
    }
    text
}

fn draw_lines(app: &App, queue: &[&RunRow], forecast: &Forecast, area: Rect, buf: &mut Buffer) {
    let names = queue.iter().map(|row| row.id.width()).max().unwrap_or(0) as u16;
    let settings = queue.iter().map(|row| setting(row).width()).max().unwrap_or(0) as u16;
    let whys: Vec<String> = queue.iter().map(|row| why(app, queue, row, forecast)).collect();
    let widest = whys.iter().map(|why| why.width()).max().unwrap_or(0) as u16;
    // The names and the reasons first; settings and the time line where there is room.
    let mut x = [area.x + 6, 0, 0, 0];
    let names = names.min(28);
    x[1] = x[0] + names + 2;
    let with_settings = x[1] + settings + 2 + widest + 2 <= area.right();
    x[2] = if with_settings { x[1] + settings + 2 } else { x[1] };
    x[3] = x[2] + widest + 3;
    let heads = [("run", x[0]), (if with_settings { "varied" } else { "" }, x[1]), ("why", x[2])];
    for (head, x) in heads {
        put(buf, area, x, area.y, head, theme::faint());
    }
    let timeline =
        Rect { x: x[3].min(area.right()), width: area.right().saturating_sub(x[3]), ..area };
    let timeline = (timeline.width >= TIMELINE && !forecast.runs.is_empty()).then_some(timeline);
    let cursor = app.queue_cursor.min(queue.len() - 1);
    let rows = usize::from(area.height).saturating_sub(1);
    let from = offset(cursor, area);
    for (line, (at, row)) in queue.iter().enumerate().skip(from).take(rows).enumerate() {
        let y = area.y + 1 + line as u16;
        let (glyph, style) = theme::state(row.state);
        let n = if row.state.is_active() {
            glyph.to_owned()
        } else {
            let active = queue.iter().filter(|row| row.state.is_active()).count();
            (at + 1 - active).to_string()
        };
        put(buf, area, area.x + 5 - n.width() as u16, y, &n, style);
        put(buf, area, x[0], y, &figures::fit_id(&row.id, names.into()), Style::new());
        if with_settings {
            put(buf, area, x[1], y, &setting(row), Style::new());
        }
        put(buf, area, x[2], y, &whys[at], theme::faint());
        if at == cursor {
            let to = timeline.map_or(area.right(), |timeline| timeline.x - 1);
            let strip = Rect { y, height: 1, width: to - area.x, ..area };
            buf.set_style(strip, Style::reset());
            buf.set_style(strip, theme::cursor(true));
            put(buf, area, area.x, y, ">", theme::cursor(true));
        }
        if let Some(timeline) = timeline {
            bar(app, row, forecast, Rect { y, height: 1, ..timeline }, buf);
        }
    }
    if let Some(timeline) = timeline {
        scale(app, forecast, Rect { height: 1, ..timeline }, buf);
    }
}

fn setting(row: &RunRow) -> String {
    format!("{} seed={}", varied(row), row.seed).trim_start().to_owned()
}

/// Why a run is where it is, and what will change that.
fn why(app: &App, queue: &[&RunRow], row: &RunRow, forecast: &Forecast) -> String {
    let predicted = forecast.of(&row.id);
    if row.state.is_active() {
        let cluster = Slot::cluster().to_string();
        let has = |worker: &&Worker| match row.launch {
            Some(_) => worker.slot == cluster,
            None => worker.has(&row.id),
        };
        let slot = app.workers.iter().find(has);
        let slot = slot.map_or("a worker", |worker| worker.slot.as_str());
        let left =
            predicted.map_or(String::new(), |p| format!(", {} left", figures::duration(p.end)));
        // What it waits for on a cluster, or who asked it to stop.
        let why = row.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        return format!("{} on {slot}{left}{why}", row.state);
    }
    let priority = match row.priority {
        0 => String::new(),
        n => format!(" (priority {n})"),
    };
    let ahead = queue.iter().take_while(|other| other.id != row.id);
    let ahead = ahead.filter(|other| !other.state.is_active()).count();
    match (app.hands(), ahead, predicted) {
        (0, ..) => format!("no worker takes runs{priority}"),
        (_, 0, Some(p)) if p.start <= 0.0 => format!("starts now{priority}"),
        (_, 0, Some(p)) => format!("next, in about {}{priority}", figures::duration(p.start)),
        (_, 0, None) => format!("next, when a worker is free{priority}"),
        (_, n, Some(p)) => format!("behind {n}, in about {}{priority}", figures::duration(p.start)),
        (_, n, None) => format!("behind {n}{priority}"),
    }
}

/// The stretch of time that is drawn, in seconds from now.
fn span(app: &App, forecast: &Forecast) -> (f64, f64) {
    let ago = |ms: i64| (ms - app.now) as f64 / 1000.0;
    let started =
        app.rows.iter().filter(|row| row.state.is_active()).filter_map(|row| row.started_at);
    let from = started.map(ago).fold(0.0, f64::min);
    let to = forecast.runs.iter().map(|predicted| predicted.end).fold(60.0, f64::max);
    (from, to)
}

fn column(at: f64, span: (f64, f64), width: u16) -> u16 {
    let share = ((at - span.0) / (span.1 - span.0)).clamp(0.0, 1.0);
    (share * f64::from(width.saturating_sub(1))).round() as u16
}

/// Past in full blocks, future in light ones.
fn bar(app: &App, row: &RunRow, forecast: &Forecast, area: Rect, buf: &mut Buffer) {
    let span = span(app, forecast);
    let x = |at: f64| area.x + column(at, span, area.width);
    let now = x(0.0);
    buf.set_string(now, area.y, "│", theme::faint());
    let Some(predicted) = forecast.of(&row.id) else { return };
    let started = row.started_at.filter(|_| row.state.is_active());
    if let Some(started) = started {
        let from = x((started - app.now) as f64 / 1000.0);
        (from..=now).for_each(|x| {
            buf.set_string(x, area.y, "█", theme::fg(THEME.good));
        });
    }
    let from = if started.is_some() { now + 1 } else { x(predicted.start) };
    for x in from..=x(predicted.end).min(area.right().saturating_sub(1)) {
        buf.set_string(x, area.y, "░", theme::fg(THEME.accent));
    }
}

/// When the time line begins, where now is, when it ends.
fn scale(app: &App, forecast: &Forecast, area: Rect, buf: &mut Buffer) {
    let span = span(app, forecast);
    let now = area.x + column(0.0, span, area.width);
    let end = figures::duration(span.1);
    put(buf, area, now.min(area.right().saturating_sub(4)), area.y, "now", theme::faint());
    let x = area.right().saturating_sub(end.width() as u16 + 1);
    if x > now + 4 {
        put(buf, area, x, area.y, &format!("+{end}"), theme::faint());
    }
}
