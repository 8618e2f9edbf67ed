//! What the end of a Slurm job says of its trainer's.

use super::Ending;
use crate::queue::slurm::job::Over;

/// By the exit status of its trainer; `begun` says whether that began at all.
pub(super) fn left(status: i32, over: Option<Over>, begun: bool) -> Ending {
    match (status, over) {
        // Held before it began.
        (75, _) if !begun => Ending::Revoked,
        (75, Some(Over::Cancelled)) => Ending::Revoked,
        (75, Some(Over::NodeLost)) => Ending::NodeLost,
        (75, _) => Ending::TimeLimit,
        (129.., Some(over)) if over != Over::ByItself => how(over),
        (129.., _) => Ending::Signalled(status - 128),
        _ => Ending::Exited(status),
    }
}

/// By what Slurm says of the job alone.
pub(super) fn how(over: Over) -> Ending {
    match over {
        Over::ByItself => Ending::Unseen,
        Over::Cancelled => Ending::Revoked,
        Over::TimeLimit => Ending::TimeLimit,
        Over::NodeLost => Ending::NodeLost,
        Over::OutOfMemory => Ending::OutOfMemory,
        Over::Deadline => Ending::Deadline,
    }
}
