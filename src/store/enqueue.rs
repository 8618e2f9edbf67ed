//! Taking an experiment in: which runs it asks for, and which of them are there already.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use super::model::{Launch, RunId, State};
use super::records::Change;
use super::restore::accept_gaps;
use super::transition::record;
use super::{Durability, Result, Store, StoreError, json};
use crate::config::Reference;
use serde_json::{Map, Value};

/// An experiment and the runs it asks for, in the order of its grid.
#[derive(Clone, Debug)]
pub struct Submission {
    pub name: String,
    pub question: String,
    /// The TOML as written.
    pub text: String,
    pub factors: Vec<String>,
    pub references: Vec<Reference>,
    /// The whole grid.
    pub runs: Vec<NewRun>,
    /// Places of `runs` that nobody wants queued now.
    pub left_out: BTreeSet<usize>,
    /// Absent: 0 for a new run, and as it was for one that is there already.
    pub priority: Option<i64>,
    /// Absent: on this machine.
    pub launch: Option<Launch>,
    /// Run everything once more, whatever is there.
    pub again: bool,
    pub at: i64,
    /// A subcommand or a screen.
    pub by: String,
}

/// One run of a [`Submission`].
#[derive(Clone, Debug)]
pub struct NewRun {
    /// sha256 hex of the resolved specification.
    pub fingerprint: String,
    pub spec: Value,
    pub varied: Map<String, Value>,
    pub variant: Option<String>,
}

impl NewRun {
    /// Whether it says where files lie, its own or those of `eval.on`, which no fingerprint of a published set does.
    pub fn says_where(&self) -> bool {
        let own = self.spec.pointer("/data/root").is_some_and(|root| !root.is_null());
        let others = self.spec.pointer("/eval/on").and_then(Value::as_array);
        let placed = |on: &Value| on.as_str().is_some_and(|on| on.contains('='));
        own || others.is_some_and(|others| others.iter().any(placed))
    }
}

/// What became of one [`NewRun`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    pub id: RunId,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Made and queued.
    New,
    /// Was there already, in this state. One that is still to start goes where the submission says, with its files from
    /// where that says; any other is left as it is.
    Reused(State),
}

/// Runs that wait for this machine and for a cluster, and the slots that have some at work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub waiting_here: usize,
    pub waiting_elsewhere: usize,
    pub at_work: Vec<String>,
}

impl Store {
    /// Takes an experiment in, all of it or nothing. A run whose specification is there already is shared, whatever its
    /// state and whichever experiment asked for it first, unless `again`. `make` is called for every run before it is
    /// recorded, to make the directory of a new one and to note in that of a shared one who else asks for it: what it
    /// leaves behind when the change is not committed is found again by the same id the next time. `seal` is called once,
    /// after the last of them and before the commit.
    ///
    /// # Errors
    /// What `make` and `seal` say, else as any change.
    pub async fn enqueue<E: From<StoreError>>(
        &self,
        submission: &Submission,
        mut make: impl FnMut(&RunId, &NewRun, Outcome) -> std::result::Result<(), E>,
        seal: impl FnOnce() -> std::result::Result<(), E>,
    ) -> std::result::Result<Vec<Enqueued>, E> {
        let mut tx = self.begin(Durability::Power).await?;
        let experiment = record_experiment(&mut tx, submission).await?;
        let mut all = Vec::with_capacity(submission.runs.len());
        let wanted = submission.runs.iter().enumerate();
        for (ordinal, new) in wanted.filter(|(ordinal, _)| !submission.left_out.contains(ordinal)) {
            let (key, enqueued) = match existing(&mut tx, submission, new).await? {
                Some((key, id, state)) => {
                    let outcome = Outcome::Reused(state);
                    make(&id, new, outcome)?;
                    redirect(&mut tx, key, state, submission, new).await?;
                    (key, Enqueued { id, outcome })
                }
                None => {
                    let id = free_id(&mut tx, &submission.name, &new.fingerprint).await?;
                    make(&id, new, Outcome::New)?;
                    let key = insert(&mut tx, submission, new, &id).await?;
                    (key, Enqueued { id, outcome: Outcome::New })
                }
            };
            record_member(&mut tx, experiment, key, ordinal, new).await?;
            all.push(enqueued);
        }
        if !submission.left_out.is_empty() {
            accept_gaps(&mut tx, Some(experiment)).await?;
        }
        seal()?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(all)
    }

    /// What there is to work on.
    pub async fn demand(&self) -> Result<Demand> {
        let query = sqlx::query_as(
            "SELECT count(*) FILTER (WHERE launch IS NULL), count(*) FILTER (WHERE launch IS NOT NULL)
               FROM run WHERE state = 'queued'",
        );
        let (here, elsewhere): (i64, i64) = query.fetch_one(&self.0.readers).await?;
        let query = sqlx::query_scalar(
            "SELECT DISTINCT slot FROM run WHERE state IN ('starting', 'running', 'stopping') AND slot IS NOT NULL",
        );
        let count = |n: i64| usize::try_from(n).unwrap_or_default();
        Ok(Demand {
            waiting_here: count(here),
            waiting_elsewhere: count(elsewhere),
            at_work: query.fetch_all(&self.0.readers).await?,
        })
    }

