//! A real Slurm on this machine: munge, a controller and two nodes on loopback, with a state folder of their own, ended with
//! the test.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::support::{Lab, is_alive, kill, wait_for};

/// Two cores carry one cluster at a time.
static ONE: Mutex<()> = Mutex::new(());

pub struct Cluster {
    dir: tempfile::TempDir,
    munge: Child,
    controller: Child,
    nodes: [Child; 2],
    _alone: MutexGuard<'static, ()>,
}

impl Cluster {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines of `slurm.conf`.
    pub fn with(more: &str) -> Self {
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::Builder::new().prefix("instdisc-slurm-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let munge = munge(dir.path());
        fs::write(dir.path().join("slurm.conf"), configuration(dir.path(), more)).unwrap();
        // The second version wants systemd; the first one's start touches nothing.
        fs::write(dir.path().join("cgroup.conf"), "CgroupPlugin=cgroup/v1\n").unwrap();
        for folder in ["state", "spool.n1", "spool.n2"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let controller = daemon(dir.path(), "slurmctld", &["-D"]);
        let nodes = ["n1", "n2"].map(|node| daemon(dir.path(), "slurmd", &["-D", "-N", node]));
        let cluster = Self { dir, munge, controller, nodes, _alone: alone };
        wait_for("both nodes to be idle", || {
            let states = cluster.ask("sinfo", &["-h", "-N", "-o", "%T"]);
            let states = String::from_utf8_lossy(&states.stdout).into_owned();
            // A line for each partition that a node is in.
            2 <= states.lines().count() && states.lines().all(|state| state == "idle")
        });
        cluster
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("slurm.conf")
    }

    /// A lab whose programs and workers have this cluster before them.
    pub fn lab(&self) -> Lab {
        let mut lab = Lab::new();
        lab.env("SLURM_CONF", self.conf());
        let text = "[workers]\ngrace = 2.0\nlauncher = \"slurm\"\n[slurm]\npoll = 1\nsettle = 3\n";
        fs::write(lab.home().settings(), text).unwrap();
        lab
    }

    /// From now on the programs of `lab` find this shell script in the place of a command of Slurm's. `REAL` in it is that
    /// command.
    pub fn stand_in(&self, lab: &mut Lab, command: &str, script: &str) {
        let tools = lab.path().join("tools");
        fs::create_dir_all(&tools).unwrap();
        let real = String::from_utf8(self.ask("which", &[command]).stdout).unwrap();
        let script = format!("#!/bin/bash\n{}", script.replace("REAL", real.trim()));
        fs::write(tools.join(command), script).unwrap();
        fs::set_permissions(tools.join(command), fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        lab.env("PATH", format!("{}:{path}", tools.display()));
    }

    pub fn ask(&self, command: &str, options: &[&str]) -> Output {
        let mut call = Command::new(command);
        call.args(options).env("SLURM_CONF", self.conf()).stdin(Stdio::null());
        call.output().unwrap()
    }

    /// A command of Slurm that has to succeed.
    pub fn ok(&self, command: &str, options: &[&str]) -> String {
        let output = self.ask(command, options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command} {options:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `<array>_<element>` and state of each job that the queue knows.
    pub fn jobs(&self) -> Vec<(String, String)> {
        // A busy controller may leave a question without an answer.
        let mut text = String::new();
        wait_for("an answer to squeue", || {
            let output = self.ask("squeue", &["-h", "-r", "-t", "all", "-o", "%i|%T"]);
            text = String::from_utf8_lossy(&output.stdout).into_owned();
            output.status.success()
        });
        let pair = |line: &str| {
            let (id, state) = line.split_once('|').unwrap();
            (id.to_owned(), state.to_owned())
        };
        text.lines().map(pair).collect()
    }

    /// Numbers of the arrays that the queue knows.
    pub fn arrays(&self) -> BTreeSet<String> {
        let jobs = self.jobs();
        jobs.iter().filter_map(|(id, _)| Some(id.split_once('_')?.0.to_owned())).collect()
    }

    pub fn kill_controller(&mut self) {
        kill(self.controller.id());
        self.controller.wait().unwrap();
    }

    pub fn restart_controller(&mut self) {
        self.controller = daemon(self.dir.path(), "slurmctld", &["-D"]);
        wait_for("the controller", || self.ask("scontrol", &["ping"]).status.success());
    }

    /// The daemon of a node; what ran there lives on.
    pub fn kill_node(&mut self, node: usize) {
        kill(self.nodes[node].id());
        self.nodes[node].wait().unwrap();
    }

    /// What the daemons have to say, where a test fails.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("slurmctld.log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("slurmctld, the last first:\n{}", tail.join("\n"));
        }
        let [one, two] = &mut self.nodes;
        for child in [one, two, &mut self.controller, &mut self.munge] {
            if is_alive(child.id()) {
                kill(child.id());
            }
            let _ = child.wait();
        }
    }
}

fn munge(dir: &Path) -> Child {
    let key: Vec<u8> = {
        let mut bytes = vec![0; 1024];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        bytes
    };
    let path = |name: &str| dir.join(name).display().to_string();
    fs::write(dir.join("munge.key"), key).unwrap();
    fs::set_permissions(dir.join("munge.key"), fs::Permissions::from_mode(0o400)).unwrap();
    let options = [
        "--foreground".to_owned(),
        "--force".to_owned(),
        format!("--key-file={}", path("munge.key")),
        format!("--socket={}", path("munge.sock")),
        format!("--pid-file={}", path("munge.pid")),
        format!("--log-file={}", path("munge.log")),
        format!("--seed-file={}", path("munge.seed")),
        format!("--origin={}", "127.0.0.1"),
    ];
    let mut command = Command::new("munged");
    command.args(options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    wait_for("munge", || dir.join("munge.sock").exists());
    child
}

fn daemon(dir: &Path, program: &str, options: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(options).env("SLURM_CONF", dir.join("slurm.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn configuration(dir: &Path, more: &str) -> String {
    let host = String::from_utf8(Command::new("hostname").arg("-s").output().unwrap().stdout);
    let host = host.unwrap().trim().to_owned();
    let [controller, one, two] = [free_port(), free_port(), free_port()];
    let dir = dir.display();
    format!(
        "ClusterName=itest\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={controller}\nSlurmUser=root\n\
         AuthType=auth/munge\nAuthInfo=socket={dir}/munge.sock,cred_expire=5\nCryptoType=crypto/munge\n\
         ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
         SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\nSchedulerType=sched/backfill\n\
         SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0\n\
         SwitchType=switch/none\nMpiDefault=none\nAccountingStorageType=accounting_storage/none\n\
         JobCompType=jobcomp/none\nSlurmdParameters=config_overrides\nReturnToService=2\nJobRequeue=1\n\
         JobFileAppend=1\nKillWait=5\nMailProg=/bin/true\nStateSaveLocation={dir}/state\n\
         SlurmdSpoolDir={dir}/spool.%n\nSlurmctldPidFile={dir}/slurmctld.pid\nSlurmdPidFile={dir}/slurmd.%n.pid\n\
         SlurmctldLogFile={dir}/slurmctld.log\nSlurmdLogFile={dir}/slurmd.%n.log\n\
         NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={one} CPUs=4 RealMemory=1000 State=UNKNOWN\n\
         NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={two} CPUs=4 RealMemory=1000 State=UNKNOWN\n\
         PartitionName=debug Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP\n{more}\n"
    )
}

/// A port that nobody listens on. Below those that the kernel gives to connections, of which there are many here: one of
/// them might take it between this look and the daemon's start.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 8_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
