//! Lists of runs: the fixed JSON of `runs --format json`, and the table that people read.

use std::collections::BTreeMap;
use std::io;

use chrono::{DateTime, SecondsFormat, Utc};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Serializer, Value, json};

use super::indented::Indented;
use super::table::Table;
use super::{exact, shown};
use crate::journal::event::Number;
use crate::store::{Progress, RunRow, SpecJson, State, Summary};

/// Milliseconds since 1970 as RFC 3339, UTC.
pub fn time(ms: i64) -> String {
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// One run in the fixed form.
pub fn json(run: &RunRow) -> Value {
    json!(Listed::from(run))
}

/// Runs in the fixed form, as they are written: of ten thousand neither a [`Value`] nor a text of all of them is made.
///
/// # Errors
/// What `out` says.
pub fn write_json(runs: &[RunRow], mut out: impl io::Write) -> io::Result<()> {
    out.write_all(b"[")?;
    let mut between: &[u8] = b"";
    // Every core makes its piece of text; they are written one after the other.
    for pieces in runs.chunks(PIECE * rayon::current_num_threads()) {
        let texts: io::Result<Vec<Vec<u8>>> = pieces.par_chunks(PIECE).map(listed).collect();
        for text in texts? {
            out.write_all(between)?;
            out.write_all(&text)?;
            between = b",";
        }
    }
    out.write_all(if runs.is_empty() { b"]\n" } else { b"\n]\n" })?;
    out.flush()
}

/// Runs whose text is made at a time, some 200 kB of it.
const PIECE: usize = 64;

/// Neighbours in the list, without its brackets.
fn listed(runs: &[RunRow]) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(runs.len() * 4096);
    for (i, run) in runs.iter().enumerate() {
        text.extend_from_slice(if i == 0 { b"\n  " } else { b",\n  " });
        let mut serializer = Serializer::with_formatter(&mut text, Indented::within(1));
        Listed::from(run).serialize(&mut serializer)?;
    }
    Ok(text)
}

/// A [`RunRow`] with its times in words.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    id: &'a str,
    experiments: &'a [String],
    state: State,
    attempt: u32,
    device: &'a Option<String>,
    progress: Progress,
    seed: u64,
    tags: &'a [String],
    varied: &'a Map<String, Value>,
    spec: &'a SpecJson,
    metrics: &'a BTreeMap<String, Summary>,
    queued_at: String,
    started_at: Option<String>,
    ended_at: Option<String>,
    reason: &'a Option<String>,
    note: &'a str,
    priority: i64,
    pinned: bool,
    archived: bool,
    warning: &'a Option<String>,
}

impl<'a> From<&'a RunRow> for Listed<'a> {
    fn from(run: &'a RunRow) -> Self {
        Self {
            id: &run.id,
            experiments: &run.experiments,
            state: run.state,
            attempt: run.attempt,
            device: &run.device,
            progress: run.so_far(),
            seed: run.seed,
            tags: &run.tags,
            varied: &run.varied,
            spec: &run.spec,
            metrics: &run.metrics,
            queued_at: time(run.queued_at),
            started_at: run.started_at.map(time),
            ended_at: run.ended_at.map(time),
            reason: &run.reason,
            note: &run.note,
            priority: run.priority,
            pinned: run.pinned,
            archived: run.archived,
            warning: &run.warning,
        }
    }
}

/// What told the runs of its experiments apart: `lambda=10 m=512`.
pub fn varied(run: &RunRow) -> String {
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let pairs =
        run.varied.iter().map(|(key, value)| format!("{}={}", short(key), shown(Some(value))));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Runs one a line: for people, or, `whole`, for programs, which want every digit and every word.
pub fn table(runs: &[RunRow], whole: bool) -> Table {
    let names =
        ["run", "state", "varied", "seed", "epoch", "loss", "knn_top1", "best", "tags", "why"];
    let mut table = Table::new(names).right(&["seed", "epoch", "loss", "knn_top1", "best"]);
    let number = |x: f64, digits| if whole { exact(x) } else { format!("{x:.digits$}") };
    for run in runs {
        let last = |name: &str| run.metrics.get(name).map(|metric| metric.last);
        let best = run.metrics.get("knn_top1").and_then(|metric| metric.best);
        let finished = run.state == State::Finished;
        let why = run.warning.clone().or_else(|| run.reason.clone().filter(|_| !finished));
        table.push([
            run.id.clone(),
            run.state.to_string(),
            varied(run),
            run.seed.to_string(),
            epochs(run),
            last("loss").map_or_else(String::new, |Number(x)| number(x, 4)),
            last("knn_top1").map_or_else(String::new, |Number(x)| number(x, 1)),
            best.map_or_else(String::new, |x| number(x, 1)),
            run.tags.join(" "),
            why.map_or_else(String::new, |why| if whole { why } else { brief(&why) }),
        ]);
    }
    table
}

/// How far a run is, as people read it: one that has finished without a step, as the untrained net does, had no epoch to go.
pub fn progress(run: &RunRow) -> Progress {
    let so_far = run.so_far();
    let is_bare = run.state == State::Finished && so_far.steps == 0;
    if is_bare { Progress { epochs: 0, ..so_far } } else { so_far }
}

/// `12/200`.
fn epochs(run: &RunRow) -> String {
    let Progress { epoch, epochs, .. } = progress(run);
    format!("{}/{epochs}", epoch.floor())
}

fn brief(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
