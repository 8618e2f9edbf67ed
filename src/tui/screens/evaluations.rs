//! What evaluations of a run found, as lines of its sheet.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::store::EvaluationRow;
use crate::tui::figures;

/// Settings that have a drawing of their own, or are too long for a line.
const APART: [&str; 5] = ["confusion", "classes", "counts", "range", "held_out"];

/// A confusion matrix of more classes than this has no room where sheet and log stand side by side.
const MOST_CLASSES: usize = 10;

/// Marks of a histogram; several counts go into one.
const MARKS: usize = 20;

/// Name and text of each line: the newest step first. Single values of k and τ and single classes are left to `show`.
pub fn lines(rows: &[EvaluationRow]) -> Vec<(String, String)> {
    let mut rows: Vec<&EvaluationRow> = rows.iter().filter(|row| !is_detail(&row.metric)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.step));
    rows.into_iter().map(line).collect()
}

/// A confusion matrix under its heading: classes by row, and what they were found to be, in percent of a class.
pub struct Confusion {
    pub heading: String,
    pub lines: Vec<(String, String)>,
}

/// The newest one, of the embedding rather than of the pooled features; none where there is no room for it.
pub fn confusion(rows: &[EvaluationRow]) -> Option<Confusion> {
    let newest = rows.iter().filter(|row| row.settings.contains_key("confusion"));
    let row = newest.max_by_key(|row| (row.step, !row.metric.starts_with("knn_top1/pooled")))?;
    let heading = format!("what classes were found to be, in %: {}, step {}", row.metric, row.step);
    Some(Confusion { heading, lines: matrix(row)? })
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
    let [low, high] = numbers(row.settings.get("range"))[..] else {
        return (name, format!("{value}   {}", settings.join(" ")));
    };
    let marks = counts.chunks(counts.len().div_ceil(MARKS).max(1)).map(|part| part.iter().sum());
    let marks = figures::strokes(&marks.collect::<Vec<f64>>());
    (name, format!("{value}   {low} {marks} {high}   {}", settings.join(" ")))
}

fn matrix(row: &EvaluationRow) -> Option<Vec<(String, String)>> {
    let matrix = row.settings.get("confusion")?.as_array()?;
    let classes = row.settings.get("classes")?.as_array()?;
    let classes: Vec<&str> = classes.iter().filter_map(Value::as_str).collect();
    if MOST_CLASSES < classes.len() {
        return None;
    }
    let brief = |class: &&str| class.chars().take(3).collect::<String>();
    let differ = classes.iter().map(brief).collect::<BTreeSet<_>>().len() == classes.len();
    let (columns, names): (Vec<String>, Vec<String>) = if differ {
        classes.iter().map(|class| (brief(class), (*class).to_owned())).unzip()
    } else {
        classes.iter().enumerate().map(|(i, class)| (i.to_string(), format!("{i} {class}"))).unzip()
    };
    let head = (String::new(), columns.iter().map(|name| format!(" {name:>3}")).collect());
    let rows = names.into_iter().zip(matrix).map(|(name, row)| {
        let row = numbers(Some(row));
        let all: f64 = row.iter().sum();
        let share = |n: &f64| match (100.0 * n / all).round() {
            share if share > 0.0 => format!(" {share:>3}"),
            _ => "   ·".to_owned(),
        };
        (name, row.iter().map(share).collect())
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
            row("knn_top1/selected", 20, matrix.clone()),
            row("knn_top1/pooled/selected", 20, matrix),
            row("cosine/positive", 20, json!({"counts": [0, 1, 8], "range": [-1, 1]})),
        ];
        let expected = [
            ("knn_top1/selected 20", "0.5000   k=5"),
            ("knn_top1/pooled/selected 20", "0.5000   k=5"),
            ("cosine/positive 20", "0.5000   -1 ▁▂█ 1   "),
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
        let found = confusion(&rows).unwrap();
        assert_eq!(found.lines, expected.map(owned));
        assert!(found.heading.ends_with("knn_top1/selected, step 20"), "{}", found.heading);
        assert!(confusion(&rows[4..]).is_none());
    }

    #[test]
    fn marks_are_few_and_classes_that_begin_alike_are_numbered() {
        let counts: Vec<u32> = (0..40).collect();
        let of = row("cosine/positive", 20, json!({"counts": counts, "range": [-1, 1]}));
        let (_, text) = line(&of);
        assert_eq!(text.matches(|c| ('▁'..='█').contains(&c)).count(), 20, "{text}");
        let matrix = json!({"confusion": [[1, 0], [0, 1]], "classes": ["n01440764", "n01443537"]});
        let found = confusion(&[row("knn_top1/selected", 20, matrix)]).unwrap().lines;
        assert_eq!((found[0].1.as_str(), found[1].0.as_str()), ("   0   1", "0 n01440764"));
    }
}
