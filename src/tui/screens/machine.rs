//! The machine: processors, memory, disk, GPUs, who works here and what that takes. What is not told is `n/a`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::queue::Slot;
use crate::store::InHand;
use crate::tui::app::App;
use crate::tui::event::Working;
use crate::tui::figures;
use crate::tui::machine::{Gpu, Machine, Process, Role};
use crate::tui::theme::{self, THEME};

use super::put;

/// Columns of the names at the left.
const NAMES: u16 = 12;

/// Cells of a bar.
const BAR: usize = 20;

/// A processor's number, its bar and its share.
const CORE: u16 = 19;

/// From this share on something is short.
const FULL: f64 = 0.9;

const NOTHING: &str = "n/a";

/// A line: its name, a bar's share, its words.
struct Line {
    name: &'static str,
    share: Option<f64>,
    /// A high share is no trouble but work.
    busy: bool,
    text: String,
}

pub fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let Some(machine) = &app.machine else {
        put(
            buf,
            area,
            area.x + 2,
            area.y + area.height / 3,
            "looking at the machine …",
            theme::faint(),
        );
        return;
    };
    let mut y = area.y;
    for line in lines(app, machine) {
        put(buf, area, area.x + 1, y, line.name, theme::faint());
        let mut x = area.x + 1 + NAMES;
        if let Some(share) = line.share {
            x = put(buf, area, x, y, &figures::bar(share, BAR), ink(share, line.busy)) + 2;
        }
        put(buf, area, x, y, &line.text, Style::new());
        y += 1;
        if line.name == "processor" {
            y = draw_cores(
                machine,
                Rect { y, height: area.bottom().saturating_sub(y), ..area },
                buf,
            );
        }
    }
    let rest = Rect { y: y + 1, height: area.bottom().saturating_sub(y + 1), ..area };
    draw_processes(app, machine, rest, buf);
}

fn ink(share: f64, busy: bool) -> Style {
    match share {
        _ if busy => theme::fg(THEME.accent),
        share if share >= FULL => theme::fg(THEME.warn),
        _ => Style::new(),
    }
}

fn lines(app: &App, machine: &Machine) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |name, share, busy, text| lines.push(Line { name, share, busy, text });
    let mean = |shares: &Vec<f64>| shares.iter().sum::<f64>() / shares.len().max(1) as f64;
    let all = machine.cores.as_ref().map(mean);
    let name = machine.processor.as_deref().unwrap_or(NOTHING);
    let load = machine.load.map_or(NOTHING.to_owned(), |[one, five, fifteen]| {
        format!("{one:.2} {five:.2} {fifteen:.2}")
    });
    let share = all.map_or(NOTHING.to_owned(), percent);
    line("processor", all, true, format!("{share}  load {load}  {name}"));
    let short = |used: u64, total: u64| used as f64 / total.max(1) as f64;
    match machine.memory {
        Some(memory) => {
            let used = memory.total.saturating_sub(memory.available);
            let swap = match memory.swap_total {
                0 => "no swap".to_owned(),
                total => {
                    format!("swap {}", of(total.saturating_sub(memory.swap_free), total))
                }
            };
            let text = format!("{} used, {swap}", of(used, memory.total));
            line("memory", Some(short(used, memory.total)), false, text);
        }
        None => line("memory", None, false, NOTHING.into()),
    }
    match machine.disk {
        Some(disk) => {
            let used = disk.total.saturating_sub(disk.free);
            let text =
                format!("{} free of {} where the lab lies", size(disk.free), size(disk.total));
            line("disk", Some(short(used, disk.total)), false, text);
        }
        None => line("disk", None, false, NOTHING.into()),
    }
    let store = machine.store.map_or(NOTHING.to_owned(), |(db, wal)| {
        format!("{}, write-ahead log {}", size(db), size(wal))
    });
    let behind: u64 = app.lags.iter().map(|lag| lag.bytes).sum();
    let lag = match app.lags.len() {
        0 => "nothing to ingest".to_owned(),
        n => format!("{} of {n} journal{} to ingest", size(behind), if n == 1 { "" } else { "s" }),
    };
    line("run log", None, false, format!("{store}, {lag}"));
    match &machine.gpus {
        Err(why) => line("gpu", None, false, format!("{NOTHING}: {why}")),
        Ok(gpus) if gpus.is_empty() => line("gpu", None, false, "none".into()),
        Ok(gpus) => gpus.iter().for_each(|gpu| line("gpu", gpu.busy, true, gpu_words(gpu))),
    }
    lines
}

