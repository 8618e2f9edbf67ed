//! What the screens want done: returned by the pure update, carried out by the loop and the store thread.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::report::raster::Kind;
use crate::store::model::RunId;

use super::curves::CurveId;
use super::memory::Memory;
use super::pixels::{Graphics, Tile};

/// What an update leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Leave the screen; runs and workers go on.
    Quit,
    /// Give the terminal back to the shell until `fg`.
    Suspend,
    /// Draw every cell again.
    Redraw,
    /// Hand this to the clipboard of whoever sits at the terminal.
    Copy(String),
    /// Tell the terminal this before the next frame: images that are drawn from then on.
    Transmit(String),
    Notify(Notice),
    /// Whether the mouse is ours.
    Mouse(bool),
    Ask(Ask),
}

/// Says to a person who looks elsewhere that something has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Bell,
    /// By the desktop's notifications (OSC 9), where the terminal hands them on.
    Desktop(String),
}

/// A question or request to the store thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Keep these curves coming, each from after its last known step; no others.
    Watch(Vec<Watched>),
    /// Keep sketches of a metric coming for these runs; for none, no longer.
    Sketch {
        metric: String,
        runs: Vec<RunId>,
    },
    /// The last lines of a run's standard error.
    Tail {
        run: RunId,
        attempt: u32,
    },
    /// Keep everything about this run coming; of no run.
    Inspect(Option<RunId>),
    /// Search the images of this run by its memory bank; of no run: nobody looks at images.
    Images(Option<RunId>),
    Pictures(Wished),
    /// Draw a map of the bank that was searched.
    Map {
        run: RunId,
        step: u64,
    },
    /// Keep looking at the machine, or stop.
    Machine(bool),
    /// Which experiment files are there?
    Experiments,
    /// Which runs would this make?
    Plan(Wanted),
    /// Write a file into the folder that the screens were started in.
    Save {
        file: String,
        text: String,
    },
    /// Write a figure there too.
    Draw {
        file: String,
        svg: String,
        kind: Kind,
    },
    /// Write what is wanted as an experiment file of this name.
    SavePlan {
        wanted: Wanted,
        name: String,
    },
    /// Keep this for the next time.
    Remember(Memory),
    Do(Request),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    pub curve: CurveId,
    pub after: Option<u64>,
}

/// Images of a run's data set, made ready for tiles of a size.
#[derive(Clone, Debug, PartialEq)]
pub struct Wished {
    pub run: RunId,
    /// Numbers of training images.
    pub rows: Vec<u32>,
    pub tile: Tile,
    pub graphics: Graphics,
}

/// An experiment as it is to be queued.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub file: PathBuf,
    /// What it says, where there is no such file: a run that is cloned.
    pub text: Option<String>,
    pub size: Option<String>,
    /// `objective.tau=0.1 seed=0,1`: one value is set, several become an axis; quoted as in a shell.
    pub changes: String,
}

impl Wanted {
    /// The changes one by one; `None` while a quote is open.
    pub fn words(changes: &str) -> Option<Vec<String>> {
        shlex::split(changes)
    }

    /// The line of these changes: the other way round.
    pub fn line(words: &[String]) -> String {
        let quoted = |word: &String| match word.split_once('=') {
            Some((key, value))
                if value.contains(|c: char| c.is_whitespace() || "'\"\\#".contains(c)) =>
            {
                // Only a NUL cannot be quoted, and none can be typed.
                shlex::try_quote(value).map_or(word.clone(), |value| format!("{key}={value}"))
            }
            _ => word.clone(),
        };
        words.iter().map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// A verb and its runs. What it means is the queue's business.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    Queue {
        wanted: Wanted,
        /// Places of its runs that are not queued this time.
        left_out: BTreeSet<usize>,
    },
    Pause(Vec<RunId>),
    /// Resumes what is paused, retries what failed, was lost or cancelled.
    Resume(Vec<RunId>),
    Cancel(Vec<RunId>),
    Archive {
        runs: Vec<RunId>,
        archived: bool,
    },
    Tag {
        runs: Vec<RunId>,
        add: Vec<String>,
        remove: Vec<String>,
    },
    Note {
        runs: Vec<RunId>,
        text: String,
    },
    /// Lays runs into the trash with their directories.
    Remove(Vec<RunId>),
    /// Takes them out of it again.
    Restore(Vec<RunId>),
    /// Other priorities: the order of what waits.
    Order(Vec<(RunId, i64)>),
    /// One more worker: for a slot of the lab that has none, else for a new one.
    AddWorker,
    /// The worker of a slot leaves after its run; without a slot: all of them.
    Drain(Option<String>),
    Undo(Undo),
}

/// Requests that take back what was done, with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Undo {
    pub what: String,
    pub requests: Vec<Request>,
}
