//! A trainer without tensors: keeps the trainer's contract through the real journal, and misbehaves on demand.
//!
//! It is this test binary, started again by a one-line script with `STANDIN` set: [`trainer`] is a test that does
//! nothing otherwise. A word in the file `behaviour` of the lab's folder says what it does:
//!
//! - `hold` (as without the file): trains until told otherwise or stopped,
//! - `until N`: trains until step N and ends as finished,
//! - `finish`: ends as finished, `fail`: ends with a named failure,
//! - `crash`: exits with 3 and no word, `quit` as 75 but without an end record,
//! - `deaf`: like `hold`, but ignores TERM, and starts three helpers that ignore it too: one in its group, one in a
//!   session of its own, and a daemon whose parent is gone and whose environment is empty.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use instdisc_lab::journal::event::{
    Better, End, EndState, Event, MetricInfo, Number, Point, Start,
};
use instdisc_lab::journal::process::Identity;
use instdisc_lab::journal::writer::{Writer, system_clock};
use instdisc_lab::lab::RunDir;

pub const BEHAVIOUR: &str = "behaviour";

/// Writes the script that is this lab's trainer.
pub fn install(lab: &Path) -> PathBuf {
    let path = lab.join("trainer");
    let me = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nSTANDIN=\"$*\" exec '{}' --exact support::standin::trainer --nocapture --quiet\n",
        me.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// One start of a stand-in, written once it holds `run.lock` and has said so in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct StartLine {
    pub attempt: u32,
    pub pid: u32,
    pub resumed: u64,
    pub fresh: bool,
}

pub fn starts(run: &Path) -> Vec<StartLine> {
    let text = fs::read_to_string(run.join("starts")).unwrap_or_default();
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| {
        let fields: Vec<u64> = line.split(' ').map(|field| field.parse().unwrap()).collect();
        StartLine {
            attempt: fields[0] as u32,
            pid: fields[1] as u32,
            resumed: fields[2],
            fresh: fields[3] == 1,
        }
    };
    complete.lines().map(parse).collect()
}

#[test]
fn trainer() {
    if let Ok(args) = std::env::var("STANDIN") {
        train(&args.split(' ').collect::<Vec<_>>());
    }
}

fn train(args: &[&str]) -> ! {
    let dir = RunDir::new(args[0]);
    let after = |flag: &str| args.iter().position(|arg| *arg == flag).map(|at| args[at + 1]);
    let attempt: u32 = after("--attempt").unwrap().parse().unwrap();
    let fresh = args.contains(&"--fresh");
    let lab = dir.path().ancestors().nth(3).unwrap().to_owned();
    let behaviour = || fs::read_to_string(lab.join(BEHAVIOUR)).unwrap_or_default();

    let lock =
        OpenOptions::new().create(true).truncate(false).write(true).open(dir.lock()).unwrap();
    super::wait_for("run.lock", || lock.try_lock().is_ok());
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGUSR1] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).unwrap();
    }

    let checkpoint = dir.path().join("step");
    let stored = fs::read_to_string(&checkpoint).ok().and_then(|text| text.parse().ok());
    let resumed: u64 = if fresh { 0 } else { stored.unwrap_or(0) };
    let journal = Writer::open(&dir, attempt, system_clock()).unwrap();
    journal.write(Event::Start(start(&lab, resumed, after("--device").unwrap()))).unwrap();
    journal.sync().unwrap();
    if behaviour().contains("deaf") {
        helpers(dir.path());
    }
    let line = format!("{attempt} {} {resumed} {}\n", std::process::id(), u8::from(fresh));
    let mut log =
        OpenOptions::new().create(true).append(true).open(dir.path().join("starts")).unwrap();
    log.write_all(line.as_bytes()).unwrap();

    let mut step = resumed;
    loop {
        step += 1;
        let m = [("loss".to_owned(), Number(1.0 / step as f64))].into();
        journal
            .write(Event::Point(Point { step, epoch: step as f64 / 10.0, sec: 0.0, m }))
            .unwrap();
        let end = |state| End { state, step, reason: format!("{state:?}").to_lowercase() };
        let asked = stop.load(Ordering::Relaxed);
        let wish = behaviour();
        tell_now(dir.path(), step);
        match wish.trim() {
            _ if wish
                .trim()
                .strip_prefix("until ")
                .is_some_and(|n| n.parse::<u64>().unwrap() <= step) =>
            {
                journal.finish(end(EndState::Finished)).unwrap();
                exit(0)
            }
            "finish" => {
                journal.finish(end(EndState::Finished)).unwrap();
                exit(0)
            }
            "fail" => {
                journal.finish(end(EndState::Failed)).unwrap();
                exit(1)
            }
            "crash" => {
                eprintln!("the sky fell");
                exit(3)
            }
            "deaf" => {}
            _ if asked => {
                fs::write(&checkpoint, step.to_string()).unwrap();
                journal.finish(end(EndState::Stopped)).unwrap();
                exit(75)
            }
            _ => {
                fs::write(checkpoint.with_extension("new"), step.to_string()).unwrap();
                fs::rename(checkpoint.with_extension("new"), &checkpoint).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// How far it is, past the journal: what a killed one had measured can be held against what its journal has.
fn tell_now(run: &Path, step: u64) {
    let at = system_clock()();
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(run.join("now"));
    let _ = std::os::unix::fs::FileExt::write_all_at(
        &file.unwrap(),
        format!("{step:>20} {at:>20}").as_bytes(),
        0,
    );
}

/// Step and time of the last step that a stand-in made.
pub fn now(run: &Path) -> Option<(u64, i64)> {
    let text = fs::read_to_string(run.join("now")).ok()?;
    let (step, at) = text.trim().split_once(' ')?;
    Some((step.parse().ok()?, at.trim().parse().ok()?))
}

/// Three processes that only KILL ends; one leaves the group and the session, one also its parent and its environment.
/// That one is known to the tests by its arguments alone.
#[expect(clippy::zombie_processes, reason = "they are there to be left behind")]
fn helpers(run: &Path) {
    let deaf = "trap '' TERM; while :; do sleep 1; done";
    let daemon = format!("setsid env -i sh -c \"$0\" {} &", run.display());
    let status = Command::new("sh").args(["-c", &daemon, deaf]).stdin(Stdio::null()).status();
    assert!(status.unwrap().success());
    for program in ["sh", "setsid"] {
        let args: &[&str] = if program == "sh" { &["-c", deaf] } else { &["sh", "-c", deaf] };
        let null = || Stdio::null();
        Command::new(program)
            .args(args)
            .stdin(null())
            .stdout(null())
            .stderr(null())
            .spawn()
            .unwrap();
    }
}

/// A file `pid` in the lab's folder has it claim another process's number, as if that had been reused since.
fn start(lab: &Path, resumed_step: u64, device: &str) -> Start {
    let me = Identity::current().unwrap();
    let claimed = fs::read_to_string(lab.join("pid")).ok().map(|pid| pid.parse().unwrap());
    let metric =
        |name: &str| MetricInfo { name: name.into(), unit: String::new(), better: Better::Lower };
    Start {
        pid: claimed.unwrap_or(me.pid),
        boot_id: me.boot_id,
        start_ticks: me.start_ticks,
        device: device.into(),
        threads: 1,
        precision: "fp32".into(),
        resumed_step,
        steps: 1_000_000,
        epochs: 100_000,
        resume: "exact".into(),
        metrics: vec![metric("loss")],
        host: None,
        job: None,
    }
}
