//! An experiment file: a question, fixed values, axes, variants, sizes, and the values it is held against.

use serde_json::{Map, Value};

use super::{Invalid, Reference};

/// What the command line lays over a file. Later layers win: file, then `size`, then `set` and `grid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--size NAME`.
    pub size: Option<String>,
    /// `--set KEY=VALUE`; fixes the value, also of a key that the file varies.
    pub set: Vec<String>,
    /// `--grid KEY=V1,V2`; replaces or adds an axis.
    pub grid: Vec<String>,
}

/// A validated experiment with its overlays applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    pub name: String,
    pub question: String,
    /// Why the experiment is as it is, and why the chosen size is fair.
    pub why: String,
    /// Fixed values, dotted key → value.
    pub base: Map<String, Value>,
    /// In file order.
    pub grid: Vec<Axis>,
    pub variants: Vec<Variant>,
    /// Keys that tell its runs apart, `seed` left out: axes first, then what variants set.
    pub factors: Vec<String>,
    pub references: Vec<Reference>,
    /// Names of its sizes.
    pub sizes: Vec<String>,
    /// The file as it was written.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub key: String,
    pub values: Vec<Value>,
}

/// What a product of axes cannot say.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    pub name: String,
    pub set: Map<String, Value>,
}

/// Reads an experiment file. All mistakes are reported at once.
pub fn parse(file: &str, text: &str, overrides: &Overrides) -> Result<Experiment, Invalid> {
    let _ = (file, text, overrides);
    Err(Invalid(Vec::new()))
}
