//! Jobs as `squeue` and `sacct` tell of them.

/// One element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// As `scancel` wants it: `<array>_<element>`.
    pub id: String,
    /// Of the whole array.
    pub name: String,
    /// None: what is left of an array whose elements were cancelled before they began, all in one.
    pub element: Option<u32>,
    pub state: JobState,
    /// How often it was started anew.
    pub restarts: u32,
    /// Where it is or was; empty before.
    pub node: String,
    /// Why it waits, as Slurm names it.
    pub reason: String,
    /// Of its batch script, once that has ended; as a shell shows it, so that signals are beyond 128.
    pub exit: i32,
}

/// What a job's state means for its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// In Slurm's queue; with its state where that is not `PENDING`.
    Waiting(String),
    /// On a node; with its state where that is not `RUNNING`.
    AtWork(String),
    Over(Over),
    /// A state of a later Slurm: no conclusions.
    Unknown(String),
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// By itself, whatever its exit status.
    ByItself,
    Cancelled,
    TimeLimit,
    NodeLost,
    OutOfMemory,
    Deadline,
}

impl JobState {
    /// From the long names (slurm(1), JOB STATE CODES).
    pub fn parse(state: &str) -> Self {
        // `CANCELLED by 1000`, as sacct writes it.
        let name = state.split_whitespace().next().unwrap_or_default();
        match name {
            "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD"
            | "SPECIAL_EXIT" | "RESV_DEL_HOLD" | "POWER_UP_NODE" => {
                JobState::Waiting(name.to_owned())
            }
            "RUNNING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT"
            | "RESIZING" => JobState::AtWork(name.to_owned()),
            "COMPLETED" | "FAILED" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => {
                JobState::Over(Over::ByItself)
            }
            "CANCELLED" | "REVOKED" => JobState::Over(Over::Cancelled),
            "TIMEOUT" => JobState::Over(Over::TimeLimit),
            "NODE_FAIL" | "BOOT_FAIL" | "PREEMPTED" => JobState::Over(Over::NodeLost),
            "OUT_OF_MEMORY" => JobState::Over(Over::OutOfMemory),
            "DEADLINE" => JobState::Over(Over::Deadline),
            _ => JobState::Unknown(name.to_owned()),
        }
    }
}

/// The columns of `squeue -O`, with their widths: it has no separator of its own, and some values hold spaces.
const COLUMNS: [(&str, usize); 8] = [
    ("ArrayJobID", 16),
    ("ArrayTaskID", 24),
    ("State", 20),
    ("RestartCnt", 12),
    ("Name", 48),
    ("NodeList", 64),
    ("Reason", 64),
    ("exit_code", 12),
];

/// What `squeue -O` is given.
pub fn columns() -> String {
    COLUMNS.map(|(name, width)| format!("{name}:{width}")).join(",")
}

/// What `squeue` printed in those columns.
pub fn parse(text: &str) -> Vec<Job> {
    text.lines().map(line).collect()
}

fn line(line: &str) -> Job {
    let mut chars = line.chars();
    let [array, element, state, restarts, name, node, reason, exit] =
        COLUMNS.map(|(_, width)| chars.by_ref().take(width).collect::<String>().trim().to_owned());
    let element: Option<u32> = element.parse().ok();
    Job {
        id: element.map_or(array.clone(), |element| format!("{array}_{element}")),
        name,
        element,
        state: JobState::parse(&state),
        restarts: restarts.parse().unwrap_or(0),
        node,
        reason,
        exit: exit_status(&exit),
    }
}

/// From `status:signal`, or from what `wait` leaves, as Slurm is older.
fn exit_status(text: &str) -> i32 {
    let number = |text: &str| text.parse::<i32>().unwrap_or(0);
    let (status, signal) = match text.split_once(':') {
        Some((status, signal)) => (number(status), number(signal)),
        None => ((number(text) >> 8) & 0xff, number(text) & 0x7f),
    };
    if signal == 0 { status } else { 128 + signal }
}

