//! An ablation as text, CSV, Markdown, LaTeX or JSON.

use serde_json::{Map, Value, json};

use super::ablation::{Ablation, Paired, Row};
use super::exact;
use super::notes::Notes;
use super::table::{Format, Table, latex_cell};
use crate::config::{Reference, Status};
use crate::journal::event::Number;
use crate::journal::metric;

impl Ablation {
    /// The rendered table, ending in a line break.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Json => format!("{:#}\n", self.json()),
            Format::Csv => self.flat().render(format),
            Format::Table | Format::Md | Format::Tex => {
                self.table().render(format) + &footnotes(&self.notes(), format)
            }
        }
    }

    /// The cells that people read, without the footnotes.
    pub fn table(&self) -> Table {
        if self.two_way { self.crossed() } else { self.listed() }
    }

    /// Line and column of [`Ablation::table`] in which a row's value stands.
    pub fn place(&self, row: usize) -> Option<(usize, usize)> {
        let here = self.rows.get(row)?;
        let Some((across, down)) = self.factors.split_last().filter(|_| self.two_way) else {
            return Some((row, self.factors.len()));
        };
        let (mut columns, mut lines) = (Vec::new(), Vec::new());
        for row in &self.rows {
            let (column, line) = (row.factors.get(across), self.line(row, across));
            if !columns.contains(&column) {
                columns.push(column);
            }
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let y = lines.iter().position(|line| *line == self.line(here, across))?;
        let x = columns.iter().position(|column| *column == here.factors.get(across))?;
        Some((y, down.len() + x))
    }

    /// The fixed form of `table --format json`.
    pub fn json(&self) -> Value {
        let number = |x: Option<f64>| json!(x.map(Number));
        let row = |row: &Row| {
            let reference =
                row.reference.as_ref().map(|Reference { value, source, status, on, .. }| {
                    let mut published = json!({"value": value, "source": source, "status": status});
                    if let Some(on) = on {
                        published["on"] = json!(on);
                    }
                    published
                });
            json!({
                "factors": row.factors,
                "variant": row.variant,
                "n": row.n,
                "n_planned": row.n_planned,
                "mean": number(row.mean),
                "std": number(row.std),
                "delta": number(row.delta),
                "delta_std": number(row.paired.and_then(|paired| paired.std)),
                "delta_n": row.paired.map(|paired| paired.n),
                "baseline": row.is_baseline,
                "runs": row.runs,
                "differs": row.differs,
                "reference": reference,
            })
        };
        json!({
            "experiment": self.experiment,
            "question": self.question,
            "metric": self.metric,
            "unit": self.unit,
            "better": self.better,
            "factors": self.factors,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// One line a row, numbers as they are.
    pub(super) fn flat(&self) -> Table {
        let measured = ["n", "n_planned", "mean", "std", "delta"];
        let others = ["reference", "status", "source", "differs", "delta_std", "delta_n"];
        let names = self.factors.iter().map(String::as_str).chain(measured).chain(others);
        let mut table = Table::new(names);
        for row in &self.rows {
            let number = |x: Option<f64>| x.map_or_else(String::new, exact);
            let reference = row.reference.as_ref();
            let given =
                |key: &String| row.factors.get(key).map_or_else(String::new, |x| shown(Some(x)));
            let mut cells: Vec<String> = self.factors.iter().map(given).collect();
            cells.extend([row.n.to_string(), row.n_planned.to_string()]);
            cells.extend([row.mean, row.std, row.delta].map(number));
            cells.push(number(reference.map(|reference| reference.value)));
            cells.push(reference.map_or("", |reference| reference.status.words()).to_owned());
            cells.push(reference.map_or_else(String::new, |reference| reference.source.clone()));
            let pairs = row.differs.iter().map(|(key, x)| format!("{key}={}", shown(Some(x))));
            cells.push(pairs.collect::<Vec<_>>().join(" "));
            cells.push(number(row.paired.and_then(|paired| paired.std)));
            cells.push(row.paired.map_or_else(String::new, |paired| paired.n.to_string()));
            table.push(cells);
        }
        table
    }

    fn listed(&self) -> Table {
        let with_paper = self.with_paper();
        let mut names: Vec<String> = self.factors.iter().map(|key| self.short(key)).collect();
        let value = self.heading();
        names.extend([value.clone(), "n".to_owned(), "Δ".to_owned()]);
        if with_paper {
            names.push("paper".to_owned());
        }
        let right: Vec<String> =
            names.iter().filter(|name| self.is_numeric(name)).cloned().collect();
        let right: Vec<&str> =
            right.iter().map(String::as_str).chain([&*value, "n", "Δ", "paper"]).collect();
        let mut table = Table::new(names).right(&right);
        let best = self.best();
        let (notes, numbers, differences) = (self.notes(), self.numbers(), self.differences());
        for (i, row) in self.rows.iter().enumerate() {
            let mut cells = self.settings(row);
            let at = cells.len();
            let delta = differences.difference(row);
            let delta = if row.is_baseline { "baseline".to_owned() } else { delta };
            cells.extend([numbers.measured(row), count(row), delta]);
            if with_paper {
                cells.push(numbers.published(row, &notes));
            }
            table.push(cells);
            if best.contains(&i) {
                table.emphasise(i, at);
            }
        }
        table
    }

    /// The last factor's values as columns.
    fn crossed(&self) -> Table {
        let Some((across, down)) = self.factors.split_last() else { return self.listed() };
        let (mut columns, mut lines): (Vec<Option<&Value>>, Vec<Map<String, Value>>) =
            Default::default();
        for row in &self.rows {
            let column = row.factors.get(across);
            if !columns.contains(&column) {
                columns.push(column);
            }
            let line = self.line(row, across);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let mut names: Vec<String> = down.iter().map(|key| self.short(key)).collect();
        let right: Vec<String> =
            names.iter().filter(|name| self.is_numeric(name)).cloned().collect();
        let heads =
            columns.iter().map(|value| format!("{} = {}", self.short(across), shown(*value)));
        let heads: Vec<String> = heads.collect();
        names.extend(heads.clone());
        let right: Vec<&str> = right.iter().chain(&heads).map(String::as_str).collect();
        let mut table = Table::new(names).right(&right);
        let best: Vec<&Row> = self.best().into_iter().map(|i| &self.rows[i]).collect();
        let (notes, numbers) = (self.notes(), self.numbers());
        for (y, line) in lines.iter().enumerate() {
            let mut cells: Vec<String> = down.iter().map(|key| shown(line.get(key))).collect();
            for column in &columns {
                let here = |row: &&Row| {
                    row.factors.get(across) == *column && self.line(row, across) == *line
                };
                let row = self.rows.iter().find(here);
                cells.push(row.map_or_else(String::new, |row| numbers.cell(row, &notes)));
            }
            table.push(cells);
            for (x, column) in columns.iter().enumerate() {
                let here = |row: &&Row| {
                    row.factors.get(across) == *column && self.line(row, across) == *line
                };
                if best.iter().any(here) {
                    table.emphasise(y, down.len() + x);
                }
            }
        }
        table
    }

    fn line(&self, row: &Row, across: &str) -> Map<String, Value> {
        let others = row.factors.iter().filter(|(key, _)| *key != across);
        others.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn with_paper(&self) -> bool {
        self.rows.iter().any(|row| row.reference.is_some())
    }

    pub(super) fn settings(&self, row: &Row) -> Vec<String> {
        self.factors.iter().map(|key| shown(row.factors.get(key))).collect()
    }

    /// The last part of a key where that says enough.
    pub(super) fn short(&self, key: &str) -> String {
        let leaf = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let alone = self.factors.iter().filter(|other| leaf(other) == leaf(key)).count() == 1;
        if alone { leaf(key) } else { key.to_owned() }
    }

    pub(super) fn is_numeric(&self, name: &str) -> bool {
        let key = self.factors.iter().find(|key| self.short(key) == name);
        let values = || self.rows.iter().filter_map(|row| row.factors.get(key?));
        key.is_some() && values().all(Value::is_number)
    }

    pub(super) fn heading(&self) -> String {
        let unit = metric::written_unit(&self.unit);
        let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
        format!("{}{unit}", self.metric.strip_suffix(".last").unwrap_or(&self.metric))
    }

    /// How its numbers are written; once for all of them, as all of them decide it.
    pub(super) fn numbers(&self) -> Numbers {
        self.by(self.rows.iter().filter_map(|row| row.std))
    }

    /// As [`Ablation::numbers`], of the differences to the baseline, where pairs of seeds may agree better.
    fn differences(&self) -> Numbers {
        let paired = self.rows.iter().filter_map(|row| row.paired?.std);
        self.by(self.rows.iter().filter_map(|row| row.std).chain(paired))
    }

    fn by(&self, stds: impl Iterator<Item = f64>) -> Numbers {
        if ["%", "epochs"].contains(&self.unit.as_str()) {
            return Numbers { decimals: Some(1) };
        }
        let least = stds.filter(|std| std.is_finite() && 0.0 < *std).reduce(f64::min);
        let decimals = least.map(|std| (1 - std.log10().floor() as i32).max(0) as usize);
        Numbers { decimals: decimals.filter(|decimals| *decimals <= MOST_DECIMALS) }
    }
}

/// The numbers of one column: percentages and epochs to a tenth; others as far as seeds agree, to two digits of the smallest
/// standard deviation; where there is none, or that would be many decimals, to four digits each.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    decimals: Option<usize>,
}

impl Numbers {
    fn text(self, x: f64) -> String {
        match self.decimals {
            Some(decimals) if x.is_finite() => format!("{x:.decimals$}"),
            _ => digits(x),
        }
    }

    fn signed(self, x: f64) -> String {
        let text = self.text(x);
        if x <= 0.0 { text } else { format!("+{text}") }
    }

    /// Mean ± standard deviation.
    pub(super) fn measured(self, row: &Row) -> String {
        match (row.mean, row.std) {
            // Nothing is missing that could still come.
            (None, _) if row.n_ended == row.n_planned => "–".to_owned(),
            (None, _) => String::new(),
            (Some(mean), None) => self.text(mean),
            (Some(mean), Some(std)) => format!("{} ± {}", self.text(mean), self.text(std)),
        }
    }

    /// How far a row lies from the baseline, and how far its seeds differ in that: with how many these are, where one of the
    /// two rows has others too.
    fn difference(self, row: &Row) -> String {
        let Some(delta) = row.delta else { return String::new() };
        let text = self.signed(delta);
        match row.paired {
            Some(Paired { n, std: Some(std), is_whole }) => {
                let pairs = if is_whole { String::new() } else { format!(" ({n} pairs)") };
                format!("{text} ± {}{pairs}", self.text(std))
            }
            _ => text,
        }
    }

    /// A cell of a two-way table: everything a row has, in few characters.
    fn cell(self, row: &Row, notes: &Notes) -> String {
        let mut cell = self.measured(row);
        if row.n != row.n_planned || 1 < row.n_planned {
            cell = format!("{cell} ({})", count(row)).trim_start().to_owned();
        }
        match self.published(row, notes) {
            published if published.is_empty() => cell,
            published => format!("{cell} [paper {published}]"),
        }
    }

    /// Empty where nothing was.
    pub(super) fn published(self, row: &Row, notes: &Notes) -> String {
        let Some(reference) = &row.reference else { return String::new() };
        let value = self.text(reference.value) + &notes.mark(row).unwrap_or_default();
        match reference.status {
            Status::Verified => value,
            Status::Recalled => format!("{value} (recalled)"),
            Status::Figure => format!("{value} (figure)"),
        }
    }
}

/// One JSON value of several tables, ending in a line break.
pub fn json_of(tables: &[Ablation]) -> String {
    format!("{:#}\n", tables.iter().map(Ablation::json).collect::<Value>())
}

pub(super) fn footnotes(notes: &Notes, format: Format) -> String {
    if format == Format::Tex {
        // A mark in a printed table has to be explained in print; where the numbers are from is for the caption.
        let caveat = |line: &String| format!("\\par{{\\footnotesize {}\\par}}\n", latex_cell(line));
        let source = |(source, words)| format!("% paper: {source} ({words})\n");
        let caveats: String = notes.caveats().iter().map(caveat).collect();
        return caveats + &notes.sources().into_iter().map(source).collect::<String>();
    }
    let lines = notes.lines();
    let open = if format == Format::Md && !lines.is_empty() { "\n" } else { "" };
    let end = if format == Format::Md { "  \n" } else { "\n" };
    open.to_owned() + &lines.iter().map(|line| format!("{line}{end}")).collect::<String>()
}

pub(super) fn count(row: &Row) -> String {
    if row.n == row.n_planned { row.n.to_string() } else { format!("{}/{}", row.n, row.n_planned) }
}

/// Beyond these an exponent reads better.
const MOST_DECIMALS: usize = 6;

/// Four significant digits, without an exponent where that is no longer.
pub fn digits(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    if !(1e-4..1e6).contains(&size) {
        return format!("{x:.3e}");
    }
    let before = size.log10().floor() as i32;
    format!("{x:.*}", usize::try_from(3 - before).unwrap_or(0))
}

/// A factor's value as people write it.
pub fn shown(value: Option<&Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => {
            number.as_f64().map_or_else(|| number.to_string(), |x| x.to_string())
        }
        Some(other) => other.to_string(),
    }
}