fn gpu_words(gpu: &Gpu) -> String {
    let or = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    let busy = or(gpu.busy.map(percent));
    let memory = or(gpu.memory.map(|(used, total)| of(used, total)));
    let temperature = or(gpu.temperature.map(|degrees| format!("{degrees:.0} °C")));
    let watts = or(gpu.watts.map(|watts| format!("{watts:.0} W")));
    format!("{busy}  {memory}  {temperature}  {watts}  {}", gpu.name)
}

/// One bar a processor, as many side by side as fit; returns the row below.
fn draw_cores(machine: &Machine, area: Rect, buf: &mut Buffer) -> u16 {
    let Some(cores) = &machine.cores else { return area.y };
    let across = usize::from((area.width.saturating_sub(NAMES + 1) / CORE).max(1));
    // Of very many only as many rows as leave the rest its room.
    let rows = cores.len().div_ceil(across).min(usize::from(area.height / 3).max(1));
    for (at, &busy) in cores.iter().take(rows * across).enumerate() {
        let x = area.x + 1 + NAMES + (at % across) as u16 * CORE;
        let y = area.y + (at / across) as u16;
        put(buf, area, x, y, &format!("{at:>3}"), theme::faint());
        put(buf, area, x + 4, y, &figures::bar(busy, 8), ink(busy, true));
        put(buf, area, x + 13, y, &format!("{:>4}", percent(busy)), Style::new());
    }
    if rows * across < cores.len() {
        let text = format!("and {} more", cores.len() - rows * across);
        put(
            buf,
            area,
            area.x + 1,
            area.y + rows as u16 - 1,
            &figures::fit(&text, NAMES.into()),
            theme::faint(),
        );
    }
    area.y + rows as u16
}

