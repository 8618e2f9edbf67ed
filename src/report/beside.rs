//! Several metrics of one experiment as one table, a column each: methods down, evaluations across. And the tables of several
//! experiments, one after the other. Pure.

use super::ablation::{Ablation, Row};
use super::notes::Notes;
use super::render::{Numbers, count, footnotes, json_of};
use super::table::{Format, Table, latex_cell};

/// Ablations of one experiment by the same options, each over another metric, so that they have the same rows.
pub struct Beside<'a>(&'a [Ablation]);

impl<'a> Beside<'a> {
    pub fn new(tables: &'a [Ablation]) -> Self {
        Beside(tables)
    }

    /// The rendered table, ending in a line break. JSON is an array of what each metric alone has, and CSV has a line for
    /// each metric of each row.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Json => json_of(self.0),
            Format::Csv => self.long().render(format),
            Format::Table | Format::Md | Format::Tex => {
                self.wide().render(format) + &footnotes(&Notes::of(self.0), format)
            }
        }
    }

    pub(super) fn long(&self) -> Table {
        let each: Vec<(&str, Table)> =
            self.0.iter().map(|table| (table.metric.as_str(), table.flat())).collect();
        let columns = each.iter().take(1).flat_map(|(_, table)| table.columns());
        let names = columns.map(|column| column.name.as_str());
        let mut long = Table::new(["metric"].into_iter().chain(names));
        for (metric, table) in &each {
            for row in table.rows() {
                long.push([*metric].into_iter().chain(row.iter().map(String::as_str)));
            }
        }
        long
    }

    fn wide(&self) -> Table {
        let Some(first) = self.0.first() else { return Table::default() };
        let notes = Notes::of(self.0);
        let mut names: Vec<String> = first.factors.iter().map(|key| first.short(key)).collect();
        let mut right: Vec<String> =
            names.iter().filter(|name| first.is_numeric(name)).cloned().collect();
        let factors = names.len();
        for table in self.0 {
            names.push(table.heading());
            names.extend(table.with_paper().then(|| "paper".to_owned()));
        }
        names.push("n".to_owned());
        right.extend_from_slice(&names[factors..]);
        let right: Vec<&str> = right.iter().map(String::as_str).collect();
        let mut wide = Table::new(names).right(&right);
        let columns: Vec<(&Ablation, Numbers, Vec<usize>)> =
            self.0.iter().map(|table| (table, table.numbers(), table.best())).collect();
        for (y, row) in first.rows.iter().enumerate() {
            let mut cells = first.settings(row);
            let n = self.n(y);
            for (table, numbers, best) in &columns {
                let row = &table.rows[y];
                if best.contains(&y) {
                    wide.emphasise(y, cells.len());
                }
                // Said where some seeds lack this metric and not the others.
                let all = row.n == 0 || n.is_some_and(|most| most.n == row.n);
                let fewer = if all { String::new() } else { format!(" ({})", count(row)) };
                cells.push(numbers.measured(row) + &fewer);
                cells.extend(table.with_paper().then(|| numbers.published(row, &notes)));
            }
            cells.push(n.map_or_else(String::new, count));
            wide.push(cells);
        }
        wide
    }

    /// Of a row over all metrics, the one that most runs have.
    fn n(&self, y: usize) -> Option<&Row> {
        self.0.iter().map(|table| &table.rows[y]).max_by_key(|row| row.n)
    }
}

/// The tables of one experiment: its metrics side by side.
pub fn of_one(tables: &[Ablation], format: Format) -> String {
    match tables {
        [table] => table.render(format),
        several => Beside::new(several).render(format),
    }
}

/// The tables of several experiments on one stdout, ending in a line break: one JSON array, one CSV of all, else one table
/// after the other under its name and question.
pub fn together(experiments: &[Vec<Ablation>], format: Format) -> String {
    match (experiments, format) {
        ([tables], _) => of_one(tables, format),
        (_, Format::Json) => json_of(&experiments.concat()),
        (_, Format::Csv) => {
            let each = experiments.iter().filter_map(|tables| {
                let name = &tables.first()?.experiment;
                Some(Beside::new(tables).long().under("experiment", name))
            });
            Table::stacked(&each.collect::<Vec<_>>()).render(format)
        }
        _ => {
            let titled = |tables: &Vec<Ablation>| title(tables, format) + &of_one(tables, format);
            experiments.iter().map(titled).collect::<Vec<_>>().join("\n")
        }
    }
}

/// What stands above a table where there are others.
fn title(tables: &[Ablation], format: Format) -> String {
    let Some(Ablation { experiment, question, .. }) = tables.first() else { return String::new() };
    let (head, below) = match format {
        Format::Md => (format!("## {experiment}\n"), format!("\n{question}\n")),
        Format::Tex => {
            let words = [experiment, question].map(|text| latex_cell(text));
            (format!("\\subsection*{{{}}}\n", words[0]), format!("{}\n", words[1]))
        }
        _ => (format!("{experiment}\n"), format!("{question}\n")),
    };
    let below = if question.is_empty() { "" } else { &below };
    let gap = if format == Format::Table { "" } else { "\n" };
    format!("{head}{below}{gap}")
}
