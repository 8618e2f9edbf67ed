//! `rm`: takes a run away, row and directory. A run that a process works on is refused.

use std::io;

use super::desk::{Answer, Desk, QueueError, file_error};
use super::meta::sync_parent;
use crate::store::StoreError;

impl Desk {
    /// The row goes first, which refuses a live run; what a crash leaves of the directory has a name that nobody reads.
    pub async fn remove(&self, id: &str) -> Result<Answer, QueueError> {
        match self.store.remove(id).await {
            Ok(()) => {}
            Err(StoreError::StillActive { state, .. }) => {
                return Ok(Answer::Refused(format!("is {state}: cancel it first")));
            }
            Err(why) => return Err(why.into()),
        }
        let dir = self.home.run(id).path().to_owned();
        let gone = self.home.runs().join(format!(".tmp-removed-{id}"));
        match std::fs::rename(&dir, &gone).and_then(|()| sync_parent(&dir)) {
            Ok(()) => std::fs::remove_dir_all(&gone).map_err(file_error(gone))?,
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(file_error(dir)(why)),
        }
        Ok(Answer::Done("is removed".into()))
    }
}
