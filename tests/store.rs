//! The run log on real files: exactly once, however it is cut up; refusals in words; one history.

use std::collections::HashSet;
use std::path::Path;

use instdisc_lab::journal::process::Identity;
use instdisc_lab::lab::{Home, RunDir};
use instdisc_lab::store::*;
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::ingest::Story;

/// A lab in a temporary folder with an open run log.
pub struct Lab {
    _dir: tempfile::TempDir,
    pub home: Home,
    pub store: Store,
}

pub async fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path().join("lab"));
    let store = Store::open(&home).await.unwrap();
    Lab { _dir: dir, home, store }
}

fn submission(name: &str, seeds: std::ops::Range<u64>) -> Submission {
    let run = |seed: u64| NewRun {
        fingerprint: format!("{seed:08x}ffff"),
        spec: json!({"objective": {"lambda": 10.0}, "seed": seed}),
        varied: serde_json::from_value(json!({"objective.lambda": 10.0})).unwrap(),
        variant: None,
    };
    Submission {
        name: name.into(),
        question: "Does it work?".into(),
        text: "name = \"x\"\n".into(),
        factors: vec!["objective.lambda".into()],
        references: Vec::new(),
        runs: seeds.map(run).collect(),
        left_out: Default::default(),
        priority: None,
        launch: None,
        again: false,
        at: 1000,
        by: "queue".into(),
    }
}

impl Lab {
    async fn enqueue(&self, submission: &Submission) -> Vec<Enqueued> {
        self.store.enqueue(submission, |_, _, _| Ok::<(), StoreError>(()), || Ok(())).await.unwrap()
    }

    /// One queued run and its directory.
    pub async fn one(&self) -> (String, RunDir) {
        self.several(1).await.remove(0)
    }

    /// Runs that are queued, with their directories.
    pub async fn several(&self, n: u64) -> Vec<(String, RunDir)> {
        let queued = self.enqueue(&submission("x", 0..n)).await;
        let made = |id: String| {
            let dir = self.home.run(&id);
            std::fs::create_dir_all(dir.path()).unwrap();
            (id, dir)
        };
        queued.into_iter().map(|queued| made(queued.id)).collect()
    }
}

fn change(at: i64) -> Change {
    Change { at, reason: None, by: "test".into() }
}

#[tokio::test]
async fn a_run_goes_through_its_life() {
    let lab = lab().await;
    let (id, _dir) = lab.one().await;
    assert_eq!(id, "x-00000000");
    let claim = lab.store.claim("cpu-0", "cpu", 2000).await.unwrap().unwrap();
    assert_eq!(claim, Claim { id: id.clone(), attempt: 1, fresh: false, launch: None });
    assert_eq!(lab.store.claim("cpu-1", "cpu", 2000).await.unwrap(), None);
    lab.store.transition(&id, State::Starting, State::Running, change(3000)).await.unwrap();
    let run = lab.store.run(&id).await.unwrap();
    assert_eq!((run.state, run.attempt, run.started_at), (State::Running, 1, Some(3000)));
    assert_eq!(run.device.as_deref(), Some("cpu"));
    let wishes = [Request::Pause, Request::Cancel, Request::Pause];
    for (at, (wish, standing)) in
        (3500..).zip(wishes.into_iter().zip([Request::Pause, Request::Cancel, Request::Cancel]))
    {
        assert_eq!(lab.store.request(&id, wish, at, "tui").await.unwrap(), standing);
    }
    assert_eq!(lab.store.request_of(&id).await.unwrap().unwrap().request, Request::Cancel);
    lab.store.transition(&id, State::Running, State::Finished, change(4000)).await.unwrap();
    assert_eq!(lab.store.requests().await.unwrap(), []);
    let history = lab.store.history(&id).await.unwrap();
    let states: Vec<State> = history.iter().map(|change| change.to).collect();
    assert_eq!(states, [State::Queued, State::Starting, State::Running, State::Finished]);
    assert_eq!(lab.store.check().await.unwrap(), Vec::<String>::new());
}

