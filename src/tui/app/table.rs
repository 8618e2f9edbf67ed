//! The run table's own state: which runs, in which order, where the cursor stands, what is marked.

use std::cmp::Ordering;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::filter::Filter;
use crate::store::model::{RunId, RunRow};
use crate::tui::figures;

/// What the table is sorted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// The order in which runs were queued.
    #[default]
    Queued,
    State,
    Run,
    /// A varied factor, by its dotted key.
    Factor(String),
    Progress,
    Last(String),
    Best(String),
    Time,
}

/// Cursor, marks, order and filter over the runs; indices point into `App::rows`.
#[derive(Clone, Debug, Default)]
pub struct Table {
    shown: Vec<usize>,
    ids: Vec<RunId>,
    cursor: usize,
    offset: usize,
    page: usize,
    /// Marked runs and the colour each was given.
    marks: Vec<(RunId, usize)>,
    sort: SortKey,
    descending: bool,
    /// As written.
    filter: String,
    /// The last one that could be read: half-typed ones must not empty the table. `None` = all runs.
    accepts: Option<Filter>,
    filter_error: Option<String>,
    factors: Vec<Factor>,
    id_width: usize,
}

/// A key in which the shown runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    pub key: String,
    /// Columns of its widest value.
    pub width: usize,
}

impl Table {
    /// Rows that pass the filter, in order.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// First row on screen.
    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn selected_index(&self) -> Option<usize> {
        self.shown.get(self.cursor).copied()
    }

    pub fn sort(&self) -> (&SortKey, bool) {
        (&self.sort, self.descending)
    }

    /// Keys in which the shown runs differ.
    pub fn factors(&self) -> &[Factor] {
        &self.factors
    }

    /// Columns of the longest run id.
    pub fn id_width(&self) -> usize {
        self.id_width
    }

    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// What is wrong with the filter as written.
    pub fn filter_error(&self) -> Option<&str> {
        self.filter_error.as_deref()
    }

    pub fn is_marked(&self, id: &str) -> bool {
        self.colour(id).is_some()
    }

    /// The colour slot of a marked run; it keeps it while it is marked.
    pub fn colour(&self, id: &str) -> Option<usize> {
        self.marks.iter().find(|(marked, _)| marked == id).map(|(_, slot)| *slot)
    }

    pub fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    pub fn toggle_mark(&mut self, id: RunId) {
        if let Some(at) = self.marks.iter().position(|(marked, _)| *marked == id) {
            self.marks.remove(at);
        } else {
            let free = (0..).find(|slot| self.marks.iter().all(|(_, taken)| taken != slot));
            self.marks.push((id, free.unwrap_or_default()));
        }
    }

    pub fn clear_marks(&mut self) {
        self.marks.clear();
    }

