//! Stays with runs until they have ended: shows how far they are, keeps workers at work, pauses on Ctrl-C.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use color_eyre::eyre::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::progress::Display;
use super::{bad_input, say};
use crate::queue::{Desk, Slot, is_lost_for_good};
use crate::store::{RunId, RunRow, State};

/// Between two looks at the run log; longer by [`REST`] times what a look takes.
const LOOK: Duration = Duration::from_millis(200);

/// So that looking at a large grid takes a fifth of a core at most.
const REST: u32 = 4;

/// Between two looks whether every slot still has its worker.
const CARE: Duration = Duration::from_secs(2);

/// Workers that die without getting anywhere are started again this often.
const MOST_STARTS: u32 = 5;

/// What there is to say where nobody can work on this machine.
pub const NO_SLOT: &str = "lab.toml leaves no slot to work on: name one with --device";

/// How the runs stand at the end.
pub struct Watched {
    pub runs: Vec<RunRow>,
    /// A person wanted to leave; unfinished runs were paused.
    pub interrupted: bool,
}

/// Until every one of `ids` has ended.
pub async fn watch(desk: &Desk, slots: &[Slot], ids: &[RunId]) -> Result<Watched> {
    if slots.is_empty() {
        return Err(bad_input(NO_SLOT));
    }
    let mut display = Display::new(ids.len());
    let mut care = Care::default();
    let mut signals = Signals::new()?;
    let mut interrupted = false;
    let ids: HashSet<&RunId> = ids.iter().collect();
    let (mut runs, mut seen, mut took) = (Vec::new(), None, Duration::ZERO);
    loop {
        // From before the look: what changes meanwhile is news.
        let version = desk.store.data_version().await?;
        if seen != Some(version) {
            let begun = Instant::now();
            (runs, seen) = (desk.store.runs_among(&ids).await?, Some(version));
            took = begun.elapsed();
        }
        display.show(&runs);
        if all_ended(desk, &runs).await? {
            display.close();
            return Ok(Watched { runs, interrupted });
        }
        care.keep_working(desk, slots, &runs).await?;
        if !signals.within(LOOK + REST * took).await {
            continue;
        }
        let mut leaves = interrupted;
        if !interrupted {
            interrupted = true;
            display.say("Pausing at a checkpoint; Ctrl-C once more leaves without waiting for it.");
            // Of a long queue that takes a while.
            leaves = tokio::select! {
                paused = pause_all(desk, &runs) => paused.map(|()| false)?,
                () = signals.asked() => true,
            };
        }
        if leaves {
            display.close();
            say(
                "Left: runs that are still stopping are paused once they have written their checkpoint.",
            );
            return Ok(Watched { runs, interrupted });
        }
    }
}

async fn all_ended(desk: &Desk, runs: &[RunRow]) -> Result<bool> {
    for run in runs {
        let lost_for_good =
            run.state == State::Lost && is_lost_for_good(&desk.store, &run.id).await?;
        if !run.state.is_settled() && !lost_for_good {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Those that wait first: a worker would take them up as soon as its run is paused.
async fn pause_all(desk: &Desk, runs: &[RunRow]) -> Result<()> {
    let waiting = runs.iter().filter(|run| run.state == State::Queued);
    let active = runs.iter().filter(|run| run.state.is_active());
    for run in waiting.chain(active) {
        desk.pause(&run.id).await?;
    }
    Ok(())
}

/// Sees to it that somebody works, however often workers are killed.
#[derive(Default)]
struct Care {
    last: Option<Instant>,
    /// Starts since the runs last got anywhere, and where they were then.
    starts: u32,
    standing: Vec<(State, u32, u64)>,
}

impl Care {
    async fn keep_working(&mut self, desk: &Desk, slots: &[Slot], runs: &[RunRow]) -> Result<()> {
        if self.last.is_some_and(|last| last.elapsed() < CARE) {
            return Ok(());
        }
        self.last = Some(Instant::now());
        if runs.iter().any(|run| run.state == State::Queued) {
            self.start_workers(desk, slots, runs).await?;
        }
        if runs.iter().any(|run| run.state.is_active()) {
            let ids = runs.iter().map(|run| &run.id).collect();
            desk.all_attended(&ids).await?;
        }
        Ok(())
    }

    async fn start_workers(&mut self, desk: &Desk, slots: &[Slot], runs: &[RunRow]) -> Result<()> {
        let standing: Vec<_> =
            runs.iter().map(|run| (run.state, run.attempt, run.progress.step)).collect();
        if standing != self.standing {
            (self.starts, self.standing) = (0, standing);
        }
        let started = desk.staff(slots).await?;
        let Some(slot) = started.first() else { return Ok(()) };
        self.starts += 1;
        if MOST_STARTS < self.starts {
            let log = slot.log(&desk.home);
            return Err(bad_input(format!(
                "workers of {slot} end without doing anything; {} says why",
                log.display()
            )));
        }
        Ok(())
    }
}

/// What asks this program to leave.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for `time`; true when it was asked to leave meanwhile.
    async fn within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.asked()).await.is_ok()
    }

    /// Until this program is asked to leave.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
