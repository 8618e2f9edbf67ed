//! The language that picks runs: `runs FILTER` and the screens' `/`. Pure.
//!
//! ```text
//! state:failed objective.lambda>=10 knn_top1.best>60      all of them (AND)
//! tag:baseline OR (experiment:proximal -seed:0)           OR, NOT, -, !, parentheses
//! model.backbone:resnet* "two words" note:'to do'         quotes; a bare word is looked for everywhere
//! ```
//!
//! Fields: `state`, `tag`, `experiment`, `id`, `device`, `note`, `reason`, `warning`, `attempt`, `priority`, `epoch`,
//! `pinned`, `archived`; every spec key, whole or its last part (`lambda`); `METRIC.last` and `METRIC.best`.
//! `:` looks inside what is long (ids, devices, notes, reasons, warnings, paths) and compares everything else, a whole id too;
//! commas stand between alternatives, `*` for anything; `=`, `!=`, `<`, `<=`, `>`, `>=`.

mod field;
mod parse;

use std::fmt;

use crate::config::keys;
use crate::journal::event::METRICS;
use crate::journal::metric;
use crate::store::RunRow;

use field::{Field, Test};

/// A parsed filter. The empty one matches every run.
#[derive(Clone, Debug)]
pub struct Filter(Node);

/// What is wrong with a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Characters before the mistake.
    pub at: usize,
    pub message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "filter, character {}: {}", self.at + 1, self.message)
    }
}

impl std::error::Error for FilterError {}

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// With the characters before it.
    Term(usize, Field, Test),
    /// Lower case; looked for everywhere.
    Word(String),
}

impl Filter {
    pub fn parse(text: &str) -> Result<Filter, FilterError> {
        parse::parse(text).map(Filter)
    }

    pub fn matches(&self, run: &RunRow) -> bool {
        self.0.matches(run)
    }

    /// Whether the filter speaks of archived runs; lists leave them out otherwise.
    pub fn mentions_archived(&self) -> bool {
        self.0.fields().iter().any(|(_, field)| **field == Field::Archived)
    }

    /// Holds the metrics that the filter names against those there are: ours, and what the `runs` of a lab have logged.
    ///
    /// # Errors
    /// A name that fits none: as a slip it would find nothing, and with NOT everything.
    pub fn check(&self, runs: &[RunRow]) -> Result<(), FilterError> {
        let slip = self.0.fields().into_iter().find_map(|(at, field)| match field {
            Field::Metric { name, .. } if !is_metric(name, runs) => Some((at, name)),
            _ => None,
        });
        let Some((at, name)) = slip else { return Ok(()) };
        let logged = runs.iter().flat_map(|run| run.metrics.keys().map(String::as_str));
        let nearest = keys::nearest(name, METRICS.into_iter().chain(logged));
        let hint = nearest.map(|name| format!("; the nearest is {name}")).unwrap_or_default();
        Err(FilterError { at, message: format!("no metric is called {name}{hint}") })
    }
}

impl Node {
    fn matches(&self, run: &RunRow) -> bool {
        match self {
            Node::All(nodes) => nodes.iter().all(|node| node.matches(run)),
            Node::Any(nodes) => nodes.iter().any(|node| node.matches(run)),
            Node::Not(node) => !node.matches(run),
            Node::Term(_, field, test) => test.holds(&field.of(run)),
            Node::Word(word) => field::mentions(run, word),
        }
    }

    /// What it names, with the characters before each.
    fn fields(&self) -> Vec<(usize, &Field)> {
        match self {
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().flat_map(Node::fields).collect(),
            Node::Not(node) => node.fields(),
            Node::Term(at, field, _) => vec![(*at, field)],
            Node::Word(_) => Vec::new(),
        }
    }
}

fn is_metric(name: &str, runs: &[RunRow]) -> bool {
    metric::meaning(name).is_some() || runs.iter().any(|run| run.metrics.contains_key(name))
}

/// Characters of a tag, at most.
const LONGEST_TAG: usize = 64;

/// A tag that a filter can name: one word without the signs of the language.
///
/// # Errors
/// What was found and what is allowed.
pub fn tag(text: &str) -> Result<String, String> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'|&()*,".contains(c);
    if text.is_empty() || text.contains(odd) {
        return Err(format!(
            "found {text:?}, allowed: a word without spaces, quotes and any of |&()*,"
        ));
    }
    match text.chars().count() {
        0..=LONGEST_TAG => Ok(text.to_owned()),
        n => Err(format!("found a tag of {n} characters, allowed: at most {LONGEST_TAG}")),
    }
}

#[cfg(test)]
mod tests;
