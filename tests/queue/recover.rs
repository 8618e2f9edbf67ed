//! Workers and trainers that are killed, stopped, missing or mute.

use std::os::unix::fs::symlink;
use std::time::Duration;
use std::{fs, io};

use instdisc_lab::journal::process::Identity;
use instdisc_lab::journal::writer::system_clock;
use instdisc_lab::lab::RunDir;
use instdisc_lab::queue::Slot;
use instdisc_lab::queue::launcher::{Ending, Found, LaunchError, Launcher, Order, Trainer};
use instdisc_lab::queue::worker::{Left, Stay, Worker};
use instdisc_lab::store::{State, Store};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::support::{Lab, is_alive, kill, signal, wait_for};

const ONCE: [State; 4] = [State::Queued, State::Starting, State::Running, State::Finished];

/// A lab with one run whose stand-in trains, and its id.
fn at_work() -> (Lab, String) {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_start(&id, 1);
    lab.wait_for_state(&id, State::Running);
    (lab, id)
}

#[test]
fn a_killed_worker_leaves_its_trainer_to_the_next_one() {
    let (lab, id) = at_work();
    let trainer = lab.starts(&id)[0].pid;
    let worker = lab.worker();
    kill(worker);
    wait_for("the worker to be gone", || !is_alive(worker));
    assert!(is_alive(trainer));
    assert_eq!(lab.run(&id).state, State::Running);
    let mut next = lab.command(&["worker", "--until-empty"]).spawn().unwrap();
    wait_for("the next worker", || lab.ok(&["workers"]).contains("working"));
    let before = lab.run(&id).progress.step;
    wait_for("its journal to be followed", || before < lab.run(&id).progress.step);
    lab.behave("finish");
    lab.wait_for_state(&id, State::Finished);
    assert!(next.wait().unwrap().success());
    assert_eq!(lab.starts(&id).len(), 1);
    assert_eq!(lab.history(&id), ONCE);
}

#[test]
fn a_trainer_that_finished_without_a_worker_is_settled_by_its_journal() {
    let (lab, id) = at_work();
    let trainer = lab.starts(&id)[0].pid;
    kill(lab.worker());
    lab.behave("finish");
    wait_for("the trainer to finish", || !is_alive(trainer));
    assert_eq!(lab.run(&id).state, State::Running, "nobody has looked yet");
    lab.ok(&["worker", "--until-empty"]);
    assert_eq!(lab.history(&id), ONCE);
    assert_eq!(lab.starts(&id).len(), 1);
}

/// It would have a later worker that only brings a run to its end work the queue.
#[test]
fn a_note_for_a_worker_that_works_the_queue_anyway_does_not_stay() {
    let (lab, _) = at_work();
    let note = lab.home().slots().join("cpu-0.wanted");
    lab.queue(&lab.experiment("two", &[1.0]), &[]);
    wait_for("the note to go", || !note.exists());
    fs::write(&note, "").unwrap();
    wait_for("the next note to go", || !note.exists());
}

/// As after a reboot: what was at work goes on before what was behind it in the queue.
#[test]
fn a_lost_run_keeps_its_place_in_the_queue() {
    let (lab, id) = at_work();
    let behind = lab.queue(&lab.experiment("two", &[1.0]), &[]).remove(0);
    let trainer = lab.starts(&id)[0].pid;
    kill(lab.worker());
    kill(trainer);
    let mut next = lab.command(&["worker", "--until-empty"]).spawn().unwrap();
    lab.wait_for_start(&id, 2);
    assert_eq!(lab.starts(&behind).len(), 0);
    lab.behave("finish");
    lab.wait_for_state(&behind, State::Finished);
    assert!(next.wait().unwrap().success());
}

