//! Looks at the machine once a second while its screen is open, on a thread of its own: a driver that is asked about its
//! GPUs may take its time.

mod proc;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::lab::Home;
use crate::machine::gpus;
use crate::machine::proc as system;
use crate::tui::event::{Data, Event};
use crate::tui::machine::{Disk, Gpu, Machine, Process};

use proc::Ticks;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// GPUs are asked every so many looks: a process is started for it.
const GPUS_EVERY: u32 = 3;

/// The screens' end of the thread; dropped, the thread ends.
pub struct Sampler(Sender<bool>);

impl Sampler {
    pub fn start(home: Home, events: Sender<Event>) -> io::Result<Self> {
        let (watch, watched) = mpsc::channel();
        let thread = std::thread::Builder::new().name("machine".into());
        thread.spawn(move || Sampling::new(home).serve(&watched, &events))?;
        Ok(Self(watch))
    }

    /// Whether somebody looks.
    pub fn watch(&self, watched: bool) {
        // A thread that is gone has said so by its panic.
        let _ = self.0.send(watched);
    }
}

struct Sampling {
    home: Home,
    looks: u32,
    /// As of the last look: when, each processor's times, each process's ticks.
    at: Option<Instant>,
    cores: Vec<system::Times>,
    ticks: HashMap<u32, Ticks>,
    gpus: Result<Vec<Gpu>, String>,
}

impl Sampling {
    fn new(home: Home) -> Self {
        let (cores, ticks) = (Vec::new(), HashMap::new());
        Self { home, looks: 0, at: None, cores, ticks, gpus: Ok(Vec::new()) }
    }

    fn serve(mut self, watched: &Receiver<bool>, events: &Sender<Event>) {
        let mut looking = false;
        loop {
            let told = match looking {
                true => watched.recv_timeout(EVERY),
                false => watched.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match told {
                Ok(now) => looking = now,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if looking && events.send(Event::Data(Data::Machine(Box::new(self.look())))).is_err() {
                return;
            }
        }
    }

    fn look(&mut self) -> Machine {
        let read = |path: &str| fs::read_to_string(path).ok();
        let now = Instant::now();
        let since = self.at.replace(now).map(|at| (now - at).as_secs_f64());
        if self.looks.is_multiple_of(GPUS_EVERY) {
            self.gpus = gpus::ask();
        }
        self.looks = self.looks.wrapping_add(1);
        let times = read("/proc/stat").map(|text| system::times(&text)).unwrap_or_default();
        let cores = system::busy(&self.cores, &times);
        self.cores = times;
        Machine {
            processor: read("/proc/cpuinfo").and_then(|text| system::processor(&text)),
            cores,
            load: read("/proc/loadavg").and_then(|text| system::load(&text)),
            memory: read("/proc/meminfo").and_then(|text| system::memory(&text)),
            disk: disk(self.home.root()),
            store: self.store(),
            gpus: self.gpus.clone(),
            processes: self.processes(since),
        }
    }

    fn store(&self) -> Option<(u64, u64)> {
        let path = crate::store::location(&self.home).ok()?;
        let length = |path: PathBuf| fs::metadata(path).map(|file| file.len());
        let mut wal = path.clone().into_os_string();
        wal.push("-wal");
        // Without readers and writers there is no write-ahead log.
        Some((length(path).ok()?, length(wal.into()).unwrap_or(0)))
    }

    /// Trainers and workers of this lab, with what they took since the last look.
    fn processes(&mut self, since: Option<f64>) -> Vec<Process> {
        let home = fs::canonicalize(self.home.root()).unwrap_or_else(|_| self.home.root().into());
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut pids: Vec<u32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        let mut ticks = HashMap::new();
        let mut found = Vec::new();
        for pid in pids {
            let folder = PathBuf::from(format!("/proc/{pid}"));
            let Ok(line) = fs::read(folder.join("cmdline")) else { continue };
            let Some(role) = proc::role(&line, &home) else { continue };
            let stat = fs::read_to_string(folder.join("stat")).ok();
            let now = stat.and_then(|text| proc::ticks(&text));
            let before = self.ticks.get(&pid);
            let processors = now
                .zip(before)
                .zip(since)
                .and_then(|((now, before), since)| now.since(before, since));
            ticks.extend(now.map(|now| (pid, now)));
            let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
            let field = |name: &str| system::field(&status, name);
            let memory = field("VmRSS").map(|kib| kib * 1024);
            let threads = field("Threads").and_then(|n| u32::try_from(n).ok());
            found.push(Process { pid, role, processors, memory, threads });
        }
        self.ticks = ticks;
        found
    }
}

/// Room on the file system that `folder`, or the nearest folder above it, lies on.
pub fn disk(folder: &Path) -> Option<Disk> {
    let told = folder.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok())?;
    let bytes = |blocks: u64| blocks.saturating_mul(told.f_frsize);
    Some(Disk { total: bytes(told.f_blocks), free: bytes(told.f_bavail) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::machine::Role;

    #[test]
    fn this_machine_is_told_without_inventing() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("lab"));
        let mut sampling = Sampling::new(home.clone());
        let first = sampling.look();
        assert_eq!(first.cores, None, "how busy is not known from one look");
        assert!(first.disk.is_some_and(|disk| 0 < disk.total && disk.free <= disk.total));
        assert_eq!((first.store, first.processes), (None, Vec::new()));
        let second = sampling.look();
        let cores = second.cores.unwrap();
        assert!(!cores.is_empty() && cores.iter().all(|busy| (0.0..=1.0).contains(busy)));
        assert!(second.memory.is_some_and(|m| m.available <= m.total));
    }

    #[test]
    fn a_trainer_of_this_lab_is_found_with_what_it_takes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let run = home.run("x-1");
        fs::create_dir_all(run.path()).unwrap();
        // A shell under the trainer's name.
        let name = dir.path().join("instdisc-train");
        std::os::unix::fs::symlink("/bin/sh", &name).unwrap();
        let mut child = std::process::Command::new(&name)
            .args(["-c", "read line", run.path().to_str().unwrap()])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut sampling = Sampling::new(home);
        sampling.look();
        let found = sampling.look().processes;
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].pid, &found[0].role), (child.id(), &Role::Trainer("x-1".into())));
        assert!(found[0].memory.is_some_and(|bytes| bytes > 0) && found[0].threads == Some(1));
        assert!(found[0].processors.is_some_and(|busy| busy >= 0.0));
    }
}
