//! `pause` and `resume`.

use instdisc_lab::store::State;

use crate::support::{Lab, kill, wait_for};

#[test]
fn a_paused_run_frees_its_slot_and_goes_on_from_its_checkpoint() {
    let lab = Lab::new();
    let ids = lab.queue(&lab.experiment("two", &[0.0, 1.0]), &[]);
    lab.wait_for_state(&ids[0], State::Running);
    wait_for("a checkpoint", || lab.dir_of(&ids[0]).path().join("step").exists());
    lab.ok(&["pause", &ids[0]]);
    lab.ok(&["pause", &ids[0]]);
    lab.wait_for_state(&ids[0], State::Paused);
    lab.ok(&["pause", &ids[0]]);
    lab.wait_for_state(&ids[1], State::Running);

    lab.ok(&["resume", &ids[0]]);
    lab.ok(&["resume", &ids[0]]);
    assert_eq!(lab.run(&ids[0]).state, State::Queued, "its slot is taken");
    lab.behave("finish");
    wait_for("both to finish", || lab.runs().iter().all(|run| run.state == State::Finished));
    let starts = lab.starts(&ids[0]);
    assert_eq!(starts.len(), 2);
    assert!(starts[0].resumed == 0 && 0 < starts[1].resumed, "{starts:?}");
    let run = lab.run(&ids[0]);
    assert_eq!(run.resumes.len(), 1);
    assert_eq!(run.resumes[0].step, starts[1].resumed);
    assert!(run.started_at.unwrap() < run.resumes[0].at);
    use State::{Finished, Paused, Queued, Running, Starting, Stopping};
    let states = [Queued, Starting, Running, Stopping, Paused, Queued, Starting, Running, Finished];
    assert_eq!(lab.history(&ids[0]), states);
}

#[test]
fn a_waiting_run_is_paused_at_once() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    lab.ok(&["pause", &id]);
    lab.ok(&["pause", &id]);
    assert_eq!(lab.run(&id).state, State::Paused);
    lab.behave("finish");
    lab.ok(&["worker", "--until-empty"]);
    assert_eq!(lab.run(&id).state, State::Paused);
    lab.ok(&["resume", &id]);
    lab.wait_for_state(&id, State::Finished);
    let refused = lab.output(&["pause", &id]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("is finished: there is nothing to pause"), "{said}");
}

#[test]
fn a_pause_without_a_worker_brings_one() {
    let lab = Lab::new();
    let ids = lab.queue(&lab.experiment("two", &[0.0, 1.0]), &[]);
    lab.wait_for_state(&ids[0], State::Running);
    kill(lab.worker());
    lab.ok(&["pause", &ids[0]]);
    lab.wait_for_state(&ids[0], State::Paused);
    wait_for("that worker to leave", || !lab.ok(&["workers"]).contains("cpu-0"));
    assert_eq!(lab.run(&ids[1]).state, State::Queued, "it takes nothing from the queue");
}
