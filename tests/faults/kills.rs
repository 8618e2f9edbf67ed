//! `kill -9` at any moment of any of the programs: what was acknowledged is there, nobody runs twice, nothing is
//! misreported.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use instdisc_lab::journal::event::{EndState, Event};
use instdisc_lab::journal::reader::{Position, Reader};
use instdisc_lab::store::State;
use rustix::process::Signal;

use super::{Chance, either, flaws, problems, repair};
use crate::support::terminal::Terminal;
use crate::support::{Lab, is_alive, kill, signal, standin, wait_for};

fn with_slots(n: usize) -> Lab {
    let lab = Lab::new();
    let settings = format!("[workers]\ngrace = 0.25\nslots = {{ cpu = {n} }}\n");
    fs::write(lab.home().settings(), settings).unwrap();
    lab
}

/// How often a run's journal says it finished.
fn finishes(lab: &Lab, id: &str) -> usize {
    let mut reader = Reader::new(lab.dir_of(id).journal(), Position::default());
    let mut n = 0;
    while let Some(batch) = reader.next_batch().unwrap() {
        let ends = batch.lines.iter().filter(
            |line| matches!(&line.event, Event::End(end) if end.state == EndState::Finished),
        );
        n += ends.count();
    }
    n
}

/// Everything to its end, as a person would: whoever was lost too often is put back.
fn bring_to_an_end(lab: &Lab, ids: &[String]) {
    wait_for("every run to finish", || {
        for run in lab.runs() {
            let verb = match run.state {
                State::Finished => continue,
                State::Lost | State::Failed | State::Cancelled => "retry",
                State::Paused => "resume",
                // A worker that was killed leaves its run to the next one.
                _ => "",
            };
            if !verb.is_empty() {
                lab.output(&[verb, &run.id]);
            }
        }
        lab.output(&["worker", "--until-empty"]);
        ids.iter().all(|id| lab.run(id).state == State::Finished)
    });
}

#[test]
fn whoever_is_killed_nothing_acknowledged_is_lost() {
    let mut chance = Chance::new("whoever_is_killed");
    let rounds = either(2, 200);
    let mut n_kills = 0;
    for round in 0..rounds {
        n_kills += one_round(&mut chance, round);
    }
    println!("kills: {rounds} rounds, {n_kills} kills, seed {}", chance.seed);
}

fn one_round(chance: &mut Chance, round: usize) -> u32 {
    let lab = with_slots(2);
    lab.behave("until 12");
    let file = lab.experiment("grid", &[0.0, 1.0, 2.0]);
    let file = file.to_str().unwrap();
    let mut acknowledged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ids = Vec::new();
    let mut terminal = (chance.below(2) == 0).then(|| {
        let trainer = lab.path().join("trainer");
        let env = [("INSTDISC_TRAIN", trainer.to_str().unwrap())];
        Terminal::start(lab.path(), 80, 24, &[], &env)
    });
    let mut n_kills = 0;
    for act in 0..12 {
        // Something is asked for, and somebody dies meanwhile.
        let id: String = ids.get(chance.below(3)).cloned().unwrap_or_default();
        let tag = format!("t{act}");
        let args: Vec<&str> = match chance.below(6) {
            0 | 1 => vec!["queue", file],
            2 if !id.is_empty() => vec!["pause", &id],
            3 if !id.is_empty() => vec!["resume", &id],
            _ if !id.is_empty() => vec!["tag", &id, "--add", &tag],
            _ => vec!["queue", file],
        };
        let mut command = lab.command(&args);
        let child =
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        let child = child.spawn().unwrap();
        let delay = Duration::from_millis(chance.below(60) as u64);
        std::thread::sleep(delay);
        let mut alive = lab.processes();
        if let Some(terminal) = &terminal {
            alive.extend(terminal.child.process_id());
        }
        if !alive.is_empty() {
            kill(alive[chance.below(alive.len())]);
            n_kills += 1;
        }
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            let words = String::from_utf8_lossy(&output.stdout).into_owned();
            if args[0] == "queue" {
                ids = words.lines().map(str::to_owned).collect();
                assert_eq!(ids.len(), 3);
            }
            if args[0] == "tag" {
                acknowledged.entry(id.clone()).or_default().push(tag.clone());
            }
        }
    }
    if let Some(terminal) = &mut terminal {
        kill(terminal.child.process_id().unwrap());
    }
    drop(terminal);
    ids = lab.ok(&["queue", file]).lines().map(str::to_owned).collect();
    bring_to_an_end(&lab, &ids);
    let say = format!("round {round}, seed {}", chance.seed);
    assert_eq!(lab.runs().len(), 3, "{say}");
    for id in &ids {
        let run = lab.run(id);
        let tags = acknowledged.remove(id).unwrap_or_default();
        assert!(tags.iter().all(|tag| run.tags.contains(tag)), "{say}: {tags:?} of {:?}", run.tags);
        assert_eq!(finishes(&lab, id), 1, "{say}");
        let attempts: Vec<u32> = lab.starts(id).iter().map(|start| start.attempt).collect();
        assert!(attempts.windows(2).all(|pair| pair[0] < pair[1]), "{say}: {attempts:?}");
    }
    wait_for("everybody to leave", || lab.processes().is_empty());
    assert_eq!(flaws(&lab), [], "{say}");
    repair(&lab);
    assert_eq!(problems(&lab.home()), [], "{say}");
    n_kills
}

