//! One run whole: what it is and how it differs from the baseline, what happened to it, what it wrote.

use chrono::{DateTime, Local};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use serde_json::Value;

use crate::config::keys::KEYS;
use crate::journal::metric;
use crate::report::ablation::written;
use crate::report::shown;
use crate::store::model::RunRow;
use crate::tui::app::{App, Panel, time_left};
use crate::tui::figures;
use crate::tui::inspect::Detail;
use crate::tui::theme::{self, THEME};

use super::{evaluations, layout, put};

/// From this width on sheet and log stand side by side.
const WIDE: u16 = 110;

/// Lines above the sheet.
const HEAD: u16 = 2;

/// Columns of the names at the left of the sheet: the longest key and a gap.
const NAMES: u16 = 26;

/// Sheet and log.
fn panels(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).spacing(2).areas(area)
}

/// Whether one of them hides the other.
pub fn shows_one(width: u16) -> bool {
    width < WIDE
}

/// The panel under a column of the terminal; where only one is shown, that one.
pub fn panel_at(app: &App, area: Rect, x: u16) -> Panel {
    match !shows_one(area.width) {
        true if x >= panels(area)[1].x => Panel::Log,
        true => Panel::Sheet,
        false => app.run.panel,
    }
}

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(row) = app.selected() else {
        let why = app.none_chosen();
        put(buf, area, area.x + 2, area.y + area.height / 3, &why, theme::fg(THEME.warn));
        return;
    };
    let [head, body] =
        Layout::vertical([Constraint::Length(HEAD), Constraint::Fill(1)]).areas(area);
    draw_head(row, head, buf);
    if !shows_one(area.width) {
        let [sheet, log] = panels(body);
        draw_sheet(app, row, sheet, buf);
        draw_log(app, log, buf);
    } else if app.run.panel == Panel::Sheet {
        draw_sheet(app, row, body, buf);
    } else {
        draw_log(app, body, buf);
    }
}

fn draw_head(row: &RunRow, area: Rect, buf: &mut Buffer) {
    let (glyph, style) = theme::state(row.state);
    let x = put(buf, area, area.x + 1, area.y, &row.id, theme::bold());
    let x = put(buf, area, x + 2, area.y, &format!("{glyph} {}", row.state), style);
    if row.state.is_active() {
        let share = crate::tui::app::share(row);
        let left =
            time_left(row).map_or(String::new(), |s| format!("  {} left", figures::duration(s)));
        let text = format!("{} {:.0}%{left}", figures::bar(share, 16), (share * 100.0).floor());
        put(buf, area, x + 3, area.y, &text, Style::new());
    }
}

/// A line of the sheet.
struct Entry {
    name: String,
    text: String,
    style: Style,
    heading: bool,
}

/// How far the sheet can be scrolled: its last line then stands at the bottom of the screen.
pub fn sheet_end(app: &App) -> usize {
    let frame = layout::frame(Rect::new(0, 0, app.size.0, app.size.1));
    let height = frame.map_or(0, |frame| frame.body.height.saturating_sub(HEAD));
    let length = app.selected().map_or(0, |row| sheet(app, row).len());
    length.saturating_sub(usize::from(height))
}

fn sheet(app: &App, row: &RunRow) -> Vec<Entry> {
    let mut sheet = Sheet(Vec::new());
    sheet.state(app, row);
    sheet.specification(app, row);
    sheet.heading("measured");
    for (name, metric) in &row.metrics {
        let best = metric.best.zip(metric.best_step).map_or(String::new(), |(best, step)| {
            format!("   best {} at step {}", figures::value(best), figures::grouped(step as usize))
        });
        let unit = metric::written_unit(&metric.unit);
        sheet.line(name, &format!("{} {unit}{best}", figures::value(metric.last.0)));
    }
    if let Some(detail) = app.detail.as_ref().filter(|detail| detail.run == row.id) {
        sheet.detail(detail);
    }
    sheet.0
}

struct Sheet(Vec<Entry>);

impl Sheet {
    fn heading(&mut self, title: &str) {
        let (name, text) = (title.to_owned(), String::new());
        if !self.0.is_empty() {
            let blank = Entry {
                name: String::new(),
                text: String::new(),
                style: Style::new(),
                heading: false,
            };
            self.0.push(blank);
        }
        self.0.push(Entry { name, text, style: theme::title(true), heading: true });
    }

