//! What the screens cost: the real update and the real drawing, down to the bytes for the terminal, at 200×60.

use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use instdisc_lab::lab::Home;
use instdisc_lab::store::RunRow;
use instdisc_lab::tui::app::App;
use instdisc_lab::tui::curves::{CurveId, Sample};
use instdisc_lab::tui::effect::Effect;
use instdisc_lab::tui::event::{Data, Event, Points};
use instdisc_lab::tui::feed::Feed;
use instdisc_lab::tui::keys::{Keymap, key_named};
use instdisc_lab::tui::screens::{self, charts::Cache};
use instdisc_lab::tui::theme::{self, Depth, Look};
use instdisc_lab::tui::{self};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use serde_json::json;

use super::lab;
use crate::{Measured, given};

const SIZE: (u16, u16) = (200, 60);
const RUNS: usize = 8;
const CHARTS: usize = 12;
const POINTS: u64 = 100_000;
/// Frames of a measurement.
const FRAMES: usize = 200;

/// Counts what would go to the terminal.
#[derive(Clone, Default)]
struct Line(Rc<Cell<usize>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The program without a thread and a terminal.
struct Screen {
    app: App,
    cache: Cache,
    terminal: Terminal<CrosstermBackend<Line>>,
    line: Line,
}

impl Screen {
    fn new() -> Self {
        let (width, height) = SIZE;
        let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
        let line = Line::default();
        let backend = CrosstermBackend::new(line.clone());
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
        let app = App::new("/lab".into(), true, SIZE, Keymap::default());
        Self { app, cache: Cache::default(), terminal, line }
    }

    fn update(&mut self, event: Event) -> Vec<Effect> {
        self.app.update(event, 10_000)
    }

    fn key(&mut self, name: &str) -> Vec<Effect> {
        self.update(Event::Key(key_named(name).unwrap()))
    }

    fn draw(&mut self) {
        let (app, cache) = (&self.app, &mut self.cache);
        let drawn = self.terminal.draw(|frame| {
            let area = frame.area();
            screens::draw(app, area, frame.buffer_mut(), cache);
            theme::lower(frame.buffer_mut(), Look::Dark, Depth::Palette);
        });
        drawn.unwrap();
    }
}

fn rows() -> Vec<RunRow> {
    let metrics: serde_json::Map<String, serde_json::Value> = (0..CHARTS)
        .map(|i| {
            let summary = json!({"last": 1.0, "last_step": POINTS - 1, "best": 0.5, "best_step": 99,
                                 "unit": "nats", "better": "lower"});
            (format!("metric/{i:02}"), summary)
        })
        .collect();
    let row = |i: usize| {
        serde_json::from_value(json!({
            "id": format!("bench-{i:08x}"), "experiments": ["bench"], "state": "finished", "attempt": 1,
            "device": "cpu", "seed": i, "tags": [], "varied": {"objective.lambda": i},
            "progress": {"epoch": 200.0, "epochs": 200, "step": POINTS, "steps": POINTS, "sec": 60.0},
            "spec": {"data": {"dataset": "cifar10"}, "train": {"epochs": 200}}, "metrics": metrics,
            "queued_at": 1000, "started_at": 2000, "ended_at": 3000, "reason": null, "note": "",
            "priority": 0, "pinned": false, "archived": false, "warning": null,
        }))
        .unwrap()
    };
    (0..RUNS).map(row).collect()
}

/// The chart screen with 12 charts of 8 runs of 100,000 points, drawn once.
fn charts() -> Screen {
    let mut screen = Screen::new();
    screen.update(Event::Data(Data::Runs(rows())));
    for key in ["*", "2"] {
        screen.key(key);
    }
    for metric in 0..CHARTS {
        for run in 0..RUNS {
            let curve =
                CurveId { run: format!("bench-{run:08x}"), metric: format!("metric/{metric:02}") };
            let sample = |step: u64| Sample {
                step,
                sec: step as f64 * 0.05,
                value: lab::value(step, (metric * RUNS + run) as u64),
            };
            let points = Points { curve, after: None, points: (0..POINTS).map(sample).collect() };
            screen.update(Event::Data(Data::Points(points)));
        }
    }
    assert_eq!(screen.app.page_of_charts().len(), CHARTS);
    screen.draw();
    screen
}

/// Milliseconds of a frame in which every curve is drawn anew: all of the axis and its second half in turn.
pub fn frame() -> Measured {
    let mut screen = charts();
    let mut times = Vec::with_capacity(FRAMES);
    for i in 0..FRAMES {
        screen.key(if i % 2 == 0 { "+" } else { "-" });
        let begin = Instant::now();
        screen.draw();
        times.push(begin.elapsed());
    }
    say("bytes a frame", screen.line.0.get() as f64 / FRAMES as f64);
    say("resident MB with these charts", resident("self"));
    Measured { value: median(times, "frame"), unit: "ms" }
}

/// Milliseconds from a key to the bytes of the frame that shows it: the crosshair moves through all charts.
pub fn key() -> Measured {
    let mut screen = charts();
    let mut times = Vec::with_capacity(FRAMES);
    for i in 0..FRAMES {
        let begin = Instant::now();
        screen.key(if i / 50 % 2 == 0 { "l" } else { "h" });
        screen.draw();
        times.push(begin.elapsed());
    }
    Measured { value: median(times, "key to frame"), unit: "ms" }
}

/// Milliseconds from a key to the bytes of the frame that shows it, in the table of a lab of 10,000 runs of which a tenth
/// trains: the cursor goes down through them. What the news of those takes, once a second, goes to standard error.
pub fn table_key() -> Measured {
    let n = given("BENCH_RUNS", 10_000);
    let mut rows: Vec<RunRow> = (0..n).map(|i| table_row(i, i < n / 10)).collect();
    let mut screen = Screen::new();
    screen.update(Event::Data(Data::Runs(rows.clone())));
    let (mut times, mut news) = (Vec::with_capacity(FRAMES), Vec::new());
    for i in 0..FRAMES {
        if i % 20 == 0 {
            for row in rows.iter_mut().take(n / 10) {
                row.progress.step += 1;
                for summary in row.metrics.values_mut() {
                    summary.last_step += 1;
                }
            }
            let told = Event::Data(Data::Runs(rows.clone()));
            let begin = Instant::now();
            screen.update(told);
            news.push(begin.elapsed());
        }
        let begin = Instant::now();
        screen.key("j");
        screen.draw();
        times.push(begin.elapsed());
    }
    median(news, "news of all that train");
    say("resident MB", resident("self"));
    Measured { value: median(times, "key to frame"), unit: "ms" }
}

fn table_row(i: usize, trains: bool) -> RunRow {
    let summary = json!({"last": 1.0 / (i + 1) as f64, "last_step": 9, "best": 0.5, "best_step": 9, "unit": "",
                         "better": "lower"});
    let metrics: serde_json::Map<String, serde_json::Value> =
        lab::NAMES.iter().map(|name| ((*name).to_owned(), summary.clone())).collect();
    let state = if trains { "running" } else { "finished" };
    let step = if trains { i % 1000 } else { 1000 };
    serde_json::from_value(json!({
        "id": format!("bench-{i:08x}"), "experiments": ["bench"], "state": state, "attempt": 1,
        "device": "cpu", "seed": i, "tags": [], "varied": {"objective.lambda": i % 7 * 10},
        "progress": {"epoch": step as f64 / 5.0, "epochs": 200, "step": step, "steps": 1000, "sec": 60.0},
        "spec": {"data": {"dataset": "cifar10"}, "train": {"epochs": 200}, "seed": i}, "metrics": metrics,
        "queued_at": 1000, "started_at": 2000, "ended_at": null, "reason": null, "note": "",
        "priority": 0, "pinned": false, "archived": false, "warning": null,
    }))
    .unwrap()
}

/// Milliseconds from nothing to a frame with the table and the curves of the first run, in a lab of 1,000 runs of
/// `BENCH_LAB_STEPS` steps with 8 metrics each (100 without).
pub fn open() -> Measured {
    let steps = std::env::var("BENCH_LAB_STEPS").ok().and_then(|text| text.parse().ok());
    let dir = match std::env::var_os("BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let home = Home::new(dir.path());
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        lab::filled(&home, 1000, steps.unwrap_or(100)).await.0.close().await;
    });
    let times = (0..7).map(|_| opened(&home)).collect();
    Measured { value: median(times, "open"), unit: "ms" }
}

