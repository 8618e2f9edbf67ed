//! Who gets which run.

use instdisc_lab::store::State;

use crate::support::{Lab, wait_for};

#[test]
fn eight_workers_run_everything_exactly_once() {
    let lab = Lab::new();
    lab.behave("finish");
    let lambdas: Vec<f64> = (0..20).map(f64::from).collect();
    let file = lab.experiment("many", &lambdas);
    let ids = lab.queue(&file, &["--workers", "8"]);
    wait_for("all to finish", || lab.runs().iter().all(|run| run.state == State::Finished));
    for id in &ids {
        assert_eq!(lab.starts(id).len(), 1, "{id}");
        let once = [State::Queued, State::Starting, State::Running, State::Finished];
        assert_eq!(lab.history(id), once, "{id}");
    }
}

#[test]
fn priority_goes_first_and_then_who_waits_longest() {
    let lab = Lab::new();
    lab.behave("finish");
    let early = lab.queue(&lab.experiment("early", &[0.0, 1.0]), &["--no-start"]);
    let urgent = lab.queue(&lab.experiment("urgent", &[2.0]), &["--no-start", "--priority", "1"]);
    lab.ok(&["worker", "--until-empty"]);
    let started = |id: &String| lab.run(id).started_at.unwrap();
    assert!(started(&urgent[0]) < started(&early[0]));
    assert!(started(&early[0]) < started(&early[1]));
}
