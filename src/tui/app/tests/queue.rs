//! Who works, and what waits.

use super::ablations::tabled;
use super::machine::in_hand;
use super::*;

/// Runs of an experiment that has a long name.
fn long_named() -> Vec<RunRow> {
    let id = |i: u32| format!("an-experiment-whose-name-is-long-7226e2d{i}");
    let state = |i| if i == 0 { State::Running } else { State::Queued };
    (0..4).map(|i| run(&id(i), state(i), i, u64::from(i))).collect()
}

#[test]
fn a_long_name_keeps_its_end_and_gives_way_to_numbers() {
    let mut lab = Lab::with(long_named(), 100, 24);
    let screen = lab.screen();
    let heads = screen.lines().nth(2).unwrap();
    for head in ["progress", "left", "loss ~", "k-NN", "best"] {
        assert!(heads.contains(head), "{head} in\n{screen}");
    }
    assert!(screen.contains("…-7226e2d1"), "{screen}");
    let screen = lab.keys("4").screen();
    for i in 0..4 {
        assert!(screen.contains(&format!("…-7226e2d{i}")), "{screen}");
    }
    // Where there is room for it, it is whole.
    lab.event(Event::Resize(200, 40));
    assert!(lab.keys("1").screen().contains("an-experiment-whose-name-is-long-7226e2d1"));
}

#[test]
fn the_queue_says_who_works_what_waits_and_why() {
    let mut rows = tabled(80, 24).app.rows;
    for (i, row) in rows.iter_mut().enumerate().skip(2) {
        row.state = State::Queued;
        row.queued_at = i as i64;
        row.progress = Default::default();
        row.spec.set("train", json!({"epochs": 20}));
    }
    rows[0].state = State::Running;
    rows[0].spec.set("train", json!({"epochs": 20}));
    let mut lab = Lab::with(rows, 140, 30);
    let worker = |slot: &str, state: Working, run: Option<&str>| Worker {
        slot: slot.into(),
        state,
        runs: run.into_iter().map(in_hand).collect(),
    };
    let workers = vec![
        worker("cpu-0", Working::Working, Some("demo-00000000")),
        worker("cpu-1", Working::None, None),
    ];
    lab.event(Event::Data(Data::Workers(workers)));
    lab.keys("4");
    let screen = lab.screen();
    for text in [
        "1 at work, 6 waiting · all done in about",
        "● cpu-0 works",
        "· cpu-1 no worker",
        "running on cpu-0, 3m00s left",
        "next, in about 3m00s",
        "behind 1, in about 7m00s",
        "now",
        "░",
    ] {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    // The last one goes one place earlier: those above are raised with it, and it can be taken back.
    lab.keys("G K");
    let raised: Vec<(String, i64)> =
        [2, 3, 4, 5, 7].map(|i| (format!("demo-0000000{i}"), 1)).to_vec();
    assert_eq!(lab.last_request(), Some(&Request::Order(raised)));
    lab.keys("u");
    assert!(
        matches!(lab.last_request(), Some(Request::Undo(undo)) if undo.what == "place of demo-00000007")
    );
    lab.keys("g g K");
    assert!(lab.screen().contains("only what waits"));
    lab.keys("d");
    assert_eq!(lab.last_request(), Some(&Request::Drain(Some("cpu-0".into()))));
    lab.keys("+");
    assert_eq!(lab.last_request(), Some(&Request::AddWorker));
    lab.keys("j p");
    assert_eq!(lab.last_request(), Some(&Request::Pause(vec!["demo-00000002".into()])));
    lab.keys("i");
    assert_eq!((lab.app.tab, lab.app.selected().unwrap().id.as_str()), (Tab::Run, "demo-00000002"));
}
