//! A real lab in a temporary folder: the real `instdisc-lab`, its real workers, and a trainer that does as it is told.

pub mod faults;
pub mod standin;
pub mod terminal;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use instdisc_lab::journal::process::Identity;
use instdisc_lab::lab::{Home, RunDir};
use instdisc_lab::store::{RunRow, State, Store, StoreError};

/// Longer than anything here takes on a busy machine with one core.
const DEADLINE: Duration = Duration::from_secs(120);

/// Waits until `holds`, looking often; a test is as quick as what it waits for.
///
/// Fails the test with `what` when it takes too long.
pub fn wait_for(what: &str, holds: impl FnMut() -> bool) {
    wait_at_most(DEADLINE, what, holds);
}

/// As [`wait_for`], for what takes its time by nature.
pub fn wait_at_most(time: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + time;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A lab with nothing in it. Dropped, it takes every process that works for it along.
pub struct Lab {
    dir: tempfile::TempDir,
    trainer: PathBuf,
    /// What its programs find in their environment.
    env: Vec<(&'static str, OsString)>,
}

impl Lab {
    /// Its trainer is the stand-in (see [`standin`]), and a cancel is patient for a quarter of a second.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("instdisc-lab-test-").tempdir().unwrap();
        let trainer = standin::install(dir.path());
        fs::create_dir(dir.path().join("home")).unwrap();
        let lab = Self { dir, trainer, env: Vec::new() };
        fs::write(lab.home().settings(), "[workers]\ngrace = 0.25\nslots = { cpu = 1 }\n").unwrap();
        lab
    }

    /// The same lab with the trainer that was built.
    pub fn with_real_trainer(mut self) -> Self {
        self.trainer = env!("CARGO_BIN_EXE_instdisc-train").into();
        self
    }

    /// From now on its programs find this in their environment.
    #[allow(dead_code, reason = "how the Slurm tests put a cluster before a lab")]
    pub fn env(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.env.push((name, value.into()));
    }

    /// Another lab with the same home, while no process is at work in it.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        fs::remove_dir_all(copy.home().root()).unwrap();
        copy_all(self.home().root(), copy.home().root());
        let behaviour = self.path().join(standin::BEHAVIOUR);
        if behaviour.exists() {
            fs::copy(behaviour, copy.path().join(standin::BEHAVIOUR)).unwrap();
        }
        copy
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn home(&self) -> Home {
        Home::new(self.dir.path().join("home"))
    }

    pub fn dir_of(&self, id: &str) -> RunDir {
        self.home().run(id)
    }

    /// Tells stand-in trainers of this lab how to behave from now on (see [`standin`]).
    pub fn behave(&self, behaviour: &str) {
        let path = self.path().join(standin::BEHAVIOUR);
        let new = path.with_extension("new");
        fs::write(&new, behaviour).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// Writes an experiment over `lambda` on a few built-in images and returns its path.
    pub fn experiment(&self, name: &str, lambdas: &[f64]) -> PathBuf {
        let path = self.path().join(format!("{name}.toml"));
        let text = format!(
            "name = \"{name}\"\nquestion = \"Does it run?\"\n\n[base]\ndata.dataset = \"shapes\"\ndata.fraction = 0.01\n\
             model = {{ backbone = \"resnet_small\", width = 0.25, dim = 16 }}\n\
             objective = {{ kind = \"nonparametric\" }}\n\
             train = {{ epochs = 2, batch_size = 16, threads = 1, precision = \"fp32\" }}\n\
             eval = {{ knn_k = 5 }}\n\n[grid]\n\"objective.lambda\" = {lambdas:?}\n"
        );
        fs::write(&path, text).unwrap();
        path
    }

    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_instdisc-lab")), args)
    }

    /// As [`Lab::command`], by another copy of the program.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env("INSTDISC_LAB_HOME", self.home().root());
        command.env("INSTDISC_TRAIN", &self.trainer);
        // Tests share the cores: threads that wait for one another by spinning take most of what there is.
        command.env("OMP_WAIT_POLICY", "PASSIVE");
        command.envs(self.env.iter().cloned());
        command.current_dir(self.path()).stdin(Stdio::null()).args(args);
        command
    }

    /// Runs a subcommand to its end, whatever that is.
    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a subcommand that has to succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {:?}\n{errors}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Queues `file` with `more` options; the run ids.
    pub fn queue(&self, file: &Path, more: &[&str]) -> Vec<String> {
        let mut args = vec!["queue", file.to_str().unwrap()];
        args.extend(more);
        self.ok(&args).lines().map(str::to_owned).collect()
    }

    /// Asks the run log, without a process in between.
    pub fn ask<T>(&self, question: impl AsyncFn(&Store) -> Result<T, StoreError>) -> T {
        self.block_on(async {
            let store = Store::open_readonly(&self.home()).await.unwrap();
            question(&store).await.unwrap()
        })
    }

    /// As [`Lab::ask`], where the answer may be a refusal.
    pub fn try_ask<T>(
        &self,
        question: impl AsyncFn(&Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.block_on(async { question(&Store::open_readonly(&self.home()).await?).await })
    }

    fn block_on<T>(&self, question: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(question)
    }

    /// None while there is no run log yet.
    pub fn runs(&self) -> Vec<RunRow> {
        self.block_on(async {
            match Store::open_readonly(&self.home()).await {
                Ok(store) => store.runs().await.unwrap(),
                Err(StoreError::Missing { .. }) => Vec::new(),
                Err(why) => panic!("{why}"),
            }
        })
    }

    pub fn run(&self, id: &str) -> RunRow {
        self.ask(async |store| store.run(id).await)
    }

    /// Its loss curve to the last bit, by step.
    #[allow(dead_code, reason = "what the Slurm tests compare")]
    pub fn losses(&self, id: &str) -> Vec<(u64, u64)> {
        let points = self.ask(async |store| store.curve(id, "loss", None).await);
        points.iter().map(|point| (point.step, point.value.to_bits())).collect()
    }

    /// The states that a run went through, from the first one on.
    pub fn history(&self, id: &str) -> Vec<State> {
        self.ask(async |store| store.history(id).await)
            .into_iter()
            .map(|change| change.to)
            .collect()
    }

    pub fn wait_for_state(&self, id: &str, state: State) {
        wait_for(&format!("{id} to be {state}"), || self.run(id).state == state);
    }

    /// What stand-in trainers did on a run: one line a start.
    pub fn starts(&self, id: &str) -> Vec<standin::StartLine> {
        standin::starts(self.dir_of(id).path())
    }

    /// Waits until the stand-in of attempt `attempt` trains; its process.
    pub fn wait_for_start(&self, id: &str, attempt: u32) -> standin::StartLine {
        let started = || self.starts(id).into_iter().find(|start| start.attempt == attempt);
        wait_for(&format!("attempt {attempt} of {id}"), || started().is_some());
        started().unwrap()
    }

    /// The process of the worker of a slot that is worked now.
    pub fn worker(&self) -> u32 {
        let workers = self.ask(async |store| store.workers().await);
        workers.iter().map(|worker| worker.process.pid).find(|&pid| is_alive(pid)).unwrap()
    }

    /// Every living process that works for this lab.
    pub fn processes(&self) -> Vec<u32> {
        processes_that_mention(self.path())
    }

    /// Every living process of one run, whatever its group and session.
    pub fn processes_of(&self, id: &str) -> Vec<u32> {
        processes_that_mention(self.dir_of(id).path())
    }
}

/// A folder with everything in it.
pub fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// By its arguments or its environment.
fn processes_that_mention(path: &Path) -> Vec<u32> {
    let needle = path.to_str().unwrap().as_bytes();
    let mentions = |pid: u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            text.windows(needle.len()).any(|window| window == needle)
        })
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| pid != std::process::id() && mentions(pid)).collect()
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A killed worker cannot start another trainer, but a trainer may be between the two looks.
        while !self.processes().is_empty() {
            self.processes().into_iter().for_each(kill);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// `kill -9`, until it is dead: a dying process has lost its arguments, by which [`Lab::processes`] knows it, before it
/// lets its locks go.
pub fn kill(pid: u32) {
    let Ok(process) = Identity::of(pid) else { return };
    signal(pid, rustix::process::Signal::KILL);
    wait_for(&format!("{pid} to die"), || !process.is_alive());
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Whether a process runs; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    Identity::of(pid).is_ok_and(|process| process.is_alive())
}

/// Processor time that a process has used so far, in clock ticks (a hundredth of a second on Linux).
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field after it.
    let after = stat.rsplit(')').next().unwrap();
    let fields: Vec<&str> = after.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
