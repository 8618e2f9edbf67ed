//! Early warnings and notices.

use super::*;
use crate::tui::effect::Notice;
use crate::tui::machine::Disk;

fn running(id: &str, seed: u64) -> RunRow {
    let mut row = run(id, State::Running, 10, seed);
    row.spec.set("data", json!({"dataset": "shapes"}));
    row
}

fn set(row: &mut RunRow, metric: &str, last: f64) {
    row.metrics.get_mut(metric).unwrap().last.0 = last;
}

fn banner(lab: &Lab) -> String {
    lab.screen().lines().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_loss_that_is_no_number_is_told_and_gone_to() {
    let (healthy, mut sick) = (running("demo-aaaaaaaa", 0), running("demo-bbbbbbbb", 1));
    let mut lab = Lab::with(vec![healthy.clone(), sick.clone()], 120, 40);
    assert_eq!(banner(&lab), "");
    set(&mut sick, "loss", f64::NAN);
    lab.event(Event::Data(Data::Runs(vec![healthy, sick])));
    let text = banner(&lab);
    assert!(
        text.starts_with(" ! demo-bbbbbbbb: loss is NaN at step 100   x cancels it · ! goes there"),
        "{text}"
    );
    lab.keys("2 !");
    assert_eq!(
        (lab.app.tab, lab.app.selected().unwrap().id.as_str()),
        (Tab::Runs, "demo-bbbbbbbb")
    );
    lab.keys("~");
    assert_eq!(banner(&lab), "");
    lab.keys("!");
    assert!(lab.screen().contains("nothing to warn of"));
}

#[test]
fn features_below_chance_or_far_below_their_seeds_are_told_once_it_is_time() {
    let mut row = running("demo-aaaaaaaa", 0);
    set(&mut row, "knn_top1", 8.0);
    row.progress.epoch = 1.0;
    let mut lab = Lab::with(vec![row.clone()], 120, 40);
    assert_eq!(banner(&lab), "", "too early");
    row.progress.epoch = 4.0;
    lab.event(Event::Data(Data::Runs(vec![row.clone()])));
    assert!(banner(&lab).contains("k-NN 8.0 % after 4 epochs is below chance (10.0 %)"));
    // A seed that came to much more.
    let mut peer = run("demo-bbbbbbbb", State::Finished, 10, 1);
    peer.progress.step = 400;
    set(&mut row, "knn_top1", 30.0);
    row.progress.step = 300;
    lab.event(Event::Data(Data::Runs(vec![row.clone(), peer.clone()])));
    assert_eq!(banner(&lab), "", "three quarters are not late");
    row.progress.step = 360;
    lab.event(Event::Data(Data::Runs(vec![row.clone(), peer.clone()])));
    assert!(
        banner(&lab).contains("k-NN 30.0 % is far below its other seeds (41.2 %, n = 1)"),
        "{}",
        banner(&lab)
    );
    // Another setting is no peer.
    peer.varied = serde_json::Map::new();
    lab.event(Event::Data(Data::Runs(vec![row, peer])));
    assert_eq!(banner(&lab), "");
}

#[test]
fn a_run_that_stands_still_is_told_and_a_hush_holds_until_it_moves() {
    let mut row = running("demo-aaaaaaaa", 0);
    row.progress =
        crate::store::model::Progress { epoch: 5.0, epochs: 20, step: 100, steps: 400, sec: 60.0 };
    let mut lab = Lab::with(vec![row.clone()], 120, 40);
    let at = |lab: &mut Lab, minutes: i64, row: &RunRow| {
        let now = 10_000 + minutes * 60_000;
        drop(lab.app.update(Event::Data(Data::Runs(vec![row.clone()])), now));
    };
    at(&mut lab, 4, &row);
    assert_eq!(banner(&lab), "");
    at(&mut lab, 6, &row);
    assert!(banner(&lab).contains("no new step for 6m00s"), "{}", banner(&lab));
    drop(lab.app.update(Event::Key(key_named("~").unwrap()), 10_000 + 6 * 60_000));
    at(&mut lab, 7, &row);
    assert_eq!(banner(&lab), "");
    row.progress.step = 101;
    at(&mut lab, 8, &row);
    at(&mut lab, 14, &row);
    assert!(banner(&lab).contains("no new step for 6m00s"), "it stands still again");
    // With long epochs an evaluation may take its time.
    row.progress.sec = 5000.0;
    at(&mut lab, 14, &row);
    assert_eq!(banner(&lab), "");
}

#[test]
fn little_disk_is_told_and_leads_to_the_machine() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.event(Event::Data(Data::Disk(Disk { total: 100 << 30, free: 1 << 30 })));
    assert!(banner(&lab).contains("1.0 GiB left on the disk of the lab"), "{}", banner(&lab));
    lab.keys("!");
    assert_eq!(lab.app.tab, Tab::Machine);
    lab.event(Event::Data(Data::Disk(Disk { total: 100 << 30, free: 50 << 30 })));
    assert_eq!(banner(&lab), "");
}

#[test]
fn who_wants_it_is_told_when_a_run_ends() {
    let mut lab = Lab::with(vec![running("demo-aaaaaaaa", 0)], 120, 40);
    let ended = vec![run("demo-aaaaaaaa", State::Finished, 10, 0)];
    lab.event(Event::Data(Data::Runs(ended.clone())));
    assert!(!lab.asked.iter().any(|effect| matches!(effect, Effect::Notify(_))), "not asked for");
    lab.event(Event::Data(Data::Runs(vec![running("demo-aaaaaaaa", 0)])));
    lab.keys(": n o t i f y space d e s k t o p enter");
    assert!(lab.screen().contains("when a run ends: desktop"), "{}", lab.screen());
    lab.event(Event::Data(Data::Runs(ended)));
    let text = "demo-aaaaaaaa is finished, k-NN 43.0 at best; the queue is empty".to_owned();
    assert_eq!(lab.asked.last(), Some(&Effect::Notify(Notice::Desktop(text))));
    lab.keys(": n o t i f y space l o u d enter");
    assert!(lab.screen().contains("found loud, allowed: off, bell, desktop"));
}
