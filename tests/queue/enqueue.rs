//! `queue`: directories, ids, sharing.

use std::fs;
use std::path::PathBuf;

use instdisc_lab::store::State;
use serde_json::{Value, json};

use crate::support::Lab;

#[test]
fn a_queued_run_has_a_whole_directory() {
    let lab = Lab::new();
    let file = lab.experiment("first", &[0.0, 10.0]);
    let ids = lab.queue(&file, &["--no-start", "--priority", "3"]);
    assert_eq!(ids.len(), 2);
    for (ordinal, id) in ids.iter().enumerate() {
        assert!(id.starts_with("first-") && id.len() == "first-".len() + 8, "{id}");
        let dir = lab.dir_of(id);
        let run = lab.run(id);
        assert_eq!((run.state, run.priority), (State::Queued, 3));
        let spec: Value = serde_json::from_slice(&fs::read(dir.spec()).unwrap()).unwrap();
        assert_eq!(spec, *run.spec);
        let written = fs::read_to_string(dir.experiment()).unwrap();
        assert_eq!(written, fs::read_to_string(&file).unwrap());
        let meta: Value = serde_json::from_slice(&fs::read(dir.meta()).unwrap()).unwrap();
        assert_eq!(meta["priority"], 3);
        assert_eq!(meta["experiments"][0]["name"], "first");
        assert_eq!(meta["experiments"][0]["ordinal"], ordinal);
        assert_eq!(meta["experiments"][0]["varied"], json!(run.varied));
        assert_eq!(meta["experiments"][0]["text"], written);
    }
}

#[test]
fn what_is_there_already_is_shared_unless_again() {
    let lab = Lab::new();
    let file = lab.experiment("first", &[0.0, 10.0]);
    let ids = lab.queue(&file, &["--no-start"]);
    assert_eq!(lab.queue(&file, &["--no-start"]), ids);
    let other = lab.experiment("second", &[10.0, 30.0]);
    let others = lab.queue(&other, &["--no-start"]);
    assert_eq!(others[0], ids[1], "the same specification is the same run");
    assert_eq!(lab.run(&ids[1]).experiments, ["first", "second"]);
    let meta: Value =
        serde_json::from_slice(&fs::read(lab.dir_of(&ids[1]).meta()).unwrap()).unwrap();
    assert_eq!(meta["experiments"][1]["name"], "second");
    let again = lab.queue(&file, &["--no-start", "--again"]);
    assert_eq!(again, ids.iter().map(|id| format!("{id}.2")).collect::<Vec<_>>());
    assert_eq!(lab.queue(&file, &["--no-start", "--again"])[0], format!("{}.3", ids[0]));
}

#[test]
fn a_dry_run_leaves_no_trace() {
    let lab = Lab::new();
    let file = lab.experiment("first", &[0.0, 10.0]);
    let plan = lab.ok(&["queue", file.to_str().unwrap(), "--dry-run", "--format", "json"]);
    let plan: Vec<Value> = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan.len(), 2);
    assert_eq!(plan[0]["state"], "new");
    assert!(!lab.home().runs().exists() && !lab.home().database().exists());
    let ids = lab.queue(&file, &["--no-start"]);
    let plan = lab.ok(&["queue", file.to_str().unwrap(), "--dry-run", "--format", "json"]);
    let plan: Vec<Value> = serde_json::from_str(&plan).unwrap();
    assert_eq!((&plan[1]["run"], &plan[1]["state"]), (&json!(ids[1]), &json!("queued")));
}

#[test]
fn bad_input_queues_nothing() {
    let lab = Lab::new();
    let good = lab.experiment("good", &[0.0]);
    let bad = lab.experiment("bad", &[-1.0]);
    let output = lab.output(&["queue", good.to_str().unwrap(), bad.to_str().unwrap()]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("bad.toml") && said.contains("objective.lambda"), "{said}");
    assert!(!lab.home().runs().exists());
}

