//! Slurm's commands, and what their answers mean. Every call has an end: a controller that is gone keeps `squeue` waiting.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::array::Array;
use super::job::{self, Job, JobState};
use super::script;

/// Seconds for one command.
const PATIENCE: u32 = 60;

/// Why Slurm did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("no {0} here: is this a login node of a Slurm cluster?")]
    Missing(&'static str),
    /// The controller gives no answer, which says nothing about jobs.
    #[error("scheduler unreachable: {0}")]
    Unreachable(String),
    /// It answers no, for the time being.
    #[error("Slurm takes it later: {0}")]
    Later(String),
    /// It answers no.
    #[error("Slurm refuses: {0}")]
    Refused(String),
    /// What a job needs cannot be written.
    #[error("{} takes nothing: {why}", .home.display())]
    Home { home: PathBuf, why: String },
}

/// Submits an array whose folder is complete; returns the job's number. The script is handed over as standard input, locked:
/// as long as `sbatch` lives, nobody asks for the same again ([`in_flight`]).
///
/// # Errors
/// [`Trouble`].
pub fn submit(array: &Array) -> Result<String, Trouble> {
    let path = array.script();
    let unreadable = |why: std::io::Error| Trouble::Refused(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    let script = File::open(&path).map_err(unreadable)?;
    script.lock_shared().map_err(unreadable)?;
    // On the command line they outrank what the environment says (SBATCH_JOB_NAME and the like).
    let mut options = vec!["--parsable".to_owned()];
    options.extend(script::ours(&text));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let answer = call("sbatch", &options, Some(script))?;
    // `41`, or `41;cluster` in a federation.
    let number = answer.trim().split(';').next().unwrap_or_default().to_owned();
    match number.parse::<u64>() {
        Ok(_) => Ok(number),
        Err(_) => Err(Trouble::Unreachable(format!("sbatch answered {:?}", answer.trim()))),
    }
}

/// Whether an `sbatch` that somebody started for this array still lives.
pub fn in_flight(array: &Array) -> bool {
    // For writing, as a lock over NFS asks for that.
    let script = OpenOptions::new().read(true).write(true).open(array.script());
    script.is_ok_and(|script| matches!(script.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Whether Slurm would take the script.
///
/// # Errors
/// [`Trouble`], with Slurm's reason.
pub fn try_out(script: &Path) -> Result<(), Trouble> {
    call("sbatch", &["--test-only", &script.display().to_string()], None).map(drop)
}

/// Our user's array jobs, those that ended a moment ago too, in one question.
///
/// # Errors
/// [`Trouble`].
pub fn jobs() -> Result<Vec<Job>, Trouble> {
    let columns = job::columns();
    let options = ["--me", "--all", "--noheader", "--array", "--states=all", "-O", &columns];
    Ok(job::parse(&call("squeue", &options, None)?))
}

/// How jobs ended that `squeue` has forgotten, where there is an account of them: `41_0` → its state. Clusters without
/// accounting have none of any.
///
/// # Errors
/// [`Trouble`] that may pass: nothing is known of any of them then.
pub fn account(ids: &[String]) -> Result<Vec<(String, JobState)>, Trouble> {
    let ids = ids.join(",");
    let options =
        ["--noheader", "--parsable2", "--allocations", "--format=JobID,State", "--jobs", &ids];
    accounted(call("sacct", &options, None))
}

fn accounted(answer: Result<String, Trouble>) -> Result<Vec<(String, JobState)>, Trouble> {
    let line = |line: &str| {
        let (id, state) = line.split_once('|')?;
        Some((id.to_owned(), JobState::parse(state)))
    };
    match answer {
        Ok(answer) => Ok(answer.lines().filter_map(line).collect()),
        // Nor will there be one.
        Err(Trouble::Missing(_) | Trouble::Refused(_)) => Ok(Vec::new()),
        Err(trouble) => Err(trouble),
    }
}

/// Sends `scancel`, with options before the ids. A job that is gone already is no trouble.
///
/// # Errors
/// [`Trouble`].
pub fn cancel(options: &[&str], ids: &[String]) -> Result<(), Trouble> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut all = options.to_vec();
    all.extend(ids.iter().map(String::as_str));
    let gone = |why: &str| {
        ["Invalid job id", "already completing", "already completed"]
            .iter()
            .any(|it| why.contains(it))
    };
    match call("scancel", &all, None) {
        Err(Trouble::Refused(why)) if gone(&why) => Ok(()),
        done => done.map(drop),
    }
}

/// The elements that one array may have.
///
/// # Errors
/// [`Trouble`].
pub fn most_elements() -> Result<usize, Trouble> {
    let answer = call("scontrol", &["show", "config"], None)?;
    let value = answer.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "MaxArraySize").then(|| value.trim().parse().ok())?
    });
    Ok(value.unwrap_or(MOST_ELEMENTS))
}

