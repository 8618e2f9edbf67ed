//! How far runs are, on stderr: bars where a person looks, now and then a line where nobody does.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::say;
use crate::report::runs::progress;
use crate::store::{Progress, RunId, RunRow, State};

/// Between two lines about the same run where no terminal is.
const LINES: Duration = Duration::from_secs(10);

pub struct Display {
    runs: usize,
    bars: Option<Bars>,
    /// What was last written about a run, and when.
    told: BTreeMap<RunId, (State, Instant)>,
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    each: BTreeMap<RunId, ProgressBar>,
}

impl Display {
    pub fn new(runs: usize) -> Self {
        let bars = io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(runs as u64));
            total.set_style(style("{pos}/{len} runs {wide_bar} {msg}"));
            Bars { all, total, each: BTreeMap::new() }
        });
        Self { runs, bars, told: BTreeMap::new() }
    }

    pub fn show(&mut self, runs: &[RunRow]) {
        match &mut self.bars {
            Some(bars) => bars.show(runs),
            None => {
                let mut lines = Vec::new();
                for run in runs {
                    lines.extend(self.told.line(run, Instant::now()));
                }
                lines.iter().for_each(say);
            }
        }
    }

    /// A sentence above the bars.
    pub fn say(&self, words: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| say(words)),
            None => say(words),
        }
    }

    pub fn close(&mut self) {
        if let Some(bars) = &self.bars {
            bars.each.values().for_each(ProgressBar::finish_and_clear);
            bars.total.finish_and_clear();
        }
        self.runs = 0;
    }
}

impl Bars {
    fn show(&mut self, runs: &[RunRow]) {
        for run in runs {
            if !run.state.is_active() {
                if let Some(bar) = self.each.remove(&run.id) {
                    bar.finish_and_clear();
                }
                continue;
            }
            let (all, total) = (&self.all, &self.total);
            let bar = self.each.entry(run.id.clone()).or_insert_with(|| {
                let bar = all.insert_before(total, ProgressBar::new(1));
                bar.set_style(style("{prefix} {wide_bar} {msg}"));
                bar.set_prefix(name(run));
                bar
            });
            bar.set_length(run.progress.steps.max(1));
            bar.set_position(run.progress.step);
            bar.set_message(pace(run));
        }
        let ended = runs.iter().filter(|run| run.state.is_settled()).count();
        self.total.set_position(ended as u64);
        self.total
            .set_message(time_left(runs).map(|left| format!("{left} left")).unwrap_or_default());
    }
}

trait Told {
    fn line(&mut self, run: &RunRow, now: Instant) -> Option<String>;
}

impl Told for BTreeMap<RunId, (State, Instant)> {
    /// One when the state is new, or an active run was not spoken of for a while.
    fn line(&mut self, run: &RunRow, now: Instant) -> Option<String> {
        let due = match self.get(&run.id) {
            Some((state, at)) => {
                *state != run.state || (run.state.is_active() && LINES <= now.duration_since(*at))
            }
            None => run.state != State::Queued,
        };
        due.then(|| {
            self.insert(run.id.clone(), (run.state, now));
            let pace = pace(run);
            let space = if pace.is_empty() { "" } else { "  " };
            format!("{}  {}{space}{pace}", name(run), run.state)
        })
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

/// Id and varied factors: `proximal-1a2b3c4d lambda=10 seed=0`.
fn name(run: &RunRow) -> String {
    let mut name = run.id.clone();
    for (key, value) in &run.varied {
        let short = key.rsplit('.').next().unwrap_or(key);
        name.push_str(&format!(
            " {short}={}",
            value.as_str().map_or(value.to_string(), str::to_owned)
        ));
    }
    name.push_str(&format!(" seed={}", run.seed));
    name
}

/// `epoch 3.2/20  1240 images/s  2m10s left`, as far as known.
fn pace(run: &RunRow) -> String {
    let mut parts = Vec::new();
    let Progress { epoch, epochs, .. } = progress(run);
    if 0 < epochs && run.started_at.is_some() {
        parts.push(format!("epoch {epoch:.1}/{epochs}"));
    }
    if !run.state.is_active() {
        return parts.join("  ");
    }
    if let Some(speed) = run.metrics.get("images_per_second").map(|metric| metric.last.0) {
        parts.push(format!("{speed:.0} images/s"));
    }
    if let Some(left) = seconds_left(run) {
        parts.push(format!("{} left", duration(left)));
    }
    parts.join("  ")
}

/// At the pace so far.
fn seconds_left(run: &RunRow) -> Option<f64> {
    let done = run.progress;
    let known = 0 < done.step && 0.0 < done.sec && done.step <= done.steps;
    known.then(|| (done.steps - done.step) as f64 * done.sec / done.step as f64)
}

/// All runs: a waiting one is taken to need what the active ones need on average, and as many work at once as now.
fn time_left(runs: &[RunRow]) -> Option<String> {
    let active: Vec<&RunRow> = runs.iter().filter(|run| run.state.is_active()).collect();
    let known: Vec<(f64, f64)> =
        active.iter().filter_map(|run| Some((seconds_left(run)?, run.progress.sec))).collect();
    if known.is_empty() {
        return None;
    }
    let n = known.len() as f64;
    let left: f64 = known.iter().map(|(left, _)| left).sum();
    let whole: f64 = known.iter().map(|(left, spent)| left + spent).sum::<f64>() / n;
    let waiting = runs.iter().filter(|run| run.state == State::Queued).count() as f64;
    Some(duration((left + waiting * whole) / active.len() as f64))
}

/// `45s`, `2m10s`, `3h05m`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_at_a_glance() {
        let all = [0.4, 59.0, 130.0, 11_100.0].map(duration);
        assert_eq!(all, ["0s", "59s", "2m10s", "3h05m"]);
    }
}