/// The file itself, past the store.
async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn refused<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => panic!("was not refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn two_first_starts_at_once_make_one_lab() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path().join("lab"));
    std::thread::scope(|scope| {
        for i in 0..8 {
            let home = &home;
            scope.spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let store = Store::open(home).await.unwrap();
                    let submission = submission(&format!("x{i}"), 0..3);
                    store
                        .enqueue(&submission, |_, _, _| Ok::<(), StoreError>(()), || Ok(()))
                        .await
                        .unwrap();
                });
            });
        }
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open_readonly(&home).await.unwrap();
        assert_eq!(
            store.runs().await.unwrap().len(),
            3,
            "one specification is one run, whoever asks"
        );
        assert_eq!(store.experiments().await.unwrap().len(), 8);
    });
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let lab = lab().await;
    let path = lab.store.path().to_path_buf();
    lab.store.close().await;
    let mut newer = raw(&path).await;
    sqlx::query("PRAGMA user_version = 5").execute(&mut newer).await.unwrap();
    newer.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    for said in
        [refused(Store::open(&lab.home).await), refused(Store::open_readonly(&lab.home).await)]
    {
        assert!(said.ends_with("(schema 5, this one knows 4): update instdisc-lab"), "{said}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_run_log_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let path = home.database();
    assert!(refused(Store::open_readonly(&home).await).starts_with("there is no run log at "));
    std::fs::write(&path, "not a database, but long enough to be looked at as one ".repeat(40))
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    for said in [refused(Store::open(&home).await), refused(Store::open_readonly(&home).await)] {
        assert!(said.contains("is no database"), "{said}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::remove_file(&path).unwrap();
    let mut other = raw(&path).await;
    sqlx::query("CREATE TABLE theirs (x)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(refused(Store::open(&home).await).ends_with("is a database of another program"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_home_that_cannot_be_made_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let said = refused(Store::open(&Home::new(dir.path().join("file/lab"))).await);
    assert!(said.starts_with("cannot create "), "{said}");
    // sysfs refuses new folders even to root.
    if Path::new("/sys/kernel").is_dir() {
        let said = refused(Store::open(&Home::new("/sys/kernel/lab")).await);
        assert!(said.contains("cannot be written"), "{said}");
    }
}

#[tokio::test]
async fn who_only_looks_sees_everything_and_changes_nothing() {
    let lab = lab().await;
    let (id, _) = lab.one().await;
    let looking = Store::open_readonly(&lab.home).await.unwrap();
    assert!(looking.is_readonly());
    assert_eq!(looking.run(&id).await.unwrap().state, State::Queued);
    let said = refused(looking.transition(&id, State::Queued, State::Paused, change(1)).await);
    assert!(said.contains("only to look"), "{said}");
}

#[tokio::test]
async fn a_state_changes_only_as_the_machine_allows_and_only_once() {
    let lab = lab().await;
    let (id, _) = lab.one().await;
    let said = refused(lab.store.transition(&id, State::Queued, State::Finished, change(1)).await);
    assert_eq!(said, "run x-00000000 is queued: it cannot become finished");
    let other = Store::open(&lab.home).await.unwrap();
    let (one, two) = tokio::join!(
        lab.store.transition(&id, State::Queued, State::Paused, change(2)),
        other.transition(&id, State::Queued, State::Cancelled, change(2)),
    );
    assert!(one.is_ok() != two.is_ok(), "exactly one wins");
    let said = refused(one.and(two));
    assert!(said.ends_with("by now, no longer queued"), "{said}");
    assert_eq!(lab.store.history(&id).await.unwrap().len(), 2);
    let said =
        refused(lab.store.transition("nobody", State::Queued, State::Paused, change(3)).await);
    assert_eq!(said, "no run is called nobody");
}

#[tokio::test]
async fn history_cannot_be_rewritten() {
    let lab = lab().await;
    let (id, _) = lab.one().await;
    let mut raw = raw(lab.store.path()).await;
    for sql in ["UPDATE state_change SET by = 'me'", "DELETE FROM state_change"] {
        let error = sqlx::query(sql).execute(&mut raw).await.unwrap_err().to_string();
        assert!(error.contains("only appended"), "{error}");
    }
    lab.store.remove(&id, || Ok::<(), StoreError>(())).await.unwrap();
    assert!(lab.store.runs().await.unwrap().is_empty());
    assert_eq!(lab.store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_is_claimed_once_the_urgent_first() {
    let lab = lab().await;
    lab.enqueue(&submission("x", 0..20)).await;
    lab.enqueue(&Submission { priority: Some(5), at: 9000, ..submission("y", 20..22) }).await;
    lab.store.priority("x-00000013", 9).await.unwrap();
    let first: Vec<String> = [
        lab.store.claim("a", "cpu", 1).await.unwrap().unwrap().id,
        lab.store.claim("a", "cpu", 1).await.unwrap().unwrap().id,
        lab.store.claim("a", "cpu", 1).await.unwrap().unwrap().id,
        lab.store.claim("a", "cpu", 1).await.unwrap().unwrap().id,
    ]
    .into();
    assert_eq!(first, ["x-00000013", "y-00000014", "y-00000015", "x-00000000"]);
    let mut tasks = Vec::new();
    for worker in 0..4 {
        let store = Store::open(&lab.home).await.unwrap();
        tasks.push(tokio::spawn(async move {
            let mut mine = Vec::new();
            while let Some(claim) = store.claim(&format!("cpu-{worker}"), "cpu", 2).await.unwrap() {
                mine.push(claim.id);
            }
            mine
        }));
    }
    let mut all = first;
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    assert_eq!(all.len(), 22);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 22);
}

#[tokio::test]
async fn a_specification_is_run_once_unless_it_is_wanted_again() {
    let lab = lab().await;
    let first = lab.enqueue(&submission("negatives", 0..2)).await;
    let shared = lab.enqueue(&submission("proximal", 1..3)).await;
    assert_eq!(
        shared[0],
        Enqueued { id: first[1].id.clone(), outcome: Outcome::Reused(State::Queued) }
    );
    assert_eq!(shared[1].id, "proximal-00000002");
    let again = lab.enqueue(&Submission { again: true, ..submission("negatives", 0..1) }).await;
    assert_eq!(again[0], Enqueued { id: "negatives-00000000.2".into(), outcome: Outcome::New });
    let run = lab.store.run(&first[1].id).await.unwrap();
    assert_eq!(run.experiments, ["negatives", "proximal"]);
    assert_eq!((run.seed, run.varied["objective.lambda"].as_f64()), (1, Some(10.0)));
    let record = lab.store.experiment("proximal").await.unwrap().unwrap();
    let members: Vec<&str> = record.members.iter().map(|member| member.run.as_str()).collect();
    assert_eq!(members, ["negatives-00000001", "proximal-00000002"]);
    assert_eq!(lab.store.experiment("nothing").await.unwrap(), None);
}

#[tokio::test]
async fn an_experiment_is_taken_in_whole_or_not_at_all() {
    let lab = lab().await;
    let mut made = Vec::new();
    let three = submission("x", 0..3);
    let result = lab.store.enqueue(
        &three,
        |id, _, _| {
            made.push(id.clone());
            if made.len() < 3 { Ok(()) } else { Err(StoreError::DiskFull) }
        },
        || Ok(()),
    );
    assert!(refused(result.await).contains("full"));
    assert_eq!(made.len(), 3);
    assert!(lab.store.runs().await.unwrap().is_empty());
    assert!(lab.store.experiments().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_person_may_type_the_beginning_of_an_id() {
    let lab = lab().await;
    lab.enqueue(&submission("x", 0..2)).await;
    lab.enqueue(&Submission { again: true, ..submission("x", 1..2) }).await;
    assert_eq!(lab.store.resolve("x-00000000").await.unwrap(), "x-00000000");
    assert_eq!(lab.store.resolve("x-00000001").await.unwrap(), "x-00000001", "whole ids win");
    assert_eq!(lab.store.resolve("x-00000001.").await.unwrap(), "x-00000001.2");
    assert!(refused(lab.store.resolve("x-00000002.").await).contains("the nearest is"));
    assert_eq!(
        refused(lab.store.resolve("x-0000000").await),
        "x-0000000 could be x-00000000, x-00000001, x-00000001.2: type more of it"
    );
    assert_eq!(refused(lab.store.resolve("%").await), "no run is called %");
}

#[tokio::test]
async fn what_people_attach_stays_and_repeating_it_changes_nothing() {
    let lab = lab().await;
    let (id, _) = lab.one().await;
    for _ in 0..2 {
        lab.store.tag(&id, &["b".into(), "a".into()], &["c".into()]).await.unwrap();
        lab.store.note(&id, "look").await.unwrap();
        lab.store.archive(&id, true).await.unwrap();
        lab.store.pin(&id, true).await.unwrap();
    }
    let run = lab.store.run(&id).await.unwrap();
    assert_eq!(run.tags, ["a", "b"]);
    assert_eq!((run.note.as_str(), run.archived, run.pinned), ("look", true, true));
}

#[tokio::test]
async fn a_fresh_retry_is_remembered_until_it_has_begun() {
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    lab.store.claim("cpu-0", "cpu", 1).await.unwrap();
    lab.store.transition(&id, State::Starting, State::Failed, change(2)).await.unwrap();
    lab.store.requeue(&id, State::Failed, true, change(3)).await.unwrap();
    let claim = lab.store.claim("cpu-0", "cpu", 4).await.unwrap().unwrap();
    assert_eq!((claim.attempt, claim.fresh), (2, true));
    // It died before it said anything: the wish stands.
    lab.store.transition(&id, State::Starting, State::Lost, change(5)).await.unwrap();
    lab.store.requeue(&id, State::Lost, false, change(6)).await.unwrap();
    assert!(lab.store.claim("cpu-0", "cpu", 7).await.unwrap().unwrap().fresh);
    let mut story = Story::default();
    story.start(0);
    std::fs::write(dir.journal(), &story.text).unwrap();
    catch_up(&lab.store, &id, &dir).await.unwrap();
    let settled = lab.store.settle(&id, 2, State::Starting, State::Lost, change(8)).await;
    assert_eq!(refused(settled), "run x-00000000 is at attempt 3 by now, no longer 2");
    lab.store.settle(&id, 3, State::Starting, State::Lost, change(8)).await.unwrap();
    lab.store.requeue(&id, State::Lost, false, change(9)).await.unwrap();
    assert!(!lab.store.claim("cpu-0", "cpu", 10).await.unwrap().unwrap().fresh);
}

/// However often its journal says it was started: those behind it in the queue are not its hostages.
#[tokio::test]
async fn a_run_that_no_attempt_is_left_for_keeps_no_other_waiting() {
    let lab = lab().await;
    let runs = lab.several(2).await;
    let mut raw = raw(lab.store.path()).await;
    let stored = "INSERT INTO attempt (run, attempt) SELECT key, ? FROM run WHERE id = ?";
    for last in [i64::from(i32::MAX), i64::from(u32::MAX)] {
        sqlx::query(stored).bind(last).bind(&runs[0].0).execute(&mut raw).await.unwrap();
        let claim = lab.store.claim("cpu-0", "cpu", 1).await.unwrap().unwrap();
        assert_eq!(claim.id, runs[1].0);
        let run = lab.store.run(&runs[0].0).await.unwrap();
        let why = run.reason.unwrap();
        assert_eq!(run.state, State::Cancelled);
        assert!(why.starts_with(&format!("no attempt can follow attempt {last}: ")), "{why}");
        lab.store.requeue(&run.id, State::Cancelled, false, change(2)).await.unwrap();
        let number = claim.attempt;
        let id = &claim.id;
        lab.store.settle(id, number, State::Starting, State::Lost, change(3)).await.unwrap();
        lab.store.requeue(id, State::Lost, false, change(4)).await.unwrap();
    }
}

#[tokio::test]
async fn a_worker_finds_the_process_of_another() {
    let lab = lab().await;
    let (id, _) = lab.one().await;
    let claim = lab.store.claim("cpu-0", "cpu", 1).await.unwrap().unwrap();
    let process = Identity::current().unwrap();
    lab.store.spawned(&id, claim.attempt, &process).await.unwrap();
    assert_eq!(lab.store.attempts(&id).await.unwrap()[0].process, Some(process.clone()));
    let [hand] = &lab.store.runs_in("cpu-0").await.unwrap()[..] else { panic!("one run") };
    assert_eq!((&hand.id, hand.state, hand.attempt), (&id, State::Starting, 1));
    lab.store.adopt(&id, claim.attempt, "cpu-1").await.unwrap();
    assert_eq!(lab.store.runs_in("cpu-0").await.unwrap(), []);
    assert!(refused(lab.store.spawned(&id, 7, &process).await).contains("no longer 7"));
    let worker = WorkerRow {
        slot: "cpu-1".into(),
        device: "cpu".into(),
        process,
        since: 1,
        draining: false,
    };
    lab.store.register_worker(&worker).await.unwrap();
    lab.store.drain(None).await.unwrap();
    assert_eq!(lab.store.workers().await.unwrap(), [WorkerRow { draining: true, ..worker }]);
    lab.store.forget_worker("cpu-1").await.unwrap();
    assert!(lab.store.workers().await.unwrap().is_empty());
    let kept = || Ok::<(), StoreError>(());
    assert!(refused(lab.store.remove(&id, kept).await).ends_with("is starting: cancel it first"));
}

#[tokio::test]
async fn a_poll_hears_of_every_commit_and_of_nothing_else() {
    let lab = lab().await;
    let other = Store::open(&lab.home).await.unwrap();
    let version = lab.store.data_version().await.unwrap();
    lab.store.runs().await.unwrap();
    assert_eq!(lab.store.data_version().await.unwrap(), version);
    lab.one().await;
    let own = lab.store.data_version().await.unwrap();
    assert_ne!(own, version);
    other.note("x-00000000", "hello").await.unwrap();
    assert_ne!(lab.store.data_version().await.unwrap(), own);
}

#[tokio::test]
async fn a_reader_that_stays_blocks_nobody_and_sees_one_moment() {
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    let mut pinned = raw(lab.store.path()).await;
    let mut moment = pinned.begin().await.unwrap();
    let count = "SELECT count(*) FROM point";
    let before: i64 = sqlx::query_scalar(count).fetch_one(&mut *moment).await.unwrap();
    let mut story = Story::default();
    story.start(0);
    (0..500).for_each(|step| story.point(step, &[("loss", 1.0)]));
    std::fs::write(dir.journal(), &story.text).unwrap();
    assert_eq!(catch_up(&lab.store, &id, &dir).await.unwrap().points, 500);
    let during: i64 = sqlx::query_scalar(count).fetch_one(&mut *moment).await.unwrap();
    assert_eq!((before, during), (0, 0));
    drop(moment);
    assert_eq!(lab.store.curve(&id, "loss", None).await.unwrap().len(), 500);
}

#[tokio::test]
async fn a_thousand_runs_are_one_list() {
    let lab = lab().await;
    lab.enqueue(&submission("x", 0..1000)).await;
    for seed in [3, 999] {
        let id = format!("x-{seed:08x}");
        let dir = lab.home.run(&id);
        std::fs::create_dir_all(dir.path()).unwrap();
        let mut story = Story::default();
        story.start(0);
        story.point(5, &[("loss", seed as f64), ("knn_top1", 50.0)]);
        std::fs::write(dir.journal(), &story.text).unwrap();
        catch_up(&lab.store, &id, &dir).await.unwrap();
    }
    let runs = lab.store.runs().await.unwrap();
    assert_eq!(runs.len(), 1000);
    assert!(
        runs.iter().enumerate().all(|(i, run)| run.seed == i as u64 && run.experiments == ["x"])
    );
    assert_eq!(runs[999].metrics["loss"].last.0, 999.0);
    assert_eq!(runs.iter().filter(|run| run.metrics.is_empty()).count(), 998);
    assert_eq!(lab.store.run("x-00000003").await.unwrap(), runs[3]);
}

/// What is known of a run is read by two threads: both must see it before a commit, or both after.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_of_one_moment_while_others_write() {
    const STEPS: u64 = 200;
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    let mut story = Story::default();
    story.start(0);
    story.point(0, &[("loss", 0.0)]);
    std::fs::write(dir.journal(), &story.text).unwrap();
    catch_up(&lab.store, &id, &dir).await.unwrap();
    let other = Store::open(&lab.home).await.unwrap();
    let writer = tokio::spawn(async move {
        for step in 1..=STEPS {
            story.point(step, &[("loss", step as f64)]);
            std::fs::write(dir.journal(), &story.text).unwrap();
            catch_up(&other, &id, &dir).await.unwrap();
        }
    });
    let mut last = 0;
    while last < STEPS {
        let run = lab.store.runs().await.unwrap().remove(0);
        assert_eq!(run.metrics["loss"].last.0, run.progress.step as f64);
        assert!(run.progress.step >= last);
        last = run.progress.step;
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn people_can_read_the_file_with_any_sqlite() {
    let lab = lab().await;
    lab.one().await;
    let mut raw = raw(lab.store.path()).await;
    for view in ["SELECT * FROM runs", "SELECT * FROM points", "SELECT * FROM changes"] {
        sqlx::query(view).fetch_all(&mut raw).await.unwrap();
    }
}

#[tokio::test]
async fn a_run_that_is_lost_and_queued_again_is_never_seen_between() {
    let lab = lab().await;
    let (id, _) = lab.one().await;
    lab.store.claim("cpu-0", "cpu", 1).await.unwrap();
    let illegal = [(State::Lost, change(2)), (State::Running, change(2))];
    let refused = refused(lab.store.settle_through(&id, 1, State::Starting, &illegal).await);
    assert_eq!(refused, "run x-00000000 is lost: it cannot become running");
    assert_eq!(lab.store.run(&id).await.unwrap().state, State::Starting, "all or nothing");
    let steps = [(State::Lost, change(3)), (State::Queued, change(3))];
    lab.store.settle_through(&id, 1, State::Starting, &steps).await.unwrap();
    let run = lab.store.run(&id).await.unwrap();
    assert_eq!((run.state, run.ended_at), (State::Queued, None));
    let states: Vec<State> = lab.store.history(&id).await.unwrap().iter().map(|c| c.to).collect();
    assert_eq!(states, [State::Queued, State::Starting, State::Lost, State::Queued]);
}

#[tokio::test]
async fn a_part_of_a_grid_is_queued_and_the_rest_later() {
    let lab = lab().await;
    let part = Submission { left_out: [1].into(), ..submission("x", 0..3) };
    assert_eq!(lab.enqueue(&part).await.len(), 2);
    let grid = lab.store.grids().await.unwrap().remove(0);
    assert_eq!((grid.planned, grid.removed, grid.filled), (3, 1, 2), "nothing is amiss");
    let members = lab.store.experiment("x").await.unwrap().unwrap().members;
    assert_eq!(members.iter().map(|member| member.ordinal).collect::<Vec<_>>(), [0, 2]);
    let all = lab.enqueue(&submission("x", 0..3)).await;
    assert_eq!(all.iter().filter(|run| run.outcome == Outcome::New).count(), 1);
    let grid = lab.store.grids().await.unwrap().remove(0);
    assert_eq!((grid.planned, grid.removed, grid.filled), (3, 0, 3));
}

#[tokio::test]
async fn some_runs_are_as_they_are_among_all() {
    let lab = lab().await;
    let ids: Vec<String> = lab.several(40).await.into_iter().map(|(id, _)| id).collect();
    for picked in [&[][..], &[0], &[39, 3, 4, 5], &[0, 20, 39]] {
        let unknown = "x-12345678".to_owned();
        let picked = picked.iter().map(|&at: &usize| &ids[at]).chain([&unknown]).collect();
        let mut all = lab.store.runs().await.unwrap();
        all.retain(|run| std::collections::HashSet::contains(&picked, &run.id));
        assert_eq!(lab.store.runs_among(&picked).await.unwrap(), all);
    }
}
