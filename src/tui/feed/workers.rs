//! Who works here: slots of the lab, workers that said hello, and whether their locks say that they live.

use crate::lab::Home;
use crate::queue::{Slot, Where, Workers, slots};
use crate::store::{Store, StoreError};
use crate::tui::event::{Worker, Working};

/// Workers by slot, and the lab's slots that have none.
pub async fn read(home: &Home, store: &Store) -> Result<Vec<Worker>, StoreError> {
    let mut found = Vec::new();
    for row in store.workers().await? {
        let runs = store.runs_in(&row.slot).await?;
        let slot = Slot::parse(&row.slot);
        let gone = slot.is_none_or(|slot| slots::is_free(home, &slot).unwrap_or(false));
        let state = match (gone, row.draining, runs.is_empty()) {
            (true, ..) => Working::Gone,
            (_, true, _) => Working::Draining,
            (_, _, false) => Working::Working,
            _ => Working::Idle,
        };
        found.push(Worker { slot: row.slot, state, runs });
    }
    // A mistake in lab.toml is told where it matters: when a worker is to be started.
    let wanted = Workers::load(home).map(|workers| match workers.launcher {
        Where::Local => workers.chosen(None, None),
        Where::Slurm => vec![Slot::cluster()],
    });
    let wanted = wanted.unwrap_or_default();
    for slot in wanted.iter().map(Slot::to_string) {
        if !found.iter().any(|worker| worker.slot == slot) {
            found.push(Worker { slot, state: Working::None, runs: Vec::new() });
        }
    }
    Ok(found)
}
