//! `retry`.

use instdisc_lab::store::State;

use crate::support::Lab;

#[test]
fn a_named_failure_waits_for_a_person() {
    let lab = Lab::new();
    lab.behave("fail");
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&id, State::Failed);
    lab.ok(&["worker", "--until-empty"]);
    assert_eq!(lab.run(&id).state, State::Failed);
    assert_eq!(lab.run(&id).reason.as_deref(), Some("failed"));
    lab.behave("finish");
    lab.ok(&["retry", "--no-start", &id]);
    lab.ok(&["retry", "--no-start", &id]);
    assert_eq!(lab.run(&id).state, State::Queued);
    lab.ok(&["worker", "--until-empty"]);
    let run = lab.run(&id);
    assert_eq!((run.state, run.attempt), (State::Finished, 2));
    assert_eq!(lab.output(&["retry", &id]).status.code(), Some(2));
}

#[test]
fn fresh_ignores_checkpoints_once() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_start(&id, 1);
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    lab.ok(&["retry", "--fresh", &id]);
    let second = lab.wait_for_start(&id, 2);
    assert_eq!((second.fresh, second.resumed), (true, 0));
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    lab.ok(&["retry", &id]);
    let third = lab.wait_for_start(&id, 3);
    assert!(!third.fresh && 0 < third.resumed, "{third:?}");
}

#[test]
fn queueing_the_file_again_takes_up_what_had_ended() {
    let lab = Lab::new();
    let file = lab.experiment("one", &[0.0]);
    let ids = lab.queue(&file, &["--no-start"]);
    lab.ok(&["cancel", &ids[0]]);
    assert_eq!(lab.queue(&file, &["--no-start"]), ids);
    assert_eq!(lab.run(&ids[0]).state, State::Queued);
}
