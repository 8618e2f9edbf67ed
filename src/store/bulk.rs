//! Many rows by few statements.

use sqlx::AssertSqlSafe;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, sqlite::SqliteQueryResult};

use super::Result;

/// Rows of one statement, each size prepared once. Every statement passes to SQLite's thread and back, so a bulk load goes in by
/// the largest, whose eight columns are below SQLite's 32766 variables; what is left over takes one of each size at most.
const ROWS: [usize; 11] = [1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1];

/// A row's values, in the order of the statement's columns.
pub(super) trait Columns {
    fn add_to(&self, arguments: &mut SqliteArguments) -> std::result::Result<(), BoxDynError>;
}

/// A statement around a list of rows.
pub(super) struct Bulk {
    columns: usize,
    /// One for each of [`ROWS`].
    statements: [String; ROWS.len()],
}

impl Bulk {
    /// `before (?,?,…),(?,?,…),… after`.
    ///
    /// Every variable stands as a bare `?`: SQLite keeps a list of the names of numbered ones, which sqlx has it search from
    /// its beginning for each value that it binds.
    pub(super) fn new(before: &str, columns: usize, after: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        let statement = |rows| format!("{before} {} {after}", vec![row.as_str(); rows].join(","));
        Self { columns, statements: ROWS.map(statement) }
    }

    /// Executes it for all `rows`. SQLite is at work on a thread of its own: what it gets next is put together meanwhile.
    pub(super) async fn write(
        &self,
        tx: &mut SqliteConnection,
        mut rows: &[impl Columns],
    ) -> Result<()> {
        let mut next = || {
            let size = ROWS.iter().position(|&size| size <= rows.len())?;
            let (chunk, rest) = rows.split_at(ROWS[size]);
            rows = rest;
            let statement = AssertSqlSafe(self.statements[size].as_str());
            Some(self.arguments(chunk).map(|values| sqlx::query_with(statement, values)))
        };
        let mut query = next();
        while let Some(ready) = query {
            let written: sqlx::Result<SqliteQueryResult>;
            (written, query) = tokio::join!(ready?.execute(&mut *tx), async { next() });
            written?;
        }
        Ok(())
    }

    fn arguments(&self, rows: &[impl Columns]) -> sqlx::Result<SqliteArguments> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(self.columns * rows.len(), 0);
        for row in rows {
            row.add_to(&mut arguments).map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_rows_is_made_of_prepared_statements() {
        assert_eq!(ROWS.last(), Some(&1));
        assert!(ROWS.is_sorted_by(|a, b| a > b));
        let bulk = Bulk::new("INSERT INTO x VALUES", 3, "");
        for (rows, statement) in ROWS.iter().zip(&bulk.statements) {
            assert_eq!(statement.matches('?').count(), 3 * rows);
        }
        assert_eq!(bulk.statements[9], "INSERT INTO x VALUES (?,?,?),(?,?,?) ");
    }
}
