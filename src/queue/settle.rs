//! What an ended trainer means for its run.
//!
//! The journal's `end` record is the truth; the exit status only helps where there is none, and an adopted trainer has
//! none that could be read. Pure: the worker carries the verdict out.

use super::launcher::Ending;
use crate::journal::cause::Cause;
use crate::journal::event::EndState;
use crate::store::{Ending as EndRecord, Request, State};

/// Exit status of a trainer that stopped at a checkpoint on request.
const STOPPED: i32 = 75;

/// Times a lost run goes back to the queue by itself.
pub const MOST_LOSSES: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `Finished`, `Failed`, `Paused`, `Cancelled` or `Lost`; `Paused` without anybody's wish means that it goes on.
    pub state: State,
    pub reason: Option<String>,
}

/// `end` is the current attempt's end record, `wanted` what a person asked for last, `last_words` the last line that
/// the trainer wrote to its standard error.
pub fn judge(
    ending: Ending,
    end: Option<&EndRecord>,
    wanted: Option<Request>,
    last_words: Option<&str>,
) -> Verdict {
    let verdict = |state, reason: Option<String>| Verdict { state, reason };
    let asked_for = wanted.map(|wanted| match wanted {
        Request::Pause => State::Paused,
        Request::Cancel => State::Cancelled,
    });
    match (end.map(|end| (end.state, &end.reason)), asked_for) {
        (Some((EndState::Finished, _)), _) => verdict(State::Finished, None),
        (Some((EndState::Failed, why)), _) => verdict(State::Failed, Some(why.clone())),
        (Some((EndState::Stopped, _)), Some(state)) => verdict(state, None),
        // A cluster needs no reason of ours: it goes on elsewhere, or later.
        (Some((EndState::Stopped, _)), None)
            if matches!(ending, Ending::Requeued | Ending::TimeLimit | Ending::NodeLost) =>
        {
            verdict(State::Paused, Some("stopped at a checkpoint for the cluster".into()))
        }
        (Some((EndState::Stopped, _)) | None, None) if ending == Ending::Revoked => {
            verdict(State::Cancelled, Some(ending.to_string()))
        }
        (Some((EndState::Stopped, why)), None) => {
            verdict(State::Lost, Some(format!("stopped, though nobody here asked for it ({why})")))
        }
        (None, Some(State::Cancelled)) => verdict(State::Cancelled, None),
        // A trainer that ends by itself without a word has failed before it could write one: a missing library, a
        // panic. Trying again would not help, so a person should look.
        (None, asked_for) => match (ending, asked_for) {
            (Ending::Exited(code), _) if code != STOPPED => {
                verdict(State::Failed, Some(silent(ending, last_words)))
            }
            // Nor where there is too little memory: it would die of the same again.
            (Ending::OutOfMemory, None) => {
                verdict(State::Failed, Some(Cause::OutOfMemory.reason(ending)))
            }
            (Ending::NeverBegan, None) => {
                let why = last_words.map_or_else(|| ending.to_string(), str::to_owned);
                let named = Cause::of(&why).is_some();
                let reason = if named { why } else { Cause::Cluster.reason(why) };
                verdict(State::Failed, Some(reason))
            }
            (Ending::Deadline, None) => verdict(State::Failed, Some(Cause::Cluster.reason(ending))),
            (Ending::Signalled(_), None)
                if last_words.and_then(Cause::behind) == Some(Cause::OutOfMemory) =>
            {
                verdict(State::Failed, Some(silent(ending, last_words)))
            }
            (Ending::Revoked, Some(state)) => verdict(state, None),
            (ending, Some(state)) => {
                verdict(state, Some(format!("{ending} before it had written its last checkpoint")))
            }
            (ending, None) => {
                let cause = match ending {
                    Ending::Signalled(_) => Cause::Signal,
                    Ending::Restarted | Ending::NodeLost | Ending::Requeued => Cause::Machine,
                    Ending::TimeLimit => Cause::TimeLimit,
                    _ => Cause::Crash,
                };
                verdict(State::Lost, Some(cause.reason(ending)))
            }
        },
    }
}

