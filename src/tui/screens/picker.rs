//! Which experiment to queue, at which size, and what that would make.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use unicode_width::UnicodeWidthStr;

use crate::tui::app::{App, Picker, expected};
use crate::tui::event::{Plan, PlannedRun};
use crate::tui::figures;
use crate::tui::theme::{self, THEME};

use super::{boxed, form};

pub fn draw(app: &App, picker: &Picker, area: Rect, buf: &mut Buffer) {
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
        for (y, line) in (inner.y + 2..).zip(figures::wrap(how, inner.width.into(), 3)) {
            write(buf, inner.x, y, &line, theme::faint());
        }
        return;
    }
    // With the form open one file is enough.
    let room = match picker.form {
        Some(_) => 1,
        None => usize::from(inner.height / 3).max(3).min(files.len()),
    };
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
    let below = files.len().saturating_sub(from + room);
    let more = [(from, "above"), (below, "below")];
    let more = more.iter().filter(|(n, _)| *n > 0 && picker.form.is_none());
    let more: Vec<String> = more.map(|(n, place)| format!("{n} more {place}")).collect();
    write(buf, inner.x + 2, inner.y + room as u16, &more.join(", "), theme::faint());
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
    y += 1;
    let hint = "objective.tau=0.1 sets, seed=0,1,2 varies";
    let changes = picker.changes.text();
    write(
        buf,
        inner.x,
        y,
        "with",
        if picker.editing { theme::title(true) } else { theme::faint() },
    );
    match (changes, picker.editing) {
        ("", false) => {
            write(buf, inner.x + 6, y, &format!("no changes (e: {hint})"), theme::faint());
        }
        ("", true) => write(buf, inner.x + 8, y, hint, theme::faint()),
        (text, _) => write(buf, inner.x + 6, y, text, theme::bold()),
    }
    if picker.editing {
        let (before, after) = picker.changes.split();
        let under = after.chars().next().map_or(" ".to_owned(), String::from);
        write(buf, inner.x + 6 + before.width() as u16, y, &under, theme::cursor(true));
    }
    let mut area = Rect { y: y + 1, height: inner.bottom().saturating_sub(y + 1), ..inner };
    if let Some(name) = &picker.saving {
        let text = "save as experiments/";
        write(buf, inner.x, area.y, text, theme::title(true));
        let x = inner.x + text.len() as u16;
        write(buf, x, area.y, &format!("{}.toml", name.text()), theme::bold());
        let (before, after) = name.split();
        let under = after.chars().next().unwrap_or('.').to_string();
        write(buf, x + before.width() as u16, area.y, &under, theme::cursor(true));
        area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    }
    if let Some(form) = &picker.form {
        // What it comes to stays in sight.
        let plan = area.height.min(1);
        let rows = Rect { height: area.height - plan, ..area };
        form::draw(picker, form, rows, buf);
        area = Rect { y: rows.bottom(), height: plan, ..area };
    }
    draw_plan(app, picker, area, buf);
}

fn draw_plan(app: &App, picker: &Picker, area: Rect, buf: &mut Buffer) {
    let plan = picker.plan();
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
    let kept: Vec<&PlannedRun> = runs
        .iter()
        .enumerate()
        .filter_map(|(at, run)| (!picker.left_out.contains(&at)).then_some(run))
        .collect();
    let left_out = match picker.left_out.len() {
        0 => String::new(),
        n => format!("; {n} left out"),
    };
    line(&format!("{}{left_out}{}", summary(&kept), work(app, &kept)), theme::bold());
    // One line says what they come to, and while runs are chosen one how.
    let words = 1 + usize::from(picker.choosing.is_some());
    let room = usize::from(area.height).saturating_sub(words);
    let shown = if runs.len() > room { room.saturating_sub(1) } else { runs.len() };
    let from = picker.choosing.map_or(0, |at| (at + 1).saturating_sub(shown));
    for (at, run) in runs.iter().enumerate().skip(from).take(shown) {
        let is_out = picker.left_out.contains(&at);
        let cursor = if picker.choosing == Some(at) { ">" } else { " " };
        let mark = match (picker.choosing.is_some() || !picker.left_out.is_empty(), is_out) {
            (false, _) => " ",
            (true, false) => " ✓ ",
            (true, true) => " - ",
        };
        let note = run.exists.map_or(String::new(), |state| format!("   ({state} already)"));
        let style = match picker.choosing == Some(at) {
            true => theme::bold(),
            false if is_out || run.exists.is_some() => theme::faint(),
            false => Default::default(),
        };
        line(&format!("{cursor}{mark}{}{note}", run.varied), style);
    }
    if shown < runs.len() {
        line(&format!("  {} of {} runs", shown, runs.len()), theme::faint());
    }
    if picker.choosing.is_some() {
        line("space takes or leaves one, * all; enter is done", theme::faint());
    }
}

/// How long what is new will take on the workers at hand, from the pace of runs like them.
fn work(app: &App, runs: &[&PlannedRun]) -> String {
    let new = runs.iter().filter(|run| run.exists.is_none());
    let seconds: Option<Vec<f64>> = new.map(|run| expected(&run.spec, &app.rows)).collect();
    let Some(seconds) = seconds.filter(|seconds| !seconds.is_empty()) else { return String::new() };
    let hands = app.hands().max(1);
    let all = seconds.iter().sum::<f64>() / hands.min(seconds.len()) as f64;
    let workers = if hands == 1 { "one worker".to_owned() } else { format!("{hands} workers") };
    format!(", about {} on {workers}", figures::duration(all))
}

fn summary(runs: &[&PlannedRun]) -> String {
    let there = runs.iter().filter(|run| run.exists.is_some()).count();
    let n = runs.len();
    let plural = if n == 1 { "run" } else { "runs" };
    match there {
        0 => format!("makes {n} {plural}"),
        1 if n == 1 => "its one run is there already".to_owned(),
        _ if there == n => format!("all {n} runs are there already"),
        1 => format!("makes {} of {n} runs; one is there already", n - 1),
        _ => format!("makes {} of {n} runs; {there} are there already", n - there),
    }
}
