//! Which metrics an experiment's own file wants to see. Pure.

use crate::config::experiment::{Overrides, parse};
use crate::journal::metric::{split, suffixed};
use crate::store::ExperimentRecord;

/// What tables show unless told otherwise.
pub const METRIC: &str = "knn_top1.last";

/// The metrics of `experiment`'s tables, the main one first, each with its suffix. A file that says nothing, or that this
/// version cannot read, wants k-NN.
pub fn metrics_of(experiment: &ExperimentRecord) -> Vec<String> {
    let written = parse(&experiment.name, &experiment.text, &Overrides::default());
    let metrics = written.map(|written| written.metrics).unwrap_or_default();
    match metrics.is_empty() {
        true => vec![METRIC.to_owned()],
        false => metrics.iter().map(|metric| whole(metric)).collect(),
    }
}

/// A metric with its suffix: one that has none is meant as its last value.
pub fn whole(metric: &str) -> String {
    let (name, best) = split(metric);
    suffixed(name, best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_which_metrics_its_tables_show() {
        let of = |line: &str| {
            let text = format!("name = 'x'\n{line}\n[base]\nobjective.kind = 'nce'\n");
            let (name, question) = ("x".to_owned(), String::new());
            let (factors, references, members) = (Vec::new(), Vec::new(), Vec::new());
            metrics_of(&ExperimentRecord { name, question, text, factors, references, members })
        };
        assert_eq!(of(""), [METRIC]);
        assert_eq!(
            of("metrics = ['nmi', 'loss/roughness.best', 'knn_top1.reach=60']"),
            ["nmi.last", "loss/roughness.best", "knn_top1.reach=60.last"]
        );
        assert_eq!(of("objective = 'a file of another version'"), [METRIC]);
    }
}
