//! Making the run log anew from run directories: the journals are the truth, this is their copy.

use std::path::Path;

use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

use super::model::{RunId, State};
use super::records::{Change, Ending, Membership};
use super::transition::record;
use super::{Durability, Result, Store, catch_up, json};
use crate::journal::event::{EndState, Event};
use crate::journal::reader::{Position, Reader};
use crate::lab::RunDir;

/// A run as its directory describes it, the journal apart.
#[derive(Clone, Debug)]
pub struct Restored {
    pub id: RunId,
    /// sha256 hex of the resolved specification.
    pub fingerprint: String,
    pub spec: Value,
    /// In the order in which they asked for the run.
    pub experiments: Vec<Membership>,
    pub tags: Vec<String>,
    pub note: String,
    pub priority: i64,
    pub pinned: bool,
    pub archived: bool,
    pub queued_at: i64,
    /// The slot whose worker is to look after it: its trainer lives.
    pub slot: Option<String>,
}

impl Store {
    /// Takes a run in from its directory, with all that its journal says, unless it is there already: then only the
    /// rest of the journal is read. Returns the state of a run that was not there: running while a trainer lives, else
    /// as its last attempt ended, and lost where that ended without a word. What was asked of it is not known any more,
    /// so a run that stopped on request is paused.
    ///
    /// # Errors
    /// When the journal cannot be read, or as any change.
    pub async fn restore(
        &self,
        run: &Restored,
        dir: &RunDir,
        change: Change,
    ) -> Result<Option<State>> {
        let outline = Outline::read(&dir.journal())?;
        let state = outline.state(run.slot.is_some());
        let mut tx = self.begin(Durability::Power).await?;
        let known =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE id = ?)").bind(&run.id);
        let known: bool = known.fetch_one(&mut *tx).await?;
        if !known {
            let key = insert(&mut tx, run, &outline, state, &change).await?;
            for membership in &run.experiments {
                join(&mut tx, key, membership, run.queued_at).await?;
            }
            for tag in &run.tags {
                let query = sqlx::query("INSERT OR IGNORE INTO tag (run, tag) VALUES (?, ?)");
                query.bind(key).bind(tag).execute(&mut *tx).await?;
            }
            record(&mut tx, key, outline.attempt, None, state, &change).await?;
        }
        tx.commit().await?;
        catch_up(self, &run.id, dir).await?;
        Ok((!known).then_some(state))
    }
}

/// What a journal says about the run as a whole.
#[derive(Default)]
struct Outline {
    /// 0 before the first start.
    attempt: u32,
    started_at: Option<i64>,
    /// How the newest attempt ended.
    ending: Option<Ending>,
}

impl Outline {
    fn read(journal: &Path) -> Result<Self> {
        let mut outline = Self::default();
        let mut reader = Reader::new(journal, Position::default());
        while let Some(batch) = reader.next_batch()? {
            for line in batch.lines {
                match line.event {
                    _ if line.attempt < outline.attempt => {}
                    Event::Start(_) => {
                        outline.attempt = line.attempt;
                        outline.started_at.get_or_insert(line.at);
                        outline.ending = None;
                    }
                    Event::End(end) => {
                        let (state, step, reason) = (end.state, end.step, end.reason);
                        outline.attempt = line.attempt;
                        outline.ending = Some(Ending { at: line.at, state, step, reason });
                    }
                    _ => {}
                }
            }
        }
        Ok(outline)
    }

    fn state(&self, lives: bool) -> State {
        match &self.ending {
            _ if lives => State::Running,
            None if self.attempt == 0 => State::Queued,
            None => State::Lost,
            Some(ending) => match ending.state {
                EndState::Finished => State::Finished,
                EndState::Stopped => State::Paused,
                EndState::Failed => State::Failed,
            },
        }
    }
}

async fn insert(
    tx: &mut SqliteConnection,
    run: &Restored,
    outline: &Outline,
    state: State,
    change: &Change,
) -> Result<i64> {
    let is_over = matches!(state, State::Finished | State::Failed | State::Lost);
    let ended_at = is_over.then(|| outline.ending.as_ref().map_or(change.at, |ending| ending.at));
    let reason = outline.ending.as_ref().filter(|ending| ending.state == EndState::Failed);
    let query = sqlx::query_scalar(
        "INSERT INTO run (id, fingerprint, spec, state, reason, attempt, slot, priority, pinned, archived, note,
                          queued_at, started_at, ended_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING key",
    );
    let query = query.bind(&run.id).bind(&run.fingerprint).bind(json(&run.spec)?);
    let query = query.bind(state.as_str()).bind(reason.map(|ending| &ending.reason));
    let query = query.bind(outline.attempt).bind(&run.slot).bind(run.priority).bind(run.pinned);
    let query = query.bind(run.archived).bind(&run.note).bind(run.queued_at);
    Ok(query.bind(outline.started_at).bind(ended_at).fetch_one(tx).await?)
}

/// The experiment as it is known, else as this run knows it.
async fn join(tx: &mut SqliteConnection, run: i64, new: &Membership, queued_at: i64) -> Result<()> {
    let query = sqlx::query(
        "INSERT OR IGNORE INTO experiment (name, question, text, factors, refs, queued_at) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let query = query.bind(&new.name).bind(&new.question).bind(&new.text);
    let query = query.bind(json(&new.factors)?).bind(json(&new.references)?).bind(queued_at);
    query.execute(&mut *tx).await?;
    let query = sqlx::query(
        "INSERT INTO run_experiment (experiment, run, ordinal, varied, variant)
         SELECT key, ?, ?, ?, ? FROM experiment WHERE name = ?",
    );
    let query = query.bind(run).bind(new.ordinal.cast_signed()).bind(json(&new.varied)?);
    query.bind(&new.variant).bind(&new.name).execute(tx).await?;
    Ok(())
}