/// Why a trainer ended that left nothing in its journal, as far as its standard error tells: a disk that was full for
/// the journal too, a missing library.
fn silent(ending: Ending, last_words: Option<&str>) -> String {
    let Some(words) = last_words else {
        return Cause::Crash.reason(format!("{ending} and left no end record"));
    };
    let said = words.strip_prefix("instdisc-train: ").unwrap_or(words);
    match Cause::of(said) {
        Some(_) => said.to_owned(),
        None => {
            let cause = Cause::behind(said).unwrap_or(Cause::Crash);
            cause.reason(format!("{ending} and left no end record: {said}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(state: EndState) -> EndRecord {
        EndRecord { at: 0, state, step: 3, reason: "why".into() }
    }

    fn state(ending: Ending, end: Option<&EndRecord>, wanted: Option<Request>) -> State {
        judge(ending, end, wanted, None).state
    }

    #[test]
    fn the_end_record_outweighs_the_exit_status() {
        let finished = end(EndState::Finished);
        for ending in [Ending::Exited(1), Ending::Signalled(9), Ending::Unseen] {
            assert_eq!(state(ending, Some(&finished), None), State::Finished);
            // It was done before the request reached it.
            assert_eq!(state(ending, Some(&finished), Some(Request::Cancel)), State::Finished);
        }
        let failed = judge(Ending::Exited(0), Some(&end(EndState::Failed)), None, None);
        assert_eq!(failed, Verdict { state: State::Failed, reason: Some("why".into()) });
    }

    #[test]
    fn a_stop_is_what_was_asked_for() {
        let stopped = end(EndState::Stopped);
        let exit = Ending::Exited(STOPPED);
        assert_eq!(state(exit, Some(&stopped), Some(Request::Pause)), State::Paused);
        assert_eq!(state(exit, Some(&stopped), Some(Request::Cancel)), State::Cancelled);
        assert_eq!(state(exit, Some(&stopped), None), State::Lost);
    }

    #[test]
    fn what_a_cluster_does_is_told_apart() {
        let stopped = end(EndState::Stopped);
        for ending in [Ending::Requeued, Ending::TimeLimit, Ending::NodeLost] {
            assert_eq!(state(ending, Some(&stopped), None), State::Paused, "{ending}");
            assert_eq!(state(ending, Some(&stopped), Some(Request::Cancel)), State::Cancelled);
            assert_eq!(state(ending, None, None), State::Lost, "{ending}");
        }
        assert_eq!(state(Ending::Revoked, Some(&stopped), None), State::Cancelled);
        assert_eq!(state(Ending::Revoked, None, None), State::Cancelled);
        assert_eq!(state(Ending::Deadline, None, None), State::Failed);
        let late = judge(Ending::TimeLimit, None, None, None).reason.unwrap();
        assert_eq!(Cause::of(&late), Some(Cause::TimeLimit));
    }

    #[test]
    fn without_a_record_a_vanished_trainer_is_lost_and_a_silent_failure_named() {
        assert_eq!(state(Ending::Signalled(9), None, None), State::Lost);
        assert_eq!(state(Ending::Unseen, None, None), State::Lost);
        assert_eq!(state(Ending::Signalled(9), None, Some(Request::Cancel)), State::Cancelled);
        assert_eq!(state(Ending::Unseen, None, Some(Request::Pause)), State::Paused);
        let silent = judge(Ending::Exited(127), None, None, Some("no libtorch.so"));
        assert_eq!(silent.state, State::Failed);
        assert_eq!(
            silent.reason.unwrap(),
            "crash: the trainer exited with 127 and left no end record: no libtorch.so"
        );
        let full =
            judge(Ending::Exited(1), None, None, Some("instdisc-train: disk full: cannot write x"));
        assert_eq!(full.reason.unwrap(), "disk full: cannot write x");
    }

    #[test]
    fn want_of_memory_is_named_and_not_tried_again() {
        let killed = judge(Ending::OutOfMemory, None, None, None);
        assert_eq!(killed.state, State::Failed);
        assert!(killed.reason.unwrap().starts_with("out of memory: "));
        let aborted =
            judge(Ending::Signalled(6), None, None, Some("memory allocation of 8 bytes failed"));
        assert_eq!(aborted.state, State::Failed);
        assert!(aborted.reason.unwrap().starts_with("out of memory: "));
        assert_eq!(state(Ending::OutOfMemory, None, Some(Request::Cancel)), State::Cancelled);
    }
}
