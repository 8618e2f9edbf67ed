//! Arrays on their way to Slurm, which takes each of them once.

use std::sync::Arc;
use std::time::Instant;

use super::{Inside, Shared, View};
use crate::queue::slurm::array::Array;
use crate::queue::slurm::client::{self, Trouble};
use crate::queue::slurm::trace::Trace;

impl Inside {
    /// What is to be submitted now. Of those that Slurm takes later one is tried again at a time.
    pub(super) fn due(&self) -> Vec<Arc<Array>> {
        let is_delayed = |array: &&Arc<Array>| self.delayed.contains_key(&array.id);
        let is_new = |array: &&Arc<Array>| self.new.iter().any(|new| new.id == array.id);
        let first = self.unsent.iter().find(is_delayed);
        let others = self.unsent.iter().filter(|array| !is_delayed(array) && !is_new(array));
        others.chain(first).cloned().collect()
    }

    /// Behind the others that wait.
    fn delay(&mut self, array: &Arc<Array>, words: String) {
        self.unsent.retain(|known| known.id != array.id);
        self.unsent.push(Arc::clone(array));
        self.delayed.insert(array.id.clone(), words);
    }
}

impl Shared {
    /// Arrays on their way; no one of them keeps another from Slurm. One that is in the queue under its name has arrived,
    /// though nobody lived to note it; so has one of which an element has begun. Without a view they are new.
    pub(super) fn submit(&self, view: Option<&View>, unsent: &[Arc<Array>]) -> Result<(), Trouble> {
        for array in unsent {
            let answer = match view.and_then(|view| self.arrived(view, array)) {
                Some(job) => Ok(job),
                // Nobody wants it any more.
                None if self.is_held(array) => Err(Trouble::Refused("held".into())),
                None => client::submit(array),
            };
            let id = &array.id;
            match answer {
                // Where the disk is full, its name finds it again.
                Ok(job) => drop(array.note_job(&job)),
                Err(later @ Trouble::Later(_)) => {
                    self.lock().delay(array, later.to_string());
                    continue;
                }
                Err(refused @ Trouble::Refused(_)) => {
                    self.lock().refused.insert(id.clone(), refused.to_string());
                    // So that nobody takes it for a submission later.
                    let _ = std::fs::remove_dir_all(&array.folder);
                }
                Err(trouble) => return Err(trouble),
            }
            let mut inside = self.lock();
            inside.unsent.retain(|known| known.id != *id);
            inside.delayed.remove(id);
            // The look at hand is older than the job.
            let now = Instant::now();
            inside.taken.insert(id.clone(), now);
            let of_it = inside.later.iter_mut().filter(|told| told.submission == *id);
            of_it.for_each(|told| told.at = now);
        }
        Ok(())
    }

    /// The number of its job, where there is one.
    fn arrived(&self, view: &View, array: &Array) -> Option<String> {
        let known = view.jobs.iter().find(|((submission, _), _)| *submission == array.id);
        let listed = known.and_then(|(_, job)| job.id.split('_').next().map(str::to_owned));
        listed.or_else(|| self.begun(array))
    }

    fn is_held(&self, array: &Array) -> bool {
        let held = |run: &str| Trace(&self.home.run(run)).is_held(&array.id);
        array.elements.iter().all(|element| held(&element.run))
    }

    /// The job that an element says it belongs to.
    fn begun(&self, array: &Array) -> Option<String> {
        array.elements.iter().find_map(|element| {
            let dir = self.home.run(&element.run);
            let started = Trace(&dir).begun_since(element.attempt)?;
            started.split('_').next().map(str::to_owned)
        })
    }
}
