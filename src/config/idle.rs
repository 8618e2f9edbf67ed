//! Settings that no run of an experiment can use, such as negatives for a softmax.
//!
//! A key that a variant or an axis switches off in some runs is dropped there. One that means nothing in any run is a
//! mistake: the author believes that it does something.

use serde_json::Value;

use super::Problem;
use super::experiment::Plan;
use super::keys::{self, Condition};
use super::layer::{Found, Layer, Place};
use super::resolve::effective;

/// Reports the keys of `layer`, `axes` and `variants` that nothing in `plan` lets apply.
pub(super) fn check(
    plan: &Plan,
    layer: &[(String, Found)],
    axes: &[(String, Place, Vec<Found>)],
    variants: &[(String, Layer)],
    problems: &mut Vec<Problem>,
) {
    let set = layer.iter().map(|(key, found)| (key, &found.raw, &found.place, None));
    let varied = axes.iter().filter_map(|(key, place, values)| {
        values.first().map(|found| (key, &found.raw, place, None))
    });
    let switched = variants.iter().flat_map(|(_, layer)| {
        layer.iter().map(move |(key, found)| (key, &found.raw, &found.place, Some(layer)))
    });
    for (key, raw, place, variant) in set.chain(varied).chain(switched) {
        let Some(known) = keys::key(key) else { continue };
        let strict = known.applies.iter().filter(|condition| condition.is_strict());
        for condition in strict.filter(|condition| !possible(plan, condition, variant)) {
            problems.push(place.problem(key, raw, format!("nothing, unless {condition}")));
        }
    }
}

/// What is set on the command line and switched off in every run by a number beside it, such as λ's first epoch at λ = 0: no
/// mistake, as one command may go through the values of that number, but worth a word.
pub(super) fn remarks(
    plan: &Plan,
    layer: &[(String, Found)],
    axes: &[(String, Place, Vec<Found>)],
) -> Vec<String> {
    let set = layer.iter().map(|(key, found)| (key, &found.place));
    let set = set.chain(axes.iter().map(|(key, place, _)| (key, place)));
    let remark = |(key, place): (&String, &Place)| {
        let off =
            |condition: &&Condition| !condition.is_strict() && !possible(plan, condition, None);
        let condition = keys::key(key)?.applies.iter().find(off)?;
        Some(format!("{}: {key} has no effect: no run has {condition}", place.file))
    };
    set.filter_map(remark).collect()
}

/// Whether some run may fulfil `condition`; inside a variant only that variant's runs count.
fn possible(plan: &Plan, condition: &Condition, variant: Option<&Layer>) -> bool {
    let of = |layer: &Layer| {
        layer.iter().find(|(key, _)| key == condition.key).map(|(_, found)| found.value.clone())
    };
    if let Some(value) = variant.and_then(of) {
        return condition.holds(&value);
    }
    let axis = plan.axes.iter().find(|(key, ..)| key == condition.key);
    let values: Vec<Value> = match axis {
        Some((_, _, values)) => values.iter().map(|found| found.value.clone()).collect(),
        None => vec![effective(&plan.base, condition.key)],
    };
    let variants = plan.variants.iter().filter_map(|(_, layer)| of(layer));
    let variants = variants.filter(|_| variant.is_none());
    values.into_iter().chain(variants).any(|value| condition.holds(&value))
}
