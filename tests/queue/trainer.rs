//! The same with the trainer that was built: killed, paused and resumed, and the numbers it wrote.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use instdisc_lab::store::{CurvePoint, State};
use rustix::process::Signal;

use crate::support::{Lab, is_alive, kill, signal, wait_for};

fn curve(lab: &Lab, id: &str) -> Vec<(u64, u64)> {
    let points = lab.ask(async |store| store.curve(id, "loss", None).await);
    points.iter().map(|CurvePoint { step, value, .. }| (*step, value.to_bits())).collect()
}

/// The process of the attempt that trains.
fn trainer(lab: &Lab, id: &str, attempt: u32) -> u32 {
    let started = || {
        let attempts = lab.ask(async |store| store.attempts(id).await);
        let its = attempts.into_iter().find(|its| its.attempt == attempt)?;
        its.started_at.and(its.process).map(|process| process.pid)
    };
    wait_for(&format!("attempt {attempt} of {id}"), || started().is_some());
    started().unwrap()
}

/// Nothing was tried yet that could have failed: it is for the person to mend.
#[test]
fn a_run_that_is_not_there_is_a_bad_specification() {
    let dir = tempfile::tempdir().unwrap();
    let train = |run: &std::path::Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_instdisc-train"));
        command.arg(run).args(["--attempt", "1"]).output().unwrap().status.code()
    };
    assert_eq!([train(&dir.path().join("none")), train(dir.path())], [Some(2); 2]);
}

#[test]
fn a_run_that_was_killed_paused_and_orphaned_has_the_unbroken_curve() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("real", &[0.0]);
    // Long enough that whatever happens to it happens before its end, also where a look takes a while.
    let long = ["--set", "train.epochs=20", "--set", "eval.every=20"];
    lab.ok(&[&["run", file.to_str().unwrap()][..], &long].concat());
    let whole = lab.runs().remove(0);
    assert_eq!(whole.state, State::Finished, "{:?}", whole.reason);
    assert!(whole.metrics.contains_key("knn_top1"));

    let id = lab.queue(&file, &[&["--again"][..], &long].concat()).remove(0);
    let steps = |at_least: u64| {
        wait_for(&format!("step {at_least}"), || at_least <= lab.run(&id).progress.step);
    };
    steps(2);
    kill(trainer(&lab, &id, 1));
    let second = trainer(&lab, &id, 2);
    signal(second, Signal::STOP);
    lab.ok(&["pause", &id]);
    lab.wait_for_state(&id, State::Stopping);
    signal(second, Signal::CONT);
    lab.wait_for_state(&id, State::Paused);
    lab.ok(&["resume", &id]);
    let third = trainer(&lab, &id, 3);
    signal(third, Signal::STOP);
    kill(lab.worker());
    let mut next = lab.command(&["worker", "--until-empty"]).spawn().unwrap();
    wait_for("the next worker", || lab.ok(&["workers"]).contains("working"));
    assert!(is_alive(third));
    signal(third, Signal::CONT);
    lab.wait_for_state(&id, State::Finished);
    assert!(next.wait().unwrap().success());
    let run = lab.run(&id);
    assert_eq!((run.state, run.attempt), (State::Finished, 3), "{:?}", run.reason);
    assert_eq!(curve(&lab, &id), curve(&lab, &whole.id));
    let last = |run: &instdisc_lab::store::RunRow| run.metrics["knn_top1"].last;
    assert_eq!(last(&run), last(&whole));
}

/// Its node was cut off, and the cluster has started the run elsewhere: two must not go on writing.
#[test]
fn a_trainer_whose_run_was_given_away_ends_without_a_word() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("given", &[0.0]);
    let more = ["--no-start", "--set", "train.epochs=100000"];
    let id = lab.queue(&file, &more).remove(0);
    let dir = lab.dir_of(&id);
    let claim = dir.path().join("slurm.started");
    std::fs::write(&claim, "1 41_0 n1\n").unwrap();
    let mut trainer = Command::new(env!("CARGO_BIN_EXE_instdisc-train"));
    trainer.arg(dir.path()).args(["--attempt", "1", "--node", "n1", "--job", "41_0", "--claim"]);
    trainer.arg(&claim).stdin(Stdio::null()).stderr(Stdio::piped());
    let trainer = trainer.spawn().unwrap();
    wait_for("its start", || {
        std::fs::read_to_string(dir.journal()).is_ok_and(|text| text.contains("\"t\":\"point\""))
    });
    std::fs::write(&claim, "2 41_0 n2\n").unwrap();
    let output = trainer.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), Some(9));
    assert!(String::from_utf8_lossy(&output.stderr).contains("elsewhere"));
    let journal = std::fs::read_to_string(dir.journal()).unwrap();
    assert!(!journal.contains("\"t\":\"end\""));
}