    fn line(&mut self, name: &str, text: &str) {
        self.styled(name, text, Style::new());
    }

    fn styled(&mut self, name: &str, text: &str, style: Style) {
        if !text.trim().is_empty() {
            let text = figures::printable(&text.replace('\n', " "));
            self.0.push(Entry { name: name.to_owned(), text, style, heading: false });
        }
    }

    fn state(&mut self, app: &App, row: &RunRow) {
        self.heading("state");
        let (_, style) = theme::state(row.state);
        self.styled("why", row.reason.as_deref().unwrap_or_default(), style);
        self.styled("warning", row.warning.as_deref().unwrap_or_default(), theme::fg(THEME.warn));
        self.line("note", if row.note.is_empty() { "– (e writes one)" } else { &row.note });
        self.styled("tags", &row.tags.join(" "), theme::fg(THEME.accent));
        self.line("experiments", &row.experiments.join(", "));
        let p = &row.progress;
        if p.steps > 0 {
            let steps = (figures::grouped(p.step as usize), figures::grouped(p.steps as usize));
            let text =
                format!("epoch {:.1} of {}, step {} of {}", p.epoch, p.epochs, steps.0, steps.1);
            self.line("progress", &text);
            self.line("active time", &figures::duration(p.sec));
        }
        let mut hands = app.workers.iter().flat_map(|worker| &worker.runs);
        let host = hands.find(|hand| hand.id == row.id).and_then(|hand| hand.host.as_deref());
        let on = host.map(|host| format!(" on {host}")).unwrap_or_default();
        self.line("device", &format!("{}{on}", row.device.as_deref().unwrap_or_default()));
        let times =
            [("queued", Some(row.queued_at)), ("started", row.started_at), ("ended", row.ended_at)];
        for (name, at) in times {
            let ago = |at: i64| figures::brief_duration((app.now - at) as f64 / 1000.0);
            let text = at.map_or(String::new(), |at| format!("{}   {} ago", time(at), ago(at)));
            self.line(name, &text);
        }
    }

    /// Every key that means something; first those in which it differs from the baseline, else from the defaults.
    fn specification(&mut self, app: &App, row: &RunRow) {
        let base = app.baseline().filter(|base| base.id != row.id);
        self.heading(&match base {
            Some(base) => format!("specification, against the baseline {}", base.id),
            None => "specification, against the defaults".to_owned(),
        });
        let other = |key: &crate::config::keys::Key| match base {
            Some(base) => written(base, key.name),
            None => key.default.value(),
        };
        let same = |a: &Option<Value>, b: &Option<Value>| {
            a == b
                || matches!((a, b), (Some(a), Some(b)) if a.is_number() && a.as_f64() == b.as_f64())
        };
        let mut equal = Vec::new();
        for key in KEYS {
            let (here, there) = (written(row, key.name), other(key));
            if here.is_none() && (base.is_none() || there.is_none()) {
                continue;
            }
            let written = shown(here.as_ref());
            if same(&here, &there) {
                equal.push((key.name, written));
            } else {
                let text = format!("{written}   ({})", shown(there.as_ref()));
                self.styled(key.name, &text, theme::bold());
            }
        }
        for (name, text) in equal {
            self.styled(name, &text, theme::faint());
        }
    }

