//! Words that mean nothing are refused, each with one message: no empty list, no option without effect.

use std::fs;

use serde_json::{Value, json};

use super::said;
use crate::support::Lab;

/// A lab whose two runs wait in the queue.
fn queued() -> (Lab, Vec<String>) {
    let lab = Lab::new();
    let ids = lab.queue(&lab.experiment("x", &[0.0, 10.0]), &["--no-start"]);
    (lab, ids)
}

/// Each command is refused with this on standard error and nothing on standard output.
fn refused(lab: &Lab, cases: &[(&[&str], &str)]) {
    for (args, message) in cases {
        let (code, out, err) = said(&lab.output(args));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(err.contains(message), "{args:?}: {err}");
    }
}

#[test]
fn a_misspelt_value_is_no_empty_list() {
    let (lab, ids) = queued();
    refused(
        &lab,
        &[
            (&["runs", "objective.kind:nonsense"], "found nonsense, allowed: nce, nonparametric"),
            (&["runs", "augment.flip:maybe"], "found maybe, allowed: true, false"),
            (&["runs", "archived:yes"], "found yes, allowed: true, false"),
            (&["runs", "nosuch.best>1"], "filter, character 1: no metric is called nosuch"),
            (&["rm", "--where", "knn_topl.last<1"], "knn_topl; the nearest is knn_top1"),
            (&["runs", "state>5"], "found > before a word, allowed: :, =, !="),
            (
                &["table", "x", "--metric", "knn_top1.lst"],
                "error: --metric knn_top1.lst: found .lst, allowed: .last, .best, .reach=X",
            ),
            (&["table", "x", "--metric", "knn_topp1"], "no run of x has the metric knn_topp1"),
            (
                &["report", "x", "--metric", "loss/instanse"],
                "no run of x has the metric loss/instanse",
            ),
            (&["tag", &ids[0], "--add", "a|b"], "allowed: a word without spaces, quotes"),
            (
                &["tag", &ids[0], "--add", &"a".repeat(65)],
                "found a tag of 65 characters, allowed: at most 64",
            ),
            (&["eval", &ids[0], "--device", "tpu"], "found tpu, allowed: cpu, cuda:0, cuda:1, …"),
        ],
    );
    // What is right but was not measured yet is said, and the page is written without it.
    let (code, out, err) = said(&lab.output(&["report", "x", "--metric", "svm_top1"]));
    assert_eq!((code, out.contains("# x")), (Some(0), true), "{err}");
    assert_eq!(err, "No finished run of x has svm_top1: its table is left out.\n");
}

#[test]
fn an_option_without_effect_is_said() {
    let (lab, ids) = queued();
    refused(
        &lab,
        &[
            (
                &["data", "verify", "shapes", "--root", "/nowhere"],
                "--root: found /nowhere, allowed: no --root with shapes",
            ),
            (
                &["data", "verify", "cifar10", "--side", "32"],
                "--side: found 32, allowed: no --side with cifar10",
            ),
            (
                &["data", "verify", "folder", "--root", ".", "--side", "4"],
                "--side: found 4, allowed: a whole number from 8 to 512",
            ),
            (
                &["neighbors", &ids[0], "--sheet", "near.jpg"],
                "--sheet: found near.jpg, allowed: a name ending in .png",
            ),
        ],
    );
    let file = lab.experiment("y", &[0.0]);
    let set = ["queue", file.to_str().unwrap(), "--dry-run", "--set", "objective.lambda_from=3"];
    let (code, _, err) = said(&lab.output(&set));
    let remark = "--set: objective.lambda_from has no effect: no run has objective.lambda > 0\n";
    assert_eq!((code, err.as_str()), (Some(0), remark));
}

