//! The run table's own state: which runs, in which order and groups, where the cursor stands, what is marked.

use std::collections::HashMap;
use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use super::column::{Column, compare, factor, values, written};
use super::extent::{Extent, Factor, factors};
use super::marks::Marks;
use crate::filter::Filter;
use crate::store::Sketch;
use crate::store::model::{RunId, RunRow};

/// Cursor, marks, order and filter over the runs; indices point into `App::rows`.
#[derive(Clone, Debug)]
pub struct Table {
    shown: Vec<usize>,
    ids: Vec<RunId>,
    lines: Vec<Line>,
    cursor: usize,
    /// The run that the cursor was on when somebody else took it away, until another is chosen: none may take its place
    /// under the keys that were meant for it. Where it stood is a gap before the cursor's line.
    lost: Option<RunId>,
    /// Runs that a verb of ours may take away: those are expected to go.
    expected: Vec<RunId>,
    /// The marks went with their runs, by no verb of ours, and no key has been pressed since.
    unmarked: bool,
    offset: usize,
    page: usize,
    pub marks: Marks,
    /// As chosen; [`Column::Factors`] stands for several.
    chosen: Vec<Column>,
    /// As drawn.
    columns: Vec<Column>,
    /// What the shown runs ask of each of them. Thousands of texts are measured when runs change, not when a frame is drawn.
    extents: Vec<Extent>,
    /// Which of them keys mean.
    column: usize,
    /// `None`: the order in which runs were queued.
    sort: Option<Column>,
    descending: bool,
    group: Option<String>,
    /// As written.
    filter: String,
    /// The last one that could be read: half-typed ones must not empty the table. `None` = all runs.
    accepts: Option<Filter>,
    filter_error: Option<String>,
    factors: Vec<Factor>,
    id_width: usize,
    sketches: HashMap<(RunId, String), Sketch>,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// Over a group: the factor's value and the runs below, as a range of [`Table::shown`].
    Head { value: String, runs: Range<usize> },
    /// By index into [`Table::shown`].
    Run(usize),
}

impl Default for Table {
    fn default() -> Self {
        Self {
            shown: Vec::new(),
            ids: Vec::new(),
            lines: Vec::new(),
            cursor: 0,
            lost: None,
            expected: Vec::new(),
            unmarked: false,
            offset: 0,
            page: 0,
            marks: Marks::default(),
            chosen: Column::usual(),
            columns: Vec::new(),
            extents: Vec::new(),
            column: 0,
            sort: None,
            descending: false,
            group: None,
            filter: String::new(),
            accepts: None,
            filter_error: None,
            factors: Vec::new(),
            id_width: 0,
            sketches: HashMap::new(),
        }
    }
}

/// What a filter lets through, `None` = all runs; or what is wrong with it.
fn readable(text: &str, rows: &[RunRow]) -> Result<Option<Filter>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let filter = Filter::parse(text).map_err(|error| error.message)?;
    // Before the runs are there nobody knows what they have logged.
    if !rows.is_empty() {
        filter.check(rows).map_err(|error| error.message)?;
    }
    Ok(Some(filter))
}

impl Table {
    /// Rows that pass the filter, in order.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// What is drawn, line by line.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The line of the run that is chosen, as an index into [`Table::shown`].
    pub fn cursor(&self) -> Option<usize> {
        (self.lost.is_none() && self.cursor < self.shown.len()).then_some(self.cursor)
    }

    /// The run that was chosen and is shown no longer, by nobody's key.
    pub fn lost(&self) -> Option<&RunId> {
        self.lost.as_ref()
    }

    /// First line on screen.
    pub fn offset(&self) -> usize {
        self.offset
    }

    pub fn selected_index(&self) -> Option<usize> {
        self.shown.get(self.cursor()?).copied()
    }