    /// Moves the cursor by rows, stopping at both ends.
    pub fn step(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    pub fn half_page(&mut self, sign: isize) {
        self.step(sign * (self.page as isize / 2).max(1));
    }

    pub fn page(&mut self, sign: isize) {
        self.step(sign * (self.page as isize - 1).max(1));
    }

    /// Scrolls so that the cursor is on a page of `page` rows.
    pub fn fit(&mut self, page: usize) {
        self.page = page;
        let page = page.max(1);
        self.offset = self.offset.min(self.shown.len().saturating_sub(page));
        if self.cursor < self.offset {
            self.offset = self.cursor;
        } else if self.cursor >= self.offset + page {
            self.offset = self.cursor + 1 - page;
        }
    }

    pub fn set_filter(&mut self, text: &str, rows: &[RunRow]) {
        self.filter = text.to_owned();
        self.filter_error = None;
        match Filter::parse(text) {
            _ if text.trim().is_empty() => self.accepts = None,
            Ok(filter) => self.accepts = Some(filter),
            Err(error) => self.filter_error = Some(error.message),
        }
        self.refresh(rows);
    }

    pub fn next_sort(&mut self, rows: &[RunRow]) {
        let mut keys = vec![SortKey::Queued, SortKey::State, SortKey::Run];
        keys.extend(self.factors.iter().map(|factor| SortKey::Factor(factor.key.clone())));
        keys.push(SortKey::Progress);
        keys.extend(["knn_top1"].map(|name| SortKey::Last(name.into())));
        keys.extend(["knn_top1"].map(|name| SortKey::Best(name.into())));
        keys.extend(["loss"].map(|name| SortKey::Last(name.into())));
        keys.push(SortKey::Time);
        let at = keys.iter().position(|key| *key == self.sort).unwrap_or(0);
        self.sort = keys[(at + 1) % keys.len()].clone();
        // The best come first, where there is a best.
        self.descending = match &self.sort {
            SortKey::Last(metric) => metric != "loss",
            SortKey::Best(_) | SortKey::Progress => true,
            _ => false,
        };
        self.refresh(rows);
    }

    pub fn reverse_sort(&mut self, rows: &[RunRow]) {
        self.descending = !self.descending;
        self.refresh(rows);
    }

    /// Filters and sorts anew; the cursor stays on its run, or on its line where that run is gone.
    pub fn refresh(&mut self, rows: &[RunRow]) {
        let selected = self.ids.get(self.cursor).cloned();
        self.marks.retain(|(id, _)| rows.iter().any(|row| row.id == *id));
        let accepted = |row: &RunRow| {
            let archived =
                row.archived && !self.accepts.as_ref().is_some_and(Filter::mentions_archived);
            !archived && self.accepts.as_ref().is_none_or(|filter| filter.matches(row))
        };
        self.shown = (0..rows.len()).filter(|&i| accepted(&rows[i])).collect();
        let shown: Vec<&RunRow> = self.shown.iter().map(|&i| &rows[i]).collect();
        let measured = |key: String| {
            let width = shown.iter().map(|row| written(row, &key).width()).max();
            Factor { width: width.unwrap_or(0), key }
        };
        self.factors = factors(&shown).into_iter().map(measured).collect();
        self.id_width = shown.iter().map(|row| row.id.width()).max().unwrap_or(0);
        let (sort, descending) = (&self.sort, self.descending);
        self.shown.sort_by(|&a, &b| compare(sort, descending, &rows[a], &rows[b]));
        if descending && *sort == SortKey::Queued {
            self.shown.reverse();
        }
        self.ids = self.shown.iter().map(|&i| rows[i].id.clone()).collect();
        let found = selected.and_then(|id| self.ids.iter().position(|seen| *seen == id));
        self.cursor = found.unwrap_or(self.cursor).min(self.shown.len().saturating_sub(1));
    }
}

/// Keys that differ between runs, in the order in which they first appear; the seed is one like any other.
pub fn factors(rows: &[&RunRow]) -> Vec<String> {
    let mut keys: Vec<&String> = Vec::new();
    for key in rows.iter().flat_map(|row| row.varied.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let differs =
        |key: &&String| rows.iter().any(|row| row.varied.get(*key) != rows[0].varied.get(*key));
    let mut keys: Vec<String> = keys.into_iter().filter(differs).cloned().collect();
    let seeds_differ = rows.iter().any(|row| row.seed != rows[0].seed);
    if seeds_differ && !keys.iter().any(|key| key == "seed") {
        keys.push("seed".into());
    }
    keys
}

/// A run's value of a factor.
pub fn factor(row: &RunRow, key: &str) -> Option<Value> {
    if key == "seed" {
        return Some(Value::from(row.seed));
    }
    row.varied.get(key).cloned()
}

/// A factor as a cell; a dash where it means nothing for the run.
pub fn written(row: &RunRow, key: &str) -> String {
    factor(row, key).map_or("–".into(), |value| figures::setting(&value))
}

fn compare(sort: &SortKey, descending: bool, a: &RunRow, b: &RunRow) -> Ordering {
    let directed = |order: Ordering| if descending { order.reverse() } else { order };
    match sort {
        SortKey::Queued => Ordering::Equal,
        SortKey::State => directed(a.state.cmp(&b.state)),
        SortKey::Run => directed(a.id.cmp(&b.id)),
        SortKey::Factor(key) => directed(compare_values(&factor(a, key), &factor(b, key))),
        SortKey::Progress => numbers(descending, share(a), share(b)),
        SortKey::Last(metric) => numbers(descending, last(a, metric), last(b, metric)),
        SortKey::Best(metric) => numbers(descending, best(a, metric), best(b, metric)),
        SortKey::Time => numbers(descending, a.progress.sec, b.progress.sec),
    }
}

/// Runs without a number come last, whichever way the others go.
fn numbers(descending: bool, a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => b.total_cmp(&a),
        (false, false) => a.total_cmp(&b),
        (a_nan, b_nan) => a_nan.cmp(&b_nan),
    }
}

fn compare_values(a: &Option<Value>, b: &Option<Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a.as_f64().unwrap_or(f64::NAN).total_cmp(&b.as_f64().unwrap_or(f64::NAN))
        }
        (a, b) => {
            let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
            text(a).cmp(&text(b))
        }
    }
}

/// Done share in [0, 1].
pub fn share(row: &RunRow) -> f64 {
    match row.progress.steps {
        0 => 0.0,
        steps => (row.progress.step as f64 / steps as f64).clamp(0.0, 1.0),
    }
}

/// Last value of a metric; NaN where there is none.
pub fn last(row: &RunRow, metric: &str) -> f64 {
    row.metrics.get(metric).map_or(f64::NAN, |summary| summary.last.0)
}

/// Best value of a metric; NaN where there is none.
pub fn best(row: &RunRow, metric: &str) -> f64 {
    row.metrics.get(metric).and_then(|summary| summary.best).unwrap_or(f64::NAN)
}