/// What a trainer had measured and its journal lacks, in milliseconds of its own time.
fn lost(lab: &Lab, id: &str) -> i64 {
    let (_, at) = standin::now(lab.dir_of(id).path()).unwrap();
    let mut reader = Reader::new(lab.dir_of(id).journal(), Position::default());
    let mut last = 0;
    while let Some(batch) = reader.next_batch().unwrap() {
        last = batch.lines.iter().map(|line| line.at).fold(last, i64::max);
    }
    at - last
}

#[test]
fn a_killed_trainer_loses_at_most_a_second() {
    let mut chance = Chance::new("a_killed_trainer");
    let lab = with_slots(1);
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    let mut longest = 0;
    for attempt in 1..=either(3, 40) {
        let start = lab.wait_for_start(&id, attempt);
        let from = standin::now(lab.dir_of(&id).path()).map_or(0, |(step, _)| step);
        let more = 20 + chance.below(60) as u64;
        wait_for("some steps", || {
            standin::now(lab.dir_of(&id).path()).is_some_and(|(step, _)| from + more < step)
        });
        // The next worker would put it back and go on writing.
        signal(lab.worker(), Signal::STOP);
        kill(start.pid);
        wait_for("it to be gone", || !is_alive(start.pid));
        longest = longest.max(lost(&lab, &id));
        signal(lab.worker(), Signal::CONT);
        wait_for("it to be settled", || {
            lab.run(&id).attempt != attempt || lab.run(&id).state == State::Lost
        });
        if lab.run(&id).state == State::Lost {
            lab.ok(&["retry", &id]);
        }
    }
    println!("longest loss: {longest} ms, seed {}", chance.seed);
    assert!(longest <= 1000, "{longest} ms");
}

/// Two screens, eight workers, a command line that queues again and again, and somebody who stops and continues
/// processes: every run is started once and finishes once.
#[test]
fn many_at_one_queue_run_everything_once() {
    let mut chance = Chance::new("many_at_one_queue");
    let lab = with_slots(8);
    lab.behave("until 5");
    let lambdas: Vec<f64> = (0..either(16, 120)).map(f64::from).collect();
    let file = lab.experiment("grid", &lambdas);
    let ids = lab.queue(&file, &["--no-start"]);
    let trainer = lab.path().join("trainer");
    let env = [("INSTDISC_TRAIN", trainer.to_str().unwrap())];
    let mut terminals = [0, 1].map(|_| Terminal::start(lab.path(), 80, 24, &[], &env));
    let mut workers: Vec<_> = (0..8)
        .map(|i| lab.command(&["worker", "--slot", &format!("cpu-{i}"), "--until-empty"]))
        .map(|mut command| command.stderr(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let again = lab.queue(&file, &[]);
                assert_eq!(again, ids, "the same runs, whoever asks");
            }
        });
        for _ in 0..either(4, 40) {
            let alive = lab.processes();
            if alive.is_empty() {
                break;
            }
            let victim = alive[chance.below(alive.len())];
            signal(victim, Signal::STOP);
            std::thread::sleep(Duration::from_millis(either(150, 1500)));
            signal(victim, Signal::CONT);
        }
        wait_for("every run to finish", || {
            lab.runs().iter().all(|run| run.state == State::Finished)
        });
        done.store(true, Ordering::Relaxed);
    });
    for terminal in &mut terminals {
        terminal.types("q").ends();
    }
    for worker in &mut workers {
        worker.wait().unwrap();
    }
    wait_for("everybody to leave", || lab.processes().is_empty());
    for id in &ids {
        assert_eq!(lab.starts(id).len(), 1, "{id}, seed {}", chance.seed);
        assert_eq!(finishes(&lab, id), 1);
        assert_eq!(lab.run(id).attempt, 1);
    }
    assert_eq!(problems(&lab.home()), []);
}

