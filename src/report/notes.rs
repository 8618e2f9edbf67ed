//! What stands below ablation tables: where the published values are from, and which of them are not to be held against
//! their row, as that was measured at another setting.

use std::collections::BTreeSet;

use super::ablation::{Ablation, Row};
use super::shown;

/// In the order in which papers use them.
const MARKS: [&str; 4] = ["†", "‡", "§", "¶"];

/// The notes of tables that stand together: several metrics over the same rows. A mark means the same setting in all of
/// them.
pub struct Notes<'a> {
    tables: &'a [Ablation],
    /// In the order of their marks.
    marked: BTreeSet<Aside>,
}

/// What keeps a published value from being held against its row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Aside {
    /// The row was measured at this one of [`Ablation::other_settings`].
    setting: Option<usize>,
    /// The published value was measured on this data set.
    on: Option<String>,
}

impl Aside {
    fn of(row: &Row) -> Option<Aside> {
        let reference = row.reference.as_ref()?;
        // What a reference names it was measured with.
        let differs = row.differs.keys().any(|key| !reference.where_.contains_key(key));
        let aside = Aside { setting: row.setting.filter(|_| differs), on: reference.on.clone() };
        (aside.setting.is_some() || aside.on.is_some()).then_some(aside)
    }
}

impl<'a> Notes<'a> {
    pub fn of(tables: &'a [Ablation]) -> Self {
        let rows = tables.iter().flat_map(|table| &table.rows);
        Notes { tables, marked: rows.filter_map(Aside::of).collect() }
    }

    /// The mark of a published value that was measured at another setting than the row, or on other data.
    pub fn mark(&self, row: &Row) -> Option<String> {
        let aside = Aside::of(row)?;
        let at = self.marked.iter().position(|known| *known == aside)?;
        Some(mark(at))
    }

    /// What the marks say, in their order: with what the rows were measured here. A setting that all rows have, and no mark
    /// tells of, is named too: rows of several are told apart by what they differ in.
    pub fn caveats(&self) -> Vec<String> {
        let caveat = |(at, Aside { setting, on }): (usize, &Aside)| {
            let on = on.as_ref().map(|on| format!("on {on}"));
            let setting =
                setting.map(|it| format!("at another setting; here: {}", self.setting(it)));
            let words: Vec<String> = on.into_iter().chain(setting).collect();
            format!("{} published {}", mark(at), words.join(" and "))
        };
        let mut caveats: Vec<String> = self.marked.iter().enumerate().map(caveat).collect();
        let mut rows = self.tables.iter().flat_map(|table| &table.rows);
        let first = rows.next().and_then(|row| row.setting);
        let told = self.marked.iter().any(|aside| aside.setting.is_some());
        if let (Some(setting), false, true) = (first, told, rows.all(|row| row.setting == first)) {
            caveats.push(format!("not at the file's own setting: {}", self.setting(setting)));
        }
        caveats
    }

    /// What differs there from the file. Of all tables alike, as the same runs are their rows.
    fn setting(&self, at: usize) -> String {
        let differs = self.tables.first().and_then(|table| table.other_settings.get(at));
        let pairs = differs.into_iter().flatten();
        let pairs = pairs.map(|(key, value)| format!("{key} = {}", shown(Some(value))));
        pairs.collect::<Vec<_>>().join(", ")
    }

    /// Everything that stands below, a line each: the caveats of the marks, then where the published values are from.
    pub fn lines(&self) -> Vec<String> {
        let source = |(source, words)| format!("paper: {source} ({words})");
        self.caveats().into_iter().chain(self.sources().into_iter().map(source)).collect()
    }

    /// Sources of the references shown with what each is worth, each once: of one table some cells may have been read and
    /// others recalled.
    pub fn sources(&self) -> BTreeSet<(String, &'static str)> {
        let rows = self.tables.iter().flat_map(|table| &table.rows);
        let references = rows.filter_map(|row| row.reference.as_ref());
        references.map(|reference| (reference.source.clone(), reference.status.words())).collect()
    }
}

fn mark(at: usize) -> String {
    let sign = MARKS[at % MARKS.len()];
    if at < MARKS.len() { sign.to_owned() } else { format!("{sign}{}", at / MARKS.len() + 1) }
}

impl Ablation {
    /// What stands below this table alone.
    pub fn notes(&self) -> Notes<'_> {
        Notes::of(std::slice::from_ref(self))
    }
}
