//! Every way in which a run can end badly has a name, in the table as in `show`, and a cure; with the cause gone the
//! run goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use instdisc_lab::store::State;

use super::{flaws, problems};
use crate::support::{Lab, wait_for};

/// A real run with `more` settings, worked until the queue is empty with `env` set.
fn run_real(lab: &Lab, file: &Path, more: &[&str], env: &[(&str, &str)]) -> String {
    let id = lab.queue(file, &[&["--no-start"][..], more].concat()).remove(0);
    work(lab, env);
    id
}

fn work(lab: &Lab, env: &[(&str, &str)]) {
    let mut command = lab.command(&["worker", "--until-empty"]);
    command.envs(env.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The cause as table and `show` have it, and its cure.
#[track_caller]
fn ends_badly(lab: &Lab, id: &str, state: State, cause: &str, cure: &str) {
    let run = lab.run(id);
    let why = run.reason.clone().unwrap_or_default();
    assert_eq!(run.state, state, "{why}");
    assert!(why.starts_with(&format!("{cause}: ")), "{why}");
    assert!(lab.ok(&["runs"]).contains(cause));
    let shown = lab.ok(&["show", id]);
    assert!(shown.contains(cause) && shown.contains(cure), "{shown}");
    let json: serde_json::Value =
        serde_json::from_str(&lab.ok(&["show", id, "--format", "json"])).unwrap();
    assert_eq!(json["cause"], cause);
    assert_eq!(flaws(lab), []);
}

#[test]
fn a_full_disk_is_named_and_the_run_goes_on_once_there_is_room() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("one", &[0.0]);
    let full = lab.path().join("full");
    fs::write(&full, "").unwrap();
    let home = lab.home().root().to_str().unwrap().to_owned();
    let env = super::layer::full_disk(&home, "instdisc-train", 40, &full);
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let more = ["--set", "train.checkpoint_every=1", "--set", "train.epochs=3"];
    let id = run_real(&lab, &file, &more, &env);
    ends_badly(&lab, &id, State::Failed, "disk full", "free some space");
    fs::remove_file(full).unwrap();
    lab.ok(&["retry", &id]);
    lab.wait_for_state(&id, State::Finished);
    wait_for("everybody to leave", || lab.processes().is_empty());
    assert_eq!(problems(&lab.home()), []);
}

/// The run log's disk is full while a trainer works: the worker waits, the journal keeps what it misses.
#[test]
fn a_worker_waits_for_room_and_misses_nothing() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    let full = lab.path().join("full");
    let home = lab.home().root().to_str().unwrap().to_owned();
    let env = super::layer::full_disk(&home, "instdisc-lab", 1, &full);
    let log = lab.path().join("worker.log");
    let mut worker = lab.command(&["worker", "--until-empty"]);
    worker.envs(env).stderr(fs::File::create(&log).unwrap());
    let mut worker = worker.spawn().unwrap();
    lab.wait_for_state(&id, State::Running);
    fs::write(&full, "").unwrap();
    let text = || fs::read_to_string(&log).unwrap();
    wait_for("the worker to say so", || text().contains("of the run log"));
    let begun = lab.run(&id).progress.step;
    let journal = || fs::metadata(lab.dir_of(&id).journal()).unwrap().len();
    let before = journal();
    wait_for("the trainer to go on", || before + 1000 < journal());
    lab.behave("finish");
    fs::remove_file(&full).unwrap();
    lab.wait_for_state(&id, State::Finished);
    assert!(worker.wait().unwrap().success());
    assert!(begun < lab.run(&id).progress.step);
    // Said once, and not every two seconds.
    assert!(text().matches("of the run log").count() <= 3, "{}", text());
    assert_eq!(problems(&lab.home()), []);
}

