//! `tag`, `note`, `archive`, `rm`.

use std::fs;

use instdisc_lab::store::State;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::support::{Lab, signal, wait_for};

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

/// Whoever comes second in the directory comes second in the run log, however long the first one waits for that.
#[test]
fn of_two_who_write_at_once_one_has_the_last_word_in_both() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    let note = |text: &str| lab.command(&["note", &id, "--text", text]).spawn().unwrap();
    let noted = || -> Value {
        let meta = fs::read(lab.dir_of(&id).meta()).unwrap();
        serde_json::from_slice::<Value>(&meta).unwrap()["note"].take()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = SqliteConnectOptions::new().filename(lab.home().database());
    let mut busy = runtime.block_on(SqliteConnection::connect_with(&options)).unwrap();
    runtime.block_on(sqlx::query("BEGIN IMMEDIATE").execute(&mut busy)).unwrap();
    let mut first = note("first");
    wait_for("the first in the directory", || noted() == "first");
    signal(first.id(), Signal::STOP);
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut busy)).unwrap();
    let mut second = note("second");
    let waits = |pid: u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        open.any(|path| path.ends_with(".edit.lock"))
    };
    wait_for("the second to wait for the first", || {
        waits(second.id()) || second.try_wait().unwrap().is_some()
    });
    signal(first.id(), Signal::CONT);
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(noted(), lab.run(&id).note);
    assert_eq!(noted(), "second");
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

#[test]
fn removing_is_safe_to_repeat() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    let rm = |text: &str| {
        let output = lab.output(&["rm", text]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(rm(&id).0, Some(0));
    for text in [id.as_str(), &id[..6]] {
        assert_eq!(rm(text), (Some(0), format!("{id} is in the trash already.\n")));
    }
    assert_eq!(rm("two"), (Some(2), "error: no run is called two\n".into()));
    lab.ok(&["rm", "--undo", &id]);
    assert_eq!(lab.run(&id).state, State::Queued);
    lab.ok(&["rm", "--forever", &id]);
    assert_eq!(rm(&id).0, Some(2));
}

#[test]
fn a_whole_id_never_means_the_copy_of_its_run() {
    let lab = Lab::new();
    let file = lab.experiment("one", &[0.0]);
    let id = lab.queue(&file, &["--no-start"]).remove(0);
    let copy = lab.queue(&file, &["--no-start", "--again"]).remove(0);
    lab.ok(&["rm", &id]);
    lab.ok(&["rm", &id]);
    let lies =
        format!("error: run {id} is in the trash: `instdisc-lab rm --undo {id}` brings it back\n");
    for args in [["cancel", &id], ["show", &id], ["pause", &id]] {
        let output = lab.output(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), lies, "{args:?}");
    }
    assert_eq!(lab.run(&copy).state, State::Queued);
    // A beginning of both is one of the copy, where that alone is left.
    assert!(lab.ok(&["show", &id[..8]]).contains(&copy));
    lab.ok(&["rm", &copy]);
    lab.ok(&["rm", "--forever", &id]);
    assert_eq!(lab.output(&["rm", &id]).status.code(), Some(2), "its copy's place is not its own");
}

#[test]
fn only_what_may_be_a_run_is_taken_out_of_the_trash() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    for name in ["../slots", "../runs", ".", &id[..6]] {
        let output = lab.output(&["rm", "--undo", name]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), said),
            (Some(2), format!("error: {name} is no whole id of a run\n"))
        );
    }
}

#[test]
fn a_place_of_a_grid_that_another_run_fills_is_not_counted_as_removed() {
    let lab = Lab::new();
    let sound = |when: &str| {
        // What this machine lacks besides is none of its business.
        let said = String::from_utf8(lab.output(&["doctor", "--check"]).stdout).unwrap();
        assert!(said.contains("all of it sound") && !said.contains("broken"), "{when}: {said}");
    };
    let file = lab.experiment("one", &[0.0, 1.0]);
    let first = lab.queue(&file, &["--no-start"]);
    let again = lab.queue(&file, &["--no-start", "--again"]);
    lab.ok(&["rm", &first[0]]);
    sound("a copy is left");
    lab.ok(&["rm", &again[0]]);
    sound("the place is empty");
    lab.ok(&["rm", "--undo", &first[0]]);
    sound("the place has its run back");
    // The same name over other values: the runs of the grid before are still there.
    let changed = lab.queue(&lab.experiment("one", &[2.0, 3.0]), &["--no-start"]);
    for id in [&first[0], &first[1], &again[1], &changed[1]] {
        lab.ok(&["cancel", id]);
        lab.ok(&["rm", id]);
        sound("of an earlier grid");
    }
    lab.ok(&["rm", "--undo", &first[1]]);
    lab.ok(&["rm", "--undo", &changed[1]]);
    sound("all of them are back");
}

#[test]
fn a_name_that_fits_no_run_or_many_says_which_there_are() {
    let lab = Lab::new();
    let lambdas: Vec<f64> = (0..12).map(f64::from).collect();
    let ids = lab.queue(&lab.experiment("one", &lambdas), &["--no-start"]);
    let said = |text: &str| {
        let output = lab.output(&["show", text]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("one-").ends_with(" and 3 others: type more of it\n"), "{}", said("one-"));
    let typo = format!("oen{}", &ids[3][3..]);
    assert_eq!(said(&typo), format!("error: no run is called {typo}; the nearest is {}\n", ids[3]));
    let short = &typo[..10];
    assert!(said(short).contains(&format!("; the nearest is {}", &ids[3][..4])), "{}", said(short));
    assert_eq!(said("elsewhere-12345678"), "error: no run is called elsewhere-12345678\n");
}
