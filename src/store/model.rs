//! A run, as the rest of the workbench sees it: its state, and its row in every table.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::spec::SpecJson;
use crate::journal::event::{Better, Number};

/// A run's name, `<experiment>-<8 hex of the fingerprint>[.N]`: directory name, and what users type.
pub type RunId = String;

/// Whether `text` has the form of a whole id.
pub fn is_whole_id(text: &str) -> bool {
    let (first, copy) = text.split_once('.').map_or((text, None), |(id, n)| (id, Some(n)));
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|c| c.is_ascii_digit());
    let is_short = |hex: &str| hex.len() == 8 && hex.bytes().all(|c| c.is_ascii_hexdigit());
    let plain = |name: &str| name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c));
    copy.is_none_or(is_number)
        && first
            .rsplit_once('-')
            .is_some_and(|(name, hex)| !name.is_empty() && plain(name) && is_short(hex))
}

/// Whether `text` is a beginning that may stand for `id`. A whole id never stands for the copy that `--again` made of its run:
/// who removes a run once more must not hit another.
pub fn is_beginning(text: &str, id: &str) -> bool {
    // A number is all of it: `.1` is no beginning of `.12`.
    let begins = !text.is_empty() && (!text.contains('.') || text.ends_with('.'));
    let rest = id.strip_prefix(text).filter(|_| begins);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('.'))
}

/// Where a run stands. The only legal changes are those of [`State::may_become`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Queued,
    /// Claimed by a worker; its trainer has not said `start` yet.
    Starting,
    Running,
    /// A requested end (pause or cancel) is under way.
    Stopping,
    /// Stopped at a checkpoint on request.
    Paused,
    Finished,
    /// Ended by a named failure; waits for a person.
    Failed,
    Cancelled,
    /// No process and no end record.
    Lost,
}

impl State {
    pub const ALL: [State; 9] = [
        State::Queued,
        State::Starting,
        State::Running,
        State::Stopping,
        State::Paused,
        State::Finished,
        State::Failed,
        State::Cancelled,
        State::Lost,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Starting => "starting",
            State::Running => "running",
            State::Stopping => "stopping",
            State::Paused => "paused",
            State::Finished => "finished",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Lost => "lost",
        }
    }

    /// A trainer may be alive.
    pub fn is_active(self) -> bool {
        matches!(self, State::Starting | State::Running | State::Stopping)
    }

    /// Nothing more happens without a person.
    pub fn is_settled(self) -> bool {
        matches!(self, State::Paused | State::Finished | State::Failed | State::Cancelled)
    }

    /// Whether it may still be said where the run is to run.
    pub fn may_move(self) -> bool {
        !self.is_active() && self != State::Finished
    }

    /// The state machine. A pause or cancel of a run that no process works on settles at once; a stopping run whose
    /// process vanishes without an end record still gets the end that was asked for.
    pub fn may_become(self, next: State) -> bool {
        use State::*;
        matches!(
            (self, next),
            (Queued, Starting | Paused | Cancelled)
                | (Starting, Running | Stopping | Finished | Failed | Lost)
                | (Running, Stopping | Finished | Failed | Lost)
                | (Stopping, Paused | Cancelled | Finished | Failed)
                | (Paused, Queued | Cancelled)
                | (Failed | Cancelled | Lost, Queued)
                | (Lost, Cancelled)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = State::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| {
            format!("found {text}, allowed: {}", State::ALL.map(State::as_str).join(", "))
        })
    }
}

/// A change that the state machine does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("run {run} is {from}: it cannot become {to}")]
pub struct IllegalTransition {
    pub run: RunId,
    pub from: State,
    pub to: State,
}

/// How far a run is; zeros before its first `start` (see [`RunRow::so_far`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub epoch: f64,
    pub epochs: u32,
    pub step: u64,
    pub steps: u64,
    /// Active seconds over all attempts.
    pub sec: f64,
}

