//! What the metrics of this program measure: unit and direction, by name. Pure.
//!
//! A run declares its metrics in its journal, from here. What stands there is the truth about that run; this table is for
//! what has to be said of a metric that no run has yet.

use super::event::{Better, MetricInfo};

/// Unit and direction.
pub type Meaning = (&'static str, Better);

const PERCENT: Meaning = ("%", Better::Higher);

/// Metrics with a name of their own.
const NAMED: [(&str, Meaning); 28] = [
    ("loss", ("nats", Better::Lower)),
    ("loss/instance", ("nats", Better::Lower)),
    ("loss/proximal", ("nats", Better::Lower)),
    ("loss/roughness", ("nats", Better::Lower)),
    ("knn_top1", PERCENT),
    ("knn_top5", PERCENT),
    ("knn_top1_bank", PERCENT),
    ("knn_top1_held_out", PERCENT),
    ("knn_top1_selected", PERCENT),
    ("svm_top1", PERCENT),
    ("nmi", PERCENT),
    ("instance_top1", PERCENT),
    ("alignment", ("squared distance", Better::Neither)),
    ("uniformity", ("ln", Better::Neither)),
    ("spread", ("of 1/√D", Better::Neither)),
    ("rankme", ("directions", Better::Neither)),
    ("rankme/pooled", ("directions", Better::Neither)),
    ("slot_cosine", ("cosine", Better::Neither)),
    ("slot_age", ("steps", Better::Neither)),
    ("cosine/positive", ("cosine", Better::Neither)),
    ("cosine/negative", ("cosine", Better::Neither)),
    ("lr", ("1", Better::Neither)),
    ("images_per_second", ("images/s", Better::Higher)),
    ("z", ("", Better::Neither)),
    ("z/exact", ("", Better::Neither)),
    ("negatives/own_slot", ("hits per instance", Better::Neither)),
    ("clusters/agreement", ("NMI with the assignment before", Better::Neither)),
    ("clusters/refilled", ("clusters", Better::Neither)),
];

/// Beginnings of names that go on with a layer, a class, a number of neighbours or a share of the labels.
const FAMILIES: [(&str, Meaning); 7] = [
    ("knn_top1/", PERCENT),
    ("svm_top1/", PERCENT),
    ("linear_top1/", PERCENT),
    ("linear_top5/", PERCENT),
    ("finetune_top1/", PERCENT),
    ("finetune_top5/", PERCENT),
    ("recall_at_", PERCENT),
];

/// What the metric `name` measures, on its own data set or another (`…@stl10`); nothing where it is none of ours.
pub fn meaning(name: &str) -> Option<Meaning> {
    if let Some((name, _)) = reach(name) {
        return meaning(name).map(|_| ("epochs", Better::Lower));
    }
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let named = NAMED.iter().find(|(known, _)| *known == name);
    let begins = |(start, _): &&(&str, Meaning)| {
        name.strip_prefix(start).is_some_and(|rest| !rest.is_empty())
    };
    named.or_else(|| FAMILIES.iter().find(begins)).map(|&(_, meaning)| meaning)
}

/// The declaration of one of our metrics.
pub fn info(name: &str) -> MetricInfo {
    let (unit, better) = meaning(name).unwrap_or(("", Better::Neither));
    MetricInfo { name: name.to_owned(), unit: unit.to_owned(), better }
}

/// Of `NAME.reach=X` the name and X: at which epoch NAME was first seen to be X or better.
pub fn reach(metric: &str) -> Option<(&str, f64)> {
    let (name, level) = metric.split_once(".reach=")?;
    let level: f64 = level.parse().ok()?;
    level.is_finite().then_some((name, level))
}

/// Whether the value depends on how often it was measured: the best of more values is better, and a level is seen to be
/// reached no earlier than somebody looks.
pub fn is_paced(metric: &str) -> bool {
    let (name, best) = split(metric);
    best || reach(name).is_some()
}

/// The one way of writing a metric's name: `NAME.reach=60.0` is `NAME.reach=60`.
pub fn canonical(name: &str) -> String {
    reach(name).map_or_else(|| name.to_owned(), |(name, level)| format!("{name}.reach={level}"))
}

/// A metric's name, and whether `.best` stands behind it instead of `.last` or nothing.
pub fn split(metric: &str) -> (&str, bool) {
    match metric.strip_suffix(".best") {
        Some(name) => (name, true),
        None => (metric.strip_suffix(".last").unwrap_or(metric), false),
    }
}

/// A metric's name with the suffix that [`split`] takes off: what tables call a column.
pub fn suffixed(name: &str, best: bool) -> String {
    format!("{name}.{}", if best { "best" } else { "last" })
}

/// A unit as people read it: a plain number has none.
pub fn written_unit(unit: &str) -> &str {
    if unit == "1" { "" } else { unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::event::METRICS;

    #[test]
    fn everything_that_is_hinted_at_has_a_meaning() {
        for name in METRICS {
            assert!(meaning(name).is_some(), "{name}");
        }
        assert_eq!(meaning("linear_top1/conv3@stl10"), Some(PERCENT));
        assert_eq!(meaning("finetune_top1/labels=0.2"), Some(PERCENT));
        assert_eq!(meaning("finetune_top5/labels=0.01@cifar100"), Some(PERCENT));
        assert_eq!(meaning("knn_top1/pooled"), Some(PERCENT));
        assert_eq!(meaning("slot_age"), Some(("steps", Better::Neither)));
        assert_eq!(meaning("knn_top1.reach=60"), Some(("epochs", Better::Lower)));
        assert_eq!(
            reach("finetune_top1/labels=0.2.reach=6.5"),
            Some(("finetune_top1/labels=0.2", 6.5))
        );
        assert_eq!(canonical("knn_top1.reach=6e1"), "knn_top1.reach=60");
        for name in ["knn_top1.reach=", "knn_top1.reach=inf", "knn_top1.last"] {
            assert_eq!(reach(name), None, "{name}");
        }
        for name in ["", "knn_topp1", "knn_top1.lst", "linear_top1/", "knn_top1/", "@cifar10"] {
            assert_eq!(meaning(name), None, "{name}");
        }
    }

    #[test]
    fn a_metric_is_its_last_value_unless_its_best_is_asked_for() {
        assert_eq!(split("knn_top1.best"), ("knn_top1", true));
        assert_eq!(split("knn_top1.last"), ("knn_top1", false));
        assert_eq!([suffixed("nmi", true), suffixed("nmi", false)], ["nmi.best", "nmi.last"]);
        assert_eq!(split("finetune_top1/labels=0.2"), ("finetune_top1/labels=0.2", false));
    }
}
