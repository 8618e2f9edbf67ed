//! A table: named columns, rows of cells, five renderings. Knows nothing of what the cells mean.

use clap::ValueEnum;
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

/// How a table is rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for a terminal.
    #[default]
    Table,
    /// An array of objects.
    Json,
    /// RFC 4180, with a header line.
    Csv,
    /// Markdown.
    Md,
    /// LaTeX `tabular` with booktabs rules.
    Tex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub align: Align,
}

/// Rows of cells under named columns. A row shorter than the columns is filled with empty cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Left-aligned columns; see [`Table::right`].
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let column = |name: S| Column { name: name.into(), align: Align::Left };
        Self { columns: names.into_iter().map(column).collect(), rows: Vec::new() }
    }

    /// Aligns these columns to the right, as numbers want.
    #[must_use]
    pub fn right(mut self, names: &[&str]) -> Self {
        for column in &mut self.columns {
            if names.contains(&column.name.as_str()) {
                column.align = Align::Right;
            }
        }
        self
    }

    pub fn push<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rendered table, ending in a line break. JSON cells are strings here: a list with a fixed JSON form prints
    /// its own.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.plain(),
            Format::Json => self.json(),
            Format::Csv => self.csv(),
            Format::Md => self.markdown(),
            Format::Tex => self.latex(),
        }
    }

    fn plain(&self) -> String {
        let mut out = String::new();
        let widths = self.widths(|cell| one_line(cell));
        let names: Vec<String> = self.columns.iter().map(|c| c.name.to_uppercase()).collect();
        for row in std::iter::once(&names).chain(&self.rows) {
            let cells = row.iter().zip(&self.columns).zip(&widths);
            let cells: Vec<String> = cells
                .map(|((cell, column), &width)| pad(&one_line(cell), width, column.align))
                .collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        out
    }

    fn json(&self) -> String {
        let object = |row: &Vec<String>| {
            let pairs = self.columns.iter().zip(row);
            Value::Object(
                pairs.map(|(c, v)| (c.name.clone(), v.clone().into())).collect::<Map<_, _>>(),
            )
        };
        let rows: Vec<Value> = self.rows.iter().map(object).collect();
        format!("{:#}\n", Value::Array(rows))
    }

    fn csv(&self) -> String {
        let mut out = String::new();
        let names: Vec<String> = self.columns.iter().map(|c| c.name.clone()).collect();
        for row in std::iter::once(&names).chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
        out
    }

    fn markdown(&self) -> String {
        let widths = self.widths(markdown_cell);
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let padded = |row: &[String]| {
            let cells = row.iter().zip(&self.columns).zip(&widths);
            line(
                cells.map(|((cell, c), &w)| pad(&markdown_cell(cell), w.max(3), c.align)).collect(),
            )
        };
        let rule = |(column, &width): (&Column, &usize)| match column.align {
            Align::Left => "-".repeat(width.max(3)),
            Align::Right => format!("{}:", "-".repeat(width.max(3) - 1)),
        };
        let names: Vec<String> = self.columns.iter().map(|c| c.name.clone()).collect();
        let mut out = padded(&names);
        out.push_str(&line(self.columns.iter().zip(&widths).map(rule).collect()));
        out.extend(self.rows.iter().map(|row| padded(row)));
        out
    }

    fn latex(&self) -> String {
        let align = |column: &Column| match column.align {
            Align::Left => 'l',
            Align::Right => 'r',
        };
        let columns: String = self.columns.iter().map(align).collect();
        let line = |cells: &mut dyn Iterator<Item = &String>| {
            let cells: Vec<String> = cells.map(|cell| latex_cell(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let mut out = format!("\\begin{{tabular}}{{{columns}}}\n\\toprule\n");
        out.push_str(&line(&mut self.columns.iter().map(|c| &c.name)));
        out.push_str("\\midrule\n");
        for row in &self.rows {
            out.push_str(&line(&mut row.iter()));
        }
        out.push_str("\\bottomrule\n\\end{tabular}\n");
        out
    }

    /// Terminal columns that each column needs, cells taken through `shown`.
    fn widths(&self, shown: impl Fn(&str) -> String) -> Vec<usize> {
        let width = |(i, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| shown(&row[i]).width());
            cells.chain([shown(&column.name).width()]).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(width).collect()
    }
}

fn pad(text: &str, width: usize, align: Align) -> String {
    let fill = " ".repeat(width.saturating_sub(text.width()));
    match align {
        Align::Left => format!("{text}{fill}"),
        Align::Right => format!("{fill}{text}"),
    }
}

/// Control characters would break the alignment, or worse: a note may hold a terminal escape.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn csv_cell(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn markdown_cell(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('|', "\\|")
}

/// Escapes what LaTeX would act on; `±`, `−` and `λ` become commands, so that any engine takes them.
pub fn latex_cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '±' => out.push_str("$\\pm$"),
            '−' => out.push_str("$-$"),
            'λ' => out.push_str("$\\lambda$"),
            'τ' => out.push_str("$\\tau$"),
            'Δ' => out.push_str("$\\Delta$"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(["name", "value"]).right(&["value"]);
        table.push(["a_b", "1"]);
        table.push(["日本, \"x\"", "12.5 ± 3 %"]);
        table
    }

    #[test]
    fn plain_text_is_aligned_by_width_on_screen() {
        let expected = "NAME            VALUE\na_b                 1\n日本, \"x\"  12.5 ± 3 %\n";
        assert_eq!(sample().render(Format::Table), expected);
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let expected = "name,value\r\na_b,1\r\n\"日本, \"\"x\"\"\",12.5 ± 3 %\r\n";
        assert_eq!(sample().render(Format::Csv), expected);
    }

    #[test]
    fn markdown_aligns_and_escapes() {
        let mut table = Table::new(["k", "v"]).right(&["v"]);
        table.push(["a|b", "1"]);
        assert_eq!(table.render(Format::Md), "| k    |   v |\n| ---- | --: |\n| a\\|b |   1 |\n");
    }

    #[test]
    fn latex_escapes_what_tex_would_act_on() {
        let tex = sample().render(Format::Tex);
        assert!(tex.starts_with("\\begin{tabular}{lr}\n\\toprule\nname & value \\\\\n\\midrule\n"));
        assert!(tex.contains("a\\_b & 1 \\\\\n"), "{tex}");
        assert!(tex.contains("12.5 $\\pm$ 3 \\%"), "{tex}");
        assert_eq!(
            latex_cell(r"\{~^#"),
            r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\#"
        );
    }

    #[test]
    fn json_is_an_array_of_objects() {
        let value: Value = serde_json::from_str(&sample().render(Format::Json)).unwrap();
        assert_eq!(value[0]["name"], "a_b");
    }

    #[test]
    fn a_terminal_escape_in_a_cell_is_disarmed() {
        let mut table = Table::new(["note"]);
        table.push(["\u{1b}[31mred\nline"]);
        assert_eq!(table.render(Format::Table), "NOTE\n [31mred line\n");
    }
}