/// Slurm's own default for that.
pub const MOST_ELEMENTS: usize = 1001;

/// Partitions of the cluster with their states, as `debug up`.
///
/// # Errors
/// [`Trouble`].
pub fn partitions() -> Result<Vec<String>, Trouble> {
    let answer = call("sinfo", &["--noheader", "--format=%R %a"], None)?;
    Ok(answer.lines().map(str::to_owned).collect())
}

/// Waits for the end of a job with this script.
///
/// # Errors
/// [`Trouble`]; an exit status that is not 0 is a refusal.
pub fn wait_for(script: &Path, seconds: u32) -> Result<(), Trouble> {
    let script = script.display().to_string();
    timed(seconds, "sbatch", &["--wait", "--quiet", &script], None).map(drop)
}

fn call(command: &'static str, options: &[&str], input: Option<File>) -> Result<String, Trouble> {
    timed(PATIENCE, command, options, input)
}

fn timed(
    seconds: u32,
    command: &'static str,
    options: &[&str],
    input: Option<File>,
) -> Result<String, Trouble> {
    // Its own wait has no end where a controller half answers.
    let mut call = Command::new("timeout");
    call.arg(seconds.to_string()).arg(command).args(options).env("LC_ALL", "C");
    // Habits of the user that would hide jobs from us; and what a job that we may be in ourselves would hand on.
    let habit = |name: &str| {
        let of = ["SQUEUE_", "SCANCEL_", "SACCT_", "SINFO_"].iter().any(|it| name.starts_with(it));
        of || ["SLURM_RESTART_COUNT", "SBATCH_CLUSTERS", "SLURM_CLUSTERS"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(habit) {
            call.env_remove(name);
        }
    }
    call.stdin(input.map_or_else(Stdio::null, Stdio::from));
    match call.output() {
        Ok(output) => answer(command, seconds, &output),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Err(Trouble::Missing(command)),
        Err(why) => Err(Trouble::Unreachable(format!("cannot run {command}: {why}"))),
    }
}

fn answer(command: &'static str, seconds: u32, output: &Output) -> Result<String, Trouble> {
    let said = String::from_utf8_lossy(&output.stderr);
    // `sbatch: error: Batch job submission failed: Invalid partition name specified`
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let reason = last.rsplit_once("error: ").map_or(last, |(_, reason)| reason);
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        // It waits by itself for a queue that has no room.
        Some(124) if said.contains("queue full") => Err(Trouble::Later(reason.to_owned())),
        Some(124) => Err(Trouble::Unreachable(format!("no answer to {command} in {seconds} s"))),
        // It may have been heard all the same.
        None | Some(125 | 137) => Err(Trouble::Unreachable(format!("{command} was killed"))),
        Some(126 | 127) if reason.starts_with("timeout: ") => Err(Trouble::Missing(command)),
        _ if said_of(&said, &LATER) => Err(Trouble::Later(format!("{command}: {reason}"))),
        _ if said_of(&said, &UNREACHABLE) => Err(Trouble::Unreachable(reason.to_owned())),
        code => {
            let silent = || code.map_or("killed".into(), |code| format!("exit status {code}"));
            let reason = if reason.is_empty() { silent() } else { reason.to_owned() };
            Err(Trouble::Refused(format!("{command}: {reason}")))
        }
    }
}