/// Slots with their workers, then the processes.
fn draw_processes(app: &App, machine: &Machine, area: Rect, buf: &mut Buffer) {
    let heads = ["process", "pid", "processors", "memory", "threads"];
    let mut rows: Vec<([String; 5], Style)> = Vec::new();
    let of_slot = |slot: &str| {
        machine.processes.iter().find(|p| p.role == Role::Worker(Some(slot.to_owned())))
    };
    let of_run =
        |run: &str| machine.processes.iter().find(|p| p.role == Role::Trainer(run.to_owned()));
    let mut told: Vec<u32> = Vec::new();
    for worker in &app.workers {
        let words = match worker.state {
            Working::Working => "works",
            Working::Idle => "idle",
            Working::Draining => "leaves after its run",
            Working::Gone => "gone",
            Working::None => "no worker",
        };
        let process = of_slot(&worker.slot);
        told.extend(process.map(|process| process.pid));
        let style = if worker.state == Working::None { theme::faint() } else { Style::new() };
        rows.push((
            cells(format!("{} {words}", worker.slot), process, worker.state != Working::None),
            style,
        ));
        for hand in &worker.runs {
            if worker.slot == Slot::cluster().to_string() {
                rows.push((elsewhere(hand), Style::new()));
                // Where this machine is one of the nodes.
                told.extend(of_run(&hand.id).map(|process| process.pid));
                continue;
            }
            let process = of_run(&hand.id);
            told.extend(process.map(|process| process.pid));
            rows.push((cells(format!("  trains {}", hand.id), process, true), Style::new()));
        }
    }
    // A trainer whose worker died goes on; a worker may have started since.
    for process in machine.processes.iter().filter(|process| !told.contains(&process.pid)) {
        let name = match &process.role {
            Role::Trainer(run) => format!("trains {run}, without a worker"),
            Role::Worker(slot) => format!("worker {}", slot.as_deref().unwrap_or("of no slot")),
        };
        rows.push((cells(name, Some(process), true), Style::new()));
    }
    let widest =
        rows.iter().map(|(cells, _)| cells[0].width()).max().unwrap_or(0).max(24) as u16 + 1;
    let x = |column: usize| match column {
        0 => area.x + 1,
        _ => area.x + 1 + widest.min(area.width.saturating_sub(45)) + 11 * (column as u16 - 1),
    };
    let write = |buf: &mut Buffer, y: u16, cells: &[String; 5], style: Style| {
        for (column, text) in cells.iter().enumerate() {
            let end = if column == 0 { x(1) } else { area.right() };
            let room = Rect { width: end.saturating_sub(area.x + 1), ..area };
            let pad = if column == 0 { 0 } else { 10u16.saturating_sub(text.width() as u16) };
            put(buf, room, x(column) + pad, y, text, style);
        }
    };
    write(buf, area.y, &heads.map(str::to_owned), theme::faint());
    let room = usize::from(area.height).saturating_sub(1);
    let cut = rows.len() > room;
    let shown = if cut { room.saturating_sub(1) } else { rows.len() };
    for (y, (cells, style)) in (area.y + 1..).zip(&rows[..shown.min(rows.len())]) {
        write(buf, y, cells, *style);
    }
    if cut {
        let text = format!("and {} more", rows.len() - shown);
        put(buf, area, area.x + 1, area.bottom().saturating_sub(1), &text, theme::faint());
    }
    if rows.is_empty() {
        put(
            buf,
            area,
            area.x + 1,
            area.y + 1,
            "no worker and no trainer of this lab runs here",
            theme::faint(),
        );
    }
}

/// A process in cells; `alive` says that there should be one.
fn cells(name: String, process: Option<&Process>, alive: bool) -> [String; 5] {
    let missing = if alive { NOTHING } else { "" };
    let or = |text: Option<String>| text.unwrap_or_else(|| missing.to_owned());
    [
        name,
        or(process.map(|p| p.pid.to_string())),
        or(process.and_then(|p| p.processors).map(|busy| format!("{busy:.2}"))),
        or(process.and_then(|p| p.memory).map(size)),
        or(process.and_then(|p| p.threads).map(|n| n.to_string())),
    ]
}

/// A run on a node of a cluster, with how busy that node is.
fn elsewhere(hand: &InHand) -> [String; 5] {
    let Some(host) = &hand.host else {
        return [
            format!("  {} is with slurm", hand.id),
            "".into(),
            "".into(),
            "".into(),
            "".into(),
        ];
    };
    let figures = hand.figures.as_ref();
    let gpu = figures.and_then(|figures| figures.gpu.as_ref()?.busy);
    let gpu = gpu.map(|busy| format!(", GPU {}", percent(busy))).unwrap_or_default();
    let or = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    [
        format!("  trains {}{gpu}", hand.id),
        figures::fit(host, 10),
        or(figures.map(|f| format!("{:.1}/{}", f.busy, f.cores))),
        or(figures.map(|f| size(f.memory_used))),
        String::new(),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

fn of(used: u64, total: u64) -> String {
    format!("{} of {}", size(used), size(total))
}

/// `12.3 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut x = bytes as f64;
    let mut unit = 0;
    while x >= 1000.0 && unit + 1 < UNITS.len() {
        (x, unit) = (x / 1024.0, unit + 1);
    }
    let text = if unit == 0 || x >= 100.0 { format!("{x:.0}") } else { format!("{x:.1}") };
    format!("{text} {}", UNITS[unit])
}
