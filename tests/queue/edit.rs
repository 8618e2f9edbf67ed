//! `tag`, `note`, `archive`, `rm`.

use std::fs;

use instdisc_lab::store::State;
use serde_json::{Value, json};

use crate::support::Lab;

#[test]
fn the_directory_says_what_the_run_log_says() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    for _ in 0..2 {
        lab.ok(&["tag", &id, "--add", "keep", "--add", "draft"]);
        lab.ok(&["tag", &id, "--remove", "draft"]);
        lab.ok(&["note", &id, "--text", "looks odd"]);
        lab.ok(&["archive", &id]);
    }
    let run = lab.run(&id);
    assert_eq!(
        (run.tags, run.note.as_str(), run.archived),
        (vec!["keep".into()], "looks odd", true)
    );
    let meta: Value = serde_json::from_slice(&fs::read(lab.dir_of(&id).meta()).unwrap()).unwrap();
    assert_eq!(meta["tags"], json!(["keep"]));
    assert_eq!((&meta["note"], &meta["archived"]), (&json!("looks odd"), &json!(true)));
    assert_eq!(lab.output(&["tag", &id, "--add", "two words"]).status.code(), Some(2));
}

#[test]
fn a_run_is_known_by_the_beginning_of_its_id() {
    let lab = Lab::new();
    let ids = lab.queue(&lab.experiment("one", &[0.0, 1.0]), &["--no-start"]);
    lab.ok(&["note", &ids[0][..ids[0].len() - 2], "--text", "x"]);
    let output = lab.output(&["note", "one-", "--text", "x"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&ids[0]) && said.contains(&ids[1]), "{said}");
}

#[test]
fn a_live_run_cannot_be_removed_and_another_goes_without_a_trace() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&id, State::Running);
    assert_eq!(lab.output(&["rm", &id]).status.code(), Some(2));
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    lab.ok(&["rm", &id]);
    assert!(lab.runs().is_empty());
    let hidden = |name: &str| name.starts_with('.') && !name.starts_with(".tmp");
    let left: Vec<_> = fs::read_dir(lab.home().runs()).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| hidden(entry.file_name().to_str().unwrap())), "{left:?}");
}
