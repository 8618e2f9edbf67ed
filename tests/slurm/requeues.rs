//! Runs that Slurm starts more than once: notices, node failures, preemption, a login worker that was away.

use rustix::process::Signal;

use instdisc_lab::store::State;

use crate::cluster::Cluster;
use crate::support::{Lab, kill, signal, wait_for};

fn only_job(cluster: &Cluster) -> String {
    wait_for("a running job", || cluster.jobs().iter().any(|(_, state)| state == "RUNNING"));
    cluster.jobs().into_iter().find(|(_, state)| state == "RUNNING").unwrap().0
}

/// A lab with one run that a node trains.
fn at_work(cluster: &Cluster, name: &str) -> (Lab, String) {
    let lab = cluster.lab();
    let run = lab.queue(&lab.experiment(name, &[0.0]), &[]).remove(0);
    lab.wait_for_start(&run, 1);
    lab.wait_for_state(&run, State::Running);
    (lab, run)
}

/// From its checkpoint, in a second attempt.
fn goes_on_and_ends(lab: &Lab, run: &str) {
    assert!(0 < lab.wait_for_start(run, 2).resumed);
    lab.wait_for_state(run, State::Running);
    lab.behave("finish");
    lab.wait_for_state(run, State::Finished);
    assert_eq!(lab.run(run).attempt, 2);
}

/// What the notice before a time limit does, sent by hand: the real trainer, whose curve comes out as if nothing had been.
#[test]
fn a_notice_is_a_checkpoint_and_another_start() {
    let cluster = Cluster::start();
    let unbroken = Lab::new().with_real_trainer();
    let lab = cluster.lab().with_real_trainer();
    let more = ["--set", "train.epochs=30"];
    let run = lab.queue(&lab.experiment("noticed", &[10.0]), &more).remove(0);
    let same = unbroken.experiment("noticed", &[10.0]);
    unbroken.queue(&same, &[more[0], more[1], "--launcher", "local"]);
    wait_for("some steps", || 2 < lab.runs().first().map_or(0, |run| run.progress.step));
    let job = only_job(&cluster);
    cluster.ok("scancel", &["--batch", "--signal=USR1", &job]);
    lab.wait_for_state(&run, State::Finished);
    unbroken.wait_for_state(&run, State::Finished);
    let row = lab.run(&run);
    assert_eq!(row.attempt, 2, "{:?}", lab.history(&run));
    assert!(0 < row.resumes[0].step, "it went on from a checkpoint");
    assert_eq!(lab.losses(&run), unbroken.losses(&run));
    use State::*;
    let history =
        [Queued, Starting, Running, Stopping, Paused, Queued, Starting, Running, Finished];
    assert_eq!(lab.history(&run), history);
}

#[test]
fn a_worker_that_was_away_catches_up() {
    let cluster = Cluster::start();
    let (lab, run) = at_work(&cluster, "away");
    kill(lab.worker());
    // Meanwhile it is told to yield, starts anew and ends.
    let job = only_job(&cluster);
    cluster.ok("scancel", &["--batch", "--signal=USR1", &job]);
    lab.wait_for_start(&run, 2);
    lab.behave("finish");
    wait_for("the job to end", || cluster.jobs().iter().all(|(_, state)| state == "COMPLETED"));
    assert_eq!(lab.run(&run).state, State::Running, "nobody has looked yet");
    let worker = lab.command(&["worker", "--launcher", "slurm", "--until-empty"]).status();
    assert!(worker.unwrap().success());
    let row = lab.run(&run);
    assert_eq!((row.state, row.attempt), (State::Finished, 2));
    let points = lab.ask(async |store| store.curve(&run, "loss", None).await);
    let steps: Vec<u64> = points.iter().map(|point| point.step).collect();
    assert_eq!(steps, (1..=*steps.last().unwrap()).collect::<Vec<_>>(), "nothing is missing");
}

/// The scheduler forgets jobs soon after their end; the run's own record does not.
#[test]
fn a_job_that_slurm_has_forgotten_is_known_by_its_run() {
    let cluster = Cluster::with("MinJobAge=2");
    let lab = cluster.lab();
    let runs = lab.queue(&lab.experiment("forgotten", &[0.0, 1.0]), &[]);
    for run in &runs {
        lab.wait_for_start(run, 1);
    }
    kill(lab.worker());
    // One ends well, the other is killed without a word.
    let victim = lab.starts(&runs[1])[0].pid;
    signal(victim, Signal::KILL);
    lab.behave("finish");
    wait_for("the queue to be empty", || cluster.jobs().is_empty());
    let worker = lab.command(&["worker", "--launcher", "slurm", "--until-empty"]).status();
    assert!(worker.unwrap().success());
    assert_eq!(lab.run(&runs[0]).state, State::Finished);
    let second = lab.run(&runs[1]);
    assert_eq!((second.state, second.attempt), (State::Finished, 2), "it was lost and made again");
    assert!(lab.history(&runs[1]).contains(&State::Lost));
}

