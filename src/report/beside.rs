//! Several metrics of one experiment as one table, a column each: methods down, evaluations across. Pure.

use super::ablation::{Ablation, Row};
use super::notes::Notes;
use super::render::{Numbers, count, footnotes, json_of};
use super::table::{Format, Table};

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

    fn long(&self) -> Table {
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
