//! Grids as job arrays: what is queued here runs there, under the same names and with the same numbers.

use instdisc_lab::store::State;

use crate::cluster::Cluster;
use crate::support::{Lab, copy_all, wait_for};

const TWELVE: [f64; 12] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0];

#[test]
fn a_grid_is_one_array_whose_cap_is_kept() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    lab.behave("until 60");
    let file = lab.experiment("capped", &TWELVE);
    let runs = lab.queue(&file, &["--set", "slurm.cap=3"]);
    assert_eq!(runs.len(), 12);
    let mut most = 0;
    wait_for("the array", || {
        let running = cluster.jobs().iter().filter(|(_, state)| state == "RUNNING").count();
        most = most.max(running);
        runs.iter().all(|run| lab.run(run).state == State::Finished)
    });
    assert!((1..=3).contains(&most), "{most} at once");
    assert_eq!(cluster.arrays().len(), 1);
    for run in &runs {
        assert_eq!(lab.starts(run).len(), 1, "{run} started once");
        let attempts = lab.ask(async |store| store.attempts(run).await);
        let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
        assert_eq!(attempt.slot.as_deref(), Some("slurm-0"));
    }
}

/// The same file queued for this machine: the same ids, and the same numbers to the last bit.
#[test]
fn a_cluster_changes_no_id_and_no_number() {
    let cluster = Cluster::start();
    let there = cluster.lab().with_real_trainer();
    let here = Lab::new().with_real_trainer();
    let file = there.experiment("same", &[0.0, 10.0]);
    let runs = there.queue(&file, &[]);
    let same = here.experiment("same", &[0.0, 10.0]);
    assert_eq!(here.queue(&same, &["--launcher", "local"]), runs);
    for run in &runs {
        there.wait_for_state(run, State::Finished);
        here.wait_for_state(run, State::Finished);
        assert!(!here.losses(run).is_empty());
        assert_eq!(there.losses(run), here.losses(run), "{run}");
        let attempts = there.ask(async |store| store.attempts(run).await);
        assert!(matches!(attempts[0].host.as_deref(), Some("n1" | "n2")), "{attempts:?}");
        assert!(attempts[0].job.as_deref().is_some_and(|job| job.contains('_')));
    }
    let shown = there.ok(&["show", &runs[0]]);
    assert!(shown.contains("n1") || shown.contains("n2"), "{shown}");
}

#[test]
fn what_would_be_submitted_is_said_and_nothing_else_happens() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    let lambdas: Vec<f64> = (0..1200).map(f64::from).collect();
    let file = lab.experiment("large", &lambdas);
    let output = lab.output(&["queue", file.to_str().unwrap(), "--dry-run", "--format", "json"]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("2 arrays, of 1001 and 199 runs"), "{said}");
    assert!(cluster.jobs().is_empty() && lab.runs().is_empty());
}

#[test]
fn a_run_is_paused_resumed_and_cancelled_wherever_it_is() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    let file = lab.experiment("stops", &[0.0, 1.0, 2.0, 3.0]);
    let runs = lab.queue(&file, &["--set", "slurm.cap=1"]);
    let [first, second, third, fourth] = &runs[..] else { panic!("four runs") };
    lab.wait_for_start(first, 1);
    lab.wait_for_state(first, State::Running);
    // The other one waits, and says for what.
    wait_for("a reason", || lab.run(second).reason.is_some_and(|why| why.contains("waits")));
    lab.ok(&["pause", second]);
    lab.wait_for_state(second, State::Paused);
    // The others that wait are left alone.
    assert_eq!(cluster.jobs().iter().filter(|(_, state)| state == "PENDING").count(), 2);
    lab.ok(&["cancel", third, fourth]);
    lab.wait_for_state(third, State::Cancelled);
    lab.wait_for_state(fourth, State::Cancelled);
    lab.ok(&["pause", first]);
    lab.wait_for_state(first, State::Paused);
    wait_for("no job to be left", || {
        let over = |state: &str| !["RUNNING", "PENDING", "COMPLETING"].contains(&state);
        cluster.jobs().iter().all(|(_, state)| over(state))
    });
    lab.ok(&["resume", first]);
    let again = lab.wait_for_start(first, 2);
    assert!(0 < again.resumed);
    lab.wait_for_state(first, State::Running);
    lab.ok(&["cancel", first]);
    lab.wait_for_state(first, State::Cancelled);
    wait_for("its processes to be gone", || lab.processes_of(first).is_empty());
    lab.ok(&["cancel", second]);
    assert_eq!(lab.run(second).state, State::Cancelled);
    use State::*;
    assert_eq!(lab.history(second), [Queued, Starting, Stopping, Paused, Cancelled]);
}

/// It has the same name again, and is counted from 1 again.
#[test]
fn a_run_that_was_removed_is_submitted_anew() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    lab.behave("until 5");
    let file = lab.experiment("twice", &[0.0]);
    let run = lab.queue(&file, &[]).remove(0);
    lab.wait_for_state(&run, State::Finished);
    lab.ok(&["rm", "--forever", &run]);
    assert_eq!(lab.queue(&file, &[]).remove(0), run);
    lab.wait_for_state(&run, State::Finished);
    assert_eq!((cluster.arrays().len(), lab.run(&run).attempt), (2, 1));
}

#[test]
fn what_was_submitted_goes_with_the_last_of_its_runs() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    lab.behave("until 5");
    let runs = lab.queue(&lab.experiment("gone", &[0.0, 1.0]), &[]);
    runs.iter().for_each(|run| lab.wait_for_state(run, State::Finished));
    let submissions = || std::fs::read_dir(lab.home().root().join("slurm")).unwrap().count();
    lab.ok(&["rm", "--forever", &runs[0]]);
    lab.ok(&["rm", &runs[1]]);
    assert_eq!(submissions(), 1, "the other one can be brought back");
    lab.ok(&["rm", "--forever", &runs[1]]);
    assert_eq!(submissions(), 0);
}

/// Who copies the home has everything: `rsync -a` of it is all it takes.
#[test]
fn a_home_is_carried_away_whole() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    lab.behave("until 5");
    let file = lab.experiment("carried", &[0.0]);
    let run = lab.queue(&file, &[]).remove(0);
    lab.wait_for_state(&run, State::Finished);
    wait_for("the worker to leave", || lab.processes().is_empty());
    let laptop = Lab::new();
    std::fs::remove_dir_all(laptop.home().root()).unwrap();
    copy_all(lab.home().root(), laptop.home().root());
    assert_eq!(laptop.run(&run).state, State::Finished);
    assert_eq!(laptop.ok(&["curve", &run, "loss"]), lab.ok(&["curve", &run, "loss"]));
    laptop.ok(&["doctor", "--repair"]);
    assert_eq!(laptop.run(&run).launch, Some(Default::default()));
}