/// A frozen container, a debugger, a closed lid: whoever stood still for minutes goes on as if nothing had been, and
/// nobody took his place meanwhile.
#[test]
fn who_stands_still_for_minutes_is_not_replaced() {
    let lab = with_slots(2);
    let file = lab.experiment("two", &[0.0, 1.0]);
    let ids = lab.queue(&file, &[]);
    for id in &ids {
        lab.wait_for_start(id, 1);
        lab.wait_for_state(id, State::Running);
    }
    for victim in [lab.worker(), lab.starts(&ids[0])[0].pid] {
        signal(victim, Signal::STOP);
        std::thread::sleep(Duration::from_secs(either(1, 125)));
        assert_eq!(lab.queue(&file, &[]), ids, "the same runs, whoever asks");
        assert!(
            lab.output(&["worker", "--until-empty"]).status.code() == Some(2),
            "every slot is worked"
        );
        signal(victim, Signal::CONT);
    }
    lab.behave("finish");
    for id in &ids {
        lab.wait_for_state(id, State::Finished);
        assert_eq!((lab.starts(id).len(), finishes(&lab, id), lab.run(id).attempt), (1, 1, 1));
    }
    wait_for("everybody to leave", || lab.processes().is_empty());
    assert_eq!(problems(&lab.home()), []);
}

/// Killed, hung up, stopped: the screen is nobody that a run depends on.
#[test]
fn what_becomes_of_the_screen_changes_nothing() {
    let lab = with_slots(1);
    let id = lab.queue(&lab.experiment("one", &[0.0]), &[]).remove(0);
    lab.wait_for_start(&id, 1);
    lab.wait_for_state(&id, State::Running);
    let moves_on = || {
        let before = lab.run(&id).progress.step;
        wait_for("the run to move on", || before < lab.run(&id).progress.step);
    };
    let open = || {
        let mut terminal = Terminal::start(lab.path(), 100, 30, &[], &[]);
        terminal.shows("one-").shows("1 running");
        terminal
    };
    let killed = open();
    kill(killed.child.process_id().unwrap());
    moves_on();
    let mut hung_up = open();
    hung_up.hang_up();
    hung_up.ends();
    moves_on();
    let stopped = open();
    let screen = stopped.child.process_id().unwrap();
    signal(screen, Signal::STOP);
    moves_on();
    // Nor is anybody else kept waiting by it.
    lab.ok(&["tag", &id, "--add", "seen"]);
    lab.ok(&["pause", &id]);
    lab.wait_for_state(&id, State::Paused);
    kill(screen);
    assert_eq!(lab.starts(&id).len(), 1);
    lab.behave("finish");
    lab.ok(&["resume", &id]);
    lab.wait_for_state(&id, State::Finished);
    wait_for("everybody to leave", || lab.processes().is_empty());
    assert_eq!(problems(&lab.home()), []);
}

/// The trainer that was built, killed wherever it happens to be, until it has finished: the same bits as if nothing
/// had happened.
#[test]
fn a_run_that_is_killed_again_and_again_has_the_same_bits() {
    let mut chance = Chance::new("killed_again_and_again");
    let lab = with_slots(1).with_real_trainer();
    let file = lab.experiment("real", &[1.0]);
    let more = [
        "--no-start",
        "--set",
        "train.epochs=4",
        "--set",
        "train.checkpoint_every=1",
        "--set",
        "eval.every=4",
    ];
    let id = lab.queue(&file, &more).remove(0);
    let train = |lab: &Lab, attempt: u32| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_instdisc-train"));
        command.arg(lab.dir_of(&id).path()).args(["--attempt", &attempt.to_string()]);
        command.spawn().unwrap()
    };
    let whole = lab.copy();
    assert!(train(&whole, 1).wait().unwrap().success());
    let files = |lab: &Lab| -> Vec<(String, Vec<u8>)> { tensors(&lab.dir_of(&id).checkpoints()) };
    let expected = files(&whole);
    for round in 0..either(1, 30) {
        let lab = lab.copy();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut child = train(&lab, attempt);
            let journal = lab.dir_of(&id).journal();
            let len = || fs::metadata(&journal).map_or(0, |file| file.len());
            let (before, more) = (len(), 300 + chance.below(4000) as u64);
            // Three times somewhere on its way, then it is left alone.
            let ended = loop {
                if let Some(status) = child.try_wait().unwrap() {
                    break Some(status);
                }
                if attempt <= 3 && before + more < len() {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            if let Some(status) = ended {
                assert!(status.success());
                break;
            }
        }
        assert!(files(&lab) == expected, "round {round}, seed {}", chance.seed);
        fs::remove_file(lab.home().database()).unwrap();
        repair(&lab);
        assert_eq!(problems(&lab.home()), []);
    }
}

fn tensors(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tensors = files.filter(|path| path.extension().is_some_and(|it| it == "safetensors"));
    let mut all: Vec<_> = tensors
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap())
        })
        .collect();
    all.sort();
    all
}
