//! What Slurm refuses, forgets or is told by others.

use std::fs;

use instdisc_lab::store::State;

use crate::cluster::Cluster;
use crate::support::{Lab, kill, wait_for};

#[test]
fn what_slurm_refuses_is_said_before_anything_is_queued() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    let file = lab.experiment("refused", &[0.0]);
    let refused = |set: &str| {
        let output = lab.output(&["queue", file.to_str().unwrap(), "--set", set]);
        assert_eq!(output.status.code(), Some(2), "{set}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused("slurm.partition=nowhere").contains("artition"));
    assert!(refused("slurm.gres=gpu:8").contains("Slurm refuses"));
    assert!(refused("slurm.partion=x").contains("no such setting"));
    assert!(refused("slurm.time=tomorrow").contains("days-hours"));
    assert!(lab.runs().is_empty() && cluster.jobs().is_empty());
    // A machine without Slurm.
    let mut elsewhere = lab.command(&["queue", file.to_str().unwrap()]);
    let output = elsewhere.env("PATH", lab.path().join("nothing")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let output = lab.output(&[
        "queue",
        file.to_str().unwrap(),
        "--launcher",
        "local",
        "--set",
        "slurm.gpus=1",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--launcher slurm"));
    let both = ["queue", file.to_str().unwrap(), "--launcher", "slurm", "--workers", "2"];
    assert_eq!(lab.output(&both).status.code(), Some(2));
}

#[test]
fn a_job_cancelled_by_somebody_else_is_cancelled_here() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    let runs = lab.queue(&lab.experiment("outside", &[0.0, 1.0]), &["--set", "slurm.cap=1"]);
    lab.wait_for_state(&runs[0], State::Running);
    let array = cluster.jobs()[0].0.split('_').next().unwrap().to_owned();
    cluster.ok("scancel", &[&array]);
    for run in &runs {
        lab.wait_for_state(run, State::Cancelled);
        assert!(lab.run(run).reason.is_some_and(|why| why.contains("on the cluster")));
    }
    wait_for("no process to be left", || runs.iter().all(|run| lab.processes_of(run).is_empty()));
}

/// Slurm takes the array, and our worker dies before it could note the number.
#[test]
fn an_array_is_submitted_once_whoever_dies() {
    let cluster = Cluster::start();
    let mut lab = cluster.lab();
    lab.behave("until 40");
    // In the place of `sbatch`: the real one, after which our worker is killed, once.
    let script = format!(
        "case \" $* \" in *--test-only*) exec REAL \"$@\";; esac\n\
         if mkdir {done} 2> /dev/null; then\n  REAL \"$@\" > /dev/null\n\
           parent=$(ps -o ppid= -p $PPID)\n  kill -9 $parent\n  exit 1\nfi\nexec REAL \"$@\"\n",
        done = lab.path().join("done").display(),
    );
    cluster.stand_in(&mut lab, "sbatch", &script);
    let runs = lab.queue(&lab.experiment("once", &[0.0, 1.0, 2.0]), &[]);
    wait_for("the worker to be killed", || lab.path().join("done").exists() && !has_worker(&lab));
    // What `run` and the screens do now and then: see that somebody works.
    let again = lab.output(&["worker", "--launcher", "slurm", "--until-empty"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(cluster.arrays().len(), 1);
    for run in &runs {
        assert_eq!(lab.run(run).state, State::Finished);
        assert_eq!(lab.starts(run).len(), 1);
    }
}

fn has_worker(lab: &Lab) -> bool {
    let workers = lab.ask(async |store| store.workers().await);
    workers.iter().any(|worker| crate::support::is_alive(worker.process.pid))
}

/// The run log is gone while one run trains and another waits in Slurm's queue.
#[test]
fn a_run_log_made_anew_finds_its_jobs() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    let runs = lab.queue(&lab.experiment("anew", &[0.0, 1.0]), &["--set", "slurm.cap=1"]);
    lab.wait_for_state(&runs[0], State::Running);
    kill(lab.worker());
    for file in ["lab.db", "lab.db-wal", "lab.db-shm"] {
        let _ = fs::remove_file(lab.home().root().join(file));
    }
    lab.ok(&["doctor", "--repair"]);
    assert_eq!(lab.run(&runs[0]).state, State::Running);
    assert_eq!(lab.run(&runs[1]).state, State::Queued);
    lab.behave("until 100");
    let worker = lab.output(&["worker", "--launcher", "slurm", "--until-empty"]);
    assert!(worker.status.success(), "{}", String::from_utf8_lossy(&worker.stderr));
    for run in &runs {
        let row = lab.run(run);
        assert_eq!((row.state, row.attempt), (State::Finished, 1), "{:?}", lab.history(run));
        assert_eq!(lab.starts(run).len(), 1, "{run} was started once");
    }
    assert_eq!(cluster.arrays().len(), 1, "nothing was submitted again");
}

#[test]
fn a_job_that_cannot_write_fails_by_name() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    // As on a node that does not see the disk: the batch script is never begun.
    let blind = ["--set", "slurm.extra=--error=/nowhere/at/all"];
    let run = lab.queue(&lab.experiment("blind", &[0.0]), &blind).remove(0);
    lab.wait_for_state(&run, State::Failed);
    let why = lab.run(&run).reason.unwrap();
    assert!(why.starts_with("cluster: ") && why.contains("can the nodes see it"), "{why}");
}

#[test]
fn a_trainer_that_does_not_start_says_why() {
    let cluster = Cluster::start();
    let lab = cluster.lab();
    lab.behave("crash");
    let run = lab.queue(&lab.experiment("crash", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&run, State::Failed);
    assert!(lab.run(&run).reason.unwrap().contains("the sky fell"));
}

/// A node that lacks what the run needs: its own words reach the table.
#[test]
fn a_node_without_libtorch_or_gpu_is_named() {
    let cluster = Cluster::start();
    let lab = cluster.lab().with_real_trainer();
    let file = lab.experiment("lacking", &[0.0]);
    let run = lab.queue(&file, &["--set", "slurm.device=cuda:0"]).remove(0);
    lab.wait_for_state(&run, State::Failed);
    assert!(lab.run(&run).reason.unwrap().contains("no CUDA device"));

    // What a loader says where the library is not on the node.
    let bare = cluster.lab();
    let trainer = bare.path().join("trainer");
    let words =
        "error while loading shared libraries: libtorch_cpu.so: cannot open shared object file";
    fs::write(&trainer, format!("#!/bin/sh\necho 'instdisc-train: {words}' >&2\nexit 127\n"))
        .unwrap();
    let run = bare.queue(&bare.experiment("lacking", &[0.0]), &[]).remove(0);
    bare.wait_for_state(&run, State::Failed);
    assert!(bare.run(&run).reason.unwrap().contains("libtorch_cpu.so"));
}

#[test]
fn doctor_names_a_node_whose_clock_is_wrong() {
    let cluster = Cluster::start();
    let lab = cluster.lab().with_real_trainer();
    let mut settings = fs::read_to_string(lab.home().settings()).unwrap();
    settings.push_str("setup = [\"date() { command date -d '+1 hour' \\\"$@\\\"; }\"]\n");
    fs::write(lab.home().settings(), settings).unwrap();
    let table = lab.ok(&["doctor", "--launcher", "slurm", "--format", "csv"]);
    assert!(table.contains("warn,node: clock,") && table.contains("s off"), "{table}");
}

#[test]
fn doctor_asks_a_node() {
    let cluster = Cluster::start();
    let lab = cluster.lab().with_real_trainer();
    let table = lab.ok(&["doctor", "--launcher", "slurm", "--format", "csv"]);
    for line in ["ok,slurm,", "ok,slurm takes,", "ok,node,", "ok,node: trainer,", "ok,node: clock,"]
    {
        assert!(table.contains(line), "{line}\n{table}");
    }
}
