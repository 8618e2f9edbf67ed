//! One run whole.

use super::ablations::tabled;
use super::*;

#[test]
fn the_run_screen_shows_one_run_whole() {
    let mut lab = tabled(140, 60);
    lab.keys("1 b j 5");
    assert!(lab.asked.contains(&Effect::Ask(Ask::Inspect(Some("demo-00000001".into())))));
    let history = crate::store::StateChange {
        at: 5000,
        attempt: 1,
        from: Some(State::Queued),
        to: State::Starting,
        reason: Some("a worker took it".into()),
        by: "cpu-0".into(),
    };
    let detail = Detail {
        run: "demo-00000001".into(),
        path: "/lab/runs/demo-00000001".into(),
        history: vec![history],
        env: Some(json!({"code": {"revision": "abc123", "dirty": false}})),
        ..Detail::default()
    };
    lab.event(Event::Data(Data::Detail(Box::new(detail))));
    let screen = lab.screen();
    for text in [
        "against the baseline demo-00000000",
        "1   (0)",
        "revision abc123, dirty false",
        "starting by cpu-0: a worker took it",
        "/lab/runs/demo-00000001",
        "nothing written",
    ] {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    lab.keys("y");
    let copied = lab.asked.iter().any(|effect| {
        matches!(effect, Effect::Copy(text) if text.contains("instdisc-lab run demo-00000001.toml"))
    });
    assert!(copied);
    lab.keys("e h i enter");
    let note = Request::Note { runs: vec!["demo-00000001".into()], text: "hi".into() };
    assert_eq!(lab.last_request(), Some(&note));
    lab.keys("] esc");
    assert!(lab.asked.contains(&Effect::Ask(Ask::Inspect(Some("demo-00000002".into())))));
    assert_eq!(lab.asked.last(), Some(&Effect::Ask(Ask::Inspect(None))), "nobody looks any more");
}

#[test]
fn the_sheet_ends_at_the_bottom_of_the_screen() {
    let mut lab = tabled(100, 18);
    lab.keys("5");
    assert!(lab.screen().contains("more below"));
    lab.keys("ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d ctrl-d");
    let end = lab.screen();
    assert!(!end.contains("more below"), "{end}");
    // The last line of the sheet is the last above the foot.
    let last = end.lines().rev().nth(1).unwrap_or_default();
    assert!(!last.trim().is_empty(), "{end}");
    // Nothing was scrolled beyond it: one line up is one line up.
    lab.keys("k");
    assert!(lab.screen().contains("1 more below"), "{}", lab.screen());
}

#[test]
fn a_run_without_an_epoch_to_go_is_done_when_it_has_finished() {
    let mut rows = sweep();
    rows[1].progress.steps = 0;
    rows[2].progress.steps = 0;
    rows[2].started_at = None;
    let screen = Lab::with(rows, 160, 24).screen();
    let line = |id: &str| screen.lines().find(|line| line.contains(id)).unwrap_or_default();
    assert!(line("demo-bbbbbbbb").contains("100%"), "{screen}");
    assert!(line("demo-cccccccc").contains(" 0%"), "{screen}");
}

#[test]
fn the_way_back_from_the_log_is_shown() {
    let mut lab = tabled(80, 24);
    let foot = |lab: &Lab| lab.screen().lines().last().unwrap().to_owned();
    lab.keys("5");
    assert!(foot(&lab).contains("l log") && lab.screen().contains("specification"));
    lab.keys("l");
    assert!(foot(&lab).contains("l sheet") && !foot(&lab).contains("l log"), "{}", foot(&lab));
    for back in ["l", "h", "esc"] {
        lab.keys("l");
        lab.app.run.panel = Panel::Log;
        assert!(!lab.screen().contains("specification"));
        lab.keys(back);
        assert_eq!((lab.app.tab, lab.app.run.panel), (Tab::Run, Panel::Sheet), "{back}");
        assert!(lab.screen().contains("specification"), "{back}");
    }
    // Side by side neither hides the other.
    let mut wide = tabled(120, 40);
    assert_eq!(wide.keys("5 l esc").app.tab, Tab::Runs);
}

#[test]
fn the_log_follows_and_is_searched() {
    let mut lab = tabled(80, 24);
    lab.keys("5 l");
    let mut lines: Vec<String> = (0..100).map(|i| format!("line {i}")).collect();
    lines[30].push_str(" ERROR: no space left");
    lab.event(Event::Data(Data::Log(Log { run: "demo-00000000".into(), lines: lines.clone() })));
    assert!(lab.screen().contains("line 99") && lab.screen().contains("following"));
    lab.keys("/ e r r o r enter");
    assert!(lab.screen().contains("line 30 ERROR: no space left"), "{}", lab.screen());
    assert!(!lab.screen().contains("line 99"));
    lab.keys("n N");
    assert!(lab.screen().contains("line 31 of 100"), "{}", lab.screen());
    lab.keys("f");
    lines.push("line 100".into());
    lab.event(Event::Data(Data::Log(Log { run: "demo-00000000".into(), lines })));
    assert!(lab.screen().contains("line 100"));
    lab.keys("/ ctrl-u z z z enter");
    assert!(lab.screen().contains("no line of the log contains"));
}

#[test]
fn a_run_that_is_removed_while_it_is_looked_at_is_not_replaced() {
    for tab in ["5", "6"] {
        let mut lab = Lab::with(sweep(), 100, 24);
        lab.keys(&format!("j j j {tab}"));
        // A filter that it no longer passes, or a place in the archive, hides it in the table alone.
        let mut rows = sweep();
        rows[3].archived = true;
        lab.event(Event::Data(Data::Runs(rows.clone())));
        assert_eq!(lab.app.selected().unwrap().id, "demo-dddddddd");
        rows.pop();
        lab.event(Event::Data(Data::Runs(rows)));
        let screen = lab.screen();
        assert!(
            screen.contains("demo-dddddddd was removed: [ or ] goes to another run"),
            "{screen}"
        );
        assert!(!screen.contains("demo-cccccccc"), "{screen}");
        lab.keys("r p x e t b n Y");
        assert!(lab.app.layer == Layer::None && lab.last_request().is_none(), "{screen}");
        assert!(!lab.asked.iter().any(|effect| matches!(effect, Effect::Copy(_))));
        lab.keys("[");
        assert_eq!(lab.app.selected().unwrap().id, "demo-cccccccc");
    }
}

#[test]
fn a_run_of_the_queue_that_the_filter_hides_is_looked_at_all_the_same() {
    let mut lab = Lab::with(sweep(), 100, 24);
    lab.keys("/ s t a t e = f a i l e d enter 4 enter");
    assert_eq!((lab.app.tab, lab.app.selected().unwrap().id.as_str()), (Tab::Run, "demo-aaaaaaaa"));
}