/// What Slurm says of a request that it will take later: a limit of how many jobs one may have there, a partition that is
/// being drained (slurm_errno.c, as what follows).
const LATER: [&str; 2] = ["Job violates accounting/QOS policy", "Required partition not available"];

/// What it says when it is not the request that is wrong.
const UNREACHABLE: [&str; 20] = [
    "establish a configuration source",
    "Protocol authentication error",
    "Message send failure",
    "Message receive failure",
    "Communication connection failure",
    "presently disabled",
    "Controller is in standby mode",
    "Unable to contact slurm controller",
    "Unable to establish controller machine",
    "Unable to establish configuration source",
    "Socket timed out",
    "Connection refused",
    "Zero Bytes were transmitted",
    "Transport endpoint",
    "Slurm backup controller in standby",
    "temporarily un",
    "authentication credential",
    // What `sacct` says where the keeper of accounts is down (sacct/process.c).
    "Problem talking to the database",
    "Connection timed out",
    "No route to host",
];

fn said_of(said: &str, signs: &[&str]) -> bool {
    signs.iter().any(|sign| said.contains(sign))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn answered(code: i32, said: &str) -> Result<String, Trouble> {
        let status = ExitStatus::from_raw(code << 8);
        answer("sbatch", 60, &Output { status, stdout: b"41\n".into(), stderr: said.into() })
    }

    #[test]
    fn a_cluster_without_accounts_and_one_that_does_not_give_them_are_two_things() {
        let over = accounted(Ok("41_0|COMPLETED\n".to_owned())).unwrap();
        assert_eq!(over, [("41_0".to_owned(), JobState::parse("COMPLETED"))]);
        assert_eq!(
            accounted(answered(1, "Slurm accounting storage is disabled\n")),
            Ok(Vec::new())
        );
        assert_eq!(accounted(Err(Trouble::Missing("sacct"))), Ok(Vec::new()));
        for said in [
            "sacct: error: _open_persist_conn: failed to open persistent connection to host:db:6819: Connection refused\n\
             sacct: error: Sending PersistInit msg: Connection refused\n\
             sacct: error: Problem talking to the database: Connection refused",
            "sacct: error: Problem talking to the database: No error",
        ] {
            let answer = accounted(answered(1, said));
            assert!(matches!(answer, Err(Trouble::Unreachable(_))), "{said}");
        }
        assert!(accounted(answered(124, "")).is_err());
    }

    #[test]
    fn a_refusal_and_a_silent_controller_are_two_things() {
        assert_eq!(answered(0, "").unwrap(), "41\n");
        let refused = answered(
            1,
            "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid partition name specified\n",
        );
        let reason = "sbatch: Batch job submission failed: Invalid partition name specified";
        assert_eq!(refused, Err(Trouble::Refused(reason.into())));
        for said in [
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
            "slurm_load_jobs error: Socket timed out on send/recv operation",
            "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        ] {
            assert!(matches!(answered(1, said), Err(Trouble::Unreachable(_))), "{said}");
        }
        assert!(matches!(answered(124, ""), Err(Trouble::Unreachable(_))));
        for said in [
            "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            "sbatch: error: Batch job submission failed: Required partition not available (inactive or drain)",
        ] {
            assert!(matches!(answered(1, said), Err(Trouble::Later(_))), "{said}");
        }
        let missing =
            answered(127, "timeout: failed to run command 'sbatch': No such file or directory");
        assert_eq!(missing, Err(Trouble::Missing("sbatch")));
        assert_eq!(answered(3, ""), Err(Trouble::Refused("sbatch: exit status 3".into())));
    }
}
