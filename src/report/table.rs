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
    /// An array of objects; of one thing (`show`, `table`) one object.
    Json,
    /// RFC 4180, with a header line.
    Csv,
    /// Markdown.
    Md,
    /// LaTeX `tabular` with booktabs rules.
    Tex,
}

impl Format {
    /// What is read by programs has room for what a person has read already.
    pub fn is_for_programs(self) -> bool {
        matches!(self, Format::Json | Format::Csv)
    }
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
    /// (row, column) of cells in bold, where a format has bold.
    strong: Vec<(usize, usize)>,
}

impl Table {
    /// Left-aligned columns; see [`Table::right`].
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let column = |name: S| Column { name: name.into(), align: Align::Left };
        Self {
            columns: names.into_iter().map(column).collect(),
            rows: Vec::new(),
            strong: Vec::new(),
        }
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

    /// Sets a cell in bold in Markdown and LaTeX.
    pub fn emphasise(&mut self, row: usize, column: usize) {
        self.strong.push((row, column));
    }

    /// The same under one more column, the first, whose cells are all `cell`.
    #[must_use]
    pub fn under(mut self, name: &str, cell: &str) -> Self {
        self.columns.insert(0, Column { name: name.to_owned(), align: Align::Left });
        self.rows.iter_mut().for_each(|row| row.insert(0, cell.to_owned()));
        self.strong.iter_mut().for_each(|(_, column)| *column += 1);
        self
    }

    /// The rows of all tables below each other, under every column that one of them has; a column stands before the one that
    /// it stood before. What a table has no column for is empty.
    pub fn stacked(tables: &[Table]) -> Table {
        let mut columns: Vec<Column> = Vec::new();
        let place = |columns: &[Column], name: &str| columns.iter().position(|it| it.name == name);
        for table in tables {
            for (x, column) in table.columns.iter().enumerate() {
                if place(&columns, &column.name).is_none() {
                    let later = table.columns.iter().skip(x + 1);
                    let before = later.filter_map(|next| place(&columns, &next.name)).next();
                    columns.insert(before.unwrap_or(columns.len()), column.clone());
                }
            }
        }
        let mut stacked = Table { columns, ..Table::default() };
        for table in tables {
            for row in &table.rows {
                let cell = |column: &Column| {
                    place(&table.columns, &column.name).map_or("", |x| row[x].as_str())
                };
                let cells: Vec<&str> = stacked.columns.iter().map(cell).collect();
                stacked.push(cells);
            }
        }
        stacked
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Cells, row by row.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Whether a cell is set in bold.
    pub fn is_strong(&self, row: usize, column: usize) -> bool {
        self.strong.contains(&(row, column))
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rendered table, ending in a line break. In JSON, cells of columns that are aligned to the right are numbers, or
    /// null where they are empty; all others are strings. A list with a fixed JSON form prints its own.
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
        let mut cells = self.cells(one_line, |cell| cell);
        for name in cells.iter_mut().take(1).flatten() {
            *name = name.to_uppercase();
        }
        let widths = widths(&cells);
        let line =
            |row: &Vec<String>| format!("{}\n", self.padded(row, &widths).join("  ").trim_end());
        cells.iter().map(line).collect()
    }

    fn json(&self) -> String {
        let object = |row: &Vec<String>| {
            let pairs = self.columns.iter().zip(row);
            let pair = |(column, cell): (&Column, &String)| {
                let value = match column.align {
                    Align::Left => cell.as_str().into(),
                    Align::Right => number(cell),
                };
                (column.name.clone(), value)
            };
            Value::Object(pairs.map(pair).collect::<Map<_, _>>())
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
        let cells = self.cells(markdown_cell, |cell| format!("**{cell}**"));
        let widths: Vec<usize> = widths(&cells).into_iter().map(|width| width.max(3)).collect();
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = |(column, &width): (&Column, &usize)| match column.align {
            Align::Left => "-".repeat(width),
            Align::Right => format!("{}:", "-".repeat(width - 1)),
        };
        let rule = line(self.columns.iter().zip(&widths).map(rule).collect());
        let mut lines = cells.iter().map(|row| line(self.padded(row, &widths)));
        let head = lines.next().unwrap_or_default();
        head + &rule + &lines.collect::<String>()
    }

    fn latex(&self) -> String {
        let align = |column: &Column| match column.align {
            Align::Left => 'l',
            Align::Right => 'r',
        };
        let columns: String = self.columns.iter().map(align).collect();
        let cells = self.cells(latex_cell, |cell| format!("\\textbf{{{cell}}}"));
        let mut lines = cells.iter().map(|row| format!("{} \\\\\n", row.join(" & ")));
        let head = lines.next().unwrap_or_default();
        let body: String = lines.collect();
        format!(
            "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"
        )
    }

    /// Names first, then the rows, each cell escaped and, where it should be, in bold.
    fn cells(&self, escape: fn(&str) -> String, bold: fn(String) -> String) -> Vec<Vec<String>> {
        let names = self.columns.iter().map(|column| escape(&column.name)).collect();
        let row = |(y, row): (usize, &Vec<String>)| {
            let cell = |(x, cell): (usize, &String)| match escape(cell) {
                cell if self.strong.contains(&(y, x)) => bold(cell),
                cell => cell,
            };
            row.iter().enumerate().map(cell).collect()
        };
        std::iter::once(names).chain(self.rows.iter().enumerate().map(row)).collect()
    }

    fn padded(&self, row: &[String], widths: &[usize]) -> Vec<String> {
        let cells = row.iter().zip(&self.columns).zip(widths);
        cells.map(|((cell, column), &width)| pad(cell, width, column.align)).collect()
    }
}

/// The number that a cell is; what is no number stays as it is written.
fn number(cell: &str) -> Value {
    match serde_json::from_str(cell) {
        Ok(number @ Value::Number(_)) => number,
        _ if cell.is_empty() => Value::Null,
        _ => cell.into(),
    }
}

/// Terminal columns that each column of cells needs.
fn widths(cells: &[Vec<String>]) -> Vec<usize> {
    let n = cells.first().map_or(0, Vec::len);
    (0..n).map(|x| cells.iter().map(|row| row[x].width()).max().unwrap_or(0)).collect()
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

/// Escapes what LaTeX would act on; `±`, `−`, `†` and `λ` become commands, so that any engine takes them.
pub fn latex_cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut text = text;
    // A negative number has a minus, not a hyphen.
    if let Some(rest) =
        text.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        out.push_str("$-$");
        text = rest;
    }
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                out.push('\\');
                out.push(c);
            }
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            '–' => out.push_str("--"),
            '†' => out.push_str("$\\dagger$"),
            '‡' => out.push_str("$\\ddagger$"),
            '§' => out.push_str("\\S{}"),
            '¶' => out.push_str("\\P{}"),
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
    fn a_negative_number_has_a_minus_in_latex() {
        assert_eq!(latex_cell("-5.1"), "$-$5.1");
        assert_eq!(latex_cell("a-b"), "a-b");
        assert_eq!(latex_cell("-x"), "-x");
    }

