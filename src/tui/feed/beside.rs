//! What is read beside the run log: room on the disk, journals that are ahead of it, and the threads that search images and
//! look at the machine, each started when its screen is first opened.

use std::fs;

use crate::store::{Store, StoreError};
use crate::tui::event::Data;
use crate::tui::machine::Lag;

use super::search::{Job, Searcher};
use super::{Server, machine};

impl Server {
    /// Room where the lab lies, told when a hundredth of it has come or gone.
    pub(super) fn read_disk(&mut self) {
        let Some(disk) = machine::disk(self.home.root()) else { return };
        let known = self.disk.map(|known| known.free);
        if known.is_none_or(|free| free.abs_diff(disk.free) > disk.free / 100) {
            self.disk = Some(disk);
            self.tell(Data::Disk(disk));
        }
    }

    /// How far the run log is behind the journals of runs at work.
    pub(super) async fn read_lags(&mut self, store: &Store) -> Result<(), StoreError> {
        let mut lags = Vec::new();
        for run in self.workers.iter().flat_map(|worker| &worker.runs).map(|hand| &hand.id) {
            let length = fs::metadata(self.home.run(run).journal()).map_or(0, |file| file.len());
            let known = match store.journal_position(run).await {
                Ok(position) => position.bytes,
                Err(StoreError::UnknownRun { .. }) => continue,
                Err(error) => return Err(error),
            };
            lags.push(Lag { run: run.clone(), bytes: length.saturating_sub(known) });
        }
        if lags != self.lags {
            self.lags.clone_from(&lags);
            self.tell(Data::Lags(lags));
        }
        Ok(())
    }

    /// Hands a job to the image search, which is started when it is first needed.
    pub(super) fn search(&mut self, job: Job) {
        if self.searcher.is_none() {
            // Nobody looks at images: nothing to end.
            if matches!(job, Job::Search(None)) {
                return;
            }
            let started = Searcher::start(self.home.clone(), self.events.clone());
            self.searcher = self.or_tell(started);
        }
        if let Some(searcher) = &self.searcher {
            searcher.ask(job);
        }
    }

    /// What has been started; why it could not be goes onto the screen.
    fn or_tell<T>(&self, started: std::io::Result<T>) -> Option<T> {
        let say = |why| {
            let text = format!("a thread cannot be started: {why}");
            self.tell(Data::Answer { done: false, text });
        };
        started.map_err(say).ok()
    }

    pub(super) fn watch_machine(&mut self, watched: bool) {
        self.machine_watched = watched;
        if self.sampler.is_none() && watched {
            let started = machine::Sampler::start(self.home.clone(), self.events.clone());
            self.sampler = self.or_tell(started);
        }
        if let Some(sampler) = &self.sampler {
            sampler.watch(watched);
        }
    }
}
