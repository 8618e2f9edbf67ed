//! Which curve is which: marker, dash, what the run varies, its numbers.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::model::RunRow;
use crate::tui::app::{App, Tab, factor, factors, last, short};
use crate::tui::figures;
use crate::tui::theme;
use crate::tui::widgets::plot::Dash;

/// Rows that the legend wants: one a run when several are shown.
pub fn height(app: &App) -> u16 {
    match app.targets().len() {
        0 | 1 => 0,
        n => n as u16,
    }
}

/// What tells a run from the others in the charts: `λ=10 seed=0`; its name where nothing does.
fn label(keys: &[String], row: &RunRow) -> String {
    let parts = keys.iter().filter_map(|key| {
        let value = figures::setting(&factor(row, key)?);
        Some(format!("{}={value}", short(key)))
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { row.id.clone() } else { parts.join(" ") }
}

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let mut shown = app.shown();
    shown.sort_by_key(|run| run.slot);
    let keys = factors(&shown.iter().map(|run| run.row).collect::<Vec<_>>());
    // On the chart screen there may be many: the one that keys mean.
    let metrics = match app.tab {
        Tab::Charts => app.focused_metric().into_iter().collect(),
        _ => app.metrics_on_screen(),
    };
    let hidden = shown.len().saturating_sub(area.height.into());
    let room = if hidden > 0 { usize::from(area.height).saturating_sub(1) } else { shown.len() };
    for (i, run) in shown.iter().take(room).enumerate() {
        let y = area.y + i as u16;
        let (ink, marker) = theme::series(run.slot);
        let sample = match Dash::of(run.slot) {
            Dash::Solid => "⠤⠤⠤⠤⠤",
            Dash::Dashed => "⠤⠤⠄ ⠤",
            Dash::Dotted => "⠤ ⠤ ⠤",
            Dash::DashDotted => "⠤⠤⠤ ⠄",
        };
        let sample = format!("{marker}{sample}");
        let (x, _) = buf.set_stringn(area.x + 1, y, sample, area.width.into(), theme::fg(ink));
        let selected = app.selected().is_some_and(|row| row.id == run.row.id);
        let style = if selected { theme::bold() } else { Default::default() };
        let mut numbers = String::new();
        for metric in &metrics {
            let value = app.at_crosshair(run.row, metric).unwrap_or(last(run.row, metric));
            if !value.is_nan() {
                numbers.push_str(&format!("  {metric} {:>6}", figures::value(value)));
            }
        }
        let space = usize::from(area.right().saturating_sub(x + 2));
        let label = figures::fit(&label(&keys, run.row), space);
        let (end, _) = buf.set_stringn(x + 2, y, &label, space, style);
        let from = area.right().saturating_sub(numbers.len() as u16);
        if from > end {
            buf.set_string(from, y, numbers, theme::faint());
        }
    }
    if hidden > 0 && area.height > 0 {
        let text = format!("and {} more", shown.len() - room);
        buf.set_stringn(area.x + 1, area.bottom() - 1, text, area.width.into(), theme::faint());
    }
}