/// Neither the queue nor the run has a word of how it ended; an account has, or believes that it never did.
#[test]
fn what_only_the_account_knows_is_asked_once() {
    let cluster = Cluster::with("MinJobAge=2");
    let mut lab = cluster.lab();
    let asked = lab.path().join("asked");
    let account = format!(
        "ids=${{@: -1}}\necho \"$ids\" >> {}\nfor id in ${{ids//,/ }}; do\n  case $id in\n    \
         *_0) echo \"$id|OUT_OF_MEMORY\";;\n    *) echo \"$id|RUNNING\";;\n  esac\ndone\n",
        asked.display()
    );
    cluster.stand_in(&mut lab, "sacct", &account);
    let runs = lab.queue(&lab.experiment("account", &[0.0, 1.0]), &[]);
    let trainers: Vec<u32> = runs.iter().map(|run| lab.wait_for_start(run, 1).pid).collect();
    runs.iter().for_each(|run| lab.wait_for_state(run, State::Running));
    kill(lab.worker());
    // The batch scripts alone, so that they leave no exit status.
    let mut jobs: Vec<String> = cluster.jobs().into_iter().map(|(id, _)| id).collect();
    jobs.sort_unstable();
    for job in &jobs {
        cluster.ok("scancel", &["--batch", "--signal=KILL", job]);
    }
    wait_for("the queue to be empty", || cluster.jobs().is_empty());
    trainers.into_iter().for_each(kill);
    assert!(runs.iter().all(|run| !lab.dir_of(run).path().join("slurm.ended").exists()));
    lab.behave("finish");
    let worker = lab.output(&["worker", "--launcher", "slurm", "--until-empty"]);
    assert!(worker.status.success(), "{}", String::from_utf8_lossy(&worker.stderr));
    let [first, second] = [lab.run(&runs[0]), lab.run(&runs[1])];
    assert_eq!((first.state, first.attempt), (State::Failed, 1), "{first:?}");
    assert!(first.reason.unwrap().starts_with("out of memory: "));
    assert_eq!((second.state, second.attempt), (State::Finished, 2), "{second:?}");
    let asked = std::fs::read_to_string(asked).unwrap();
    let mut asked: Vec<&str> = asked.trim().split(['\n', ',']).collect();
    asked.sort_unstable();
    assert_eq!(asked, jobs, "once for each");
}

#[test]
fn a_dead_node_gives_its_run_to_the_other() {
    let mut cluster = Cluster::with("SlurmdTimeout=15");
    let (lab, run) = at_work(&cluster, "node");
    let node = cluster.ok("squeue", &["-h", "-o", "%N"]);
    let which = usize::from(node.trim() == "n2");
    cluster.kill_node(which);
    lab.processes_of(&run).into_iter().for_each(kill);
    lab.wait_for_start(&run, 2);
    lab.wait_for_state(&run, State::Running);
    assert_ne!(cluster.ok("squeue", &["-h", "-t", "R", "-o", "%N"]), node);
    assert_eq!(lab.run(&run).attempt, 2);
    lab.behave("finish");
    lab.wait_for_state(&run, State::Finished);
}

#[test]
fn a_controller_that_dies_and_comes_back_loses_nothing() {
    let mut cluster = Cluster::start();
    let (lab, run) = at_work(&cluster, "controller");
    cluster.kill_controller();
    let said = || lab.run(&run).reason.unwrap_or_default();
    wait_for("the trouble to be told", || said().contains("scheduler unreachable"));
    assert_eq!(lab.run(&run).state, State::Running);
    let before = lab.run(&run).progress.step;
    wait_for("metrics to come all the same", || before < lab.run(&run).progress.step);
    cluster.restart_controller();
    wait_for("the trouble to be over", || !said().contains("unreachable"));
    lab.behave("finish");
    lab.wait_for_state(&run, State::Finished);
    assert_eq!(lab.starts(&run).len(), 1);
}

/// Somebody with more rights needs the nodes for a while.
#[test]
fn a_preempted_run_goes_on_afterwards() {
    let cluster = Cluster::with(
        "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
         PartitionName=urgent Nodes=n1,n2 PriorityTier=10 PreemptMode=OFF State=UP",
    );
    let (lab, run) = at_work(&cluster, "preempted");
    let urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null"];
    cluster.ok("sbatch", &[&urgent[..], &["--wrap=sleep 5"]].concat());
    goes_on_and_ends(&lab, &run);
}

/// The same by hand, and held.
#[test]
fn a_run_that_is_requeued_and_held_says_how_it_goes_on() {
    let cluster = Cluster::start();
    let (lab, run) = at_work(&cluster, "taken");
    let job = only_job(&cluster);
    cluster.ok("scontrol", &["requeuehold", &job]);
    let said = || lab.run(&run).reason.unwrap_or_default();
    wait_for("the hold to be told", || said().contains("scontrol release"));
    assert_eq!((lab.run(&run).state, lab.run(&run).attempt), (State::Starting, 2));
    cluster.ok("scontrol", &["release", &job]);
    goes_on_and_ends(&lab, &run);
}

/// Limits are whole minutes: this one takes some.
#[test]
fn a_run_longer_than_its_limit_finishes() {
    if std::env::var("INSTDISC_SLURM").as_deref() != Ok("long") {
        println!("only with INSTDISC_SLURM=long");
        return;
    }
    let cluster = Cluster::start();
    let lab = cluster.lab();
    let more = ["--set", "slurm.time=2", "--set", "slurm.notice=20"];
    let run = lab.queue(&lab.experiment("limited", &[0.0]), &more).remove(0);
    for attempt in 1..=3 {
        crate::support::wait_at_most(std::time::Duration::from_secs(240), "a start", || {
            lab.starts(&run).iter().any(|start| start.attempt == attempt)
        });
    }
    lab.behave("finish");
    lab.wait_for_state(&run, State::Finished);
    let starts = lab.starts(&run);
    assert_eq!(starts.len(), 3);
    assert!(starts[0].resumed < starts[1].resumed && starts[1].resumed < starts[2].resumed);
    assert!(!lab.history(&run).contains(&State::Lost), "{:?}", lab.history(&run));
}
