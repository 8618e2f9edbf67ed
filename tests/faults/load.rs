//! Many at once and for long: waits and files stay bounded, nothing grows with the number of runs done.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use instdisc_lab::journal::event::{Event, Line, Number, Point, VERSION};
use instdisc_lab::store::{State, Store, catch_up};

use super::{either, problems};
use crate::support::terminal::Terminal;
use crate::support::{Lab, wait_for};

fn journal(steps: std::ops::Range<u64>) -> Vec<u8> {
    let mut text = Vec::new();
    for step in steps {
        let m = [("loss".to_owned(), Number(1.0 / (1 + step) as f64))].into();
        let event = Event::Point(Point { step, epoch: 0.0, sec: step as f64, m });
        serde_json::to_writer(&mut text, &Line { v: VERSION, event, attempt: 1, seq: step, at: 1 })
            .unwrap();
        text.push(b'\n');
    }
    text
}

fn alone() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sixteen writers with a connection each, four readers that look without a pause, and one that holds on to what it
/// sees for as long as a slow terminal may take.
#[test]
fn readers_keep_no_writer_waiting_and_the_write_ahead_log_small() {
    let lab = Lab::new();
    let lambdas: Vec<f64> = (0..16).map(f64::from).collect();
    let ids = lab.queue(&lab.experiment("many", &lambdas), &["--no-start"]);
    let (batches, points) = (either(4, 60), 1000);
    let done = AtomicBool::new(false);
    let home = lab.home();
    let began = Instant::now();
    let mut largest = 0;
    let waits: Vec<Duration> = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                alone().block_on(async {
                    let store = Store::open_readonly(&home).await.unwrap();
                    while !done.load(Ordering::Relaxed) {
                        store.runs().await.unwrap();
                        store.curve(&ids[0], "loss", None).await.unwrap();
                    }
                });
            });
        }
        let writers: Vec<_> = ids
            .iter()
            .map(|id| {
                let (home, dir) = (&home, lab.dir_of(id));
                scope.spawn(move || {
                    alone().block_on(async {
                        let store = Store::open(home).await.unwrap();
                        let mut longest = Duration::ZERO;
                        for batch in 0..batches {
                            let text = journal(batch * points..(batch + 1) * points);
                            let mut file = fs::OpenOptions::new()
                                .create(true)
                                .append(true)
                                .open(dir.journal())
                                .unwrap();
                            std::io::Write::write_all(&mut file, &text).unwrap();
                            let began = Instant::now();
                            catch_up(&store, id, &dir).await.unwrap();
                            longest = longest.max(began.elapsed());
                        }
                        longest
                    })
                })
            })
            .collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            let wal = lab.home().root().join("lab.db-wal");
            largest = largest.max(fs::metadata(wal).map_or(0, |file| file.len()));
            std::thread::sleep(Duration::from_millis(5));
        }
        done.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let n = 16 * batches * points;
    let longest = waits.into_iter().max().unwrap();
    println!(
        "{n} points by 16 writers in {:?}, longest wait {longest:?}, write-ahead log {} MB",
        began.elapsed(),
        largest >> 20
    );
    assert!(largest < 256 << 20, "{largest} bytes");
    assert!(longest < Duration::from_secs(30), "{longest:?}");
    for id in &ids {
        let curve = lab.ask(async |store| store.curve(id, "loss", None).await);
        assert_eq!(curve.len() as u64, batches * points);
    }
    assert_eq!(problems(&lab.home()), []);
}

/// Resident bytes and open files of a process.
fn size_of(pid: u32) -> Option<(u64, usize)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kb: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some((kb << 10, fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count()))
}

/// Two workers drain a queue of short runs while a screen watches: the ninth tenth finds them no larger than the third
/// one did. What is open for a moment (a journal, a connection lent to somebody) is no growth, so the most that the
/// early tenth saw is held against the least that the late one saw.
#[test]
fn a_long_queue_leaves_no_trace_in_memory() {
    let lab = Lab::new();
    fs::write(lab.home().settings(), "[workers]\ngrace = 0.25\nslots = { cpu = 2 }\n").unwrap();
    lab.behave("finish");
    let n = either(30, 2000);
    let lambdas: Vec<f64> = (0..n).map(|i| i as f64 / 16.0).collect();
    let began = Instant::now();
    let ids = lab.queue(&lab.experiment("many", &lambdas), &["--no-start"]);
    let queued_in = began.elapsed();
    let mut terminal = Terminal::start(lab.path(), 100, 30, &[], &[]);
    terminal.shows("many-");
    let screen = terminal.child.process_id().unwrap();
    let mut workers = [0, 1].map(|i| {
        let mut command = lab.command(&["worker", "--slot", &format!("cpu-{i}"), "--until-empty"]);
        command.stderr(std::process::Stdio::null()).spawn().unwrap()
    });
    let pids = [screen, workers[0].id(), workers[1].id()];
    let finished = || lab.runs().iter().filter(|run| run.state == State::Finished).count();
    let deadline = Instant::now() + Duration::from_secs(either(120, 3600));
    // The sizes seen until so many tenths are done, a list for each process.
    let reach = |tenths: usize| {
        let mut seen: [Vec<(u64, usize)>; 3] = Default::default();
        loop {
            for (seen, pid) in seen.iter_mut().zip(pids) {
                seen.extend(size_of(pid));
            }
            if finished() >= n * tenths / 10 {
                return seen;
            }
            assert!(Instant::now() < deadline, "{} of {n} finished", finished());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    reach(2);
    let early = reach(3);
    reach(8);
    let late = reach(9);
    reach(10);
    for worker in &mut workers {
        assert!(worker.wait().unwrap().success());
    }
    println!("{n} runs queued in {queued_in:?}, drained after {:?}", began.elapsed());
    for (early, late) in early.iter().zip(&late) {
        let memory = (early.iter().map(|size| size.0).max(), late.iter().map(|size| size.0).min());
        let files = (early.iter().map(|size| size.1).max(), late.iter().map(|size| size.1).min());
        println!("bytes {memory:?}, open files {files:?}");
        let (Some(before), Some(after)) = memory else { panic!("a process went away early") };
        // A row more a run, a few caches; nothing that doubles.
        assert!(after < before + before / 2 + (8 << 20), "memory: {early:?}, then {late:?}");
        let (Some(before), Some(after)) = files else { panic!("a process went away early") };
        assert!(after <= before + 4, "open files: {early:?}, then {late:?}");
    }
    terminal.types("q").ends();
    assert!(ids.iter().all(|id| lab.starts(id).len() == 1));
    wait_for("everybody to leave", || lab.processes().is_empty());
    assert_eq!(problems(&lab.home()), []);
}