    pub fn chosen(&self) -> &[Column] {
        &self.chosen
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Each of [`Table::columns`] with what the shown runs ask of it.
    pub fn measured(&self) -> impl Iterator<Item = (&Column, Extent)> {
        self.columns.iter().zip(self.extents.iter().copied())
    }

    /// The column that keys mean.
    pub fn column(&self) -> Option<&Column> {
        self.columns.get(self.column)
    }

    pub fn step_column(&mut self, by: isize) {
        let last = self.columns.len().saturating_sub(1);
        self.column = self.column.saturating_add_signed(by).min(last);
    }

    pub fn sort(&self) -> (Option<&Column>, bool) {
        (self.sort.as_ref(), self.descending)
    }

    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
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

    /// Marks every run that is shown.
    pub fn mark_shown(&mut self) {
        self.ids.iter().for_each(|id| self.marks.add(id.clone()));
    }

    /// Moves the cursor by runs, stopping at both ends. Out of a gap the first step down is onto the line behind it.
    pub fn step(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(1);
        let by = if self.lost.take().is_some() && 0 < by { by - 1 } else { by };
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    /// Puts the cursor on a run; one that is not shown is looked at all the same, and no line is chosen.
    pub fn select(&mut self, id: &str) {
        match self.ids.iter().position(|seen| seen == id) {
            Some(at) => (self.cursor, self.lost) = (at, None),
            None => self.lost = Some(id.to_owned()),
        }
    }

    /// Puts the cursor on the run of a line, if it is one.
    pub fn select_line(&mut self, line: usize) -> bool {
        let Some(Line::Run(at)) = self.lines.get(line) else { return false };
        (self.cursor, self.lost) = (*at, None);
        true
    }

    /// What a verb is done to may leave the table. The cursor then goes on to the next line: who did it sees to it.
    pub fn expect(&mut self, runs: Vec<RunId>) {
        self.expected = runs;
    }

    /// Whether the marks have gone with their runs since the last key.
    pub fn lacks_marks(&self) -> bool {
        self.unmarked
    }

    /// Whoever has pressed a key has seen what is marked.
    pub fn marks_seen(&mut self) {
        self.unmarked = false;
    }

    pub fn half_page(&mut self, sign: isize) {
        self.step(sign * (self.page as isize / 2).max(1));
    }

    pub fn page(&mut self, sign: isize) {
        self.step(sign * (self.page as isize - 1).max(1));
    }

    /// Scrolls so that the cursor is on a page of `page` lines.
    pub fn fit(&mut self, page: usize) {
        self.page = page;
        let page = page.max(1);
        let cursor = self.cursor.min(self.shown.len().saturating_sub(1));
        let at = match &self.group {
            // Without heads every run has the line of its number.
            None => cursor,
            Some(_) => {
                let here = |line: &Line| *line == Line::Run(cursor);
                self.lines.iter().position(here).unwrap_or(0)
            }
        };
        // The head of the first group stays in sight with its first run.
        let top = if at == 1 && self.group.is_some() { 0 } else { at };
        self.offset = self.offset.min(self.lines.len().saturating_sub(page));
        if top < self.offset {
            self.offset = top;
        } else if at >= self.offset + page {
            self.offset = at + 1 - page;
        }
    }

    /// Runs on screen.
    pub fn visible(&self) -> impl Iterator<Item = &RunId> {
        let lines = self.lines.iter().skip(self.offset).take(self.page.max(1));
        lines.filter_map(|line| match line {
            Line::Run(at) => self.ids.get(*at),
            Line::Head { .. } => None,
        })
    }

    pub fn sketch(&self, id: &str, metric: &str) -> Option<&Sketch> {
        self.sketches.get(&(id.to_owned(), metric.to_owned()))
    }

    pub fn take_sketches(&mut self, metric: &str, sketches: Vec<Sketch>, rows: &[RunRow]) {
        for sketch in sketches {
            self.sketches.insert((sketch.run.clone(), metric.to_owned()), sketch);
        }
        if matches!(self.sort, Some(Column::Recent(_) | Column::Curve(_))) {
            self.refresh(rows);
        }
    }

    pub fn set_filter(&mut self, text: &str, rows: &[RunRow]) {
        self.try_filter(text, "", rows);
    }

    /// The filter as far as it is typed. One that cannot be read leaves what the last readable one showed; where that was
    /// nothing, what the one `before` did: a word that is to become a field of `field>1` is in no run's name.
    pub fn try_filter(&mut self, text: &str, before: &str, rows: &[RunRow]) {
        self.filter = text.to_owned();
        self.filter_error = None;
        self.lost = None;
        match readable(text, rows) {
            Ok(filter) => self.accepts = filter,
            Err(why) => {
                self.filter_error = Some(why);
                if self.shown.is_empty() {
                    self.accepts = readable(before, rows).ok().flatten();
                }
            }
        }
        self.refresh(rows);
    }

    pub fn set_columns(&mut self, columns: Vec<Column>, rows: &[RunRow]) {
        self.chosen = if columns.is_empty() { Column::usual() } else { columns };
        self.refresh(rows);
    }

    /// Moves the column that keys mean; factors move together.
    pub fn move_column(&mut self, by: isize, rows: &[RunRow]) {
        let Some(column) = self.column().cloned() else { return };
        let in_chosen = |column: &Column, chosen: &[Column]| {
            let own = chosen.iter().position(|c| c == column);
            own.or_else(|| chosen.iter().position(|c| *c == Column::Factors))
        };
        let Some(at) = in_chosen(&column, &self.chosen) else { return };
        let to = at.saturating_add_signed(by).min(self.chosen.len() - 1);
        let moved = self.chosen.remove(at);
        self.chosen.insert(to, moved);
        self.refresh(rows);
        self.column = self.columns.iter().position(|c| *c == column).unwrap_or(self.column);
    }

    /// Sorts by `column`; by the one that is sorted by already: the other way, and then no longer.
    pub fn sort_by(&mut self, column: Column, rows: &[RunRow]) {
        let first = column.best_first(rows);
        match &self.sort {
            Some(same) if *same == column && self.descending != first => {
                (self.sort, self.descending) = (None, false);
            }
            Some(same) if *same == column => self.descending = !first,
            _ => (self.sort, self.descending) = (Some(column), first),
        }
        self.refresh(rows);
    }

    pub fn reverse_sort(&mut self, rows: &[RunRow]) {
        self.descending = !self.descending;
        self.refresh(rows);
    }

    /// Groups by the factor after the one at hand; after the last by none.
    pub fn next_group(&mut self, rows: &[RunRow]) {
        let keys = self.factors.iter().map(|factor| factor.key.clone());
        let mut keys = keys.filter(|key| key != "seed");
        self.group = match self.group.take() {
            None => keys.next(),
            Some(now) => keys.skip_while(|key| *key != now).nth(1),
        };
        self.refresh(rows);
    }

    pub fn set_group(&mut self, key: Option<String>, rows: &[RunRow]) {
        self.group = key;
        self.refresh(rows);
    }

    /// Takes in other rows. Where the run under the cursor is not shown any more, and no verb of ours took it away, no line
    /// is chosen.
    pub fn take(&mut self, rows: &[RunRow]) {
        let at = self.cursor;
        let selected = self.cursor().map(|at| self.ids[at].clone());
        let marked: Vec<RunId> = self.marks.ids().cloned().collect();
        self.refresh(rows);
        let is_ours = |id: &RunId| self.expected.contains(id);
        self.unmarked |= self.marks.is_empty() && !marked.iter().all(is_ours);
        if let Some(gone) = selected.filter(|id| !is_ours(id) && !self.ids.contains(id)) {
            // Behind the last line is a gap too.
            (self.cursor, self.lost) = (at.min(self.shown.len()), Some(gone));
        }
    }

    /// Filters, groups and sorts anew; the cursor stays on its run, or on its line where that run is gone.
    pub fn refresh(&mut self, rows: &[RunRow]) {
        let selected = self.lost.clone().or_else(|| self.ids.get(self.cursor).cloned());
        self.marks.retain(|id| rows.iter().any(|row| row.id == id));
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
        self.columns = self.expanded();
        let of = |column| Extent::of(column, &self.factors, &shown, rows);
        self.extents = self.columns.iter().map(of).collect();
        self.column = self.column.min(self.columns.len().saturating_sub(1));
        self.order(rows);
        self.ids = self.shown.iter().map(|&i| rows[i].id.clone()).collect();
        self.lines = self.laid_out(rows);
        let found = selected.and_then(|id| self.ids.iter().position(|seen| *seen == id));
        match found {
            Some(at) => (self.cursor, self.lost) = (at, None),
            None if self.lost.is_some() => self.cursor = self.cursor.min(self.shown.len()),
            None => self.cursor = self.cursor.min(self.shown.len().saturating_sub(1)),
        }
    }

    fn expanded(&self) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::new();
        for column in &self.chosen {
            match column {
                Column::Factors => {
                    let keys = self.factors.iter().map(|factor| Column::Factor(factor.key.clone()));
                    columns.extend(keys.filter(|column| !self.chosen.contains(column)));
                }
                other => columns.push(other.clone()),
            }
        }
        columns
    }

    fn order(&mut self, rows: &[RunRow]) {
        let (sort, descending) = (self.sort.clone(), self.descending);
        let sketches = &self.sketches;
        let recent = |row: &RunRow, metric: &str| {
            let known = sketches.get(&(row.id.clone(), metric.to_owned()));
            known.map_or_else(|| super::column::last(row, metric), |sketch| sketch.recent)
        };
        let mut shown = std::mem::take(&mut self.shown);
        match &sort {
            Some(column) => {
                shown.sort_by(|&a, &b| compare(column, descending, &rows[a], &rows[b], &recent));
            }
            None if descending => shown.reverse(),
            None => {}
        }
        if let Some(key) = &self.group {
            shown.sort_by(|&a, &b| values(false, &factor(&rows[a], key), &factor(&rows[b], key)));
        }
        self.shown = shown;
    }

    fn laid_out(&self, rows: &[RunRow]) -> Vec<Line> {
        let Some(key) = &self.group else { return (0..self.shown.len()).map(Line::Run).collect() };
        let mut lines: Vec<Line> = Vec::new();
        let mut head: Option<usize> = None;
        for (at, &row) in self.shown.iter().enumerate() {
            let here = written(&rows[row], key);
            match head.and_then(|head| lines.get_mut(head)) {
                Some(Line::Head { value, runs }) if *value == here => runs.end = at + 1,
                _ => {
                    head = Some(lines.len());
                    lines.push(Line::Head { value: here, runs: at..at + 1 });
                }
            }
            lines.push(Line::Run(at));
        }
        lines
    }
}
