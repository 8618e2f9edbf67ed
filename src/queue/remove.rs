//! `rm`: takes a run out of the lab, row and directory, and lays the directory into the trash; `rm --undo` takes it out
//! again, `rm --forever` deletes. A run that a process works on is refused.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::desk::{Answer, Desk, QueueError, file_error};
use super::meta::Meta;
use super::rebuild::describe;
use super::slurm::array::Array;
use crate::files::sync_parent;
use crate::lab::{Home, RunDir};
use crate::store::{
    Change, RunId, RunRow, State, StoreError, Wish, Wished, is_beginning, is_whole_id,
};

impl Desk {
    /// Into the trash, within the change that takes its row away: whatever dies in between, the row is still there, and
    /// removing can be repeated.
    pub async fn remove(&self, id: &str) -> Result<Answer, QueueError> {
        let run = match self.store.run(id).await {
            Err(StoreError::UnknownRun { .. }) if self.newest(id)?.is_some() => {
                return Ok(Answer::Already("is in the trash already".into()));
            }
            run => run?,
        };
        self.note_state(&run).await;
        let mut had_directory = false;
        let removed = self.store.remove(id, || {
            had_directory = self.put_away(id)?;
            Ok(())
        });
        match removed.await {
            Ok(()) if had_directory => {
                Ok(Answer::Done("is in the trash: `rm --undo` brings it back".into()))
            }
            Ok(()) => Ok(Answer::Done("is removed; it had no directory".into())),
            Err(QueueError::Store(StoreError::StillActive { state, .. })) => {
                Ok(Answer::Refused(format!("is {state}: cancel it first")))
            }
            Err(why) => {
                // Not committed, so it is not removed; a process that is killed here leaves that to the next `rm`. So does
                // a disk that failed: what it was told to keep, and would not, it may have kept all the same.
                let failed = matches!(why, QueueError::Store(StoreError::DiskFailed { .. }));
                if had_directory && !failed && self.store.run(id).await.is_ok() {
                    self.take_back(id)?;
                }
                Err(why)
            }
        }
    }

    fn take_back(&self, id: &str) -> Result<(), QueueError> {
        let dir = self.home.run(id);
        match self.newest(id)? {
            Some(place) if !dir.path().exists() => {
                fs::rename(&place, dir.path()).map_err(file_error(place))
            }
            _ => Ok(()),
        }
    }

    /// Whether there was a directory to lay into the trash.
    fn put_away(&self, id: &str) -> Result<bool, QueueError> {
        let dir = self.home.run(id).path().to_owned();
        let trash = self.home.trash();
        fs::create_dir_all(&trash).map_err(file_error(&trash))?;
        let place = self.place(id);
        match fs::rename(&dir, &place).and_then(|()| sync_parent(&dir)) {
            Ok(()) => sync_parent(&place).map_err(file_error(place)).map(|()| true),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(why) => Err(file_error(dir)(why)),
        }
    }

    /// Out of the trash, as it was: with its curves, tags and note, and in the state it had.
    pub async fn unremove(&self, id: &str) -> Result<Answer, QueueError> {
        // As a name of a folder it could lead anywhere.
        if !is_whole_id(id) {
            return Ok(Answer::Refused("is no whole id of a run".into()));
        }
        let dir = self.home.run(id);
        let is_known = match self.store.run(id).await {
            Ok(_) => true,
            Err(StoreError::UnknownRun { .. }) => false,
            Err(why) => return Err(why.into()),
        };
        match (self.newest(id)?, dir.path().exists()) {
            // An earlier undo got no further than this.
            (_, true) if !is_known => {}
            (None, true) => return Ok(Answer::Already("is not removed".into())),
            (Some(_), true) => {
                let words = "is there again, as another run: remove that one first";
                return Ok(Answer::Refused(words.into()));
            }
            (Some(place), false) => {
                let back = fs::rename(&place, dir.path()).and_then(|()| sync_parent(dir.path()));
                back.map_err(file_error(&place))?;
            }
            (None, false) => return Ok(Answer::Refused("is not in the trash".into())),
        }
        let run = describe(&self.home, dir.path()).map_err(file_error(dir.path()))?;
        let reason = Some("taken out of the trash".to_owned());
        let change = Change { at: self.now(), reason, by: self.by.clone() };
        let state = self.store.restore(&run, &dir, change).await?;
        let state = state.map_or_else(String::new, |state| format!(": it is {state}"));
        Ok(Answer::Done(format!("is back{state}")))
    }

