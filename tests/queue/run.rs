//! `run FILE…`: works here until done.

use std::process::Stdio;

use instdisc_lab::store::State;
use rustix::process::Signal;

use crate::support::{Lab, signal, wait_for};

#[test]
fn done_means_exit_code_0_and_a_failure_1() {
    let lab = Lab::new();
    lab.behave("finish");
    let file = lab.experiment("two", &[0.0, 1.0]);
    lab.ok(&["run", file.to_str().unwrap()]);
    assert!(lab.runs().iter().all(|run| run.state == State::Finished));
    lab.behave("fail");
    let other = lab.experiment("other", &[2.0]);
    let output = lab.output(&["run", other.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is failed: failed"), "{said}");
}

#[test]
fn control_c_pauses_and_the_same_command_goes_on() {
    let lab = Lab::new();
    let file = lab.experiment("two", &[0.0, 1.0]);
    let args = ["run", file.to_str().unwrap()];
    let run = lab.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("a run at work", || lab.runs().iter().any(|run| run.state == State::Running));
    signal(run.id(), Signal::INT);
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("instdisc-lab resume"), "{said}");
    assert!(lab.runs().iter().all(|run| run.state == State::Paused));
    lab.behave("finish");
    lab.ok(&args);
    assert!(lab.runs().iter().all(|run| run.state == State::Finished));
}

#[test]
fn killing_the_command_stops_nothing() {
    let lab = Lab::new();
    let file = lab.experiment("one", &[0.0]);
    let mut run =
        lab.command(&["run", file.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a run at work", || lab.runs().iter().any(|run| run.state == State::Running));
    run.kill().unwrap();
    run.wait().unwrap();
    lab.behave("finish");
    let id = lab.runs()[0].id.clone();
    lab.wait_for_state(&id, State::Finished);
    assert_eq!(lab.starts(&id).len(), 1);
}
