//! What stands below ablation tables: where the published values are from, and which of them are not to be held against
//! their row, as that was measured at another setting.

use std::collections::BTreeMap;

use super::ablation::{Ablation, Row};
use super::shown;

/// In the order in which papers use them.
const MARKS: [&str; 4] = ["†", "‡", "§", "¶"];

/// The notes of tables that stand together: several metrics over the same rows. A mark means the same setting in all of
/// them.
pub struct Notes<'a> {
    tables: &'a [Ablation],
    /// Settings that a published value stands beside, in the order of their marks.
    marked: Vec<usize>,
}

impl<'a> Notes<'a> {
    pub fn of(tables: &'a [Ablation]) -> Self {
        let rows = tables.iter().flat_map(|table| &table.rows);
        let with_paper = rows.filter(|row| row.reference.is_some());
        let mut marked: Vec<usize> = with_paper.filter_map(|row| row.setting).collect();
        marked.sort_unstable();
        marked.dedup();
        Notes { tables, marked }
    }

    /// The mark of a published value that was measured at another setting than the row.
    pub fn mark(&self, row: &Row) -> Option<String> {
        let reference = row.reference.as_ref()?;
        // What a reference names it was measured with.
        row.differs.keys().find(|key| !reference.where_.contains_key(*key))?;
        let at = self.marked.iter().position(|setting| Some(*setting) == row.setting)?;
        let sign = MARKS[at % MARKS.len()];
        Some(if at < MARKS.len() {
            sign.to_owned()
        } else {
            format!("{sign}{}", at / MARKS.len() + 1)
        })
    }

    /// What the marks say, in their order: with what the rows were measured here.
    pub fn caveats(&self) -> Vec<String> {
        let caveat = |&setting: &usize| {
            let rows =
                self.tables.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)));
            let mut here = rows.filter(|(_, row)| row.setting == Some(setting));
            let (table, mark) = here.find_map(|(table, row)| Some((table, self.mark(row)?)))?;
            let pairs = table.other_settings[setting].iter();
            let pairs = pairs.map(|(key, value)| format!("{key} = {}", shown(Some(value))));
            let pairs = pairs.collect::<Vec<_>>().join(", ");
            Some(format!("{mark} published at another setting; here: {pairs}"))
        };
        self.marked.iter().filter_map(caveat).collect()
    }

    /// Everything that stands below, a line each: the caveats of the marks, then where the published values are from.
    pub fn lines(&self) -> Vec<String> {
        let source = |(source, words)| format!("paper: {source} ({words})");
        self.caveats().into_iter().chain(self.sources().into_iter().map(source)).collect()
    }

    /// Sources of the references shown, each once, with what they are worth.
    pub fn sources(&self) -> BTreeMap<String, &'static str> {
        let rows = self.tables.iter().flat_map(|table| &table.rows);
        let references = rows.filter_map(|row| row.reference.as_ref());
        references.map(|reference| (reference.source.clone(), reference.status.words())).collect()
    }
}

impl Ablation {
    /// What stands below this table alone.
    pub fn notes(&self) -> Notes<'_> {
        Notes::of(std::slice::from_ref(self))
    }
}
