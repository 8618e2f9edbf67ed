//! What an evaluation has to say beside its number: whether its solver came to an end, how old the memory bank was. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::digits;
use super::table::Table;
use crate::store::EvaluationRow;

/// Of every metric the newest evaluation of the latest step.
pub fn newest(evaluations: &[EvaluationRow]) -> impl Iterator<Item = &EvaluationRow> {
    let mut newest: BTreeMap<&str, &EvaluationRow> = BTreeMap::new();
    for row in evaluations {
        let known = newest.entry(&row.metric).or_insert(row);
        if (known.step, known.at) <= (row.step, row.at) {
            *known = row;
        }
    }
    newest.into_values()
}

/// That a classifier was not fitted to the end, where that is so: its accuracy is then no property of the features.
pub fn stopped_short(row: &EvaluationRow) -> Option<String> {
    let solver = row.settings.get("solver")?;
    // Top-5 is of the same fit as top-1, which says it already.
    if solver["converged"] != Value::Bool(false) || row.metric.starts_with("linear_top5/") {
        return None;
    }
    // What is no number is none in JSON either.
    let number = |key: &str| solver[key].as_f64().map_or("no number".to_owned(), digits);
    Some(format!(
        "{}: the solver ended after {} steps with a gradient of {}, where {} is enough: the value may still move",
        row.metric,
        solver["steps"],
        number("gradient"),
        number("tolerance"),
    ))
}

/// How near features are to their rows of the memory bank, by the age of the row, under a heading.
pub fn by_age(evaluations: &[EvaluationRow]) -> Option<(String, Table)> {
    let row = newest(evaluations).find(|row| row.metric == "slot_age")?;
    let mut table =
        Table::new(["age (steps)", "rows", "cosine"]).right(&["age (steps)", "rows", "cosine"]);
    for bin in row.settings.get("cosine_by_age")?.as_array()? {
        let (from, to) = (bin["from"].as_u64()?, bin["to"].as_u64()?);
        let steps = if from == to { from.to_string() } else { format!("{from}–{to}") };
        let cosine = bin["cosine"].as_f64().map_or_else(String::new, |x| format!("{x:.4}"));
        table.push([steps, bin["n"].to_string(), cosine]);
    }
    Some((format!("cosine of features and bank rows by age, step {}", row.step), table))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::event::Number;

    fn row(metric: &str, step: u64, at: i64, settings: Value) -> EvaluationRow {
        let settings = serde_json::from_value(settings).unwrap();
        EvaluationRow {
            metric: metric.to_owned(),
            step,
            attempt: 1,
            at,
            value: Number(1.0),
            settings,
        }
    }

    #[test]
    fn a_solver_that_ended_early_is_told_of() {
        let solver = |converged: bool, gradient: f64| {
            let solver = json!({"converged": converged, "steps": 2000, "gradient": gradient, "tolerance": 1e-5});
            row("linear_top1/conv1", 9, 0, json!({ "solver": solver }))
        };
        assert_eq!(
            stopped_short(&solver(false, 0.25)).unwrap(),
            "linear_top1/conv1: the solver ended after 2000 steps with a gradient of 0.2500, where \
             1.000e-5 is enough: the value may still move"
        );
        assert!(stopped_short(&solver(false, f64::NAN)).unwrap().contains("gradient of no number"));
        assert_eq!(stopped_short(&solver(true, 1e-6)), None);
        let top5 = EvaluationRow { metric: "linear_top5/conv1".to_owned(), ..solver(false, 0.25) };
        assert_eq!(stopped_short(&top5), None);
        assert_eq!(stopped_short(&row("nmi", 9, 0, json!({}))), None);
    }

    #[test]
    fn of_two_evaluations_the_newer_one_counts() {
        let bins = |cosine: f64| json!({"cosine_by_age": [{"from": 0, "to": 3, "n": 7, "cosine": cosine}]});
        let rows = [
            row("slot_age", 8, 5, bins(0.1)),
            row("slot_age", 9, 1, bins(0.2)),
            row("slot_age", 9, 2, bins(0.3)),
        ];
        assert_eq!(newest(&rows).collect::<Vec<_>>(), [&rows[2]]);
        let (heading, table) = by_age(&rows).unwrap();
        assert_eq!(heading, "cosine of features and bank rows by age, step 9");
        let text = table.render(crate::report::table::Format::Csv);
        assert!(text.contains("0–3,7,0.3000"), "{text}");
        assert!(by_age(&rows[..0]).is_none());
    }
}
