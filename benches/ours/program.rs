//! The program from outside: a process of its own, on a terminal of its own where it needs one.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use instdisc_lab::lab::Home;
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use super::lab;
use super::screens::{median, resident};
use crate::{Measured, given};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_instdisc-lab");

/// Milliseconds from the start of the process to the frame that shows the runs of a lab of 1,000.
pub fn startup() -> Measured {
    let dir = a_lab(given("BENCH_RUNS", 1000) as u64);
    let times = (0..9).map(|_| Screen::open(dir.path()).spent).collect();
    Measured { value: median(times, "start to first frame"), unit: "ms" }
}

/// Milliseconds of `instdisc-lab runs --format json` in a lab of 10,000 runs.
pub fn runs_json() -> Measured {
    let dir = a_lab(given("BENCH_RUNS", 10_000) as u64);
    let once = |_| {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(dir.path()).args(["runs", "--format", "json"]);
        let begin = Instant::now();
        let output = command.stdin(Stdio::null()).output().unwrap();
        let spent = begin.elapsed();
        assert!(output.status.success() && output.stdout.starts_with(b"["));
        spent
    };
    let times = (0..9).map(once).collect();
    Measured { value: median(times, "runs --format json"), unit: "ms" }
}

/// Share of a core that the open run table of a lab at rest takes, in percent.
pub fn idle() -> Measured {
    let dir = a_lab(1000);
    let screen = Screen::open(dir.path());
    let process = screen.child.process_id().unwrap();
    // What opening has left to do is over after a second.
    std::thread::sleep(Duration::from_secs(1));
    let (before, begin) = (cpu_seconds(process), Instant::now());
    std::thread::sleep(Duration::from_secs(8));
    let spent = cpu_seconds(process) - before;
    Measured { value: spent / begin.elapsed().as_secs_f64() * 100.0, unit: "%" }
}

/// Megabytes that the open run table of a lab of 1,000 runs keeps in memory.
pub fn memory() -> Measured {
    let dir = a_lab(given("BENCH_RUNS", 1000) as u64);
    let screen = Screen::open(dir.path());
    std::thread::sleep(Duration::from_secs(1));
    Measured { value: resident(&screen.child.process_id().unwrap().to_string()), unit: "MB" }
}

fn a_lab(runs: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { lab::filled(&home, runs, 5).await.0.close().await });
    dir
}

/// The open screens; killed when dropped.
pub struct Screen {
    child: Box<dyn Child + Send + Sync>,
    _output: Box<dyn Read + Send>,
    _keys: Box<dyn Write + Send>,
    _terminal: Box<dyn portable_pty::MasterPty + Send>,
    /// From the start of the process to the first run on screen.
    pub spent: Duration,
}

impl Screen {
    pub fn open(home: &Path) -> Self {
        let size = PtySize { rows: 60, cols: 200, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(PROGRAM);
        command.arg("--home");
        command.arg(home);
        command.arg("--readonly");
        command.env("TERM", "xterm-256color");
        let mut output = pair.master.try_clone_reader().unwrap();
        let begin = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut keys = pair.master.take_writer().unwrap();
        let (mut seen, mut bytes, mut answered) = (Vec::new(), [0; 65536], false);
        let spent = loop {
            let n = output.read(&mut bytes).unwrap();
            assert_ne!(n, 0, "the program ended: {}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&bytes[..n]);
            // Every terminal says what it is when it is asked; as xterm does.
            if !answered && seen.windows(3).any(|text| text == b"\x1b[c") {
                keys.write_all(b"\x1b[?64;1;2c").unwrap();
                answered = true;
            }
            if seen.windows(14).any(|text| text == b"bench-00000000") {
                break begin.elapsed();
            }
        };
        Self { child, _output: output, _keys: keys, _terminal: pair.master, spent }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time of a process so far.
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Fields 14 and 15 of proc(5); two stand before the closing parenthesis. Ticks are hundredths of a second.
    let ticks = |i: usize| fields[i - 3].parse::<f64>().unwrap();
    (ticks(14) + ticks(15)) / 100.0
}
