//! Making the run log anew from run directories: the journals are the truth, this is their copy.

use std::path::Path;

use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

use super::model::{Launch, RunId, State};
use super::records::{Change, Ending, Membership, Wish, Wished};
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
    pub launch: Option<Launch>,
    pub wish: Option<Wish>,
    /// The slot whose worker is to look after it: its trainer lives.
    pub slot: Option<String>,
}

impl Store {
    /// Takes a run in from its directory, with all that its journal says, unless it is there already: then what people
    /// said about it is brought up to date, and the rest of the journal is read. A row that knows of fewer starts than
    /// the journal is of an older copy of the run log, and gives way. Returns the state of a run that was taken in:
    /// running while a trainer lives, else as a person last wanted it, else as its last attempt ended, and lost where
    /// that ended without a word.
    ///
    /// # Errors
    /// When the journal cannot be read, or as any change.
    pub async fn restore(
        &self,
        run: &Restored,
        dir: &RunDir,
        change: Change,
    ) -> Result<Option<State>> {
        let mut outline = Outline::read(&dir.journal())?;
        // A person knew of a later start than the journal: that one ended before it could say anything.
        if let Some(wish) = run.wish.filter(|wish| outline.attempt < wish.attempt) {
            (outline.attempt, outline.ending) = (wish.attempt, None);
        }
        let state = outline.state(run.slot.is_some(), run.wish);
        let mut tx = self.begin(Durability::Power).await?;
        let row = sqlx::query_as("SELECT key, attempt FROM run WHERE id = ?").bind(&run.id);
        let row: Option<(i64, u32)> = row.fetch_optional(&mut *tx).await?;
        let known = row.filter(|(_, attempt)| outline.attempt <= *attempt).map(|(key, _)| key);
        if let (Some((key, _)), None) = (row, known) {
            sqlx::query("DELETE FROM run WHERE key = ?").bind(key).execute(&mut *tx).await?;
        }
        let key = match known {
            Some(key) => key,
            None => {
                let key = insert(&mut tx, run, &outline, state, &change).await?;
                record(&mut tx, key, outline.attempt, None, state, &change).await?;
                key
            }
        };
        describe(&mut tx, key, run).await?;
        tx.commit().await?;
        catch_up(self, &run.id, dir).await?;
        Ok(known.is_none().then_some(state))
    }

    /// Takes note, after the run log was made anew, that every place of a grid without a run is one that `rm` took: no
    /// directory tells of it any more.
    pub async fn accept_grids(&self) -> Result<()> {
        let mut tx = self.begin(Durability::Power).await?;
        accept_gaps(&mut tx, None).await?;
        Ok(tx.commit().await?)
    }
}

/// Counts places without a run, of one grid or of all, as places that are meant to have none.
pub(super) async fn accept_gaps(tx: &mut SqliteConnection, experiment: Option<i64>) -> Result<()> {
    let query = sqlx::query(
        "UPDATE experiment SET removed = max(0, planned - (SELECT count(DISTINCT ordinal) FROM run_experiment
           WHERE run_experiment.experiment = experiment.key AND ordinal < planned))
          WHERE ?1 IS NULL OR key = ?1",
    );
    query.bind(experiment).execute(tx).await?;
    Ok(())
}