/// As on a shared disk whose server is away for a moment, while the trainer ends.
#[test]
fn a_journal_that_cannot_be_read_for_a_while_costs_nothing() {
    let (lab, id) = at_work();
    let trainer = lab.starts(&id)[0].pid;
    let journal = lab.dir_of(&id).journal();
    let aside = journal.with_extension("aside");
    fs::rename(&journal, &aside).unwrap();
    symlink(&journal, &journal).unwrap();
    lab.behave("finish");
    wait_for("the trainer to finish", || !is_alive(trainer));
    let log = lab.home().slots().join("cpu-0.log");
    wait_for("the worker to say so", || {
        fs::read_to_string(&log).unwrap_or_default().contains("cannot read")
    });
    assert_eq!(lab.run(&id).state, State::Running);
    fs::remove_file(&journal).unwrap();
    fs::rename(&aside, &journal).unwrap();
    lab.wait_for_state(&id, State::Finished);
    assert_eq!(lab.history(&id), ONCE);
}

/// A pause finds nobody to relay it and starts a worker for that alone; what is queued meanwhile finds the only slot held.
#[test]
fn a_worker_that_only_brings_a_run_to_its_end_takes_what_was_queued_meanwhile() {
    let (lab, id) = at_work();
    kill(lab.worker());
    lab.behave("deaf");
    lab.ok(&["pause", &id]);
    wait_for("a worker for it", || lab.ok(&["workers"]).contains("working"));
    let other = lab.queue(&lab.experiment("two", &[1.0]), &[]).remove(0);
    assert_eq!(lab.run(&other).state, State::Queued);
    lab.behave("finish");
    lab.wait_for_state(&other, State::Finished);
    // What nobody wants to be worked on is left where it is.
    lab.behave("hold");
    let third = lab.queue(&lab.experiment("three", &[2.0]), &[]).remove(0);
    lab.wait_for_start(&third, 1);
    kill(lab.worker());
    lab.behave("deaf");
    lab.ok(&["pause", &third]);
    wait_for("a worker for it", || lab.ok(&["workers"]).contains("working"));
    let waiting = lab.queue(&lab.experiment("four", &[3.0]), &["--no-start"]).remove(0);
    lab.behave("finish");
    wait_for("everybody to leave", || lab.processes().is_empty());
    assert_eq!(lab.run(&waiting).state, State::Queued);
}

#[test]
fn a_stopped_trainer_is_not_started_twice() {
    let (lab, id) = at_work();
    let trainer = lab.starts(&id)[0].pid;
    signal(trainer, Signal::STOP);
    let worker = lab.worker();
    kill(worker);
    let mut next = lab.command(&["worker", "--until-empty"]).spawn().unwrap();
    wait_for("the next worker", || lab.ok(&["workers"]).contains("working"));
    assert_eq!(lab.run(&id).state, State::Running);
    lab.behave("finish");
    signal(trainer, Signal::CONT);
    assert!(next.wait().unwrap().success());
    assert_eq!(lab.history(&id), ONCE);
    assert_eq!(lab.starts(&id).len(), 1);
}

#[test]
fn a_killed_trainer_is_lost_and_goes_on_from_its_checkpoint() {
    let (lab, id) = at_work();
    wait_for("a checkpoint", || lab.dir_of(&id).path().join("step").exists());
    kill(lab.starts(&id)[0].pid);
    let second = lab.wait_for_start(&id, 2);
    assert!(0 < second.resumed);
    lab.behave("finish");
    lab.wait_for_state(&id, State::Finished);
    let mut states = vec![State::Queued, State::Starting, State::Running, State::Lost];
    states.extend(ONCE);
    assert_eq!(lab.history(&id), states);
}

#[test]
fn a_run_that_is_lost_too_often_waits_for_a_person() {
    let (lab, id) = at_work();
    for attempt in 1..=4 {
        kill(lab.wait_for_start(&id, attempt).pid);
    }
    wait_for("it to stay lost", || {
        lab.history(&id).iter().filter(|&&s| s == State::Lost).count() == 4
    });
    wait_for("the worker to leave", || !lab.ok(&["workers"]).contains("cpu-0"));
    let run = lab.run(&id);
    assert_eq!((run.state, run.attempt), (State::Lost, 4));
    assert_eq!(run.reason.unwrap(), "signal: the trainer was killed by signal 9 (KILL)");
    lab.behave("finish");
    lab.ok(&["retry", &id]);
    lab.wait_for_state(&id, State::Finished);
}

