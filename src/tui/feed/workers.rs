//! Who works here: slots of the lab, workers that said hello, and whether their locks say that they live.

use crate::lab::Home;
use crate::queue::{Slot, Workers, slots};
use crate::store::{Store, StoreError};
use crate::tui::event::{Worker, Working};

/// Workers by slot, and the lab's slots that have none.
pub async fn read(home: &Home, store: &Store) -> Result<Vec<Worker>, StoreError> {
    let mut found = Vec::new();
    for row in store.workers().await? {
        let run = store.run_in(&row.slot).await?.map(|(id, ..)| id);
        let slot = Slot::parse(&row.slot);
        let gone = slot.is_none_or(|slot| slots::is_free(home, &slot).unwrap_or(false));
        let state = match (gone, row.draining, &run) {
            (true, ..) => Working::Gone,
            (_, true, _) => Working::Draining,
            (_, _, Some(_)) => Working::Working,
            _ => Working::Idle,
        };
        found.push(Worker { slot: row.slot, state, run });
    }
    // A mistake in lab.toml is told where it matters: when a worker is to be started.
    let wanted = Workers::load(home).map(|workers| workers.chosen(None, None)).unwrap_or_default();
    for slot in wanted.iter().map(Slot::to_string) {
        if !found.iter().any(|worker| worker.slot == slot) {
            found.push(Worker { slot, state: Working::None, run: None });
        }
    }
    Ok(found)
}
