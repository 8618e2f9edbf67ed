//! What TOML itself refuses, told as all other mistakes are: with the key that it stands at.

use toml_edit::TomlError;

use super::Problem;
use super::layer::{Reader, brief};

/// The one mistake that ends the reading of a file.
pub(super) fn problem(reader: &Reader, error: &TomlError) -> Problem {
    let place = reader.place(error.span());
    let span = error.span().unwrap_or_default();
    let text = reader.text.get(span.clone()).unwrap_or_default();
    let key = key_at(&reader.text, span.start);
    let line = line_at(&reader.text, span.start).1.trim();
    let (found, allowed) = match error.message() {
        "duplicate key" if line.starts_with('[') => ("the table again", "each table once"),
        "duplicate key" => ("the key again", "each key once"),
        "integer number overflowed" => (text, "a whole number below 2^63"),
        why => {
            return place.problem(&key, format!("{} ({})", brief(line), brief(why)), "valid TOML");
        }
    };
    place.problem(&key, brief(found), allowed)
}

/// The line around a place in the text: where it begins, and what stands on it.
fn line_at(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..).unwrap_or_default();
    (start, line.lines().next().unwrap_or_default())
}

/// The dotted key at a place in the text, as other messages name it; empty where no key stands on its line.
fn key_at(text: &str, at: usize) -> String {
    let (start, line) = line_at(text, at);
    if line.trim_start().starts_with('[') {
        return line.trim().trim_matches(['[', ']', ' ']).to_owned();
    }
    let Some((key, _)) = line.split_once('=').and_then(|(key, rest)| Some((plain(key)?, rest)))
    else {
        return String::new();
    };
    let mut parts = vec![key];
    // In a table on one line its own key is meant.
    let inside = line.get(..at - start).and_then(|before| before.rsplit_once(['{', ',']));
    if let Some((_, before)) = inside.filter(|(outer, _)| outer.contains('=')) {
        let own = line.get(at - start - before.len()..).unwrap_or_default();
        parts.extend(own.split('=').next().and_then(plain).filter(|_| line.contains('{')));
    }
    let header = text.get(..start).unwrap_or_default().lines().rev();
    let header = header.map(str::trim).find(|line| line.starts_with('[') && line.ends_with(']'));
    let header = header.map(|line| line.trim_matches(['[', ']', ' '])).unwrap_or_default();
    // What is a setting of the specification is named as such.
    let section = match header.split_once('.') {
        _ if matches!(header, "" | "base" | "grid") => "",
        Some(("base" | "grid", section)) => section,
        Some(("size", size)) => size.split_once('.').map_or("", |(_, section)| section),
        _ => header,
    };
    parts.splice(0..0, (!section.is_empty()).then(|| section.to_owned()));
    parts.join(".")
}

/// A key without its quotes, where it is one.
fn plain(key: &str) -> Option<String> {
    let key: String = key.chars().filter(|c| !matches!(c, '"' | '\'' | ' ' | '\t')).collect();
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!key.is_empty() && key.chars().all(fits)).then_some(key)
}

#[cfg(test)]
mod tests {
    use crate::config::experiment::{Overrides, parse};

    #[test]
    fn a_mistake_of_syntax_names_its_key() {
        let cases = [
            (
                "[base]\nseed = 1\nseed = 2",
                "x.toml:4: seed: found the key again, allowed: each key once",
            ),
            (
                "[base]\ndata.dataset = 'shapes'\ndata.dataset = 'shapes'",
                "x.toml:4: data.dataset: found the key again, allowed: each key once",
            ),
            (
                "[base.objective]\nm = 1\n\"m\" = 1",
                "x.toml:4: objective.m: found the key again, allowed: each key once",
            ),
            (
                "[base]\nobjective = { tau = 1, m = 1, m = 2 }",
                "x.toml:3: objective.m: found the key again, allowed: each key once",
            ),
            (
                "[[reference]]\nvalue = 1\nvalue = 2",
                "x.toml:4: reference.value: found the key again, allowed: each key once",
            ),
            (
                "[size.cpu]\nwhy = ''\ntrain.epochs = 99999999999999999999",
                "x.toml:4: train.epochs: found 99999999999999999999, allowed: a whole number below 2^63",
            ),
            ("[base]\n[base]", "x.toml:3: base: found the table again, allowed: each table once"),
        ];
        for (text, message) in cases {
            let wrong = parse("x.toml", &format!("name = 'x'\n{text}"), &Overrides::default());
            assert_eq!(wrong.unwrap_err().to_string(), message, "{text}");
        }
        for (text, start) in [
            ("[base]\nseed = x", "x.toml:3: seed: found seed = x ("),
            ("[base]\nmodel = { dim = }", "x.toml:3: model.dim: found model = { dim = } ("),
            ("[base\n", "x.toml:2: base: found [base ("),
            ("=", "x.toml:2: found = ("),
            ("x", "x.toml:2: found x ("),
            ("why = \"\"\"", "x.toml:2"),
        ] {
            let wrong = parse("x.toml", &format!("name = 'x'\n{text}"), &Overrides::default());
            let wrong = wrong.unwrap_err().to_string();
            assert!(wrong.starts_with(start) && wrong.ends_with("allowed: valid TOML"), "{wrong}");
        }
    }
}