    #[test]
    fn bold_cells_are_bold_where_there_is_bold() {
        let mut table = Table::new(["k"]);
        table.push(["a_b"]);
        table.emphasise(0, 0);
        assert_eq!(table.render(Format::Md), "| k       |\n| ------- |\n| **a_b** |\n");
        assert!(table.render(Format::Tex).contains("\\textbf{a\\_b}"));
        assert_eq!(table.render(Format::Table), "K\na_b\n");
    }

    #[test]
    fn json_is_an_array_of_objects() {
        let value: Value = serde_json::from_str(&sample().render(Format::Json)).unwrap();
        assert_eq!(value[0]["name"], "a_b");
        // A number is one; with a unit it is text.
        assert_eq!((&value[0]["value"], &value[1]["value"]), (&1.into(), &"12.5 ± 3 %".into()));
        let mut table = Table::new(["name", "n"]).right(&["n"]);
        for n in ["0.07", "-3", "NaN", ""] {
            table.push(["7", n]);
        }
        let value: Value = serde_json::from_str(&table.render(Format::Json)).unwrap();
        let numbers: Vec<&Value> = value.as_array().unwrap().iter().map(|row| &row["n"]).collect();
        assert_eq!(numbers, [&0.07.into(), &(-3).into(), &"NaN".into(), &Value::Null]);
        assert_eq!(value[0]["name"], "7", "what is written to the left is a name");
    }

    #[test]
    fn a_terminal_escape_in_a_cell_is_disarmed() {
        let mut table = Table::new(["note"]);
        table.push(["\u{1b}[31mred\nline"]);
        assert_eq!(table.render(Format::Table), "NOTE\n [31mred line\n");
    }
}