    fn detail(&mut self, detail: &Detail) {
        if let Some(Value::Object(env)) = &detail.env {
            self.heading("environment");
            for (name, value) in env {
                self.line(name, &flat(value));
            }
        }
        self.heading("attempts");
        for attempt in &detail.attempts {
            let name =
                format!("{} on {}", attempt.attempt, attempt.device.as_deref().unwrap_or("?"));
            let from = attempt.resumed_step.filter(|&step| step > 0);
            let from = from.map_or(String::new(), |step| format!(" from step {step}"));
            let how = [
                attempt.threads.map(|n| format!("{n} threads")),
                attempt.precision.clone(),
                attempt.resume.as_ref().map(|resume| format!("resume {resume}")),
                attempt.process.as_ref().map(|process| format!("pid {}", process.pid)),
            ];
            let how: Vec<String> = how.into_iter().flatten().collect();
            let end = attempt.ending.as_ref().map_or(String::new(), |end| {
                format!("; ended at step {}: {}", end.step, end.reason)
            });
            let started = attempt.started_at.map_or("not started".into(), time);
            self.line(&name, &format!("{started}{from} · {}{end}", how.join(", ")));
        }
        self.heading("history");
        for change in &detail.history {
            let why = change.reason.as_ref().map_or(String::new(), |why| format!(": {why}"));
            let (glyph, style) = theme::state(change.to);
            self.styled(
                &time(change.at),
                &format!("{glyph} {} by {}{why}", change.to, change.by),
                style,
            );
        }
        if !detail.checkpoints.is_empty() {
            self.heading("checkpoints");
            for checkpoint in detail.checkpoints.iter().rev().take(8) {
                let hash = checkpoint.hash.get(..12).unwrap_or(&checkpoint.hash);
                self.line(
                    &format!("step {}", checkpoint.step),
                    &format!("{}  sha256 {hash}…", checkpoint.file),
                );
            }
        }
        if !detail.evaluations.is_empty() {
            self.heading("evaluations");
            for (name, text) in evaluations::lines(&detail.evaluations) {
                self.line(&name, &text);
            }
        }
        if let Some(confusion) = evaluations::confusion(&detail.evaluations) {
            self.heading(&confusion.heading);
            confusion.lines.iter().for_each(|(name, text)| self.line(name, text));
        }
        if !detail.warnings.is_empty() {
            self.heading("warnings");
            for warning in &detail.warnings {
                let name = format!("step {}", warning.step);
                self.styled(&name, &warning.message, theme::fg(THEME.warn));
            }
        }
        self.heading("to make it again (y copies it as a file with its command)");
        self.line("folder", &detail.path);
    }
}

fn time(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.with_timezone(&Local).format("%m-%d %H:%M:%S").to_string()
}

/// A value of a file in one line.
pub(super) fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key} {}", flat(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn draw_sheet(app: &App, row: &RunRow, area: Rect, buf: &mut Buffer) {
    let entries = sheet(app, row);
    for (i, entry) in entries.iter().skip(app.run.scroll).take(area.height.into()).enumerate() {
        let y = area.y + i as u16;
        if entry.heading {
            let style = if app.run.panel == Panel::Sheet { entry.style } else { theme::bold() };
            put(buf, area, area.x + 1, y, &entry.name, style);
            continue;
        }
        let names = Rect { width: NAMES.min(area.width), ..area };
        put(buf, names, area.x + 1, y, &entry.name, theme::faint());
        put(buf, area, area.x + 1 + NAMES, y, &entry.text, entry.style);
    }
    let below = entries.len().saturating_sub(app.run.scroll + usize::from(area.height));
    if below > 0 {
        let text = format!(" {below} more below ");
        let x = area.right().saturating_sub(text.len() as u16 + 1).max(area.x);
        put(buf, area, x, area.bottom().saturating_sub(1), &text, theme::faint());
    }
}

fn draw_log(app: &App, area: Rect, buf: &mut Buffer) {
    let lines = app.log_lines();
    let search = app.run.search.to_lowercase();
    let follows = app.run.back == 0;
    let title = match (follows, lines.len()) {
        (_, 0) => "log".to_owned(),
        (true, n) => format!("log, {} lines, following", figures::grouped(n)),
        (false, n) => format!(
            "log, line {} of {}",
            figures::grouped(n - app.run.back.min(n - 1)),
            figures::grouped(n)
        ),
    };
    put(buf, area, area.x + 1, area.y, &title, theme::title(app.run.panel == Panel::Log));
    if lines.is_empty() {
        let text = "nothing written; what it measured is in its journal";
        put(buf, area, area.x + 1, area.y + 1, text, theme::faint());
        return;
    }
    let room = usize::from(area.height).saturating_sub(1);
    let end = lines.len() - app.run.back.min(lines.len() - 1);
    let from = end.saturating_sub(room);
    for (i, line) in lines[from..end].iter().enumerate() {
        let matches = !search.is_empty() && line.to_lowercase().contains(&search);
        let style = match matches {
            true => theme::fg(THEME.accent).add_modifier(Modifier::BOLD),
            false if line.starts_with("── ") => theme::faint(),
            false => Style::new(),
        };
        put(buf, area, area.x + 1, area.y + 1 + i as u16, line, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_fits_before_its_value() {
        for key in KEYS {
            assert!(key.name.len() < usize::from(NAMES), "{}", key.name);
        }
    }
}
