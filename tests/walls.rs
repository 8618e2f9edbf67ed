//! The invariants of the architecture page (src/lib.rs), read off the source.

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file under `src/`, with its path relative to `src/` and its text.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                out.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let text = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(path).unwrap())
    };
    paths.iter().map(text).collect()
}

/// Files that mention `needle` in code (comments apart) and whose path `allowed` does not accept. A mention starts
/// where a word does: `fetch::` is no `tch::`.
fn trespassers(needle: &str, allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let starts_a_word = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let mentions = |text: &str| {
        text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or("");
            code.match_indices(needle).any(|(at, _)| {
                !needle.starts_with(char::is_alphabetic) || starts_a_word(&code[..at])
            })
        })
    };
    let hits = sources().into_iter().filter(|(name, text)| !allowed(name) && mentions(text));
    hits.map(|(name, _)| name).collect()
}

#[test]
fn tensors_live_in_the_engine() {
    let allowed = |name: &str| name.starts_with("engine/") || name == "bin/instdisc-train.rs";
    assert_eq!(trespassers("tch::", allowed), Vec::<String>::new());
}

#[test]
fn sql_lives_in_the_store() {
    assert_eq!(trespassers("sqlx::", |name| name.starts_with("store/")), Vec::<String>::new());
}

#[test]
fn slurm_is_spoken_to_in_one_place() {
    let client = |name: &str| name == "queue/slurm/client.rs";
    for command in
        ["\"sbatch\"", "\"squeue\"", "\"scancel\"", "\"sacct\"", "\"scontrol\"", "\"sinfo\""]
    {
        assert_eq!(trespassers(command, client), Vec::<String>::new(), "{command}");
    }
}

#[test]
fn ratatui_lives_in_the_tui() {
    assert_eq!(trespassers("ratatui::", |name| name.starts_with("tui/")), Vec::<String>::new());
}

#[test]
fn engine_and_store_never_meet() {
    let outside_engine = |name: &str| !name.starts_with("engine/");
    assert_eq!(trespassers("store::", outside_engine), Vec::<String>::new());
    let outside_store = |name: &str| !name.starts_with("store/");
    assert_eq!(trespassers("engine::", outside_store), Vec::<String>::new());
}

#[test]
fn configuration_and_vocabulary_do_no_io() {
    let elsewhere = |name: &str| {
        !(name.starts_with("config/") || name == "journal/event.rs" || name == "journal/metric.rs")
    };
    for needle in ["std::fs", "std::io", "std::net", "std::process", "tokio::"] {
        assert_eq!(trespassers(needle, elsewhere), Vec::<String>::new(), "{needle}");
    }
}

#[test]
fn only_the_random_module_makes_random_numbers() {
    assert_eq!(trespassers("rand_chacha", |name| name == "random.rs"), Vec::<String>::new());
    // libtorch's generator cannot be saved, so nothing may draw from it.
    for needle in
        ["Tensor::rand", "Tensor::randn", "Tensor::randint", "Tensor::randperm", ".dropout("]
    {
        assert_eq!(trespassers(needle, |_| false), Vec::<String>::new(), "{needle}");
    }
}
