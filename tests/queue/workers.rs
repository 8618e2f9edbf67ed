//! Workers: detached, drained, waiting.

use instdisc_lab::store::State;

use crate::support::{Lab, is_alive, signal, wait_for};

#[test]
fn a_drained_worker_leaves_after_its_run() {
    let lab = Lab::new();
    let ids = lab.queue(&lab.experiment("two", &[0.0, 1.0]), &[]);
    lab.wait_for_state(&ids[0], State::Running);
    let worker = lab.worker();
    assert!(lab.ok(&["workers", "--drain"]).contains("draining"));
    lab.behave("finish");
    wait_for("it to leave", || !is_alive(worker));
    assert_eq!(lab.run(&ids[0]).state, State::Finished);
    assert_eq!(lab.run(&ids[1]).state, State::Queued);
}

/// Who queues finds the slot held; once it is free, somebody works on what was queued since.
#[test]
fn what_is_queued_while_a_worker_drains_is_worked_on_once_it_has_left() {
    let lab = Lab::new();
    let first = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&first, State::Running);
    let worker = lab.worker();
    lab.ok(&["workers", "--drain"]);
    let second = lab.queue(&lab.experiment("two", &[1.0]), &[]).remove(0);
    lab.behave("finish");
    lab.wait_for_state(&second, State::Finished);
    assert!(!is_alive(worker));
}

#[test]
fn an_idle_worker_takes_up_what_is_queued_later() {
    let lab = Lab::new();
    lab.behave("finish");
    let mut worker = lab.command(&["worker"]).spawn().unwrap();
    wait_for("it to wait", || {
        lab.home().database().exists() && lab.ok(&["workers"]).contains("idle")
    });
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    lab.wait_for_state(&id, State::Finished);
    signal(worker.id(), rustix::process::Signal::INT);
    assert_eq!(worker.wait().unwrap().code(), Some(130));
    assert!(!lab.ok(&["workers"]).contains("cpu-0"));
}

#[test]
fn a_worker_of_the_foreground_leaves_its_trainer_at_work() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    let mut worker = lab.command(&["worker"]).spawn().unwrap();
    let trainer = lab.wait_for_start(&id, 1).pid;
    signal(worker.id(), rustix::process::Signal::TERM);
    worker.wait().unwrap();
    assert!(is_alive(trainer));
    lab.behave("finish");
    lab.ok(&["worker", "--until-empty"]);
    assert_eq!(lab.run(&id).state, State::Finished);
    assert_eq!(lab.starts(&id).len(), 1);
}

#[test]
fn a_second_worker_of_a_taken_slot_says_so() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&id, State::Running);
    let output = lab.output(&["worker"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("has a worker already"));
}

#[test]
fn a_worker_whose_program_was_replaced_goes_on() {
    let lab = Lab::new();
    lab.behave("finish");
    let copy = lab.path().join("instdisc-lab");
    std::fs::copy(env!("CARGO_BIN_EXE_instdisc-lab"), &copy).unwrap();
    let mut worker = lab.command_of(&copy, &["worker"]).spawn().unwrap();
    wait_for("it to wait", || {
        lab.home().database().exists() && lab.ok(&["workers"]).contains("idle")
    });
    std::fs::remove_file(&copy).unwrap();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    lab.wait_for_state(&id, State::Finished);
    signal(worker.id(), rustix::process::Signal::INT);
    worker.wait().unwrap();
}

/// A mistyped device would fail one run after the other.
#[test]
fn a_device_that_is_not_there_is_refused_before_anything_is_claimed() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("one", &[0.0]);
    let id = lab.queue(&file, &["--no-start"]).remove(0);
    let file = file.to_str().unwrap();
    for args in [
        &["worker", "--device", "cuda:99"][..],
        &["worker", "--slot", "cuda:99-0", "--until-empty"],
        &["run", file, "--device", "cuda:99", "--set", "seed=7"],
        &["queue", file, "--device", "cuda:99", "--set", "seed=7"],
    ] {
        let output = lab.output(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("found cuda:99, allowed: cpu"), "{args:?}: {said}");
    }
    let runs = lab.runs();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].state, runs[0].attempt), (State::Queued, 0));
    assert!(!lab.ok(&["workers"]).contains("cuda:99"));
    assert_eq!(lab.run(&id).state, State::Queued);
}