    /// Deletes a run with everything it wrote, whether it lies in the trash already or not.
    pub async fn remove_forever(&self, id: &str) -> Result<Answer, QueueError> {
        match self.remove(id).await {
            Ok(Answer::Refused(words)) => return Ok(Answer::Refused(words)),
            Ok(_) | Err(QueueError::Store(StoreError::UnknownRun { .. })) => {}
            Err(why) => return Err(why),
        }
        let mut n_deleted = 0;
        while let Some(place) = self.newest(id)? {
            fs::remove_dir_all(&place).map_err(file_error(place))?;
            n_deleted += 1;
        }
        // What is left over for now goes with the next one.
        let _ = self.forget_submissions();
        Ok(match n_deleted {
            0 => Answer::Refused("is not there, nor in the trash".into()),
            _ => Answer::Done("is deleted".into()),
        })
    }

    /// Job arrays of which no run is left, not even in the trash.
    fn forget_submissions(&self) -> Result<(), QueueError> {
        for array in Array::all(&self.home).map_err(file_error(self.home.root()))? {
            // A disk that does not answer has not said that a run is gone.
            let lies = |id: &str| !matches!(self.home.run(id).path().try_exists(), Ok(false));
            if array.elements.iter().any(|element| lies(&element.run)) {
                continue;
            }
            // After that: what has moved meanwhile lies there by now.
            let trash = trash(&self.home)?;
            let removed = |id: &str| trash.iter().any(|name| id_of(name) == id);
            if !array.elements.iter().any(|element| removed(&element.run)) {
                fs::remove_dir_all(&array.folder).map_err(file_error(&array.folder))?;
            }
        }
        Ok(())
    }

    /// What a person decided is kept in the directory; that a queued run waited or a paused one stood still is not a
    /// matter of its journal, and is to be so again when it comes back.
    async fn note_state(&self, run: &RunRow) {
        let what = match run.state {
            State::Queued => Wished::Queue,
            State::Paused => Wished::Pause,
            State::Cancelled => Wished::Cancel,
            _ => return,
        };
        let wish = Wish { what, attempt: run.attempt, fresh: false, at: run.ended_at };
        let keep =
            |old: Option<Wish>| old.filter(|old| old.what == what && old.attempt == run.attempt);
        let Ok(edits) = self.edits().await else { return };
        let change = |meta: &mut Meta| {
            let kept = keep(meta.wish).unwrap_or(wish);
            meta.wish = Some(Wish { at: kept.at.or(wish.at), ..kept });
        };
        let _ = self.edit(&edits, &run.id, change);
    }

    /// A free place in the trash: the same id may have been removed before.
    fn place(&self, id: &str) -> PathBuf {
        let mut names = (1..).map(|n| if n == 1 { id.to_owned() } else { format!("{id}~{n}") });
        let free = names.find(|name| !self.home.trash().join(name).exists());
        self.home.trash().join(free.unwrap_or_else(|| id.to_owned()))
    }

    /// Where the run that was removed last under this id lies.
    fn newest(&self, id: &str) -> Result<Option<PathBuf>, QueueError> {
        let number = |name: &str| match name.strip_prefix(id)? {
            "" => Some(1),
            rest => rest.strip_prefix('~')?.parse::<u32>().ok(),
        };
        let newest =
            trash(&self.home)?.into_iter().filter_map(|name| Some((number(&name)?, name))).max();
        Ok(newest.map(|(_, name)| RunDir::new(self.home.trash().join(name)).path().to_owned()))
    }
}

/// The run in the trash that a person means: its whole id, or a beginning that fits no other there.
///
/// # Errors
/// When the trash cannot be read.
pub fn in_trash(home: &Home, text: &str) -> Result<Option<RunId>, QueueError> {
    let names = trash(home)?;
    let mut ids: BTreeSet<&str> = names.iter().map(|name| id_of(name)).collect();
    if ids.contains(text) {
        return Ok(Some(text.to_owned()));
    }
    ids.retain(|id| is_beginning(text, id));
    Ok(ids.pop_first().filter(|_| ids.is_empty()).map(str::to_owned))
}

/// What lies in the trash, by name.
fn trash(home: &Home) -> Result<Vec<String>, QueueError> {
    let folder = home.trash();
    let entries = match fs::read_dir(&folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(file_error(&folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(file_error(&folder))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The run that a folder in the trash is of.
fn id_of(name: &str) -> &str {
    name.split('~').next().unwrap_or(name)
}