/// One metric of one run, kept in the transaction that stores its points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub last: Number,
    pub last_step: u64,
    /// Best finite value in the metric's direction; absent where it has none.
    pub best: Option<f64>,
    pub best_step: Option<u64>,
    pub unit: String,
    pub better: Better,
}

/// Where a later attempt went on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// The step of the checkpoint.
    pub step: u64,
    /// Active seconds up to there.
    pub sec: f64,
    /// When it started, in milliseconds since 1970, UTC.
    pub at: i64,
}

/// What was asked of a cluster for one run, beyond what `lab.toml` asks for all: setting → value, as they were written.
pub type Launch = BTreeMap<String, String>;

/// One run as tables show it; field names are those of `runs --format json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    pub id: RunId,
    /// Every experiment that asks for this run, in the order they were queued.
    pub experiments: Vec<String>,
    pub state: State,
    /// 0 before the first start.
    pub attempt: u32,
    pub device: Option<String>,
    pub progress: Progress,
    pub seed: u64,
    pub tags: Vec<String>,
    /// Key → value of the factors that its experiments vary (seed apart).
    pub varied: Map<String, Value>,
    pub spec: SpecJson,
    pub metrics: BTreeMap<String, Summary>,
    /// Milliseconds since 1970, UTC, here and below.
    pub queued_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    /// Why it is in this state, in words.
    pub reason: Option<String>,
    /// Absent for a run of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<Launch>,
    pub note: String,
    pub priority: i64,
    pub pinned: bool,
    pub archived: bool,
    /// Latest warning of the current attempt.
    pub warning: Option<String>,
    /// Attempts after the first that went on from a checkpoint, oldest first.
    #[serde(default)]
    pub resumes: Vec<Resume>,
}

impl RunRow {
    /// How far it is. Before its first start only what the specification asks for is known.
    pub fn so_far(&self) -> Progress {
        match self.started_at {
            None => Progress { epochs: self.spec.epochs(), ..self.progress },
            Some(_) => self.progress,
        }
    }
}

#[cfg(test)]
impl RunRow {
    /// A run as it is right after it was queued.
    pub fn queued(id: &str, seed: u64, varied: Map<String, Value>, spec: Value) -> RunRow {
        RunRow {
            id: id.to_owned(),
            experiments: Vec::new(),
            state: State::Queued,
            attempt: 0,
            device: None,
            progress: Progress::default(),
            seed,
            tags: Vec::new(),
            varied,
            spec: spec.into(),
            metrics: BTreeMap::new(),
            queued_at: 0,
            started_at: None,
            ended_at: None,
            reason: None,
            launch: None,
            note: String::new(),
            priority: 0,
            pinned: false,
            archived: false,
            warning: None,
            resumes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_id_is_known_by_its_form_and_begins_no_other() {
        for text in ["demo-c10bef81", "demo-c10bef81.2", "a-b_c-00000000.13"] {
            assert!(is_whole_id(text), "{text}");
        }
        for text in [
            "",
            "demo",
            "demo-c10bef8",
            "-c10bef81",
            "demo-c10bef81.",
            "demo-c10bef81.x",
            "../slots",
            "../a-c10bef81",
        ] {
            assert!(!is_whole_id(text), "{text}");
        }
        for text in ["d", "demo-", "demo-c10bef8", "demo-c10bef81."] {
            assert!(is_beginning(text, "demo-c10bef81.12"), "{text}");
        }
        for text in ["", "demo-c10bef81", "demo-c10bef81.1", "demo-c10bef81.12", "x"] {
            assert!(!is_beginning(text, "demo-c10bef81.12"), "{text}");
        }
        assert!(is_beginning("run-20240101", "run-20240101-c10bef81"), "an experiment of that day");
    }

    #[test]
    fn every_state_reads_back_from_its_name() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert!(!state.may_become(state), "{state} to itself");
        }
    }

    #[test]
    fn a_finished_run_never_changes() {
        assert!(State::ALL.iter().all(|&next| !State::Finished.may_become(next)));
    }
}