#[test]
fn one_bad_file_hides_no_other() {
    let lab = Lab::new();
    let good = lab.experiment("good", &[0.0]);
    fs::write(lab.path().join("bad.toml"), "name = \"bad\"\n[base]\nmodel.dim = 0\n").unwrap();
    fs::write(lab.path().join("worse.toml"), "name = \"worse\"\n[base]\nseed = 1\nseed = 2\n")
        .unwrap();
    let files = ["queue", "nosuch.toml", "bad.toml", good.to_str().unwrap(), "worse.toml"];
    let (code, out, err) = said(&lab.output(&files));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let lines: Vec<&str> = err.lines().collect();
    assert!(lines[0].starts_with("error: nosuch.toml: cannot be read: "), "{err}");
    assert_eq!(
        lines[1..],
        [
            "bad.toml:3: model.dim: found 0, allowed: a whole number from 1 to 65536",
            "worse.toml:4: seed: found the key again, allowed: each key once",
        ]
    );
    assert!(!lab.home().database().exists());
}

#[test]
fn what_is_queued_is_listed_with_its_fate_and_numbers_are_numbers() {
    let lab = Lab::new();
    let file = lab.experiment("x", &[0.0, 10.0]);
    let queue = |more: &[&str]| {
        let args = [&["queue", file.to_str().unwrap(), "--no-start"], more].concat();
        lab.ok(&args)
    };
    let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let planned = parsed(queue(&["--dry-run", "--format", "json"]));
    let row = &planned[1];
    assert_eq!(
        (&row["state"], &row["objective.lambda"], &row["seed"]),
        (&"new".into(), &10.0.into(), &0.into())
    );
    assert_eq!(row["id"], row["run"], "as what is queued calls it");
    assert!(!queue(&["--dry-run"]).contains("ID"), "people read it once");
    let listed = parsed(queue(&["--format", "json"]));
    let of = |fate: &str| {
        let rows = planned.as_array().unwrap().iter();
        rows.map(|row| json!({"id": row["run"], "fate": fate})).collect::<Value>()
    };
    assert_eq!(listed, of("queued"));
    assert_eq!(parsed(queue(&["--format", "json"])), of("shared"));
    let id = planned[0]["run"].as_str().unwrap();
    assert_eq!(queue(&[]).lines().next(), Some(id));
    assert_eq!(queue(&["--format", "csv"]).lines().nth(1), Some(&*format!("{id},shared")));

    // A queued run is as long as it will be, wherever it is shown.
    assert!(lab.ok(&["runs"]).contains("  0/2"));
    assert!(lab.ok(&["show", id]).contains("0 of 2\n"));
    for (args, at) in [(["runs", id], "/0/progress/epochs"), (["show", id], "/progress/epochs")] {
        let shown = parsed(lab.ok(&[&args[..], &["--format", "json"]].concat()));
        assert_eq!(shown.pointer(at), Some(&2.into()), "{args:?}");
    }
}

/// Its runs would fail as they begin. Somebody may be about to fetch it, so it is queued all the same.
#[test]
fn a_data_set_that_is_not_here_is_said_when_it_is_queued() {
    let lab = Lab::new();
    let file = lab.experiment("x", &[0.0]);
    let path = file.to_str().unwrap();
    let said_of = |set: &[&str]| {
        let sets = set.iter().flat_map(|set| ["--set", *set]);
        let args: Vec<&str> = ["queue", path, "--dry-run"].into_iter().chain(sets).collect();
        let (code, _, err) = said(&lab.output(&args));
        assert_eq!(code, Some(0), "{err}");
        err
    };
    assert_eq!(said_of(&[]), "");
    let cifar = said_of(&["data.dataset=cifar10"]);
    assert!(cifar.starts_with("Not here yet: cifar10 is not in "), "{cifar}");
    assert!(cifar.contains("`instdisc-lab data fetch cifar10` gets it"), "{cifar}");
    let folder = said_of(&["data.dataset=folder", "data.root=nowhere"]);
    assert!(folder.contains("found no train/ in ") && folder.contains("nowhere"), "{folder}");
}