#[test]
fn want_of_memory_is_named() {
    let lab = Lab::new().with_real_trainer();
    // 1.5 GB of addresses: libtorch and the images fit, the activations of 256 images in a wide net do not.
    let script = lab.path().join("limited");
    let trainer = env!("CARGO_BIN_EXE_instdisc-train");
    fs::write(&script, format!("#!/bin/sh\nulimit -v 1500000\nexec '{trainer}' \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let file = lab.experiment("large", &[0.0]);
    let env = [("INSTDISC_TRAIN", script.to_str().unwrap())];
    let wide = ["model.width=2", "train.batch_size=256", "data.fraction=0.05", "train.epochs=1"];
    let more: Vec<&str> = wide.iter().flat_map(|set| ["--set", set]).collect();
    let id = run_real(&lab, &file, &more, &env);
    ends_badly(&lab, &id, State::Failed, "out of memory", "train.batch_size");
}

#[test]
fn a_loss_that_is_no_number_is_named() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("wild", &[0.0]);
    let id = run_real(&lab, &file, &["--set", "train.lr=1e30"], &[]);
    ends_badly(&lab, &id, State::Failed, "not finite", "train.lr");
    assert!(lab.run(&id).reason.unwrap().contains("loss is"));
}

#[test]
fn missing_data_is_named_and_no_secret_is_written_down() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("images", &[0.0]);
    let nowhere = lab.path().join("nowhere");
    let root = format!("data.root={}", nowhere.display());
    let more = ["--set", "data.dataset=cifar10", "--set", &root, "--set", "data.fraction=1.0"];
    let secret = "hf_TwentyThreeSecretLetters";
    let env = [("HF_TOKEN", secret), ("AWS_SECRET_ACCESS_KEY", secret)];
    let id = run_real(&lab, &file, &more, &env);
    ends_badly(&lab, &id, State::Failed, "data", "data fetch");
    // Not in env.json, nor anywhere else.
    fn search(folder: &Path, needle: &[u8]) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                search(&path, needle);
            } else {
                let bytes = fs::read(&path).unwrap();
                let found = bytes.windows(needle.len()).any(|window| window == needle);
                assert!(!found, "{}", path.display());
            }
        }
    }
    search(lab.home().root(), secret.as_bytes());
}

/// The newest checkpoint is damaged at rest: the one before it is taken, which is said, and the result is the same.
#[test]
fn a_damaged_checkpoint_is_passed_over_and_said() {
    let lab = Lab::new().with_real_trainer();
    let more =
        ["--set", "train.epochs=2", "--set", "train.checkpoint_every=1", "--set", "eval.every=2"];
    let id = run_real(&lab, &lab.experiment("one", &[0.0]), &more, &[]);
    let folder = lab.dir_of(&id).checkpoints();
    let last = lab.run(&id).progress.steps;
    let newest = folder.join(format!("step-{last}.safetensors"));
    let whole = fs::read(&newest).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    fs::write(&newest, &damaged).unwrap();
    let found = flaws(&lab);
    assert!(
        found.iter().any(|it| it.what == "checkpoints" && it.found.contains("damaged")),
        "{found:?}"
    );
    let mut again = std::process::Command::new(env!("CARGO_BIN_EXE_instdisc-train"));
    assert!(again.arg(lab.dir_of(&id).path()).args(["--attempt", "2"]).status().unwrap().success());
    assert!(fs::read(&newest).unwrap() == whole, "another result");
    assert!(fs::read(newest.with_extension("safetensors.damaged")).unwrap() == damaged);
    super::repair(&lab);
    let shown = lab.ok(&["show", &id]);
    assert!(shown.contains("went on from step") && shown.contains("sha256"), "{shown}");
    assert_eq!(problems(&lab.home()), []);
}

#[test]
fn a_lost_machine_is_named_and_its_run_goes_on() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    let start = lab.wait_for_start(&id, 1);
    lab.wait_for_state(&id, State::Running);
    crate::support::kill(lab.worker());
    crate::support::kill(start.pid);
    wait_for("both to be gone", || lab.processes().is_empty());
    super::corrupt::sql(&lab, "UPDATE attempt SET boot_id = 'the one before'");
    lab.behave("finish");
    lab.ok(&["worker", "--until-empty"]);
    assert_eq!(lab.run(&id).state, State::Finished);
    let history = lab.ask(async |store| store.history(&id).await);
    let lost = history.iter().find(|change| change.to == State::Lost).unwrap();
    let why = lost.reason.as_deref().unwrap();
    assert!(why.starts_with("machine: the machine was started anew"), "{why}");
}

#[test]
fn a_home_is_nobody_elses_to_look_into() {
    let lab = Lab::new();
    let home = lab.path().join("new/home");
    let mut command =
        lab.command(&["queue", lab.experiment("one", &[0.0]).to_str().unwrap(), "--no-start"]);
    assert!(command.env("INSTDISC_LAB_HOME", &home).output().unwrap().status.success());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home), 0o700);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let mut doctor = lab.command(&["doctor"]);
    let said = doctor.env("INSTDISC_LAB_HOME", &home).output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("chmod go-w"), "{said}");
}
