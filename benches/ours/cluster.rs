//! A cluster on paper: the real worker of a login node, with Slurm's commands in the place of Slurm and journals that a
//! thread writes in the place of nodes. 10,000 runs, 1,000 at work, one point a second each.
//!
//! What is measured is ours: how far the run log is behind, what the worker takes, what Slurm is asked, and how the screens
//! open meanwhile. The table goes to standard error; not part of `make bench`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use instdisc_lab::journal::event::{Event, Line, VERSION};
use instdisc_lab::journal::writer::system_clock;
use instdisc_lab::lab::Home;
use instdisc_lab::store::Store;

use super::lab;
use super::program::{PROGRAM, Screen, cpu_seconds};
use crate::{Measured, given};

/// Elements that the simulated Slurm takes in one array.
const ARRAY: usize = 1001;

/// The largest lag of a run's journal, in seconds.
pub fn lag() -> Measured {
    let runs = given("BENCH_RUNS", 10_000);
    let at_work = given("BENCH_AT_WORK", 1_000).min(runs);
    let seconds = given("BENCH_SECONDS", 120);
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path().join("home"));
    fs::create_dir_all(home.root()).unwrap();
    let tools = commands(dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(Store::open(&home)).unwrap();
    let ids =
        runtime.block_on(lab::enqueue_for(&store, &home, runs as u64, Some(Default::default())));

    let begun = Instant::now();
    let worker = Worker(worker(&home, &tools, dir.path()));
    let arrays = runs.div_ceil(ARRAY);
    while submitted(&home) < arrays {
        std::thread::sleep(Duration::from_millis(50));
    }
    let queued = begun.elapsed();
    let at_work = &ids[..at_work];
    tell(&home, dir.path(), at_work);

    let asked_before = asked(dir.path());
    let size_before = size(store.path());
    let (cpu_before, begin) = (cpu_seconds(worker.0.id()), Instant::now());
    let step = Arc::new(AtomicU64::new(0));
    let nodes = nodes(&home, at_work, seconds as u64, &step);
    let mut lags = Vec::new();
    // The first seconds take in a thousand starts at once.
    std::thread::sleep(Duration::from_secs(seconds as u64 / 4));
    while begin.elapsed().as_secs() < seconds as u64 {
        // A sample, as looking at all of them would be a load of its own.
        for id in at_work.iter().step_by(37) {
            let now = step.load(Ordering::Relaxed);
            let read = runtime.block_on(store.journal_position(id)).unwrap().lines;
            // One line for the start.
            lags.push((now + 1).saturating_sub(read));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let spent = begin.elapsed().as_secs_f64();
    let cpu = cpu_seconds(worker.0.id()) - cpu_before;
    let questions = asked(dir.path()) - asked_before;
    let grown = size(store.path()).saturating_sub(size_before);
    let json = runs_json(&home);
    let opened = Screen::open(home.root()).spent;
    nodes.join().unwrap();
    drop(worker);
    lags.sort_unstable();
    let points = at_work.len() as f64 * spent;
    eprintln!("{runs} runs, {} at work, {seconds} s", at_work.len());
    eprintln!("claimed and submitted in {:.1} s, as {arrays} arrays", queued.as_secs_f64());
    eprintln!(
        "journals behind: median {} s, largest {} s",
        lags[lags.len() / 2],
        lags[lags.len() - 1]
    );
    eprintln!("worker: {:.0} % of a core", 100.0 * cpu / spent);
    eprintln!("Slurm was asked {:.1} times a minute", 60.0 * questions as f64 / spent);
    eprintln!("run log: {:.0} bytes a point", grown as f64 / points);
    eprintln!(
        "runs --format json: {} ms; the table opens in {} ms",
        json.as_millis(),
        opened.as_millis()
    );
    Measured { value: lags[lags.len() - 1] as f64, unit: "s" }
}

/// Ended with the measurement.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the worker takes for Slurm.
fn commands(dir: &Path) -> String {
    let tools = dir.join("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(dir.join("queue"), "").unwrap();
    let script = |name: &str, body: &str| {
        let path = tools.join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let here = dir.display();
    script(
        "sbatch",
        &format!("cat > /dev/null; echo x >> {here}/submitted; wc -l < {here}/submitted"),
    );
    script("squeue", &format!("echo x >> {here}/asked; cat {here}/queue"));
    script("scontrol", &format!("echo 'MaxArraySize = {ARRAY}'"));
    script("scancel", "exit 0");
    script("sacct", "exit 1");
    format!("{}:{}", tools.display(), std::env::var("PATH").unwrap())
}

fn worker(home: &Home, path: &str, dir: &Path) -> Child {
    let log = File::create(dir.join("worker.log")).unwrap();
    let mut command = Command::new(PROGRAM);
    command.arg("--home").arg(home.root()).args(["worker", "--launcher", "slurm"]);
    command.env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap()
}

fn submitted(home: &Home) -> usize {
    let folders = fs::read_dir(home.root().join("slurm")).into_iter().flatten().flatten();
    folders.filter(|folder| folder.path().join("job").exists()).count()
}

/// The queue as the simulated `squeue` prints it: these runs are at work, the others wait.
fn tell(home: &Home, dir: &Path, at_work: &[String]) {
    let at_work: HashMap<&str, ()> = at_work.iter().map(|id| (id.as_str(), ())).collect();
    let mut text = String::new();
    for folder in fs::read_dir(home.root().join("slurm")).unwrap().flatten() {
        let name = folder.file_name().into_string().unwrap();
        let job = fs::read_to_string(folder.path().join("job")).unwrap();
        let manifest = fs::read_to_string(folder.path().join("manifest")).unwrap();
        for (element, line) in manifest.lines().enumerate() {
            let run = line.split(' ').next().unwrap();
            let (state, node, reason) = match at_work.contains_key(run) {
                true => ("RUNNING", "n1", "None"),
                false => ("PENDING", "", "JobArrayTaskLimit"),
            };
            writeln!(
                text,
                "{:16}{element:<24}{state:20}{:12}{:48}{node:64}{reason:64}",
                job.trim(),
                0,
                format!("instdisc-{name}"),
            )
            .unwrap();
        }
    }
    fs::write(dir.join("queue.new"), text).unwrap();
    fs::rename(dir.join("queue.new"), dir.join("queue")).unwrap();
}

/// Writes a start and then a point a second into every journal.
fn nodes(
    home: &Home,
    ids: &[String],
    seconds: u64,
    step: &Arc<AtomicU64>,
) -> std::thread::JoinHandle<()> {
    let open = |id: &String| {
        OpenOptions::new().create(true).append(true).open(home.run(id).journal()).unwrap()
    };
    let mut journals: Vec<File> = ids.iter().map(open).collect();
    let step = Arc::clone(step);
    std::thread::spawn(move || {
        let clock = system_clock();
        let mut write = |event: Event, seq: u64| {
            let line = Line { v: VERSION, event, attempt: 1, seq, at: clock() };
            let mut text = serde_json::to_string(&line).unwrap();
            text.push('\n');
            for journal in &mut journals {
                journal.write_all(text.as_bytes()).unwrap();
            }
        };
        write(lab::start(seconds), 0);
        let begin = Instant::now();
        for second in 1..=seconds {
            write(lab::point(second, &lab::NAMES[..1]), second);
            step.store(second, Ordering::Relaxed);
            let next = begin + Duration::from_secs(second);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    })
}

fn asked(dir: &Path) -> usize {
    fs::read_to_string(dir.join("asked")).map_or(0, |text| text.lines().count())
}

fn size(database: &Path) -> u64 {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    length(database) + length(Path::new(&wal))
}

fn runs_json(home: &Home) -> Duration {
    let begin = Instant::now();
    let mut command = Command::new(PROGRAM);
    command.arg("--home").arg(home.root()).args(["runs", "--format", "json"]);
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    begin.elapsed()
}
