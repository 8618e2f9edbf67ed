//! What evaluations of a run found, as lines of its sheet.

use serde_json::Value;

use crate::store::EvaluationRow;
use crate::tui::figures;

/// Settings that have a drawing of their own, or are too long for a line.
const APART: [&str; 5] = ["confusion", "classes", "counts", "from", "held_out"];

/// A confusion matrix of more classes than this has no room.
const MOST_CLASSES: usize = 16;

/// Name and text of each line: the newest step first. Single values of k and τ and single classes are left to `show`.
pub fn lines(rows: &[EvaluationRow]) -> Vec<(String, String)> {
    let mut rows: Vec<&EvaluationRow> = rows.iter().filter(|row| !is_detail(&row.metric)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.step));
    rows.into_iter().map(line).collect()
}

/// The newest confusion matrix: classes by row, and what they were found to be, in percent of a class. Nothing where
/// there is none, or no room for it.
pub fn confusion(rows: &[EvaluationRow]) -> Vec<(String, String)> {
    let newest = rows.iter().filter(|row| row.settings.contains_key("confusion"));
    newest.max_by_key(|row| row.step).and_then(matrix).unwrap_or_default()
}

fn is_detail(metric: &str) -> bool {
    metric.contains("/k=") || metric.contains("/class=")
}

fn line(row: &EvaluationRow) -> (String, String) {
    let name = format!("{} {}", row.metric, row.step);
    let value = figures::value(row.value.0);
    let settings = row.settings.iter().filter(|(key, _)| !APART.contains(&key.as_str()));
    let settings: Vec<String> =
        settings.map(|(key, value)| format!("{key}={}", super::run::flat(value))).collect();
    let counts = numbers(row.settings.get("counts"));
    if counts.is_empty() {
        return (name, format!("{value}   {}", settings.join(" ")));
    }
    // From −1 to 1; everything below zero is nearly always empty, and zero is where strangers are.
    (name, format!("{value}   −1 {} 1   {}", figures::strokes(&counts), settings.join(" ")))
}

fn matrix(row: &EvaluationRow) -> Option<Vec<(String, String)>> {
    let matrix = row.settings.get("confusion")?.as_array()?;
    let classes = row.settings.get("classes")?.as_array()?;
    let classes: Vec<&str> = classes.iter().filter_map(Value::as_str).collect();
    if MOST_CLASSES < classes.len() {
        return None;
    }
    let brief = |class: &&str| format!(" {:>3}", class.chars().take(3).collect::<String>());
    let head = (String::new(), classes.iter().map(brief).collect());
    let rows = classes.iter().zip(matrix).map(|(class, row)| {
        let row = numbers(Some(row));
        let all: f64 = row.iter().sum();
        let share = |n: &f64| match (100.0 * n / all).round() {
            share if share > 0.0 => format!(" {share:>3}"),
            _ => "   ·".to_owned(),
        };
        ((*class).to_owned(), row.iter().map(share).collect())
    });
    Some(std::iter::once(head).chain(rows).collect())
}

fn numbers(of: Option<&Value>) -> Vec<f64> {
    let numbers = of.and_then(Value::as_array);
    numbers.map(|all| all.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::event::Number;

    fn row(metric: &str, step: u64, settings: Value) -> EvaluationRow {
        let settings = serde_json::from_value(settings).unwrap();
        EvaluationRow {
            metric: metric.into(),
            step,
            attempt: 1,
            at: 0,
            value: Number(0.5),
            settings,
        }
    }

    #[test]
    fn drawings_are_drawn_and_details_left_out() {
        let matrix = json!({
            "k": 5, "confusion": [[9, 1, 0], [0, 2, 2], [0, 0, 0]], "classes": ["cat", "truck", "ox"],
        });
        let rows = [
            row("alignment", 10, json!({"n": 4})),
            row("knn_top1/k=5,tau=0.1", 20, json!({})),
            row("knn_top1/selected", 20, matrix),
            row("cosine/positive", 20, json!({"counts": [0, 1, 8], "from": [-1, 1]})),
        ];
        let expected = [
            ("knn_top1/selected 20", "0.5000   k=5"),
            ("cosine/positive 20", "0.5000   −1 ▁▂█ 1   "),
            ("alignment 10", "0.5000   n=4"),
        ];
        let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        assert_eq!(lines(&rows), expected.map(owned));
        let expected = [
            ("", " cat tru  ox"),
            ("cat", "  90  10   ·"),
            ("truck", "   ·  50  50"),
            ("ox", "   ·   ·   ·"),
        ];
        assert_eq!(confusion(&rows), expected.map(owned));
        assert_eq!(confusion(&rows[2..3]).len(), 4);
        assert!(confusion(&rows[3..]).is_empty());
    }
}