#[test]
fn a_trainer_that_exits_without_a_word_has_failed() {
    let lab = Lab::new();
    lab.behave("crash");
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&id, State::Failed);
    let why = lab.run(&id).reason.unwrap();
    assert_eq!(why, "crash: the trainer exited with 3 and left no end record: the sky fell");
}

#[test]
fn a_missing_trainer_is_a_named_failure() {
    let lab = Lab::new();
    std::fs::remove_file(lab.path().join("trainer")).unwrap();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&id, State::Failed);
    let why = lab.run(&id).reason.unwrap();
    assert!(why.starts_with("no trainer at ") && why.contains("make build"), "{why}");
}

/// The journal may name a process number that has gone to somebody else since.
#[test]
fn a_stranger_with_the_trainers_number_is_left_alone() {
    let lab = Lab::new();
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(lab.path().join("pid"), stranger.id().to_string()).unwrap();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&id, State::Running);
    kill(lab.worker());
    kill(lab.wait_for_start(&id, 1).pid);
    // Its number belongs to the stranger now.
    lab.ok(&["cancel", &id]);
    lab.wait_for_state(&id, State::Cancelled);
    assert!(is_alive(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// As where a machine has no descriptors left for a moment: that says nothing about the trainer.
#[test]
fn trouble_that_passes_costs_no_exit_status() {
    let (lab, id) = at_work();
    let worker = lab.worker();
    let descriptors = |most: u64| {
        let pid = Pid::from_raw(worker.cast_signed());
        let limit = Rlimit { current: Some(most), maximum: Some(1024) };
        prlimit(pid, Resource::Nofile, limit).unwrap();
    };
    descriptors(3);
    lab.behave("crash");
    let log = lab.home().slots().join("cpu-0.log");
    let said = || fs::read_to_string(&log).unwrap();
    wait_for("the trouble to be told", || said().contains("cannot follow its processes"));
    assert!(is_alive(worker));
    assert!(lab.run(&id).state.is_active());
    descriptors(1024);
    lab.wait_for_state(&id, State::Failed);
    let reason = lab.run(&id).reason.unwrap();
    assert!(reason.contains("exited with 3") && reason.contains("the sky fell"), "{reason}");
}

/// A launcher of whose trainer nothing is left but its exit status, as a cluster's job leaves it.
struct Gone;

impl Launcher for Gone {
    fn room(&self) -> usize {
        1
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(10)
    }

    fn start(&self, _: &[Order]) -> Vec<Result<Box<dyn Trainer>, LaunchError>> {
        unreachable!("it only looks after what is active")
    }

    fn adopt(&self, _: &RunDir, _: u32, _: Option<&Identity>) -> io::Result<Found> {
        Ok(Found::Ended(Ending::Exited(4)))
    }
}

/// An attempt that says nothing is not given the words of the one before it.
#[test]
fn an_adopted_attempt_does_not_speak_with_the_words_of_an_older_one() {
    let lab = Lab::new();
    lab.behave("crash");
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_state(&id, State::Failed);
    assert!(lab.run(&id).reason.unwrap().contains("the sky fell"));
    lab.behave("hold");
    lab.ok(&["retry", &id]);
    lab.wait_for_start(&id, 2);
    lab.wait_for_state(&id, State::Running);
    kill(lab.worker());
    kill(lab.starts(&id)[1].pid);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let left = runtime.block_on(async {
        let worker = Worker {
            home: lab.home(),
            store: Store::open(&lab.home()).await.unwrap(),
            slot: Slot::new("cpu", 0),
            launcher: Box::new(Gone),
            share: 1,
            grace: Duration::ZERO,
            clock: system_clock(),
            say: Box::new(|_| {}),
        };
        worker.work(Stay::AdoptOnly).await.unwrap()
    });
    assert_eq!(left, Left::Idle);
    let run = lab.run(&id);
    let reason = run.reason.unwrap();
    assert_eq!(run.state, State::Failed);
    assert!(reason.contains("exited with 4") && !reason.contains("sky"), "{reason}");
}
