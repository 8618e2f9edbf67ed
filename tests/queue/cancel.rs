//! `cancel`: no process of the run is left.

use instdisc_lab::store::State;
use rustix::process::Signal;

use crate::support::{Lab, kill, signal, wait_for};

fn deaf() -> (Lab, String) {
    let lab = Lab::new();
    lab.behave("deaf");
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_start(&id, 1);
    // The trainer, a helper in its group, one in a session of its own, and a daemon.
    wait_for("the helpers", || 4 <= lab.processes_of(&id).len());
    (lab, id)
}

#[test]
fn a_trainer_that_does_not_listen_is_killed_with_its_helpers() {
    let (lab, id) = deaf();
    lab.ok(&["cancel", &id]);
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    assert_eq!(lab.processes_of(&id), Vec::<u32>::new());
    lab.ok(&["cancel", &id]);
    use State::{Cancelled, Queued, Running, Starting, Stopping};
    assert_eq!(lab.history(&id), [Queued, Starting, Running, Stopping, Cancelled]);
}

#[test]
fn an_adopted_trainer_is_killed_with_its_helpers() {
    let (lab, id) = deaf();
    kill(lab.worker());
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    assert_eq!(lab.processes_of(&id), Vec::<u32>::new());
}

/// Whoever asks finds the slot held and starts nobody, and the worker leaves before it has looked again.
#[test]
fn a_cancel_is_carried_out_though_the_worker_leaves_at_once() {
    for wish in ["pause", "cancel"] {
        let lab = Lab::new();
        let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
        let mut worker = lab.command(&["worker"]).spawn().unwrap();
        lab.wait_for_start(&id, 1);
        lab.wait_for_state(&id, State::Running);
        signal(worker.id(), Signal::STOP);
        lab.ok(&[wish, &id]);
        signal(worker.id(), Signal::INT);
        signal(worker.id(), Signal::CONT);
        assert_eq!(worker.wait().unwrap().code(), Some(130));
        let goal = if wish == "pause" { State::Paused } else { State::Cancelled };
        lab.wait_for_state(&id, goal);
        assert_eq!(lab.processes_of(&id), Vec::<u32>::new());
    }
}

#[test]
fn a_stopped_trainer_is_killed() {
    let (lab, id) = deaf();
    signal(lab.starts(&id)[0].pid, Signal::STOP);
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    assert_eq!(lab.processes_of(&id), Vec::<u32>::new());
}

#[test]
fn helpers_do_not_outlive_a_trainer_that_dies() {
    let (lab, id) = deaf();
    lab.behave("finish");
    lab.wait_for_state(&id, State::Finished);
    assert_eq!(lab.processes_of(&id), Vec::<u32>::new());
}

/// Orphans fall to the worker then, which knows them for what they are.
#[test]
fn helpers_do_not_outlive_a_trainer_that_is_killed() {
    let (lab, id) = deaf();
    let first = lab.processes_of(&id);
    lab.behave("hold");
    kill(lab.starts(&id)[0].pid);
    lab.wait_for_start(&id, 2);
    assert!(first.iter().all(|&pid| !crate::support::is_alive(pid)), "{first:?}");
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
}

#[test]
fn a_cancel_outranks_a_pause() {
    let (lab, id) = deaf();
    lab.ok(&["pause", &id]);
    lab.wait_for_state(&id, State::Stopping);
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
}

/// The run log keeps the cancel; the person hears that, and the directory says it for who makes the run log anew.
#[test]
fn a_pause_after_a_cancel_changes_nothing() {
    let (lab, id) = deaf();
    lab.wait_for_state(&id, State::Running);
    let worker = lab.worker();
    signal(worker, Signal::STOP);
    lab.ok(&["cancel", &id]);
    let output = lab.output(&["pause", &id]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is cancelled then") && !said.contains("paused"), "{said}");
    let meta = std::fs::read(lab.dir_of(&id).meta()).unwrap();
    let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
    assert_eq!(meta["wish"]["what"], "cancel");
    signal(worker, Signal::CONT);
    lab.wait_for_state(&id, State::Cancelled);
}

#[test]
fn waiting_and_paused_runs_are_cancelled_at_once() {
    let lab = Lab::new();
    let ids = lab.queue(&lab.experiment("two", &[0.0, 1.0]), &["--no-start"]);
    lab.ok(&["pause", &ids[0]]);
    lab.ok(&["cancel", &ids[0], &ids[1]]);
    lab.ok(&["cancel", &ids[0], &ids[1]]);
    assert!(lab.runs().iter().all(|run| run.state == State::Cancelled));
}
