//! What can happen to the screens: one closed enum, fed by every thread, read by one loop.

use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::KeyEvent;

use crate::store::model::{RunId, RunRow};
use crate::store::{ExperimentRecord, InHand, Sketch};

use super::curves::{CurveId, Sample};
use super::effect::{Request, Wanted};
use super::images::{Found, Map};
use super::inspect::{Detail, Log};
use super::machine::{Disk, Lag, Machine};
use super::memory::Memory;
use super::pixels::{Picture, Tile};

/// Everything that wakes the loop.
#[derive(Clone, Debug)]
pub enum Event {
    Key(KeyEvent),
    Mouse(Mouse),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    Data(Data),
    /// A second has passed; times on screen move on.
    Tick,
    /// Back from being suspended.
    Continued,
    /// The terminal is gone, or somebody asks the program to end. Nobody reads what would be drawn now.
    HangUp,
}

/// What the mouse did, and over which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    pub press: Press,
    pub x: u16,
    pub y: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    Left,
    WheelUp,
    WheelDown,
}

/// What the store thread has found out.
#[derive(Clone, Debug)]
pub enum Data {
    /// All runs as they stand.
    Runs(Vec<RunRow>),
    /// All experiments as they were last queued.
    Records(Vec<ExperimentRecord>),
    Points(Points),
    /// Curves in a few strokes.
    Sketches {
        metric: String,
        sketches: Vec<Sketch>,
    },
    /// The last lines of a run's standard error.
    Tail {
        run: RunId,
        attempt: u32,
        lines: Vec<String>,
    },
    /// Who works here.
    Workers(Vec<Worker>),
    /// One run whole.
    Detail(Box<Detail>),
    Log(Log),
    /// What the image search of a run came to.
    Found(Arc<Found>),
    /// Images of its data set by their numbers.
    Pictures {
        run: RunId,
        tile: Tile,
        pictures: Vec<(u32, Picture)>,
    },
    Map(Arc<Map>),
    Machine(Box<Machine>),
    /// Room where the lab lies, when it has changed.
    Disk(Disk),
    /// How far behind the run log is, for runs at work.
    Lags(Vec<Lag>),
    Experiments(Vec<Listed>),
    Plan(Plan),
    /// What the lab remembers of its screens.
    Memory(Memory),
    /// A request is done, or was refused; in words.
    Answer {
        done: bool,
        text: String,
    },
    /// A request that changed nothing: there is nothing to take back.
    Void(Request),
    /// The run log cannot be read just now: why. It is tried again.
    Trouble(String),
    /// The lab cannot be written, but read: nothing can be asked for.
    Unwritable,
}

/// A slot with its worker, if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    pub slot: String,
    pub state: Working,
    /// One on this machine, many on a cluster.
    pub runs: Vec<InHand>,
}

impl Worker {
    pub fn has(&self, run: &str) -> bool {
        self.runs.iter().any(|hand| hand.id == run)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Working {
    Working,
    Idle,
    /// Leaves after the run at hand.
    Draining,
    /// It said hello and died.
    Gone,
    /// The lab has the slot, and nobody works it.
    None,
}

/// New points of one curve.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    pub curve: CurveId,
    /// The step that they come after; what does not fit to the end of the curve is of an older question.
    pub after: Option<u64>,
    /// Steps rising.
    pub points: Vec<Sample>,
}

/// An experiment file that could be queued.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub file: PathBuf,
    pub name: String,
    pub question: String,
    /// Named sizes beside the one that is written in `[base]`.
    pub sizes: Vec<String>,
    /// Why it cannot be queued.
    pub problem: Option<String>,
    /// What it says, where it is no file.
    pub text: Option<String>,
}

/// The runs that an experiment would make.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub wanted: Wanted,
    pub runs: Result<Vec<PlannedRun>, String>,
}

/// One run of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    /// `lambda=10 seed=0`.
    pub varied: String,
    pub spec: serde_json::Value,
    /// The state of a run with the same specification that is there already.
    pub exists: Option<crate::store::model::State>,
}
