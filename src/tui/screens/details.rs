//! The run under the cursor in a few lines: where it stands, what is wrong with it, its last words.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::store::model::RunRow;
use crate::tui::app::{App, Tail, time_left};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

/// Lines of standard error that are shown.
pub const TAIL_LINES: usize = 8;

/// Lines that one message may take.
const WRAPPED: usize = 3;

fn tail<'a>(app: &'a App, row: &RunRow) -> Option<&'a Tail> {
    app.tail.as_ref().filter(|tail| tail.run == row.id && tail.attempt == row.attempt)
}

/// A line and how it is painted.
type Said = (String, Style);

/// What is said about the chosen run, wrapped to `width` columns: what must be read, and the last words behind it.
fn lines(app: &App, width: usize) -> (Vec<Said>, Vec<Said>) {
    let Some(row) = app.selected() else {
        let why = app.gone().map(|why| (figures::fit(&why, width), theme::fg(THEME.warn)));
        return (why.into_iter().collect(), Vec::new());
    };
    let mut head = vec![(where_it_stands(row), Style::new())];
    if let Some(reason) = row.reason.as_ref().filter(|reason| !reason.is_empty()) {
        let (glyph, style) = theme::state(row.state);
        head.push((format!("{glyph} {}: {reason}", row.state), style));
    }
    if let Some(warning) = &row.warning {
        head.push((format!("! {warning}"), theme::fg(THEME.warn)));
    }
    if !row.note.is_empty() {
        head.push((format!("note: {}", row.note), theme::faint()));
    }
    let wrapped = head.into_iter().flat_map(|(line, style)| {
        let wrapped = figures::wrap(&line, width, WRAPPED);
        wrapped.into_iter().map(move |line| (line, style))
    });
    let mut words = Vec::new();
    if let Some(tail) = tail(app, row) {
        let title = if tail.lines.is_empty() { "stderr.log is empty" } else { "stderr.log ends:" };
        words.push((title.to_owned(), theme::faint()));
        let from = tail.lines.len().saturating_sub(TAIL_LINES);
        words.extend(
            tail.lines[from..]
                .iter()
                .map(|line| (figures::fit(&format!("  {line}"), width), Style::new())),
        );
    }
    (wrapped.collect(), words)
}

fn where_it_stands(row: &RunRow) -> String {
    let progress = &row.progress;
    let mut parts = vec![row.id.clone()];
    if progress.steps > 0 {
        parts.push(format!("epoch {:.1} of {}", progress.epoch, progress.epochs));
        parts.push(format!("step {}", figures::grouped(progress.step as usize)));
    }
    if let Some(speed) = row.metrics.get("images_per_second").filter(|_| row.state.is_active()) {
        parts.push(format!("{} images/s", figures::grouped(speed.last.0.max(0.0) as usize)));
    }
    if let Some(left) = time_left(row) {
        parts.push(format!("{} left", figures::duration(left)));
    }
    if let Some(device) = &row.device {
        parts.push(device.clone());
    }
    if row.attempt > 1 {
        parts.push(format!("attempt {}", row.attempt));
    }
    parts.extend(row.tags.iter().map(|tag| format!("#{tag}")));
    parts.join(" · ")
}

/// Rows wanted at a width.
pub fn height(app: &App, width: u16) -> u16 {
    let (head, words) = lines(app, usize::from(width).saturating_sub(1));
    (head.len() + words.len()) as u16
}

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let width = usize::from(area.width).saturating_sub(1);
    let (head, mut words) = lines(app, width);
    // Of last words the very last count most.
    let room = usize::from(area.height).saturating_sub(head.len());
    words.drain(..words.len().saturating_sub(room));
    for (i, (line, style)) in head.iter().chain(&words).take(area.height.into()).enumerate() {
        buf.set_stringn(area.x + 1, area.y + i as u16, line, width, *style);
    }
}
