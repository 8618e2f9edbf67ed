//! `meta.json` of a run directory: what people say about a run. The database can be made again from it.
//!
//! Written before the database, so that the file never lacks what the database has; always whole, because a new
//! version replaces the old one by a rename.

use std::io;

use serde::{Deserialize, Serialize};

use crate::files::{DRAFT, replace};
use crate::journal::event::{LARGEST, MOST_ATTEMPTS};
use crate::lab::RunDir;
pub use crate::store::Membership;
use crate::store::{Launch, Wish};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// In the order in which they asked for the run.
    pub experiments: Vec<Membership>,
    pub tags: Vec<String>,
    pub note: String,
    /// Higher goes first.
    pub priority: i64,
    pub pinned: bool,
    pub archived: bool,
    /// Milliseconds since 1970, UTC.
    pub queued_at: i64,
    /// What was asked of a cluster; absent for a run of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch: Option<Launch>,
    /// Absent until somebody wants something after the first queueing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
}

impl Meta {
    /// A directory without the file has nothing to say.
    ///
    /// # Errors
    /// If the file cannot be read, is not of this shape, or says what no run log keeps: an empty name, a number beyond reason.
    pub fn read(dir: &RunDir) -> io::Result<Self> {
        match std::fs::read(dir.meta()) {
            Ok(bytes) => {
                let meta: Self = serde_json::from_slice(&bytes)?;
                if let Some(flaw) = meta.flaw() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, flaw));
                }
                Ok(meta)
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(why),
        }
    }

    /// What no program of ours would say, although the shape is right.
    fn flaw(&self) -> Option<&'static str> {
        let nameless = self.experiments.iter().any(|known| known.name.is_empty());
        if nameless || self.tags.iter().any(String::is_empty) {
            return Some("an experiment or a tag has no name");
        }
        let places = self.experiments.iter().map(|known| known.ordinal.max(known.planned));
        let wished = self.wish.and_then(|wish| wish.at).unwrap_or_default();
        let times = self.queued_at.unsigned_abs().max(wished.unsigned_abs());
        let largest = places.fold(times, u64::max);
        let often = self.wish.is_some_and(|wish| MOST_ATTEMPTS < wish.attempt);
        (often || LARGEST < largest).then_some("a number is larger than it can be")
    }

    pub fn write(&self, dir: &RunDir) -> io::Result<()> {
        replace(&dir.meta(), DRAFT, &serde_json::to_vec_pretty(self)?)
    }

    /// Adds the run to an experiment, or brings its place there up to date.
    pub fn join(&mut self, membership: Membership) {
        match self.experiments.iter_mut().find(|known| known.name == membership.name) {
            Some(known) => *known = membership,
            None => self.experiments.push(membership),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Wished;

    #[test]
    fn a_leftover_of_a_crash_is_no_reason_to_fail() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        assert_eq!(Meta::read(&run).unwrap(), Meta::default());
        std::fs::write(dir.path().join("meta.json.tmp"), "{\"half").unwrap();
        let meta = Meta { tags: vec!["keep".into()], priority: -3, ..Meta::default() };
        meta.write(&run).unwrap();
        assert_eq!(Meta::read(&run).unwrap(), meta);
        assert!(!dir.path().join("meta.json.tmp").exists());
    }

    #[test]
    fn what_no_run_log_could_keep_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        let membership = |name: &str| Membership {
            name: name.to_owned(),
            question: String::new(),
            ordinal: 0,
            variant: None,
            varied: serde_json::Map::new(),
            factors: Vec::new(),
            references: Vec::new(),
            text: String::new(),
            planned: 0,
        };
        let wish = Wish { what: Wished::Queue, attempt: 1, fresh: false, at: None };
        for meta in [
            Meta { tags: vec!["a".into(), String::new()], ..Meta::default() },
            Meta { experiments: vec![membership("a"), membership("")], ..Meta::default() },
            Meta {
                experiments: vec![Membership { ordinal: u64::MAX, ..membership("a") }],
                ..Meta::default()
            },
            Meta { queued_at: i64::MIN, ..Meta::default() },
            Meta { wish: Some(Wish { attempt: u32::MAX, ..wish }), ..Meta::default() },
            Meta { wish: Some(Wish { at: Some(i64::MAX), ..wish }), ..Meta::default() },
        ] {
            meta.write(&run).unwrap();
            assert_eq!(Meta::read(&run).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn a_file_with_fewer_keys_reads() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        let text = r#"{"tags":["a"],"later":1,"wish":{"what":"cancel","attempt":2}}"#;
        std::fs::write(run.meta(), text).unwrap();
        let meta = Meta::read(&run).unwrap();
        let wish = Wish { what: Wished::Cancel, attempt: 2, fresh: false, at: None };
        assert_eq!((meta.tags, meta.wish), (vec!["a".to_owned()], Some(wish)));
    }
}
