//! A published number to stand beside ours, with where it comes from.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One `[[reference]]` of an experiment file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Dotted key → value: the rows of the table that it stands beside.
    #[serde(rename = "where")]
    pub where_: Map<String, Value>,
    pub metric: String,
    /// In the metric's unit; percentages are 0–100.
    pub value: f64,
    /// (epoch, value) on the way there, epochs rising.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<(f64, f64)>,
    /// What it was measured on, where that is not what the rows are of: another data set, a net that was trained before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Paper and table, or URL.
    pub source: String,
    pub status: Status,
}

/// How much to trust a [`Reference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Read in the source.
    Verified,
    /// From memory; shown as such.
    Recalled,
    /// Read off a figure.
    Figure,
}

impl Status {
    /// One word, for a table's footnote.
    pub fn words(self) -> &'static str {
        match self {
            Status::Verified => "verified",
            Status::Recalled => "recalled",
            Status::Figure => "figure",
        }
    }
}