/// What people say about a run, as its directory has it. The specification may have been told anew what its fingerprint
/// leaves open; one of another fingerprint is another run's, and not taken in.
async fn describe(tx: &mut SqliteConnection, key: i64, run: &Restored) -> Result<()> {
    let query = sqlx::query(
        "UPDATE run SET note = ?, priority = ?, pinned = ?, archived = ?,
           spec = CASE WHEN fingerprint = ? THEN ? ELSE spec END
          WHERE key = ?",
    );
    let query = query.bind(&run.note).bind(run.priority).bind(run.pinned).bind(run.archived);
    let query = query.bind(&run.fingerprint).bind(json(&run.spec)?);
    query.bind(key).execute(&mut *tx).await?;
    for membership in &run.experiments {
        join(tx, key, membership, run.queued_at).await?;
    }
    sqlx::query("DELETE FROM tag WHERE run = ?").bind(key).execute(&mut *tx).await?;
    for tag in &run.tags {
        let query = sqlx::query("INSERT OR IGNORE INTO tag (run, tag) VALUES (?, ?)");
        query.bind(key).bind(tag).execute(&mut *tx).await?;
    }
    Ok(())
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

    /// When it came to be in `state`, as far as anybody noted it: a run that waits or stands still is cancelled at a word, of
    /// which its journal does not know.
    fn ended_at(&self, state: State, wish: Option<Wish>) -> Option<i64> {
        let cancelled = wish.filter(|_| state == State::Cancelled).and_then(|wish| wish.at);
        self.ending.as_ref().map(|ending| ending.at).max(cancelled)
    }

    fn state(&self, lives: bool, wish: Option<Wish>) -> State {
        let ended = match &self.ending {
            _ if lives => return State::Running,
            None if self.attempt == 0 => State::Queued,
            None => State::Lost,
            Some(ending) => match ending.state {
                EndState::Finished => State::Finished,
                EndState::Stopped => State::Paused,
                EndState::Failed => State::Failed,
            },
        };
        let wish = wish.filter(|wish| self.attempt <= wish.attempt).map(|wish| wish.what);
        match (ended, wish) {
            (State::Finished, _) | (_, None) => ended,
            (_, Some(Wished::Queue)) => State::Queued,
            (State::Failed, Some(_)) => State::Failed,
            (_, Some(Wished::Pause)) => State::Paused,
            (_, Some(Wished::Cancel)) => State::Cancelled,
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
    let is_over = matches!(state, State::Finished | State::Failed | State::Cancelled | State::Lost);
    let ended_at = is_over.then(|| outline.ended_at(state, run.wish).unwrap_or(change.at));
    let reason = outline.ending.as_ref().filter(|_| state == State::Failed);
    let fresh = run.wish.is_some_and(|wish| wish.fresh && state == State::Queued);
    let query = sqlx::query_scalar(
        "INSERT INTO run (id, fingerprint, spec, state, reason, attempt, fresh, slot, queued_at, started_at, ended_at,
                          launch)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING key",
    );
    let query = query.bind(&run.id).bind(&run.fingerprint).bind(json(&run.spec)?);
    let query = query.bind(state.as_str()).bind(reason.map(|ending| &ending.reason));
    let query = query.bind(outline.attempt).bind(fresh).bind(&run.slot).bind(run.queued_at);
    let query = query.bind(outline.started_at).bind(ended_at);
    let launch = run.launch.as_ref().map(json).transpose()?;
    Ok(query.bind(launch).fetch_one(tx).await?)
}

/// The experiment as it is known, else as this run knows it.
async fn join(tx: &mut SqliteConnection, run: i64, new: &Membership, queued_at: i64) -> Result<()> {
    let query = sqlx::query(
        "INSERT OR IGNORE INTO experiment (name, question, text, factors, refs, queued_at, planned)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    let query = query.bind(&new.name).bind(&new.question).bind(&new.text);
    let query = query.bind(json(&new.factors)?).bind(json(&new.references)?).bind(queued_at);
    query.bind(new.planned.cast_signed()).execute(&mut *tx).await?;
    // A place that was empty has its run back.
    let query = sqlx::query(
        "UPDATE experiment SET removed = max(0, removed - 1) WHERE name = ?1 AND ?2 < planned
           AND NOT EXISTS (SELECT 1 FROM run_experiment WHERE run_experiment.experiment = experiment.key AND ordinal = ?2)",
    );
    query.bind(&new.name).bind(new.ordinal.cast_signed()).execute(&mut *tx).await?;
    let query = sqlx::query(
        "INSERT OR REPLACE INTO run_experiment (experiment, run, ordinal, varied, variant)
         SELECT key, ?, ?, ?, ? FROM experiment WHERE name = ?",
    );
    let query = query.bind(run).bind(new.ordinal.cast_signed()).bind(json(&new.varied)?);
    query.bind(&new.variant).bind(&new.name).execute(tx).await?;
    Ok(())
}
