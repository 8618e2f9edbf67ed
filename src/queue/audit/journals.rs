//! Curves against journals: what the run log has of a run is what the journal says up to where it was read.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Problem, REPAIR};
use crate::journal::event::{Event, Line};
use crate::journal::reader::{Position, Reader};
use crate::lab::Home;
use crate::queue::desk::QueueError;
use crate::queue::locks::is_held;
use crate::store::{CurvePoint, Custody, MOST_METRICS, State, Store, StoreError};

pub(in crate::queue) async fn check(
    home: &Home,
    store: &Store,
    run: &Custody,
    found: &mut Vec<Problem>,
) -> Result<(), QueueError> {
    let (position, tallies) = store.tallies(&run.id).await?;
    let journal = home.run(&run.id).journal();
    let mut flaw = |words: String| found.push(Problem::flaw("journal", &run.id, words, REPAIR));
    let len = std::fs::metadata(&journal).map_or(0, |file| file.len());
    if len < position.bytes {
        flaw(format!("has {len} bytes, of which {} were read before", position.bytes));
        return Ok(());
    }
    if !ends_a_line(&journal, position.bytes) {
        flaw(format!("was read up to byte {}, where no line ends", position.bytes));
        return Ok(());
    }
    let told = Told::read(&journal, position).map_err(StoreError::from)?;
    if told.position != position {
        let (had, has) = (position.lines, told.position.lines);
        flaw(format!("has {has} lines up to where it was read, and had {had} then"));
        return Ok(());
    }
    if run.attempt < told.newest {
        flaw(format!(
            "tells of attempt {}, but the run log only knows {}: it is an older copy, or lost its -wal file",
            told.newest, run.attempt
        ));
    }
    if told.starts_out_of_order {
        flaw("tells of starts that do not count up".into());
    }
    for tally in &tallies {
        let steps = told.curves.get(&tally.metric).map_or(&[][..], Vec::as_slice);
        let said = (steps.len() as u64, steps.last().map_or(0, |last| last.0));
        let known = (tally.points, tally.last_step);
        if said != known || tally.summary != Some(known) {
            let (n, last) = said;
            flaw(format!(
                "has {n} points of {} up to step {last}; the run log has {} up to step {}, and its summary {:?}",
                tally.metric, tally.points, tally.last_step, tally.summary
            ));
        } else if !run.state.is_active() {
            let curve = store.curve(&run.id, &tally.metric, None).await?;
            let differs = |(said, known): &(&(u64, f64), &CurvePoint)| {
                (said.0, bits(said.1)) != (known.step, bits(known.value))
            };
            if let Some((said, known)) = steps.iter().zip(&curve).find(differs) {
                flaw(format!(
                    "says {} is {} at step {}; the run log says {} at step {}",
                    tally.metric, said.1, said.0, known.value, known.step
                ));
            }
        }
    }
    // Nobody is about to read it: whoever did was killed. A look that came while somebody read says nothing.
    let at_rest = !run.state.is_active() && run.state != State::Queued;
    if 0 < told.unread && at_rest && !is_held(&home.run(&run.id).lock()).unwrap_or(false) {
        let now = store.journal_position(&run.id).await?;
        if now == position {
            flaw(format!("has {} lines more than the run log has read", told.unread));
        }
    }
    let known = |name: &String| tallies.iter().any(|tally| tally.metric == *name);
    if let Some(name) = told.curves.keys().find(|name| !known(name)) {
        flaw(format!("has points of {name}; the run log has none"));
    }
    Ok(())
}

fn ends_a_line(journal: &Path, bytes: u64) -> bool {
    let mut last = [0];
    bytes == 0
        || File::open(journal).is_ok_and(|file| file.read_exact_at(&mut last, bytes - 1).is_ok())
            && last == [b'\n']
}

/// A NaN is a NaN, however it was made.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

/// What a journal says, with what later starts take back left out.
#[derive(Default)]
struct Told {
    position: Position,
    /// The newest attempt that began; lines of older ones no longer count.
    newest: u32,
    starts_out_of_order: bool,
    /// Whole lines behind `position`.
    unread: u64,
    /// Steps and values by metric, ascending, each step once.
    curves: BTreeMap<String, Vec<(u64, f64)>>,
}

impl Told {
    fn read(journal: &Path, to: Position) -> Result<Self, crate::journal::reader::ReadError> {
        let mut told = Self::default();
        let mut reader = Reader::up_to(journal, to.bytes);
        while let Some(batch) = reader.next_batch()? {
            batch.lines.iter().for_each(|line| told.hear(line));
        }
        told.position = reader.position();
        // What is still to be read may tell of a start that the run log ought to have made itself.
        let mut reader = Reader::new(journal, told.position);
        while let Some(batch) = reader.next_batch()? {
            told.unread += batch.to.lines - batch.from.lines;
            let starts = batch.lines.iter().filter(|line| matches!(line.event, Event::Start(_)));
            told.newest = starts.map(|line| line.attempt).fold(told.newest, u32::max);
        }
        Ok(told)
    }

    fn hear(&mut self, line: &Line) {
        if line.attempt < self.newest {
            self.starts_out_of_order |= matches!(line.event, Event::Start(_));
            return;
        }
        match &line.event {
            Event::Start(start) => {
                self.newest = line.attempt;
                let kept =
                    |point: &(u64, f64)| 0 < start.resumed_step && point.0 <= start.resumed_step;
                self.curves.retain(|_, steps| {
                    steps.retain(kept);
                    !steps.is_empty()
                });
            }
            Event::Point(point) => {
                for (name, value) in &point.m {
                    let n = self.curves.len();
                    let steps = match self.curves.get_mut(name) {
                        Some(steps) => steps,
                        // The run log has no more than the first.
                        None if MOST_METRICS <= n => continue,
                        None => self.curves.entry(name.clone()).or_default(),
                    };
                    // Of two measurements at one step the later counts.
                    match steps.binary_search_by_key(&point.step, |known| known.0) {
                        Ok(at) => steps[at].1 = value.0,
                        Err(at) => steps.insert(at, (point.step, value.0)),
                    }
                }
            }
            _ => {}
        }
    }
}
