//! The run log on real files: exactly once, however it is cut up; refusals in words; one history.


use instdisc_lab::lab::{Home, RunDir};
use instdisc_lab::store::*;
use serde_json::json;

/// A lab in a temporary folder with an open run log.
struct Lab {
    _dir: tempfile::TempDir,
    home: Home,
    store: Store,
}

async fn lab() -> Lab {
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
        priority: 0,
        again: false,
        at: 1000,
        by: "queue".into(),
    }
}

impl Lab {
    async fn enqueue(&self, submission: &Submission) -> Vec<Enqueued> {
        self.store.enqueue(submission, |_, _| Ok::<(), StoreError>(())).await.unwrap()
    }

    /// One queued run and its directory.
    async fn one(&self) -> (String, RunDir) {
        let id = self.enqueue(&submission("x", 0..1)).await.remove(0).id;
        let dir = self.home.run(&id);
        std::fs::create_dir_all(dir.path()).unwrap();
        (id, dir)
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
    assert_eq!(claim, Claim { id: id.clone(), attempt: 1, fresh: false });
    assert_eq!(lab.store.claim("cpu-1", "cpu", 2000).await.unwrap(), None);
    lab.store.transition(&id, State::Starting, State::Running, change(3000)).await.unwrap();
    let run = lab.store.run(&id).await.unwrap();
    assert_eq!((run.state, run.attempt, run.started_at), (State::Running, 1, Some(3000)));
    assert_eq!(run.device.as_deref(), Some("cpu"));
    lab.store.request(&id, Request::Pause, 3500, "tui").await.unwrap();
    lab.store.request(&id, Request::Cancel, 3600, "tui").await.unwrap();
    lab.store.request(&id, Request::Pause, 3700, "tui").await.unwrap();
    assert_eq!(lab.store.request_of(&id).await.unwrap().unwrap().request, Request::Cancel);
    lab.store.transition(&id, State::Running, State::Finished, change(4000)).await.unwrap();
    assert_eq!(lab.store.requests().await.unwrap(), []);
    let history = lab.store.history(&id).await.unwrap();
    let states: Vec<State> = history.iter().map(|change| change.to).collect();
    assert_eq!(states, [State::Queued, State::Starting, State::Running, State::Finished]);
    assert_eq!(lab.store.check().await.unwrap(), Vec::<String>::new());
}
