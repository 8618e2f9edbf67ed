//! Help, completions and everything a person can get wrong: one message, exit code 2, nothing half-written.

use std::fs;
use std::process::Stdio;

use super::said;
use crate::support::Lab;

/// Names of the subcommands, as `--help` lists them.
fn subcommands(lab: &Lab) -> Vec<String> {
    let help = lab.ok(&["--help"]);
    let lines = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let lines = lines.take_while(|line| !line.trim().is_empty());
    let name = |line: &str| line.trim_start().split(' ').next().unwrap().to_owned();
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.map(name).filter(|name| name != "help").collect()
}

#[test]
fn every_subcommand_has_an_example_in_its_help() {
    let lab = Lab::new();
    let names = subcommands(&lab);
    let promised = [
        "run",
        "queue",
        "worker",
        "workers",
        "runs",
        "show",
        "logs",
        "curve",
        "table",
        "pause",
        "resume",
        "cancel",
        "retry",
        "archive",
        "rm",
        "tag",
        "note",
        "data",
        "doctor",
        "completions",
    ];
    for name in promised {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    for name in names {
        let help = lab.ok(&[&name, "--help"]);
        assert!(
            help.contains("Example: instdisc-lab ") || help.contains("Examples:"),
            "{name}: {help}"
        );
    }
}

#[test]
fn completions_know_the_subcommands() {
    let lab = Lab::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = lab.ok(&["completions", shell]);
        assert!(script.contains("ablation") || script.contains("table"), "{shell}");
        assert!(script.contains("instdisc-lab"), "{shell}");
        // What a worker starts is for no person, and no shell, to choose.
        assert!(!script.contains("launch)") && !script.contains(" launch "), "{shell}");
        assert!(script.contains("launcher"), "{shell}");
    }
}

#[test]
fn usage_mistakes_exit_with_2() {
    let lab = Lab::new();
    for args in [
        &["nonsense"][..],
        &["runs", "--format", "xml"],
        &["table"],
        &["queue"],
        &["completions", "dos"],
    ] {
        let (code, out, err) = said(&lab.output(args));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(err.starts_with("error: "), "{args:?}: {err}");
    }
}

#[test]
fn mistakes_in_an_experiment_come_all_at_once_and_queue_nothing() {
    let lab = Lab::new();
    let file = lab.path().join("x.toml");
    let text = "name = \"x\"\n[base]\nobjective.lambda = -1\nmodel.dim = 0\nobjective.taau = 0.1\n[grid]\nseed = []\n";
    fs::write(&file, text).unwrap();
    for verb in ["queue", "run"] {
        let (code, out, err) =
            said(&lab.output(&[verb, "x.toml", "--set", "data.fraction=1.5", "--size", "gpu"]));
        assert_eq!((code, out.as_str()), (Some(2), ""));
        assert_eq!(
            err.trim_end(),
            "error: x.toml:3: objective.lambda: found -1, allowed: a number of at least 0\n\
             x.toml:4: model.dim: found 0, allowed: a whole number from 1 to 65536\n\
             x.toml:5: objective.taau: found an unknown key, allowed: a key of a specification, such as objective.tau\n\
             x.toml:7: seed: found [], allowed: a list of one or more values, each a whole number from 0\n\
             --set: data.fraction: found 1.5, allowed: a number in (0, 1]\n\
             --size: found gpu, allowed: no size: the file has none"
        );
    }
    assert!(!lab.home().database().exists() && !lab.home().runs().exists());
}

#[test]
fn each_value_out_of_range_is_refused() {
    let lab = Lab::new();
    let file = lab.experiment("x", &[0.0]);
    let file = file.to_str().unwrap();
    for (set, message) in [
        (
            "objective.lambda=-1",
            "--set: objective.lambda: found -1, allowed: a number of at least 0",
        ),
        ("objective.tau=0", "--set: objective.tau: found 0, allowed: a number above 0"),
        ("model.dim=0", "--set: model.dim: found 0, allowed: a whole number from 1 to 65536"),
        ("data.fraction=0", "--set: data.fraction: found 0, allowed: a number in (0, 1]"),
        ("data.fraction=1.5", "--set: data.fraction: found 1.5, allowed: a number in (0, 1]"),
        (
            "train.epochs=ten",
            "--set: train.epochs: found ten, allowed: a whole number from 1 to 1000000",
        ),
        ("objective.m=0", "--set: objective.m: found 0, allowed: a whole number from 1"),
        (
            "objective.m=5",
            "--set: objective.m: found 5, allowed: nothing, unless objective.kind = nce or infonce or moco",
        ),
        (
            "momentom=5",
            "--set: momentom: found an unknown key, allowed: a key of a specification, such as train.momentum",
        ),
    ] {
        let (code, _, err) = said(&lab.output(&["queue", file, "--no-start", "--set", set]));
        assert_eq!((code, err), (Some(2), format!("error: {message}\n")), "{set}");
    }
    let (code, _, err) =
        said(&lab.output(&["queue", file, "--no-start", "--grid", "seed=1", "--grid", "seed=2"]));
    assert_eq!(
        (code, err.as_str()),
        (Some(2), "error: --grid: seed: found the axis again, allowed: each axis once\n")
    );
    let (code, _, err) = said(&lab.output(&["queue", "missing.toml"]));
    assert_eq!(code, Some(2));
    assert!(err.starts_with("error: missing.toml: cannot be read: "), "{err}");
}

#[test]
fn a_lab_without_runs_lists_none_and_knows_none() {
    let lab = Lab::new();
    let (code, out, err) = said(&lab.output(&["runs", "--format", "json"]));
    assert_eq!((code, out.as_str()), (Some(0), "[]\n"));
    assert!(err.contains("no run log"), "{err}");
    // No subcommand and no terminal: the table of runs.
    let (code, out, _) = said(&lab.output(&[]));
    assert_eq!((code, out.lines().count()), (Some(0), 1));
    for args in [&["show", "x"][..], &["logs", "x"], &["curve", "x", "loss"], &["table", "x"]] {
        assert_eq!(said(&lab.output(args)).0, Some(2), "{args:?}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let lab = Lab::new();
    let mut child = lab.command(&["completions", "bash"]);
    let mut child = child
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let (code, _, err) = said(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

/// As on a disk that is full, where it is a file: what was asked for is done all the same.
#[test]
fn a_standard_error_that_takes_nothing_stops_nothing() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    for args in [
        &["pause", "--where", "state:failed"][..],
        &["runs", "state:failed"],
        &["logs", &id],
        &["doctor", "--repair"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let status = lab.command(args).stderr(full).stdout(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}
