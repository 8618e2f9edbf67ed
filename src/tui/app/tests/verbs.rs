//! What is asked of runs from the table: whom it reaches, what it asks first, how it is undone.

use super::*;

#[test]
fn verbs_name_the_runs_that_they_can_mean() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.keys("p");
    assert_eq!(lab.last_request(), Some(&Request::Pause(vec!["demo-aaaaaaaa".into()])));
    lab.keys("j p");
    assert!(lab.screen().contains("nothing to pause: demo-bbbbbbbb is finished"));
    lab.keys("G r");
    assert_eq!(lab.last_request(), Some(&Request::Resume(vec!["demo-dddddddd".into()])));
    let answer = Data::Answer { done: true, text: "demo-dddddddd is queued again".into() };
    assert!(lab.event(Event::Data(answer)).screen().contains("✓ demo-dddddddd is queued again"));
}

#[test]
fn cancel_asks_first_and_names_the_runs() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.keys("x");
    assert!(lab.screen().contains("cancel demo-aaaaaaaa?"));
    lab.keys("n");
    assert_eq!(lab.last_request(), None);
    lab.keys("x j");
    assert!(lab.screen().contains("cancel demo-aaaaaaaa?"), "another key is no answer");
    lab.keys("y");
    assert_eq!(lab.last_request(), Some(&Request::Cancel(vec!["demo-aaaaaaaa".into()])));
}

#[test]
fn verbs_say_that_they_would_reach_what_is_hidden() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.keys("V / s t a t e : f i n i s h e d enter A");
    assert!(lab.screen().contains("archive 3 runs (2 of them hidden)?  y / n"), "{}", lab.screen());
    lab.keys("n");
    assert_eq!(lab.last_request(), None);
    assert!(lab.keys("x").screen().contains("cancel 2 runs (all of them hidden)?  y / n"));
    assert!(lab.keys("n D").screen().contains("3 runs (2 of them hidden)"), "{}", lab.screen());
    assert!(lab.keys("esc t").screen().contains("tag 4 runs (3 of them hidden): "));
    lab.keys("esc A y");
    let Some(Request::Archive { runs, archived: true }) = lab.last_request() else {
        panic!("{:?}", lab.last_request())
    };
    assert_eq!(runs.len(), 3);
    // What a person sees is not asked about.
    lab.keys("* A");
    let runs = vec!["demo-bbbbbbbb".to_owned()];
    assert_eq!(lab.last_request(), Some(&Request::Archive { runs, archived: true }));
}

#[test]
fn read_only_refuses_in_words() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.app.readonly = true;
    for key in ["p", "r", "x", "a", "t", "n", "A", "D", "u"] {
        assert!(lab.keys(key).screen().contains("! read only"), "{key}");
    }
    let looks = |effect: &Effect| matches!(effect, Effect::Ask(Ask::Watch(_) | Ask::Sketch { .. }));
    assert!(lab.asked.iter().all(looks), "{:?}", lab.asked);
}

#[test]
fn a_lab_that_cannot_be_written_is_looked_at_and_says_so() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.event(Event::Data(Data::Unwritable));
    let screen = lab.screen();
    assert!(screen.contains("this lab cannot be written: this screen only looks"), "{screen}");
    assert!(lab.keys("p").last_request().is_none());
    let said = "! read only: this screen only looks (this lab cannot be written)";
    assert!(lab.screen().contains(said), "{}", lab.screen());
}

#[test]
fn what_is_wrong_with_the_run_log_is_read_to_its_end() {
    let mut lab = Lab::empty(80, 24);
    let why = "/mnt/a/rather/long/place/of/a/lab.db cannot be written (read-only): choose another lab with \
               --home, or look only, with --readonly";
    lab.event(Event::Data(Data::Trouble(why.into())));
    let screen = lab.screen();
    let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("or look only, with --readonly"), "{screen}");
}

#[test]
fn archiving_and_tagging_can_be_undone() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("j A");
    let runs = vec!["demo-bbbbbbbb".to_owned()];
    let archive = |archived: bool| Request::Archive { runs: runs.clone(), archived };
    assert_eq!(lab.last_request(), Some(&archive(true)));
    let back = |what: &str, request: Request| {
        Request::Undo(Undo { what: what.into(), requests: vec![request] })
    };
    lab.keys("u");
    assert_eq!(lab.last_request(), Some(&back("archive demo-bbbbbbbb", archive(false))));
    lab.keys("t g o o d enter");
    let tag = |add: &[&str], remove: &[&str]| Request::Tag {
        runs: runs.clone(),
        add: add.iter().map(|&tag| tag.to_owned()).collect(),
        remove: remove.iter().map(|&tag| tag.to_owned()).collect(),
    };
    assert_eq!(lab.last_request(), Some(&tag(&["good"], &[])));
    lab.keys("u");
    let untag = tag(&[], &["good"]);
    assert_eq!(lab.last_request(), Some(&back("tags of demo-bbbbbbbb", untag)));
    assert!(lab.keys("u").screen().contains("nothing to undo"));
    let asked = lab.asked.len();
    lab.keys("t + , - enter");
    assert_eq!(lab.asked.len(), asked, "signs without a word are no tags");
}

#[test]
fn deleting_wants_the_name_and_refuses_a_live_run() {
    let mut lab = Lab::with(sweep(), 120, 40);
    assert!(lab.keys("D").screen().contains("nothing to delete: demo-aaaaaaaa is running"));
    lab.keys("j D y enter");
    assert_eq!(lab.last_request(), None);
    assert!(lab.screen().contains("nothing was deleted"));
    lab.keys("D");
    let asked = "demo-bbbbbbbb into the trash? ";
    assert!(lab.screen().contains(asked), "{}", lab.screen());
    assert!(lab.screen().contains("type demo-bbbbbbbb; u brings back"), "{}", lab.screen());
    lab.keys("d e m o - b b b b b b b b enter");
    let runs = vec!["demo-bbbbbbbb".to_owned()];
    assert_eq!(lab.last_request(), Some(&Request::Remove(runs.clone())));
    lab.keys("u");
    let what = "delete demo-bbbbbbbb".to_owned();
    let back = Undo { what, requests: vec![Request::Restore(runs)] };
    assert_eq!(lab.last_request(), Some(&Request::Undo(back)));
}

#[test]
fn what_was_refused_is_not_taken_back() {
    let mut lab = Lab::with(sweep(), 120, 40);
    let void = |lab: &mut Lab| {
        let request = lab.last_request().unwrap().clone();
        lab.event(Event::Data(Data::Void(request)));
    };
    lab.keys("j A j A");
    void(&mut lab);
    lab.keys("u");
    let undo = lab.last_request().unwrap().clone();
    assert!(
        matches!(&undo, Request::Undo(undo) if undo.what == "archive demo-bbbbbbbb"),
        "{undo:?}"
    );
    // Nor is it forgotten what could not be taken back just now.
    void(&mut lab);
    let asked = lab.asked.len();
    lab.keys("u");
    assert_eq!((lab.asked.len(), lab.last_request()), (asked + 1, Some(&undo)));
    assert!(lab.keys("u").screen().contains("nothing to undo"));
}
