//! The run log made again from the run directories alone: whatever became of it, the runs are as they were.

use std::sync::Arc;

use instdisc_lab::journal::writer::Clock;
use instdisc_lab::lab::Home;
use instdisc_lab::queue::{Desk, Manner, Plan, rebuild};
use instdisc_lab::store::{Change, ExperimentRecord, RunRow, State, Store, StoreError, catch_up};

use crate::ingest::Story;

fn clock() -> Clock {
    Arc::new(|| 9_000)
}

/// Four runs: finished, stopped, lost, never started; with tags, a note and a priority.
async fn lived_in(home: &Home) -> (Store, Vec<String>) {
    let store = Store::open(home).await.unwrap();
    let desk =
        Desk { home: home.clone(), store: store.clone(), clock: clock(), by: "queue".into() };
    let text = "name = \"x\"\nquestion = \"?\"\n[base]\ndata.dataset = \"shapes\"\n\
                objective = { kind = \"nce\" }\n[grid]\nseed = [0, 1, 2, 3]\n";
    let experiment =
        instdisc_lab::config::experiment::parse("x.toml", text, &Default::default()).unwrap();
    let plan = Plan::new(experiment, home.root()).unwrap();
    let queued = desk.enqueue(&plan, &Manner::default()).await.unwrap();
    let ids: Vec<String> = queued.into_iter().map(|run| run.id).collect();
    desk.tag(&ids[0], &["keep".into()], &[]).await.unwrap();
    desk.note(&ids[1], "look again").await.unwrap();
    desk.pin(&ids[2], true).await.unwrap();
    for (id, end) in ids.iter().zip([Some(State::Finished), Some(State::Paused), None]) {
        let mut story = Story::default();
        story.start(0);
        story.point(5, &[("loss", 1.25), ("knn_top1", 40.0)]);
        let change = |at| Change { at, reason: None, by: "cpu-0".into() };
        let claim = store.claim("cpu-0", "cpu", 9_000).await.unwrap().unwrap();
        let claimed =
            if claim.id == *id { claim } else { panic!("{id} is next, not {}", claim.id) };
        let from = match end {
            Some(State::Finished) => {
                story.end(instdisc_lab::journal::event::EndState::Finished, 5);
                State::Finished
            }
            Some(_) => {
                story.end(instdisc_lab::journal::event::EndState::Stopped, 5);
                State::Stopping
            }
            None => State::Lost,
        };
        std::fs::write(home.run(id).journal(), &story.text).unwrap();
        catch_up(&store, id, &home.run(id)).await.unwrap();
        store
            .settle(id, claimed.attempt, State::Starting, State::Running, change(10))
            .await
            .unwrap();
        store.settle(id, claimed.attempt, State::Running, from, change(story.at)).await.unwrap();
        if from == State::Stopping {
            store.settle(id, claimed.attempt, from, State::Paused, change(story.at)).await.unwrap();
        }
    }
    desk.priority(&ids[3], 7).await.unwrap();
    (store, ids)
}

/// What must come back; when it was lost is not known any more.
async fn everything(store: &Store) -> (Vec<RunRow>, Vec<ExperimentRecord>, Vec<usize>) {
    let mut runs = store.runs().await.unwrap();
    let mut curves = Vec::new();
    for run in &mut runs {
        curves.push(store.curve(&run.id, "loss", None).await.unwrap().len());
        if run.state == State::Lost {
            run.ended_at = None;
        }
    }
    (runs, store.experiments().await.unwrap(), curves)
}

#[tokio::test]
async fn every_damage_is_undone_from_the_directories() {
    for damage in ["gone", "rubbish", "torn", "no damage"] {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let (store, ids) = lived_in(&home).await;
        let before = everything(&store).await;
        assert_eq!(
            before.0.iter().map(|run| run.state).collect::<Vec<_>>(),
            [State::Finished, State::Paused, State::Lost, State::Queued]
        );
        store.close().await;
        match damage {
            "gone" => std::fs::remove_file(home.database()).unwrap(),
            "rubbish" => std::fs::write(home.database(), "rubbish ".repeat(4096)).unwrap(),
            "torn" => {
                let bytes = std::fs::read(home.database()).unwrap();
                std::fs::write(home.database(), &bytes[..bytes.len() / 3]).unwrap();
            }
            _ => {}
        }
        let rebuilt = rebuild(&home, &clock()).await.unwrap();
        let store = Store::open(&home).await.unwrap();
        assert_eq!(everything(&store).await, before, "{damage}");
        let expected = if damage == "no damage" { 0 } else { ids.len() };
        assert_eq!(rebuilt.restored.len(), expected, "{damage}");
        assert_eq!(rebuilt.set_aside.is_some(), matches!(damage, "rubbish" | "torn"), "{damage}");
        assert!(rebuilt.set_aside.is_none_or(|aside| aside.exists()));
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
}

/// What stood still is cancelled at a word, of which no journal knows.
#[tokio::test]
async fn when_a_run_was_cancelled_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let (store, ids) = lived_in(&home).await;
    let desk = Desk { home: home.clone(), store, clock: Arc::new(|| 12_000), by: "cancel".into() };
    for id in &ids[1..] {
        desk.cancel(id).await.unwrap();
    }
    let before = everything(&desk.store).await;
    assert_eq!(before.0[3].ended_at, Some(12_000));
    desk.store.close().await;
    std::fs::remove_file(home.database()).unwrap();
    rebuild(&home, &(Arc::new(|| 20_000_i64) as Clock)).await.unwrap();
    let store = Store::open(&home).await.unwrap();
    assert_eq!(everything(&store).await, before);
    // Out of the trash, too.
    let desk = Desk { store, clock: Arc::new(|| 30_000), ..desk };
    desk.remove(&ids[3]).await.unwrap();
    desk.unremove(&ids[3]).await.unwrap();
    assert_eq!(desk.store.run(&ids[3]).await.unwrap().ended_at, Some(12_000));
}

#[tokio::test]
async fn a_living_trainer_is_found_running_and_left_to_the_next_worker() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let (store, ids) = lived_in(&home).await;
    store.close().await;
    std::fs::remove_file(home.database()).unwrap();
    let lock = std::fs::File::create(home.run(&ids[2]).lock()).unwrap();
    lock.lock().unwrap();
    rebuild(&home, &clock()).await.unwrap();
    let store = Store::open(&home).await.unwrap();
    let [hand] = &store.runs_in("cpu-0").await.unwrap()[..] else { panic!("one run") };
    assert_eq!((&hand.id, hand.state, hand.attempt), (&ids[2], State::Running, 1));
}

#[tokio::test]
async fn a_file_that_is_not_ours_to_judge_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    let (store, _) = lived_in(&home).await;
    let path = store.path().to_path_buf();
    store.close().await;
    // user_version, in the file's header.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&9u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let refused = rebuild(&home, &clock()).await.unwrap_err();
    assert!(
        matches!(
            refused,
            instdisc_lab::queue::QueueError::Store(StoreError::Newer { found: 9, .. })
        ),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}
