//! Where things lie, and what is said where they do not: homes, run logs, files to write.

use std::fs;
use std::process::Stdio;

use instdisc_lab::store::State;

use super::said;
use crate::support::Lab;

/// A lab with one run that waits.
fn waiting() -> (Lab, String) {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    (lab, id)
}

fn lose_run_log(lab: &Lab) {
    let database = lab.home().database();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", database.display()));
    }
}

#[test]
fn a_lost_run_log_is_not_begun_anew_over_its_runs() {
    let (lab, id) = waiting();
    lose_run_log(&lab);
    for args in [
        &["runs"][..],
        &["queue", "one.toml", "--no-start"],
        &["queue", "one.toml", "--dry-run"],
        &["cancel", &id],
        &["worker", "--until-empty"],
        &["workers"],
    ] {
        let (code, out, err) = said(&lab.output(args));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains("but 1 run director(ies) in"), "{args:?}: {err}");
        assert!(err.contains("doctor --repair` makes it anew from them"), "{args:?}: {err}");
    }
    // Nor where somebody has made the file, without anything in it.
    fs::write(lab.home().database(), "").unwrap();
    assert_eq!(lab.output(&["runs"]).status.code(), Some(2));
    assert_eq!(lab.output(&["queue", "one.toml", "--no-start"]).status.code(), Some(2));
    assert!(lab.ok(&["doctor", "--format", "csv"]).contains("there is none, but 1 run"));
    lab.ok(&["doctor", "--repair"]);
    assert_eq!(lab.run(&id).state, State::Queued);
    assert_eq!(lab.ok(&["queue", "one.toml", "--no-start"]), format!("{id}\n"));

    fs::write(lab.home().database(), "rubbish ".repeat(4096)).unwrap();
    let (code, _, err) = said(&lab.output(&["runs"]));
    assert_eq!(code, Some(2));
    assert!(err.contains("doctor --repair` sets it aside"), "{err}");
    lab.ok(&["doctor", "--repair"]);
    assert_eq!(lab.run(&id).state, State::Queued);
}

#[test]
fn who_asks_something_of_a_run_makes_no_lab() {
    let lab = Lab::new();
    let nowhere = lab.path().join("nowhere");
    for args in [
        &["cancel", "x"][..],
        &["pause", "x"],
        &["resume", "x"],
        &["retry", "x"],
        &["archive", "x"],
        &["rm", "x"],
        &["rm", "--undo", "x"],
        &["tag", "x", "--add", "y"],
        &["note", "x", "--text", "y"],
        &["eval", "x"],
        &["worker", "--until-empty"],
        &["workers", "--drain"],
        &["doctor", "--repair"],
    ] {
        let output = lab.command(args).env("INSTDISC_LAB_HOME", &nowhere).output().unwrap();
        let (code, _, err) = said(&output);
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.contains("queue an experiment first, or name the lab"), "{args:?}: {err}");
        assert!(!nowhere.exists(), "{args:?}");
    }
}

#[test]
fn who_only_looks_changes_nothing() {
    let (lab, id) = waiting();
    for args in [
        &["cancel", &id][..],
        &["queue", "one.toml"],
        &["doctor", "--repair"],
        &["workers", "--drain"],
        &["worker"],
    ] {
        let (code, _, err) = said(&lab.output(&[&["--readonly"], args].concat()));
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.starts_with("error: --readonly: found a subcommand that changes"), "{err}");
    }
    for args in [&["runs"][..], &["queue", "one.toml", "--dry-run"], &["workers"], &["doctor"]] {
        lab.ok(&[&["--readonly"], args].concat());
    }
    assert_eq!(lab.run(&id).state, State::Queued);
}

#[test]
fn a_home_that_is_set_to_nothing_is_not_set() {
    let lab = Lab::new();
    let (code, _, err) =
        said(&lab.command(&["runs"]).env("INSTDISC_LAB_HOME", "").output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains(".instdisc-lab/lab.db"), "{err}");
    let (code, _, err) = said(&lab.output(&["--home", "", "runs"]));
    assert_eq!(
        (code, err.as_str()),
        (Some(2), "error: --home: found nothing, allowed: a folder\n")
    );
}

#[test]
fn a_home_whose_name_sqlite_would_not_take_is_refused_in_words() {
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::new();
    let home = lab.path().join(std::ffi::OsStr::from_bytes(b"l\xffb"));
    fs::create_dir(&home).unwrap();
    for args in [&["runs"][..], &["doctor", "--check"]] {
        let output = lab.command(args).env("INSTDISC_LAB_HOME", &home).output().unwrap();
        let (code, out, err) = said(&output);
        assert_eq!(code, Some(2), "{err}");
        assert!(format!("{out}{err}").contains("is not UTF-8"), "{out}{err}");
    }
}

#[test]
fn what_cannot_be_written_is_for_the_person_to_change() {
    let (lab, id) = waiting();
    fs::write(lab.path().join("file"), "").unwrap();
    for (args, option) in [
        (&["report", "one", "--to", "nowhere/x.html"][..], "--to: "),
        (&["export", &id, "--what", "csv", "--to", "file/x"], "--to: "),
    ] {
        let (code, _, err) = said(&lab.output(args));
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.starts_with(&format!("error: {option}")), "{args:?}: {err}");
        assert!(
            err.contains("cannot be written: ") && err.matches("os error").count() == 1,
            "{err}"
        );
    }
    for args in [&["runs"][..], &["runs", "--format", "json"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = lab.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let (code, _, err) = said(&output);
        assert_eq!(code, Some(2), "{args:?}: {err}");
        assert!(err.starts_with("error: standard output: No space left"), "{args:?}: {err}");
    }
}

#[test]
fn a_slip_in_lab_toml_is_refused_whoever_reads_it() {
    let (lab, _) = waiting();
    fs::write(lab.home().settings(), "[worker]\n[slurm]\npartitoin = \"gpu\"\n").unwrap();
    let file = lab.home().settings();
    let file = file.display();
    let expected = format!(
        "error: {file}:1: worker: found an unknown table, allowed: workers\n\
         {file}:3: slurm.partitoin: found an unknown key, allowed: partition\n"
    );
    for args in [&["runs"][..], &["queue", "one.toml"], &["worker"], &["cancel", "one"]] {
        let (code, _, err) = said(&lab.output(args));
        assert_eq!((code, err.as_str()), (Some(2), expected.as_str()), "{args:?}");
    }
    let doctor = lab.ok(&["doctor", "--format", "csv"]);
    assert!(doctor.contains("found an unknown table, allowed: workers; "), "{doctor}");
    // Values too, whoever needs them.
    let text = "[workers]\nslots = { gpu = 1 }\ngrace = -1\n[slurm]\ntime = \"zz\"\n";
    fs::write(lab.home().settings(), text).unwrap();
    let lines = [
        format!("{file}:2: workers.slots.gpu: found gpu, allowed: cpu, cuda:0, cuda:1, …"),
        format!("{file}:3: workers.grace: found -1, allowed: seconds from 0 to 86400"),
        format!("{file}:5: slurm.time: found \"zz\", allowed: minutes, minutes:seconds, "),
    ];
    for args in [&["runs"][..], &["workers"], &["show", "one"], &["cancel", "one"], &[]] {
        let (code, out, err) = said(&lab.output(args));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        for line in &lines {
            assert!(err.contains(line), "{args:?}: {err}");
        }
    }
    let (_, out, _) = said(&lab.output(&["doctor", "--check", "--format", "csv"]));
    assert!(out.contains("broken,lab.toml,") && out.contains("slurm.time: found"), "{out}");
    lab.ok(&["data", "ls"]);
}