#[test]
fn leftovers_of_a_crash_are_taken_over_or_ignored() {
    let lab = Lab::new();
    let file = lab.experiment("first", &[0.0]);
    let plan = lab.ok(&["queue", file.to_str().unwrap(), "--dry-run", "--format", "json"]);
    let plan: Vec<Value> = serde_json::from_str(&plan).unwrap();
    let id = plan[0]["run"].as_str().unwrap();
    // The run log is made before any directory.
    lab.ok(&["worker", "--until-empty"]);
    // A directory without a row, as a crash between the two leaves it, and one that was never finished.
    fs::create_dir_all(lab.dir_of(id).path()).unwrap();
    fs::write(lab.dir_of(id).spec(), "{}").unwrap();
    fs::create_dir_all(lab.home().runs().join(".tmp-first-00000000-1")).unwrap();
    assert_eq!(lab.queue(&file, &["--no-start"]), [id]);
    assert_eq!(lab.runs().len(), 1);
    let spec: Value = serde_json::from_slice(&fs::read(lab.dir_of(id).spec()).unwrap()).unwrap();
    assert_eq!(spec, *lab.run(id).spec);
}

#[test]
fn two_who_queue_the_same_at_once_get_the_same() {
    let lab = Lab::new();
    let lambdas: Vec<f64> = (0..10).map(f64::from).collect();
    let file = lab.experiment("first", &lambdas);
    let args = ["queue", file.to_str().unwrap(), "--no-start"];
    let mut all: Vec<_> = (0..4)
        .map(|_| {
            let mut command = lab.command(&args);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outputs: Vec<_> = all.drain(..).map(|child| child.wait_with_output().unwrap()).collect();
    for output in &outputs {
        assert!(output.status.success());
        assert_eq!(output.stdout, outputs[0].stdout);
    }
    assert_eq!(lab.runs().len(), 10);
}

/// `data.root` in the run's directory and in the run log.
fn roots(lab: &Lab, id: &str) -> (Value, Value) {
    let spec = fs::read(lab.dir_of(id).spec()).unwrap();
    let spec: Value = serde_json::from_slice(&spec).unwrap();
    (spec["data"]["root"].clone(), lab.run(id).spec["data"]["root"].clone())
}

/// What does not hold in the lab; whether all is well with the machine is not asked.
fn audited(lab: &Lab) -> String {
    String::from_utf8(lab.output(&["doctor", "--check", "--format", "csv"]).stdout).unwrap()
}

/// `c.toml`, an experiment on images that lie somewhere.
fn of_files(lab: &Lab) -> PathBuf {
    let file = lab.path().join("c.toml");
    let text = "name = \"c\"\n[base]\ndata.dataset = \"cifar10\"\nobjective.kind = \"nce\"\n";
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_run_that_is_still_to_start_reads_its_files_from_where_it_was_queued_with_last() {
    let lab = Lab::new();
    let file = of_files(&lab);
    let id = lab.queue(&file, &["--no-start"]).remove(0);
    let queue = |root: &str, more: &[&str]| {
        let set = format!("data.root={root}");
        let args = [&["queue", "c.toml", "--no-start", "--set", &set], more].concat();
        let output = lab.output(&args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{id}\n"));
        said
    };
    // One that waits, and one that is put back into the queue.
    let said = queue("/one", &["--priority", "4"]);
    assert!(said.contains("files are read from another place from now on for 1 run"), "{said}");
    assert_eq!(roots(&lab, &id), (json!("/one"), json!("/one")));
    assert_eq!(lab.run(&id).priority, 4);
    lab.ok(&["cancel", &id]);
    let said = queue("/two", &[]);
    assert!(
        said.contains("1 run put back into the queue; files are read from another place"),
        "{said}"
    );
    assert_eq!(roots(&lab, &id), (json!("/two"), json!("/two")));
    assert_eq!(lab.run(&id).priority, 4, "nothing was said of it");
    assert!(!queue("/two", &[]).contains("files are read from another place"));
    // Who says nothing of it leaves it as it is.
    lab.ok(&["queue", "c.toml", "--no-start"]);
    assert_eq!(roots(&lab, &id), (json!("/two"), json!("/two")));
    assert!(!audited(&lab).contains(&id), "{}", audited(&lab));

    // A command that was killed between the file and the run log.
    let text = fs::read_to_string(lab.dir_of(&id).spec()).unwrap();
    fs::write(lab.dir_of(&id).spec(), text.replace("/two", "/three")).unwrap();
    assert!(audited(&lab).contains("spec.json has its files elsewhere"), "{}", audited(&lab));
    lab.ok(&["doctor", "--repair"]);
    assert_eq!(roots(&lab, &id), (json!("/three"), json!("/three")));
    // What would make another run of it is no repair's to take in.
    let other = fs::read_to_string(lab.dir_of(&id).spec()).unwrap().replace("cifar10", "cifar100");
    fs::write(lab.dir_of(&id).spec(), other).unwrap();
    lab.ok(&["doctor", "--repair"]);
    assert_eq!(lab.run(&id).spec["data"]["dataset"], "cifar10");
    assert!(audited(&lab).contains("is not the specification that was queued"));
}

#[test]
fn a_data_set_that_a_run_is_evaluated_on_may_move_too() {
    let lab = Lab::new();
    let text = "name = 'c'\n[base]\ndata.dataset = 'cifar10'\neval.finally = ['knn']\n";
    fs::write(lab.path().join("c.toml"), text).unwrap();
    let queue = |on: &str| {
        let output = lab.output(&["queue", "c.toml", "--no-start", "--set", on]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        (String::from_utf8(output.stdout).unwrap().trim().to_owned(), said)
    };
    let (id, _) = queue("eval.on=[\"cifar100=/one\"]");
    let (same, said) = queue("eval.on=[\"cifar100=/two\"]");
    assert_eq!(id, same);
    assert!(said.contains("files are read from another place from now on for 1 run"), "{said}");
    assert_eq!(lab.run(&id).spec["eval"]["on"], json!(["cifar100=/two"]));
    let spec = fs::read_to_string(lab.dir_of(&id).spec()).unwrap();
    assert!(spec.contains("cifar100=/two"), "{spec}");
    assert!(!audited(&lab).contains(&id), "{}", audited(&lab));
}

#[test]
fn a_run_at_work_keeps_its_root_and_says_so() {
    let lab = Lab::new();
    let file = of_files(&lab);
    let id = lab.queue(&file, &["--set", "data.root=/one"]).remove(0);
    lab.wait_for_state(&id, State::Running);
    let output = lab.output(&["queue", "c.toml", "--no-start", "--set", "data.root=/two"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("files are read from where they were there"), "{said}");
    assert_eq!(roots(&lab, &id), (json!("/one"), json!("/one")));
}

#[test]
fn what_is_queued_is_worked_on_though_nobody_takes_the_ids() {
    let lab = Lab::new();
    lab.behave("finish");
    lab.experiment("one", &[0.0]);
    let mut child = lab.command(&["queue", "one.toml"]);
    let piped = std::process::Stdio::piped;
    let mut child = child.stdout(piped()).stderr(piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "1 run queued.\nA worker for cpu-0 starts.\n");
    lab.wait_for_state(&lab.runs()[0].id, State::Finished);

    lab.experiment("two", &[1.0]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = lab.command(&["queue", "two.toml"]).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.starts_with("1 run queued.\n"), "{said}");
    assert!(said.contains("error: standard output: No space left"), "{said}");
    lab.wait_for_state(&lab.runs()[1].id, State::Finished);
}

#[test]
fn a_lab_that_leaves_no_slot_says_so() {
    let lab = Lab::new();
    fs::write(lab.home().settings(), "[workers.slots]\ncpu = 0\n").unwrap();
    lab.experiment("one", &[0.0]);
    let said = |args: &[&str]| {
        let output = lab.output(args);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let words = "lab.toml leaves no slot to work on";
    let (code, err) = said(&["queue", "one.toml"]);
    assert!(code == Some(0) && err.contains(words), "{err}");
    let (code, err) = said(&["worker", "--until-empty"]);
    assert!(code == Some(2) && err.contains(words), "{err}");
    lab.ok(&["cancel", &lab.runs()[0].id]);
    let (code, err) = said(&["retry", "one"]);
    assert!(code == Some(0) && err.contains(words), "{err}");
}
