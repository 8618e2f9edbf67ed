//! What runs ask of the columns of their table: measured when runs change, not when a frame is drawn.

use unicode_width::UnicodeWidthStr;

use super::column::{Column, written};
use crate::store::model::RunRow;

/// A key in which the shown runs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    pub key: String,
    /// Columns of its widest value.
    pub width: usize,
}

/// What runs ask of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Columns of the widest text; 0 where every text has the same room.
    pub width: usize,
    /// The metric is a percentage.
    pub percent: bool,
}

impl Extent {
    pub(super) fn of(
        column: &Column,
        factors: &[Factor],
        shown: &[&RunRow],
        rows: &[RunRow],
    ) -> Self {
        let longest = |of: &dyn Fn(&RunRow) -> usize| shown.iter().map(|row| of(row)).max();
        let width = match column {
            Column::Factor(key) => match factors.iter().find(|factor| factor.key == *key) {
                Some(factor) => Some(factor.width),
                None => longest(&|row| written(row, key).width()),
            },
            Column::Tags => longest(&|row| joined(&row.tags)),
            Column::Note => longest(&|row| row.note.width()),
            Column::Device => longest(&|row| row.device.as_deref().unwrap_or("").width()),
            Column::Experiments => longest(&|row| joined(&row.experiments)),
            _ => None,
        };
        let percent = match column {
            Column::Last(metric) | Column::Best(metric) => {
                let known = rows.iter().find_map(|row| row.metrics.get(metric));
                known.is_some_and(|summary| summary.unit == "%")
            }
            _ => false,
        };
        Self { width: width.unwrap_or(0), percent }
    }
}

/// Columns of words with a space between them.
fn joined(words: &[String]) -> usize {
    words.iter().map(|word| word.width() + 1).sum::<usize>().saturating_sub(1)
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
