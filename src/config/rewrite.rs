//! An experiment file with changes written into it: what was asked for on the spot becomes a file of its own.

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

use super::experiment::Overrides;
use super::overlay::{items, split};

/// `text` under another name, with the size and the changes of `overrides` in its `[base]` and `[grid]`. Comments and
/// whatever is not changed stay; other sizes go when one was taken, as they would undo it.
///
/// The caller parses the result: what is wrong with the text or the changes is wrong with it too.
///
/// # Errors
/// `text` is no TOML, in words.
pub fn rewrite(text: &str, name: &str, overrides: &Overrides) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|why: toml_edit::TomlError| why.to_string())?;
    document.insert("name", name.into());
    if let Some(size) = &overrides.size {
        let sizes = document.remove("size");
        let table =
            sizes.as_ref().and_then(|sizes| sizes.as_table_like()?.get(size)?.as_table_like());
        for (key, item) in table.into_iter().flat_map(|table| table.iter()) {
            match (key, item.as_table_like()) {
                ("why", _) => {}
                ("grid", Some(grid)) => {
                    for (key, item) in leaves("", grid) {
                        put(&mut document, "grid", &key, item);
                    }
                }
                (key, Some(nested)) => {
                    for (key, item) in leaves(key, nested) {
                        put(&mut document, "base", &key, item);
                    }
                }
                (key, None) => put(&mut document, "base", key, item.clone()),
            }
        }
    }
    for change in &overrides.set {
        if let Some((key, raw)) = split(change) {
            let section = if key == "preset" { "" } else { "base" };
            put(&mut document, section, key, value(raw).into());
        }
    }
    for change in &overrides.grid {
        if let Some((key, raw)) = split(change) {
            put(
                &mut document,
                "grid",
                key,
                items(raw).into_iter().map(value).collect::<Array>().into(),
            );
        }
    }
    Ok(document.to_string())
}

/// TOML where it is TOML, a number written short where it is one, else text.
fn value(raw: &str) -> Value {
    let plain = raw.parse::<Value>().ok();
    let number = || raw.parse::<f64>().ok().map(Value::from);
    let mut value = plain.or_else(number).unwrap_or_else(|| raw.into());
    value.decor_mut().clear();
    value
}

/// Nested and dotted keys as dotted ones, with their items.
fn leaves(prefix: &str, table: &dyn TableLike) -> Vec<(String, Item)> {
    let name =
        |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    let leaf = |(key, item): (&str, &Item)| match item.as_table_like() {
        Some(nested) => leaves(&name(key), nested),
        None => vec![(name(key), item.clone())],
    };
    table.iter().flat_map(leaf).collect()
}

/// Sets a dotted key in a section, and takes it out of the other one: a key is fixed or it varies.
fn put(document: &mut DocumentMut, section: &str, key: &str, item: Item) {
    for section in ["base", "grid"] {
        let table = document.get_mut(section).and_then(Item::as_table_like_mut);
        if let Some(table) = table {
            remove(table, &key.split('.').collect::<Vec<_>>());
        }
    }
    let root: &mut dyn TableLike = document.as_table_mut();
    let table = match section {
        "" => Some(root),
        section => root.entry(section).or_insert_with(|| Table::new().into()).as_table_like_mut(),
    };
    let Some(table) = table else { return };
    match key.split_once('.') {
        Some((outer, inner)) if section != "grid" => {
            let dotted = || {
                let mut table = Table::new();
                table.set_dotted(true);
                Item::Table(table)
            };
            if let Some(nested) = table.entry(outer).or_insert_with(dotted).as_table_like_mut() {
                nested.insert(inner, item);
            }
        }
        _ => drop(table.insert(key, item)),
    }
}

/// Takes a key away however it is spelled: `"objective.m"`, `objective.m` or `objective = { m = … }`.
fn remove(table: &mut dyn TableLike, path: &[&str]) {
    for n in 1..path.len() {
        let nested = table.get_mut(&path[..n].join(".")).and_then(Item::as_table_like_mut);
        if let Some(nested) = nested {
            remove(nested, &path[n..]);
        }
    }
    table.remove(&path.join("."));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::experiment::parse;
    use crate::grid::expand;

    fn fingerprints(text: &str, overrides: &Overrides) -> Vec<String> {
        let experiment =
            parse("x.toml", text, overrides).unwrap_or_else(|why| panic!("{why}\n{text}"));
        let mut all: Vec<String> =
            expand(&experiment).unwrap().into_iter().map(|planned| planned.fingerprint).collect();
        all.sort();
        all
    }

    #[test]
    fn a_rewritten_file_makes_the_runs_that_were_asked_for() {
        let overrides = |size: Option<&str>, set: &[&str], grid: &[&str]| Overrides {
            size: size.map(str::to_owned),
            set: set.iter().map(|text| (*text).to_owned()).collect(),
            grid: grid.iter().map(|text| (*text).to_owned()).collect(),
        };
        let changes = [
            overrides(None, &[], &[]),
            overrides(None, &["train.epochs=3", "objective.tau=.1", "seed=4"], &[]),
            overrides(None, &["train.lr_drops=[0.5,0.75]"], &["objective.lambda=0,5", "seed=1,2"]),
        ];
        for text in [
            include_str!("../../experiments/demo.toml"),
            include_str!("../../experiments/proximal.toml"),
            include_str!("../../experiments/negatives.toml"),
            include_str!("../../experiments/softmax.toml"),
            include_str!("../../experiments/dataset_fraction.toml"),
            include_str!("../../experiments/embedding_dim.toml"),
        ] {
            let sizes = parse("x.toml", text, &Overrides::default()).unwrap().sizes;
            let sized =
                sizes.iter().map(|size| overrides(Some(&size.name), &["train.epochs=2"], &[]));
            for overrides in changes.iter().cloned().chain(sized) {
                if parse("x.toml", text, &overrides).is_err() {
                    continue;
                }
                let written = rewrite(text, "mine", &overrides).unwrap();
                let again = fingerprints(&written, &Overrides::default());
                assert_eq!(again, fingerprints(text, &overrides), "{overrides:?}\n{written}");
                let name = parse("x.toml", &written, &Overrides::default()).unwrap().name;
                assert_eq!(name, "mine");
            }
        }
    }

    #[test]
    fn comments_stay_and_a_key_is_fixed_or_varies() {
        let text = "name = 'x' # mine\n# why\n[base]\ndata.dataset = 'shapes'\nobjective = { kind = 'nce', m = 16 } # few\n[grid]\n\"objective.lambda\" = [0, 1]\n";
        let overrides = Overrides {
            size: None,
            set: vec!["objective.lambda=5".into()],
            grid: vec!["objective.m=4,8".into()],
        };
        let written = rewrite(text, "y", &overrides).unwrap();
        assert!(written.contains("# few") && written.contains("# why"), "{written}");
        assert!(
            written.contains("lambda = 5") && written.contains("\"objective.m\" = [4, 8]"),
            "{written}"
        );
        assert!(!written.contains("m = 16") && !written.contains("[0, 1]"), "{written}");
        assert!(rewrite("x = ", "y", &Overrides::default()).is_err());
    }
}