/// A path says little: the file's digest is kept, and a run that has to begin anew wants the same weights.
#[test]
fn a_run_begins_anew_with_the_weights_that_it_began_with() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("source", &[0.0, 1.0]);
    lab.ok(&["run", file.to_str().unwrap()]);
    let to = lab.path().join("exported");
    let [first, second] = &lab.runs()[..] else { panic!("two runs") };
    let encoder = |run: &instdisc_lab::store::RunRow| {
        lab.ok(&["export", &run.id, "--what", "encoder", "--to", to.to_str().unwrap()]);
        let mut files =
            std::fs::read_dir(to.join(&run.id)).unwrap().map(|file| file.unwrap().path());
        files.find(|path| path.extension().is_some_and(|end| end == "safetensors")).unwrap()
    };
    let (theirs, weights) = (encoder(second), encoder(first));

    let set = format!("model.weights={}", weights.display());
    let file = lab.experiment("tuned", &[0.0]);
    let id = lab.queue(&file, &["--no-start", "--set", &set]).remove(0);
    let dir = lab.dir_of(&id);
    let train = |attempt: &str, more: &[&str]| {
        let mut trainer = Command::new(env!("CARGO_BIN_EXE_instdisc-train"));
        let output =
            trainer.arg(dir.path()).args(["--attempt", attempt]).args(more).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let kept = || {
        let text = std::fs::read(dir.env()).unwrap();
        let environment: serde_json::Value = serde_json::from_slice(&text).unwrap();
        environment["weights_sha256"].as_str().map(str::to_owned)
    };
    // What cannot be loaded is no beginning.
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let (code, words) = train("1", &[]);
    assert!(code == Some(2) && kept().is_none(), "{words}");
    std::fs::write(&weights, &whole).unwrap();
    assert_eq!(train("2", &[]), (Some(0), String::new()));
    let began_with = kept().unwrap();
    std::fs::copy(&theirs, &weights).unwrap();
    // A run that goes on has what it needs in its checkpoint; one that has none, or none that is whole, begins anew.
    assert_eq!(train("3", &[]), (Some(0), String::new()));
    let said = format!("allowed: that of {began_with}, with which this run began");
    let refused = |attempt: &str| {
        let (code, words) = train(attempt, &[]);
        assert_eq!(code, Some(2), "{words}");
        assert!(words.contains("model.weights: ") && words.contains(&said), "{words}");
    };
    for file in std::fs::read_dir(dir.checkpoints()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "safetensors") {
            std::fs::write(path, "no tensors").unwrap();
        }
    }
    refused("4");
    std::fs::remove_dir_all(dir.checkpoints()).unwrap();
    refused("5");
    assert_eq!(train("6", &["--fresh"]), (Some(0), String::new()));
    assert_ne!(kept(), Some(began_with));
}

/// Two threads, and tensors large enough to be shared out between them.
#[test]
fn with_two_threads_a_run_that_was_killed_has_the_unbroken_curve() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("shared", &[0.0]);
    let two = [
        "train.threads=2",
        "train.batch_size=64",
        "train.epochs=8",
        "data.fraction=0.05",
        "objective.kind=nce",
        "objective.m=512",
    ];
    let sets: Vec<&str> = two.iter().flat_map(|&set| ["--set", set]).collect();
    lab.ok(&[&["run", file.to_str().unwrap()], &sets[..]].concat());
    let whole = lab.runs().remove(0);
    assert_eq!(whole.state, State::Finished, "{:?}", whole.reason);

    let id = lab.queue(&file, &[&["--again"], &sets[..]].concat()).remove(0);
    let first = trainer(&lab, &id, 1);
    let saved = || lab.ask(async |store| store.checkpoints(&id).await);
    wait_for("the first checkpoint", || !saved().is_empty());
    kill(first);
    lab.wait_for_state(&id, State::Finished);
    assert_eq!(lab.run(&id).attempt, 2);
    assert_eq!(curve(&lab, &id), curve(&lab, &whole.id));
}

/// A trainer that is told nothing of threads takes its part of the cores: all of them would wait for one another.
#[test]
fn trainers_beside_each_other_share_the_cores() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("real", &[0.0, 1.0]);
    lab.ok(&["run", file.to_str().unwrap(), "--workers", "2", "--set", "train.threads=0"]);
    let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    let mut trainer = std::process::Command::new(env!("CARGO_BIN_EXE_instdisc-train"));
    let cores = read(&trainer.arg("--probe").output().unwrap().stdout)["threads"].as_u64();
    for run in lab.runs() {
        let environment = read(&std::fs::read(lab.dir_of(&run.id).env()).unwrap());
        assert_eq!(environment["threads"].as_u64(), cores.map(|cores| (cores / 2).max(1)));
    }
}
