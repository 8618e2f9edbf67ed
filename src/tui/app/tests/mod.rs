//! Keys in, screen out: the whole program but for the terminal and the store.

mod ablations;
mod alerts;
mod charts;
mod frame;
mod images;
mod looks;
mod machine;
mod mouse;
mod plan;
mod queue;
mod run;
mod runs;
mod verbs;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::json;

use super::*;
use crate::report::raster::Kind;
use crate::store::model::State;
use crate::tui::curves::Sample;
use crate::tui::effect::{Ask, Request, Undo, Wanted};
use crate::tui::event::{Listed, Mouse, Plan, PlannedRun, Points, Press, Worker, Working};
use crate::tui::inspect::{Detail, Log};
use crate::tui::keys::key_named;
use crate::tui::screens::{self, charts::Cache};

fn run(id: &str, state: State, lambda: u32, seed: u64) -> RunRow {
    serde_json::from_value(json!({
        "id": id, "experiments": ["demo"], "state": state, "attempt": 1, "device": "cpu",
        "progress": {"epoch": 5.0, "epochs": 20, "step": 100, "steps": 400, "sec": 60.0},
        "seed": seed, "tags": [], "varied": {"objective.lambda": lambda},
        "spec": {"data": {"dataset": "shapes"}},
        "metrics": {
            "loss": {"last": 7.5, "last_step": 100, "best": 7.25, "best_step": 99, "unit": "nats", "better": "lower"},
            "knn_top1": {"last": 41.25, "last_step": 100, "best": 43.0, "best_step": 80, "unit": "%", "better": "higher"},
        },
        "queued_at": 1000, "started_at": 2000, "ended_at": null, "reason": null, "note": "",
        "priority": 0, "pinned": false, "archived": false, "warning": null,
    }))
    .unwrap()
}

fn sweep() -> Vec<RunRow> {
    let mut failed = run("demo-dddddddd", State::Failed, 50, 0);
    failed.reason = Some("loss is NaN at step 812; last good checkpoint: step 780".into());
    let mut queued = run("demo-cccccccc", State::Queued, 30, 0);
    queued.metrics.clear();
    queued.progress = Default::default();
    vec![
        run("demo-aaaaaaaa", State::Running, 0, 0),
        run("demo-bbbbbbbb", State::Finished, 10, 0),
        queued,
        failed,
    ]
}

/// An app at a size, and what it asked for.
struct Lab {
    app: App,
    asked: Vec<Effect>,
}

impl Lab {
    fn with(rows: Vec<RunRow>, width: u16, height: u16) -> Self {
        let mut lab = Self::empty(width, height);
        lab.event(Event::Data(Data::Runs(rows)));
        lab
    }

    fn empty(width: u16, height: u16) -> Self {
        Self {
            app: App::new("/lab".into(), false, (width, height), Keymap::default()),
            asked: Vec::new(),
        }
    }

    fn event(&mut self, event: Event) -> &mut Self {
        let effects = self.app.update(event, 10_000);
        self.asked.extend(effects);
        self
    }

    /// Types keys by their names in the key table.
    fn keys(&mut self, keys: &str) -> &mut Self {
        for name in keys.split_whitespace() {
            self.event(Event::Key(key_named(name).unwrap()));
        }
        self
    }

    fn points(&mut self, run: &str, metric: &str, values: &[f64]) -> &mut Self {
        let curve = CurveId { run: run.into(), metric: metric.into() };
        let points = values.iter().enumerate().map(|(i, &value)| {
            let step = 10 * (i as u64 + 1);
            Sample { step, sec: step as f64 * 3.0, value }
        });
        let points = Points { curve, after: None, points: points.collect() };
        self.event(Event::Data(Data::Points(points)))
    }

    fn buffer(&self) -> Buffer {
        let (width, height) = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut cache = Cache::default();
        let paint = |frame: &mut ratatui::Frame| {
            screens::draw(&self.app, frame.area(), frame.buffer_mut(), &mut cache);
        };
        terminal.draw(paint).unwrap();
        terminal.backend().buffer().clone()
    }

    fn screen(&self) -> String {
        let buffer = self.buffer();
        let rows = buffer.content.chunks(self.app.size.0.into());
        let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
        rows.map(|row| row.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn last_request(&self) -> Option<&Request> {
        self.asked.iter().rev().find_map(|effect| match effect {
            Effect::Ask(Ask::Do(request)) => Some(request),
            _ => None,
        })
    }
}