impl Job {
    /// How it stands, for people: `slurm 12_3 waits: Priority`.
    pub fn standing(&self) -> Option<String> {
        let id = &self.id;
        match &self.state {
            JobState::Waiting(state) if state == "PENDING" => Some(match self.reason.as_str() {
                "" | "None" => format!("slurm {id} waits"),
                // `JobHeldUser`, `job requeued in held state`, …
                held if held.to_lowercase().contains("held") => {
                    format!("slurm {id} is held ({held}): `scontrol release {id}` lets it go on")
                }
                "BeginTime" => format!("slurm {id} waits for the time at which it may start anew"),
                reason => format!("slurm {id} waits: {reason}"),
            }),
            JobState::Waiting(state) | JobState::Unknown(state) => {
                Some(format!("slurm {id} is {}", state.to_lowercase()))
            }
            JobState::AtWork(state) if state == "RUNNING" => None,
            JobState::AtWork(state) => Some(format!("slurm {id} is {}", state.to_lowercase())),
            JobState::Over(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(values: [&str; 8]) -> String {
        let cells = COLUMNS.iter().zip(values);
        cells.map(|((_, width), value)| format!("{value:width$}")).collect()
    }

    #[test]
    fn columns_are_cut_by_width_as_values_may_hold_spaces() {
        let text = [
            printed(["41", "0", "RUNNING", "2", "instdisc-0a1b", "n1", "None", "256"]),
            printed([
                "41",
                "7",
                "PENDING",
                "0",
                "instdisc-0a1b",
                "",
                "(Nodes required, maybe)",
                "0",
            ]),
            printed(["41", "N/A", "CANCELLED", "0", "instdisc-0a1b", "", "None", "0:9"]),
        ]
        .join("\n");
        let jobs = parse(&text);
        assert_eq!((jobs[2].id.as_str(), jobs[2].element), ("41", None));
        assert_eq!(
            (jobs[0].id.as_str(), jobs[0].restarts, jobs[0].node.as_str()),
            ("41_0", 2, "n1")
        );
        assert_eq!((jobs[0].exit, jobs[1].exit, jobs[2].exit), (1, 0, 137));
        assert_eq!(jobs[0].standing(), None);
        assert_eq!(jobs[1].standing().unwrap(), "slurm 41_7 waits: (Nodes required, maybe)");
    }

    #[test]
    fn every_state_of_the_manual_has_a_meaning() {
        // slurm_protocol_defs.c of 22.05, job_state_string and its flags.
        let all = "PENDING RUNNING SUSPENDED COMPLETED CANCELLED FAILED TIMEOUT NODE_FAIL PREEMPTED BOOT_FAIL DEADLINE \
                   OUT_OF_MEMORY CONFIGURING COMPLETING RESIZING REQUEUED REQUEUE_FED REQUEUE_HOLD SPECIAL_EXIT \
                   SIGNALING STAGE_OUT STOPPED REVOKED RESV_DEL_HOLD LAUNCH_FAILED RECONFIG_FAIL POWER_UP_NODE";
        for state in all.split_whitespace() {
            assert!(!matches!(JobState::parse(state), JobState::Unknown(_)), "{state}");
        }
        assert_eq!(JobState::parse("CANCELLED by 1000"), JobState::Over(Over::Cancelled));
        assert_eq!(JobState::parse("THAWING"), JobState::Unknown("THAWING".into()));
    }

    #[test]
    fn a_held_job_says_how_it_is_released() {
        for reason in ["JobHeldUser", "JobHeldAdmin", "job requeued in held state"] {
            let held = printed(["41", "7", "PENDING", "0", "instdisc-0a1b", "", reason, "0"]);
            assert!(parse(&held)[0].standing().unwrap().contains("scontrol release 41_7"));
        }
    }
}