fn opened(home: &Home) -> Duration {
    let begin = Instant::now();
    let mut screen = Screen::new();
    let (sender, events) = mpsc::channel();
    let options = tui::Options { readonly: true, ..tui::Options::default() };
    let feed = Feed::start(home.clone(), options, sender).unwrap();
    let mut rows_after = None;
    loop {
        let first = events.recv().unwrap();
        for event in std::iter::once(first).chain(events.try_iter()) {
            for effect in screen.update(event) {
                if let Effect::Ask(ask) = effect {
                    feed.ask(ask);
                }
            }
        }
        screen.draw();
        if !screen.app.rows.is_empty() {
            rows_after.get_or_insert_with(|| begin.elapsed());
        }
        let selected = screen.app.selected().map(|row| row.id.clone());
        let shown = |metric: &String| {
            let run = selected.as_deref().unwrap_or_default();
            screen.app.series(run, metric).is_some_and(|series| !series.is_empty())
        };
        if screen.app.preview.iter().all(shown) {
            break;
        }
    }
    let spent = begin.elapsed();
    say("rows on screen, ms", rows_after.unwrap_or(spent).as_secs_f64() * 1e3);
    drop(feed);
    spent
}

/// Megabytes of a process in memory; `self` or a number.
pub fn resident(process: &str) -> f64 {
    megabytes(process, "VmRSS:")
}

/// The most that this process ever had in memory, in megabytes.
pub fn resident_peak() -> f64 {
    megabytes("self", "VmHWM:")
}

fn megabytes(process: &str, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// The median in milliseconds; slower ones are told.
pub fn median(mut times: Vec<Duration>, what: &str) -> f64 {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let (quickest, slowest) = (at(0.0), at(1.0));
    eprintln!(
        "{what}: quickest {quickest:.2} ms, median {:.2}, 95 % {:.2}, slowest {slowest:.2}",
        at(0.5),
        at(0.95)
    );
    at(0.5)
}

fn say(what: &str, value: f64) {
    eprintln!("{what}: {value:.1}");
}
