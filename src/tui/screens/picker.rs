//! Which experiment to queue, at which size, and what that would make.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::app::Picker;
use crate::tui::event::{Plan, PlannedRun};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

use super::boxed;

pub fn draw(picker: &Picker, area: Rect, buf: &mut Buffer) {
    let size = (area.width.saturating_sub(4).min(110), area.height.saturating_sub(1).min(36));
    let inner = boxed("queue an experiment", size, area, buf);
    if inner.is_empty() {
        return;
    }
    let write = |buf: &mut Buffer, x: u16, y: u16, text: &str, style| {
        let room = usize::from(inner.right().saturating_sub(x));
        if y < inner.bottom() && room > 0 {
            buf.set_stringn(x, y, figures::fit(text, room), room, style);
        }
    };
    let Some(files) = &picker.files else {
        return write(buf, inner.x, inner.y, "looking into experiments/ …", theme::faint());
    };
    if files.is_empty() {
        write(
            buf,
            inner.x,
            inner.y,
            "There is no experiments/*.toml in this folder.",
            theme::bold(),
        );
        let how = "Start instdisc-lab where your experiments are, or name a file: instdisc-lab queue FILE";
        return write(buf, inner.x, inner.y + 2, how, theme::faint());
    }
    let room = usize::from(inner.height / 3).max(3).min(files.len());
    let from = picker.cursor.saturating_sub(room - 1);
    for (i, file) in files.iter().enumerate().skip(from).take(room) {
        let y = inner.y + (i - from) as u16;
        let marker = if i == picker.cursor { "> " } else { "  " };
        let style = if i == picker.cursor { theme::bold() } else { Default::default() };
        write(buf, inner.x, y, &format!("{marker}{}", file.name), style);
        let style = if file.problem.is_some() { theme::fg(THEME.bad) } else { theme::faint() };
        let text = if file.problem.is_some() { "cannot be queued" } else { file.question.as_str() };
        write(buf, inner.x + 20, y, text, style);
    }
    let Some(file) = picker.chosen() else { return };
    let mut y = inner.y + room as u16 + 1;
    if let Some(problem) = &file.problem {
        for line in problem.lines() {
            write(buf, inner.x, y, line, theme::fg(THEME.bad));
            y += 1;
        }
        return;
    }
    let mut x = inner.x;
    let names = std::iter::once("as written").chain(file.sizes.iter().map(String::as_str));
    write(buf, x, y, "size", theme::faint());
    x += 6;
    for (i, name) in names.enumerate() {
        let chosen = i == picker.size;
        let text = if chosen { format!("[{name}]") } else { format!(" {name} ") };
        write(buf, x, y, &text, if chosen { theme::title(true) } else { theme::faint() });
        x += text.len() as u16 + 1;
    }
    draw_plan(
        picker.plan(),
        Rect { y: y + 1, height: inner.bottom().saturating_sub(y + 1), ..inner },
        buf,
    );
}

fn draw_plan(plan: Option<&Plan>, area: Rect, buf: &mut Buffer) {
    let mut y = area.y;
    let mut line = |text: &str, style| {
        if y < area.bottom() {
            buf.set_stringn(
                area.x,
                y,
                figures::fit(text, area.width.into()),
                area.width.into(),
                style,
            );
        }
        y += 1;
    };
    let runs = match plan {
        None => return line("working out its runs …", theme::faint()),
        Some(Plan { runs: Err(why), .. }) => {
            return why.lines().for_each(|text| line(text, theme::fg(THEME.bad)));
        }
        Some(Plan { runs: Ok(runs), .. }) => runs,
    };
    line(&summary(runs), theme::bold());
    let room = usize::from(area.height).saturating_sub(1);
    let shown = if runs.len() > room { room.saturating_sub(1) } else { runs.len() };
    for run in &runs[..shown] {
        let note = run.exists.map_or(String::new(), |state| format!("   ({state} already)"));
        let style = if run.exists.is_some() { theme::faint() } else { Default::default() };
        line(&format!("  {}{note}", run.varied), style);
    }
    if shown < runs.len() {
        line(&format!("  and {} more", runs.len() - shown), theme::faint());
    }
}

fn summary(runs: &[PlannedRun]) -> String {
    let there = runs.iter().filter(|run| run.exists.is_some()).count();
    let n = runs.len();
    let plural = if n == 1 { "run" } else { "runs" };
    match there {
        0 => format!("makes {n} {plural}"),
        _ if there == n => format!("all {n} {plural} are there already"),
        _ => format!("makes {} of {n} {plural}; {there} are there already", n - there),
    }
}
