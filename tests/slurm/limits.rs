//! Arrays that Slurm does not take, takes later, or gives no answer to.

use std::fs;
use std::time::Duration;

use instdisc_lab::store::State;

use crate::cluster::Cluster;
use crate::support::{Lab, wait_at_most, wait_for};

/// A cluster with a second partition, and a lab with two runs queued for it and one for the first, which nobody works on yet.
fn two_partitions() -> (Cluster, Lab, Vec<String>, String) {
    let cluster = Cluster::with("PartitionName=other Nodes=n1,n2 State=UP");
    let lab = cluster.lab();
    lab.behave("until 20");
    let queue = |partition: &str, lambdas: &[f64]| {
        let more = ["--no-start", "--set", &format!("slurm.partition={partition}")];
        lab.queue(&lab.experiment(partition, lambdas), &more)
    };
    let (other, debug) = (queue("other", &[0.0, 1.0]), queue("debug", &[2.0]).remove(0));
    (cluster, lab, other, debug)
}

/// As with a limit of how many jobs one may have: it waits, and nothing else does.
#[test]
fn an_array_that_slurm_takes_later_keeps_no_other_waiting() {
    let (cluster, lab, other, debug) = two_partitions();
    cluster.ok("scontrol", &["update", "PartitionName=other", "State=DRAIN"]);
    let mut worker =
        lab.command(&["worker", "--launcher", "slurm", "--until-empty"]).spawn().unwrap();
    lab.wait_for_state(&debug, State::Finished);
    let [other, unwanted] = &other[..] else { panic!("two runs") };
    let said = || lab.run(other).reason.unwrap_or_default();
    wait_for("Slurm's words", || said().contains("Required partition not available"));
    assert_eq!(lab.run(other).state, State::Starting);
    // Who does not want it any more need not wait for Slurm.
    lab.ok(&["cancel", unwanted]);
    lab.wait_for_state(unwanted, State::Cancelled);
    cluster.ok("scontrol", &["update", "PartitionName=other", "State=UP"]);
    lab.wait_for_state(other, State::Finished);
    assert_eq!(lab.run(other).attempt, 1);
    assert_eq!((lab.run(unwanted).state, lab.starts(unwanted).len()), (State::Cancelled, 0));
    assert!(worker.wait().unwrap().success());
}

/// The rehearsal went well, and the partition is gone when the array comes.
#[test]
fn an_array_that_is_refused_fails_by_slurms_words_and_can_be_tried_again() {
    let (cluster, lab, other, debug) = two_partitions();
    cluster.ok("scontrol", &["delete", "PartitionName=other"]);
    let worker = lab.output(&["worker", "--launcher", "slurm", "--until-empty"]);
    assert!(worker.status.success(), "{}", String::from_utf8_lossy(&worker.stderr));
    assert_eq!(lab.run(&debug).state, State::Finished);
    for run in &other {
        let row = lab.run(run);
        let why = row.reason.unwrap();
        assert_eq!(row.state, State::Failed);
        assert!(why.starts_with("cluster: ") && why.contains("artition"), "{why}");
    }
    cluster.ok("scontrol", &["create", "PartitionName=other", "Nodes=n1,n2", "State=UP"]);
    lab.ok(&["retry", &other[0], &other[1]]);
    for run in &other {
        lab.wait_for_state(run, State::Finished);
        assert_eq!(lab.run(run).attempt, 2);
    }
}

/// It neither takes nor refuses: journals are followed all the same.
#[test]
fn a_controller_that_hangs_keeps_no_worker_from_its_journals() {
    let cluster = Cluster::start();
    let mut lab = cluster.lab();
    let hang = lab.path().join("hang");
    let hangs = format!("while [ -e {} ]; do sleep 0.1; done", hang.display());
    let script =
        format!("case \" $* \" in *--test-only*) ;; *) {hangs};; esac\nexec REAL \"$@\"\n");
    for command in ["sbatch", "scontrol"] {
        cluster.stand_in(&mut lab, command, &script);
    }
    let first = lab.queue(&lab.experiment("first", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&first, State::Running);
    fs::write(&hang, "").unwrap();
    let second = lab.queue(&lab.experiment("second", &[1.0]), &[]).remove(0);
    lab.wait_for_state(&second, State::Starting);
    let step = || lab.run(&first).progress.step;
    for _ in 0..2 {
        let before = step();
        wait_at_most(Duration::from_secs(40), "metrics", || before < step());
    }
    // Nor does a new one wait for long, who does not know yet what Slurm takes in one array.
    crate::support::kill(lab.worker());
    let third = lab.queue(&lab.experiment("third", &[2.0]), &[]).remove(0);
    lab.wait_for_state(&third, State::Starting);
    let before = step();
    wait_at_most(Duration::from_secs(40), "metrics", || before < step());
    assert_eq!((lab.run(&second).state, cluster.arrays().len()), (State::Starting, 1));
    fs::remove_file(&hang).unwrap();
    lab.behave("finish");
    for run in [&first, &second, &third] {
        lab.wait_for_state(run, State::Finished);
        assert_eq!(lab.starts(run).len(), 1);
    }
    assert_eq!(cluster.arrays().len(), 3);
}
