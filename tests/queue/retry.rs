//! `retry`.

use std::fs;

use instdisc_lab::store::State;

use crate::support::Lab;

/// What a request says.
fn told(lab: &Lab, args: &[&str]) -> String {
    let output = lab.output(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

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
    // Not "already": what is at work does not begin anew.
    let refused = lab.output(&["retry", "--fresh", &id]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && said.contains("`cancel` it first"), "{said}");
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

#[test]
fn fresh_holds_for_a_run_that_waits_and_what_it_goes_on_from_is_said() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    lab.ok(&["cancel", &id]);
    let said = told(&lab, &["retry", "--no-start", &id]);
    assert_eq!(
        said,
        format!("{id} is queued and begins at its first step: it has no checkpoint.\n")
    );
    lab.ok(&["queue", "one.toml"]);
    lab.wait_for_start(&id, 1);
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    // The stand-in keeps its step in a file of its own.
    fs::create_dir_all(lab.dir_of(&id).checkpoints()).unwrap();
    fs::write(lab.dir_of(&id).checkpoints().join("step-1.json"), "{}").unwrap();
    let said = told(&lab, &["retry", "--no-start", &id]);
    assert_eq!(said, format!("{id} is queued and goes on from its last checkpoint.\n"));
    for _ in 0..2 {
        let said = told(&lab, &["retry", "--no-start", "--fresh", &id]);
        assert_eq!(said, format!("{id} is queued and begins anew.\n"));
    }
    lab.ok(&["queue", "one.toml"]);
    let second = lab.wait_for_start(&id, 2);
    assert_eq!((second.fresh, second.resumed), (true, 0));
}
