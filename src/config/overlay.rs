//! What the command line lays over a file: `--set KEY=VALUE` and `--grid KEY=V1,V2`.

use super::Problem;
use super::keys::Key;
use super::layer::{self, Axes, Found, Layer, Place, brief};

/// Reads `--set` texts; `preset` is returned apart.
pub(super) fn settings(texts: &[String], problems: &mut Vec<Problem>) -> (Layer, Option<Found>) {
    let place = Place { file: "--set".to_owned(), line: None };
    let (mut settings, mut preset) = (Layer::new(), None);
    for text in texts {
        let Some((key, raw)) = split(text) else {
            problems.push(place.problem("", brief(text), "KEY=VALUE"));
            continue;
        };
        let found = Found { value: value(raw), raw: brief(raw), place: place.clone() };
        if key == "preset" {
            preset = Some(found);
            continue;
        }
        match layer::check(key, found) {
            Ok(found) => put(&mut settings, key, found),
            Err(problem) => problems.push(problem),
        }
    }
    (settings, preset)
}

/// Reads `--grid` texts.
pub(super) fn axes(texts: &[String], problems: &mut Vec<Problem>) -> Axes {
    let place = Place { file: "--grid".to_owned(), line: None };
    let mut axes = Axes::new();
    for text in texts {
        let Some((key, raw)) = split(text) else {
            problems.push(place.problem("", brief(text), "KEY=VALUE,VALUE"));
            continue;
        };
        if axes.iter().any(|(known, ..)| known == key) {
            problems.push(place.problem(key, "the axis again", "each axis once"));
            continue;
        }
        let found = |raw: &str| Found { value: value(raw), raw: brief(raw), place: place.clone() };
        let values = items(raw).into_iter().map(found).collect();
        match layer::axis(key.to_owned(), place.clone(), brief(raw), values) {
            Ok(axis) => axes.push(axis),
            Err(found) => problems.extend(found),
        }
    }
    axes
}

/// Whether `text` may stand behind `key=`: how many values it has, one set or several to vary.
///
/// # Errors
/// What was found and what is allowed, in words.
pub fn judge(key: &Key, text: &str) -> Result<usize, String> {
    let allowed = || key.kind.words();
    let values = match text.contains('[') {
        true => vec![text.trim()],
        false => items(text),
    };
    if values.is_empty() {
        return Err(format!("found nothing, allowed: {}", allowed()));
    }
    for raw in &values {
        if key.kind.check(&value(raw)).is_none() {
            return Err(format!("found {}, allowed: {}", brief(raw), allowed()));
        }
    }
    Ok(values.len())
}

/// Sets a key: a later layer wins and keeps the key's position.
pub(super) fn put(layer: &mut Layer, key: &str, found: Found) {
    match layer.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = found,
        None => layer.push((key.to_owned(), found)),
    }
}

pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty()).then_some((key, value))
}

/// TOML where it is TOML, else the text itself: `objective.kind=nce` needs no quotes, `train.lr=.03` no zero.
fn value(raw: &str) -> serde_json::Value {
    match raw.parse::<toml_edit::Value>() {
        Ok(value) => layer::json(&value.into()),
        Err(_) => match raw.parse::<f64>() {
            Ok(number) => number.into(),
            Err(_) => raw.into(),
        },
    }
}

/// Splits at commas outside brackets and quotes. A trailing comma is no item.
pub(super) fn items(raw: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (i, c) in raw.char_indices() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('[', None) => depth += 1,
            (']', None) => depth = depth.saturating_sub(1),
            (',', None) if depth == 0 => {
                items.push(raw[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    let last = raw[start..].trim();
    if !last.is_empty() {
        items.push(last);
    }
    items
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_need_no_quotes() {
        assert_eq!(
            ["nce", "\"nce\"", ".03", "1e-3", "true", "[0.6, 0.8]", "4096", "a b"].map(value),
            [
                json!("nce"),
                json!("nce"),
                json!(0.03),
                json!(1e-3),
                json!(true),
                json!([0.6, 0.8]),
                json!(4096),
                json!("a b")
            ]
        );
    }

    #[test]
    fn a_text_is_judged_as_it_is_typed() {
        let judge = |key: &str, text: &str| judge(crate::config::keys::key(key).unwrap(), text);
        assert_eq!(judge("objective.lambda", "0, 10,30"), Ok(3));
        assert_eq!(judge("train.lr_drops", "[0.6, 0.8]"), Ok(1));
        assert_eq!(
            judge("objective.tau", "0.07,0"),
            Err("found 0, allowed: a number above 0".to_owned())
        );
        assert!(judge("objective.kind", "nc").unwrap_err().contains("allowed: nce, nonparametric"));
        assert!(judge("seed", "").unwrap_err().starts_with("found nothing"));
    }

    #[test]
    fn commas_inside_brackets_and_quotes_do_not_split() {
        assert_eq!(items("1, 2,3"), ["1", "2", "3"]);
        assert_eq!(items("[0.5],[0.6,0.8]"), ["[0.5]", "[0.6,0.8]"]);
        assert_eq!(items("'a,b',c,"), ["'a,b'", "c"]);
        assert_eq!(items(""), Vec::<&str>::new());
    }
}
