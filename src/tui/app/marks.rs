//! Runs that were marked, each with a colour of its own for as long as it is.

use crate::store::model::RunId;

#[derive(Clone, Debug, Default)]
pub struct Marks(Vec<(RunId, usize)>);

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn has(&self, id: &str) -> bool {
        self.colour(id).is_some()
    }

    pub fn ids(&self) -> impl Iterator<Item = &RunId> {
        self.0.iter().map(|(id, _)| id)
    }

    /// The colour slot of a marked run; it keeps it while it is marked.
    pub fn colour(&self, id: &str) -> Option<usize> {
        self.0.iter().find(|(marked, _)| marked == id).map(|(_, slot)| *slot)
    }

    pub fn toggle(&mut self, id: RunId) {
        if let Some(at) = self.0.iter().position(|(marked, _)| *marked == id) {
            self.0.remove(at);
        } else {
            self.add(id);
        }
    }

    /// Marks a run that is not marked yet, in the first colour that is free.
    pub fn add(&mut self, id: RunId) {
        if !self.has(&id) {
            let free = (0..).find(|slot| self.0.iter().all(|(_, taken)| taken != slot));
            self.0.push((id, free.unwrap_or_default()));
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Keeps those that `lives`.
    pub fn retain(&mut self, lives: impl Fn(&str) -> bool) {
        self.0.retain(|(id, _)| lives(id));
    }
}