    /// When the last of those that wait was queued, in milliseconds since 1970; 0 when nobody waits.
    pub async fn last_in_line(&self) -> Result<i64> {
        let query = "SELECT coalesce(max(queued_at), 0) FROM run WHERE state = 'queued'";
        Ok(sqlx::query_scalar(query).fetch_one(&self.0.readers).await?)
    }
}

async fn record_experiment(tx: &mut SqliteConnection, new: &Submission) -> Result<i64> {
    let query = sqlx::query_scalar(
        "INSERT INTO experiment (name, question, text, factors, refs, queued_at, planned) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET question = excluded.question, text = excluded.text,
           factors = excluded.factors, refs = excluded.refs, queued_at = excluded.queued_at,
           planned = excluded.planned, removed = 0
         RETURNING key",
    );
    let query = query.bind(&new.name).bind(&new.question).bind(&new.text);
    let query = query.bind(json(&new.factors)?).bind(json(&new.references)?).bind(new.at);
    Ok(query.bind(new.runs.len() as i64).fetch_one(tx).await?)
}

/// The newest run with this specification; under `again` none counts.
async fn existing(
    tx: &mut SqliteConnection,
    submission: &Submission,
    new: &NewRun,
) -> Result<Option<(i64, RunId, State)>> {
    if submission.again {
        return Ok(None);
    }
    let query = sqlx::query_as(
        "SELECT key, id, state FROM run WHERE fingerprint = ? ORDER BY key DESC LIMIT 1",
    );
    let found: Option<(i64, String, String)> =
        query.bind(&new.fingerprint).fetch_optional(tx).await?;
    found.map(|(key, id, state)| Ok((key, id, super::browse::state(&state)?))).transpose()
}

/// `<experiment>-<8 hex>`, or the first of `.2`, `.3`, … that is free. Eight digits can collide: then, too, a number
/// tells the two apart.
async fn free_id(tx: &mut SqliteConnection, experiment: &str, fingerprint: &str) -> Result<RunId> {
    let base = format!("{experiment}-{}", fingerprint.get(..8).unwrap_or(fingerprint));
    let mut id = base.clone();
    for n in 2.. {
        let taken = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM run WHERE id = ?)").bind(&id);
        let taken: bool = taken.fetch_one(&mut *tx).await?;
        if !taken {
            break;
        }
        id = format!("{base}.{n}");
    }
    Ok(id)
}

async fn insert(
    tx: &mut SqliteConnection,
    submission: &Submission,
    new: &NewRun,
    id: &str,
) -> Result<i64> {
    let query = sqlx::query_scalar(
        "INSERT INTO run (id, fingerprint, spec, state, priority, queued_at, launch) VALUES (?, ?, ?, 'queued', ?, ?, ?)
         RETURNING key",
    );
    let query = query.bind(id).bind(&new.fingerprint).bind(json(&new.spec)?);
    let query = query.bind(submission.priority.unwrap_or_default()).bind(submission.at);
    let launch = submission.launch.as_ref().map(json).transpose()?;
    let key = query.bind(launch).fetch_one(&mut *tx).await?;
    let change = Change { at: submission.at, reason: None, by: submission.by.clone() };
    record(tx, key, 0, None, State::Queued, &change).await?;
    Ok(key)
}

/// Who queues a run says where it is to run, how soon, and what its fingerprint leaves open, such as where its files lie:
/// that holds for one that waits, or is about to be put back into the queue. What is not said stays as it was.
async fn redirect(
    tx: &mut SqliteConnection,
    key: i64,
    state: State,
    submission: &Submission,
    new: &NewRun,
) -> Result<()> {
    if !state.may_move() {
        return Ok(());
    }
    let query = sqlx::query(
        "UPDATE run SET launch = ?, spec = coalesce(?, spec), priority = coalesce(?, priority) WHERE key = ?",
    );
    let launch = submission.launch.as_ref().map(json).transpose()?;
    let spec = new.says_where().then(|| json(&new.spec)).transpose()?;
    let query = query.bind(launch).bind(spec).bind(submission.priority);
    query.bind(key).execute(tx).await?;
    Ok(())
}

async fn record_member(
    tx: &mut SqliteConnection,
    experiment: i64,
    run: i64,
    ordinal: usize,
    new: &NewRun,
) -> Result<()> {
    let query = sqlx::query(
        "INSERT INTO run_experiment (experiment, run, ordinal, varied, variant) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET ordinal = excluded.ordinal, varied = excluded.varied, variant = excluded.variant",
    );
    let query = query.bind(experiment).bind(run).bind(ordinal as i64);
    query.bind(json(&new.varied)?).bind(&new.variant).execute(tx).await?;
    Ok(())
}
