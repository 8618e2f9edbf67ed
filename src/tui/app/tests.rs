//! Keys in, screen out: the whole program but for the terminal and the store.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;
use crate::store::model::State;
use crate::tui::curves::Sample;
use crate::tui::effect::{Request, Wanted};
use crate::tui::event::{Listed, Plan, PlannedRun, Worker, Working};
use crate::tui::inspect::{Detail, Log};
use crate::tui::keys::key_named;
use crate::tui::screens::{self, charts::Cache};

fn run(id: &str, state: State, lambda: u32, seed: u64) -> RunRow {
    serde_json::from_value(json!({
        "id": id, "experiments": ["demo"], "state": state, "attempt": 1, "device": "cpu",
        "progress": {"epoch": 5.0, "epochs": 20, "step": 100, "steps": 400, "sec": 60.0},
        "seed": seed, "tags": [], "varied": {"objective.lambda": lambda},
        "spec": {"data": {"dataset": "shapes"}},
        "metrics": {
            "loss": {"last": 7.5, "last_step": 100, "best": 7.25, "best_step": 99, "unit": "nats", "better": "lower"},
            "knn_top1": {"last": 41.25, "last_step": 100, "best": 43.0, "best_step": 80, "unit": "%", "better": "higher"},
        },
        "queued_at": 1000, "started_at": 2000, "ended_at": null, "reason": null, "note": "",
        "priority": 0, "pinned": false, "archived": false, "warning": null,
    }))
    .unwrap()
}

fn sweep() -> Vec<RunRow> {
    let mut failed = run("demo-dddddddd", State::Failed, 50, 0);
    failed.reason = Some("loss is NaN at step 812; last good checkpoint: step 780".into());
    let mut queued = run("demo-cccccccc", State::Queued, 30, 0);
    queued.metrics.clear();
    queued.progress = Default::default();
    vec![
        run("demo-aaaaaaaa", State::Running, 0, 0),
        run("demo-bbbbbbbb", State::Finished, 10, 0),
        queued,
        failed,
    ]
}

/// An app at a size, and what it asked for.
struct Lab {
    app: App,
    asked: Vec<Effect>,
}

impl Lab {
    fn with(rows: Vec<RunRow>, width: u16, height: u16) -> Self {
        let mut lab = Self::empty(width, height);
        lab.event(Event::Data(Data::Runs(rows)));
        lab
    }

    fn empty(width: u16, height: u16) -> Self {
        Self {
            app: App::new("/lab".into(), false, (width, height), Keymap::default()),
            asked: Vec::new(),
        }
    }

    fn event(&mut self, event: Event) -> &mut Self {
        let effects = self.app.update(event, 10_000);
        self.asked.extend(effects);
        self
    }

    /// Types keys by their names in the key table.
    fn keys(&mut self, keys: &str) -> &mut Self {
        for name in keys.split_whitespace() {
            self.event(Event::Key(key_named(name).unwrap()));
        }
        self
    }

    fn points(&mut self, run: &str, metric: &str, values: &[f64]) -> &mut Self {
        let curve = CurveId { run: run.into(), metric: metric.into() };
        let points = values.iter().enumerate().map(|(i, &value)| {
            let step = 10 * (i as u64 + 1);
            Sample { step, sec: step as f64 * 3.0, value }
        });
        let points = Points { curve, after: None, points: points.collect() };
        self.event(Event::Data(Data::Points(points)))
    }

    fn screen(&self) -> String {
        let (width, height) = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut cache = Cache::default();
        let paint = |frame: &mut ratatui::Frame| {
            screens::draw(&self.app, frame.area(), frame.buffer_mut(), &mut cache);
        };
        terminal.draw(paint).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content.chunks(width.into());
        let rows = rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
        rows.map(|row| row.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn last_request(&self) -> Option<&Request> {
        self.asked.iter().rev().find_map(|effect| match effect {
            Effect::Ask(Ask::Do(request)) => Some(request),
            _ => None,
        })
    }
}

#[test]
fn an_empty_lab_says_what_to_press() {
    let lab = Lab::with(Vec::new(), 80, 24);
    let screen = lab.screen();
    assert!(screen.contains("This lab has no runs yet."), "{screen}");
    assert!(screen.contains("a   queue an experiment"), "{screen}");
    assert!(Lab::empty(80, 24).screen().contains("reading the run log"));
}

#[test]
fn the_table_shows_state_factors_and_numbers() {
    let screen = Lab::with(sweep(), 80, 24).screen();
    let row = screen.lines().find(|line| line.contains("demo-aaaaaaaa")).unwrap();
    for part in [">", "● running", "25%", "3m00s", "41.2", "43.0", "7.50"] {
        assert!(row.contains(part), "{part} in {row}");
    }
    assert!(screen.contains(" λ "), "{screen}");
    assert!(
        screen.contains("○ queued") && screen.contains("✗ failed") && screen.contains("✓ finished")
    );
    // One seed is no factor.
    assert!(!screen.contains("seed"), "{screen}");
}

#[test]
fn every_size_draws_or_says_what_it_needs() {
    for (width, height) in [(80, 24), (120, 40), (200, 60), (300, 100), (60, 16), (110, 16)] {
        let mut lab = Lab::with(sweep(), width, height);
        lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.5, f64::NAN, 7.0]);
        let screen = lab.screen();
        assert!(screen.contains("demo-aaaaaaaa"), "{width}x{height}\n{screen}");
        assert!(
            screen.contains("loss nats") && screen.contains("q quit"),
            "{width}x{height}\n{screen}"
        );
        assert!(width < 80 || screen.contains("4 of 4"), "{width}x{height}\n{screen}");
        for keys in
            ["?", "esc a", "esc /", "esc z", "z tab z", "1 space space ? G", "esc :", "esc c"]
        {
            lab.keys(keys).screen();
        }
    }
    for (width, height) in [(20, 5), (59, 40), (200, 15), (1, 1), (3, 2)] {
        let screen = Lab::with(sweep(), width, height).screen();
        assert!(width < 12 || screen.contains("60"), "{width}x{height}\n{screen}");
    }
}

#[test]
fn moving_stops_at_both_ends_and_scrolls() {
    let rows = (0..100).map(|i| run(&format!("demo-{i:08}"), State::Queued, i, 0)).collect();
    let mut lab = Lab::with(rows, 80, 24);
    let at = |lab: &Lab| lab.app.selected().unwrap().id.clone();
    assert_eq!(at(lab.keys("k")), "demo-00000000");
    assert_eq!(at(lab.keys("j j down up")), "demo-00000002");
    assert_eq!(at(lab.keys("G")), "demo-00000099");
    assert!(lab.screen().contains("demo-00000099"));
    assert_eq!(at(lab.keys("j ctrl-u")), "demo-00000096");
    assert_eq!(at(lab.keys("g g")), "demo-00000000");
    // A broken sequence does what its last key means.
    assert_eq!(at(lab.keys("g j")), "demo-00000001");
}

#[test]
fn the_cursor_stays_on_its_run_when_rows_come_and_go() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.keys("j j");
    let mut rows = sweep();
    rows.insert(0, run("demo-00000000", State::Running, 5, 0));
    lab.event(Event::Data(Data::Runs(rows.clone())));
    assert_eq!(lab.app.selected().unwrap().id, "demo-cccccccc");
    rows.retain(|row| row.id != "demo-cccccccc");
    lab.event(Event::Data(Data::Runs(rows)));
    assert_eq!(lab.app.selected().unwrap().id, "demo-dddddddd");
}

#[test]
fn marked_runs_share_the_charts() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("space space");
    let watched = lab.asked.iter().rev().find_map(|effect| match effect {
        Effect::Ask(Ask::Watch(watched)) => Some(watched.clone()),
        _ => None,
    });
    assert_eq!(watched.unwrap().len(), 4);
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0, 6.0]);
    lab.points("demo-bbbbbbbb", "loss", &[8.0, 7.5, 7.25]);
    let screen = lab.screen();
    assert!(screen.contains("6 of 6 points") && screen.contains("2 marked"), "{screen}");
    assert!(screen.contains("λ=0") && screen.contains("λ=10"), "{screen}");
    assert!(!lab.keys("*").screen().contains("λ=0"));
}

#[test]
fn points_that_do_not_fit_are_not_taken() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0]);
    // The same question answered twice.
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0]);
    assert_eq!(lab.app.series("demo-aaaaaaaa", "loss").unwrap().len(), 2);
    let curve = CurveId { run: "demo-aaaaaaaa".into(), metric: "loss".into() };
    let next =
        Points { curve, after: Some(20), points: vec![Sample { step: 30, sec: 90.0, value: 6.5 }] };
    lab.event(Event::Data(Data::Points(next)));
    assert_eq!(lab.app.series("demo-aaaaaaaa", "loss").unwrap().len(), 3);
}

#[test]
fn a_new_attempt_reads_its_curves_afresh() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0]);
    lab.asked.clear();
    let mut rows = sweep();
    rows[0].attempt = 2;
    lab.event(Event::Data(Data::Runs(rows)));
    assert!(lab.app.series("demo-aaaaaaaa", "loss").unwrap().is_empty());
    let afresh = |effect: &Effect| matches!(effect, Effect::Ask(Ask::Watch(asks)) if asks.iter().all(|ask| ask.after.is_none()));
    assert!(lab.asked.iter().any(afresh), "{:?}", lab.asked);
}

#[test]
fn the_filter_previews_keeps_and_takes_back() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.keys("/ f a i l e d");
    let screen = lab.screen();
    assert!(screen.contains("1 of 4 runs") && !screen.contains("demo-aaaaaaaa"), "{screen}");
    lab.keys("esc");
    assert_eq!(lab.app.table.shown().len(), 4);
    lab.keys("/ f a i l e d enter");
    assert!(lab.screen().contains("/failed"));
    assert_eq!(lab.app.table.shown().len(), 1);
    // esc, outside the line, lets all runs back in.
    lab.keys("esc");
    assert_eq!(lab.app.table.shown().len(), 4);
    assert!(lab.keys("/ z z").screen().contains("no run passes the filter"));
    lab.keys("backspace backspace q");
    assert_eq!(lab.app.table.filter(), "q", "q is a letter while a filter is typed");
    lab.keys("ctrl-s");
    assert_eq!(lab.app.memory.filters, ["q"]);
    lab.keys("esc f");
    assert!(lab.screen().contains("saved filters"));
    lab.keys("enter");
    assert_eq!(lab.app.table.filter(), "q");
}

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
fn a_failed_run_shows_its_last_words() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("G");
    assert!(
        lab.asked.contains(&Effect::Ask(Ask::Tail { run: "demo-dddddddd".into(), attempt: 1 }))
    );
    let lines = vec!["step 811 loss 7.1".into(), "error: loss is NaN".into()];
    lab.event(Event::Data(Data::Tail { run: "demo-dddddddd".into(), attempt: 1, lines }));
    let screen = lab.screen();
    assert!(screen.contains("error: loss is NaN"), "{screen}");
    assert!(screen.contains("checkpoint: step 780"), "{screen}");
}

#[test]
fn the_picker_previews_and_queues() {
    let mut lab = Lab::with(Vec::new(), 80, 24);
    lab.keys("a");
    let listed = Listed {
        file: "experiments/demo.toml".into(),
        name: "demo".into(),
        question: "Does λ smooth training?".into(),
        sizes: vec!["cpu".into()],
        problem: None,
        text: None,
    };
    lab.event(Event::Data(Data::Experiments(vec![listed])));
    let wanted = |size: Option<&str>, changes: &str| Wanted {
        file: "experiments/demo.toml".into(),
        size: size.map(str::to_owned),
        changes: changes.to_owned(),
        text: None,
    };
    let plan_of = |size: Option<&str>| Ask::Plan(wanted(size, ""));
    assert!(lab.asked.contains(&Effect::Ask(plan_of(None))));
    lab.keys("l");
    assert!(lab.asked.contains(&Effect::Ask(plan_of(Some("cpu")))));
    let runs = vec![
        PlannedRun { varied: "lambda=0".into(), spec: json!({}), exists: Some(State::Finished) },
        PlannedRun { varied: "lambda=10".into(), spec: json!({}), exists: None },
    ];
    let plan = Plan { wanted: wanted(Some("cpu"), ""), runs: Ok(runs) };
    lab.event(Event::Data(Data::Plan(plan)));
    let screen = lab.screen();
    assert!(screen.contains("makes 1 of 2 runs; 1 are there already"), "{screen}");
    assert!(
        screen.contains("[cpu]") && screen.contains("lambda=0   (finished already)"),
        "{screen}"
    );
    // Changes are planned as they are typed, and what is wrong with them is said.
    lab.keys("e s e e d = 1");
    assert!(lab.asked.contains(&Effect::Ask(Ask::Plan(wanted(Some("cpu"), "seed=1")))));
    let plan = Plan { wanted: wanted(Some("cpu"), "seed=1"), runs: Err("--set: seed: no".into()) };
    lab.event(Event::Data(Data::Plan(plan)));
    lab.keys("enter enter");
    assert!(lab.screen().contains("--set: seed: no") && lab.last_request().is_none());
    lab.keys("e esc enter");
    assert_eq!(lab.last_request(), Some(&Request::Queue(wanted(Some("cpu"), ""))));
}

#[test]
fn a_run_is_cloned_with_changes() {
    let mut lab = tabled(120, 40);
    lab.keys("1 C o b j e c t i v e . t a u = 0 . 5 enter enter");
    let Some(Request::Queue(wanted)) = lab.last_request() else { panic!("{:?}", lab.asked.last()) };
    assert_eq!(wanted.changes, "objective.tau=0.5");
    assert!(wanted.text.as_ref().unwrap().contains("objective.tau = 0.07"), "{wanted:?}");
}

#[test]
fn any_column_sorts_and_missing_numbers_come_last() {
    let mut lab = Lab::with(sweep(), 120, 40);
    let order = |lab: &Lab| -> Vec<String> {
        let shown = lab.app.table.shown().iter();
        shown.map(|&i| lab.app.rows[i].id[5..6].to_owned()).collect()
    };
    lab.keys("l l s S");
    assert_eq!(lab.app.table.sort(), (Some(&Column::Factor("objective.lambda".into())), true));
    assert_eq!(order(&lab), ["d", "c", "b", "a"]);
    assert!(lab.screen().contains("λ↓"));
    let knn = Column::Last("knn_top1".into());
    lab.keys(": s o r t space k n n _ t o p 1 . l a s t enter");
    assert_eq!(lab.app.table.sort(), (Some(&knn), true), "the best come first");
    assert_eq!(order(&lab)[3], "c");
    lab.keys("S");
    assert_eq!(order(&lab)[3], "c");
    // The same column once more turns the order round, and then lets go of it.
    while lab.app.table.column() != Some(&knn) {
        lab.keys("l");
    }
    lab.keys("s");
    assert_eq!(lab.app.table.sort(), (None, false));
}

#[test]
fn columns_are_chosen_moved_and_remembered() {
    let mut lab = Lab::with(sweep(), 200, 40);
    assert!(lab.screen().contains("progress"));
    lab.keys("c j j j space");
    assert!(!lab.screen().lines().nth(2).unwrap().contains("progress"));
    lab.keys("g g J esc");
    assert_eq!(lab.app.table.columns()[..2], [Column::Run, Column::State]);
    let kept = lab.asked.iter().rev().find_map(|effect| match effect {
        Effect::Ask(Ask::Remember(memory)) => Some(memory.columns.clone()),
        _ => None,
    });
    let kept = kept.unwrap();
    assert_eq!(kept[..3], ["run", "state", "factors"]);
    let mut again = Lab::with(sweep(), 200, 40);
    again.event(Event::Data(Data::Memory(Memory { columns: kept, ..Memory::default() })));
    assert_eq!(again.app.table.columns(), lab.app.table.columns());
    lab.keys(">");
    assert_eq!(lab.app.table.columns()[..2], [Column::State, Column::Run]);
}

#[test]
fn groups_have_heads_with_their_mean() {
    let mut rows = sweep();
    rows.push(run("demo-eeeeeeee", State::Finished, 10, 1));
    rows[4].metrics.get_mut("knn_top1").unwrap().last.0 = 43.25;
    let mut lab = Lab::with(rows, 120, 40);
    lab.keys("o");
    let screen = lab.screen();
    assert!(screen.contains("λ = 10   knn_top1 42.2 ± 1.4 (2)"), "{screen}");
    assert!(screen.contains("λ = 30   (0/1)"), "{screen}");
    // The cursor steps over heads.
    lab.keys("g g j j");
    assert_eq!(lab.app.selected().unwrap().id, "demo-eeeeeeee");
    lab.keys("esc");
    assert!(!lab.screen().contains("λ = 10"));
}

#[test]
fn the_baseline_is_marked_and_compared_with() {
    let mut lab = Lab::with(sweep(), 200, 40);
    lab.keys("j b");
    assert_eq!(lab.app.baseline().unwrap().id, "demo-bbbbbbbb");
    lab.keys(": c o l u m n s space r u n , l o s s . d e l t a enter");
    let screen = lab.screen();
    assert!(screen.contains("◎ demo-bbbbbbbb") && screen.contains("Δ loss"), "{screen}");
    lab.keys("b");
    assert!(lab.app.baseline().is_none());
}

#[test]
fn sketches_are_asked_for_and_drawn() {
    let mut lab = Lab::with(sweep(), 200, 40);
    let asked = lab.asked.iter().any(|effect| {
        matches!(effect, Effect::Ask(Ask::Sketch { metric, runs }) if metric == "loss" && runs.len() == 4)
    });
    assert!(asked, "{:?}", lab.asked);
    let strokes = (0..10).map(f64::from).rev().collect();
    let sketch =
        crate::store::Sketch { run: "demo-aaaaaaaa".into(), strokes, recent: 0.5, last_step: 100 };
    lab.event(Event::Data(Data::Sketches { metric: "loss".into(), sketches: vec![sketch] }));
    assert!(lab.screen().contains("█▇▆▅▄"), "{}", lab.screen());
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
}

#[test]
fn deleting_wants_the_name_and_refuses_a_live_run() {
    let mut lab = Lab::with(sweep(), 120, 40);
    assert!(lab.keys("D").screen().contains("nothing to delete: demo-aaaaaaaa is running"));
    lab.keys("j D y enter");
    assert_eq!(lab.last_request(), None);
    assert!(lab.screen().contains("nothing was deleted"));
    lab.keys("D");
    assert!(lab.screen().contains("type demo-bbbbbbbb: there is no way back"), "{}", lab.screen());
    lab.keys("d e m o - b b b b b b b b enter");
    assert_eq!(lab.last_request(), Some(&Request::Remove(vec!["demo-bbbbbbbb".into()])));
}

#[test]
fn tabs_turn_by_digit_and_by_tab() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("2");
    assert_eq!(lab.app.tab, Tab::Charts);
    lab.keys("tab");
    assert_ne!(lab.app.tab, Tab::Charts);
    lab.keys("shift-tab esc");
    assert_eq!(lab.app.tab, Tab::Runs, "esc leads back to the runs");
    for at in 0..Tab::ALL.len() {
        lab.keys(&format!("{}", at + 1));
        assert_eq!(lab.app.tab, Tab::ALL[at]);
        let screen = lab.screen();
        assert!(screen.lines().next().unwrap().contains(Tab::ALL[at].title()), "{screen}");
    }
}

#[test]
fn the_palette_finds_completes_and_recalls_commands() {
    let mut lab = Lab::with(sweep(), 120, 40);
    let screen = lab.keys(": b a s").screen();
    assert!(screen.contains("pin as the baseline"), "{screen}");
    lab.keys("enter");
    assert!(lab.app.baseline().is_some());
    // Words of the explanation find it too.
    assert!(lab.keys(": c h e c k p o i n t").screen().contains("pause at a checkpoint"));
    lab.keys("esc : g r o tab l a m tab enter");
    assert_eq!(lab.app.table.group(), Some("objective.lambda"));
    lab.keys(": up up");
    let Layer::Palette(palette) = &lab.app.layer else { panic!("no palette") };
    assert_eq!(palette.line.text(), "baseline");
    lab.keys("esc : n o n s e n s e enter");
    assert!(lab.screen().contains("nonsense is no command of the runs screen"));
}

#[test]
fn the_help_page_lists_the_registry_and_is_searched() {
    let mut lab = Lab::with(sweep(), 120, 80);
    let screen = lab.keys("?").screen();
    for binding in keys::KEYS.iter().filter(|key| key.scope == Scope::Runs && !key.help.is_empty())
    {
        assert!(screen.contains(binding.help), "{}\n{screen}", binding.help);
    }
    let screen = lab.keys("c h e c k p o i n t").screen();
    assert!(
        screen.contains("pause at a checkpoint") && !screen.contains("half a page"),
        "{screen}"
    );
    lab.keys("esc");
    assert!(lab.screen().contains("half a page down"));
    assert!(!lab.keys("esc").screen().contains("half a page down"));
}

#[test]
fn a_begun_sequence_shows_how_it_may_go_on() {
    let mut lab = Lab::with(sweep(), 120, 40);
    assert!(lab.keys("g").screen().lines().last().unwrap().contains("g first"));
}

#[test]
fn other_keys_are_shown_and_obeyed() {
    let mut lab = Lab::with(sweep(), 120, 60);
    lab.app.keymap = Keymap::remapped("keys.toml", "[runs]\npause = \"ctrl-p\"").unwrap();
    lab.keys("p");
    assert_eq!(lab.last_request(), None);
    lab.keys("ctrl-p");
    assert_eq!(lab.last_request(), Some(&Request::Pause(vec!["demo-aaaaaaaa".into()])));
    assert!(lab.keys("?").screen().contains("ctrl-p            pause at a checkpoint"));
}

#[test]
fn a_frozen_screen_says_so_and_catches_up() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("F");
    lab.event(Event::Data(Data::Runs(Vec::new())));
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0]);
    assert!(lab.screen().contains("FROZEN +2"));
    assert_eq!(lab.app.rows.len(), 4);
    lab.keys("F");
    assert!(lab.app.rows.is_empty() && !lab.screen().contains("FROZEN"));
}

/// Two marked runs with curves, on the chart screen.
fn charted(width: u16, height: u16) -> Lab {
    let mut rows = sweep();
    rows[1].varied = rows[0].varied.clone();
    rows[1].seed = 1;
    rows[0].spec = json!({"data": {"dataset": "shapes"}, "seed": 0});
    rows[1].spec = json!({"data": {"dataset": "shapes"}, "seed": 1});
    let mut lab = Lab::with(rows, width, height);
    lab.keys("space space 2");
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0, f64::NAN, 6.0, 9.0, 5.0]);
    lab.points("demo-bbbbbbbb", "loss", &[8.0, 7.5, 7.25, 7.0, 6.5, 6.0]);
    lab.points("demo-aaaaaaaa", "knn_top1", &[20.0, 30.0, 41.25]);
    lab
}

#[test]
fn the_crosshair_shows_every_curve_in_every_chart() {
    let mut lab = charted(120, 40);
    assert!(lab.screen().contains("12 of 12 points, 1 not finite"), "{}", lab.screen());
    lab.keys("h");
    let screen = lab.screen();
    assert!(screen.contains("● 5.00") && screen.contains("▲ 6.00"), "{screen}");
    assert!(screen.contains("● 41.25"), "the chart beside it too\n{screen}");
    lab.keys("g M");
    assert!(lab.screen().contains("● 9.00"), "{}", lab.screen());
    lab.keys("g b");
    assert!(lab.screen().contains("● 5.00"));
    lab.keys("g n");
    assert!(lab.screen().contains("● NaN") && lab.screen().contains(" 30 "), "{}", lab.screen());
    lab.keys("j g n");
    assert!(lab.screen().contains("no curve of knn_top1 has such a point"));
    lab.keys("esc");
    assert_eq!(lab.app.charts.cursor, None);
}

#[test]
fn zoom_and_pan_keep_inside_the_curve() {
    let mut lab = charted(120, 40);
    lab.keys("+");
    assert_eq!(lab.app.charts.window, Some((30.0, 60.0)));
    assert!(lab.screen().contains("8 of 12 points"), "{}", lab.screen());
    lab.keys("> > >");
    assert_eq!(lab.app.charts.window, Some((30.0, 60.0)));
    lab.keys("< < < < < < < <");
    assert_eq!(lab.app.charts.window, Some((0.0, 30.0)));
    lab.keys("- -");
    assert_eq!(lab.app.charts.window, None);
    for _ in 0..60 {
        lab.keys("+");
        lab.screen();
    }
    lab.keys("0");
    assert_eq!(lab.app.charts.window, None);
}

#[test]
fn axes_smoothing_and_seeds_are_switched() {
    let mut lab = charted(120, 40);
    lab.keys("e");
    assert!(lab.screen().contains("epoch"));
    lab.keys("e");
    assert!(
        lab.screen().contains("active time") && lab.screen().contains("1m"),
        "{}",
        lab.screen()
    );
    lab.keys("e y ] ]");
    assert!(lab.screen().contains("loss nats log ~0.8"), "{}", lab.screen());
    lab.keys("x");
    assert!(lab.screen().contains("step"));
    lab.keys("x y [ [ b");
    let banded = lab.screen();
    lab.keys("b");
    assert_ne!(banded, lab.screen());
    // A pair of seeds is one line with its mean.
    assert_eq!(groups(&lab.app.rows.iter().take(2).collect::<Vec<_>>()), [[0, 1]]);
}

#[test]
fn one_chart_fills_the_screen_and_names_filter_the_others() {
    let mut lab = charted(120, 40);
    lab.keys("j z");
    let screen = lab.screen();
    assert!(screen.contains("knn_top1 %") && !screen.contains("loss nats"), "{screen}");
    lab.keys("esc / l o s s");
    assert!(!lab.screen().contains("knn_top1 %"));
    lab.keys("esc");
    assert!(lab.screen().contains("knn_top1 %"));
    lab.keys("/ z z enter");
    assert!(lab.screen().contains("no metric contains \"zz\""));
    lab.keys("esc esc");
    assert_eq!(lab.app.tab, Tab::Runs);
}

#[test]
fn chance_and_the_paper_stand_in_the_chart() {
    let mut lab = charted(120, 40);
    lab.points("demo-bbbbbbbb", "knn_top1", &[5.0, 30.0, 41.25]);
    assert!(lab.screen().contains("╌chance"), "{}", lab.screen());
    let reference = json!({"where": {}, "metric": "knn_top1", "value": 80.4, "source": "Wu et al.", "status": "verified"});
    let record = json!({
        "name": "demo", "question": "", "text": "", "factors": [], "references": [reference], "members": [],
    });
    lab.event(Event::Data(Data::Records(vec![serde_json::from_value(record).unwrap()])));
    assert!(lab.screen().contains("paper 80.40 ↑"), "{}", lab.screen());
    assert!(!lab.keys("r").screen().contains("paper"));
}

/// λ × τ with two seeds each, one run still training, and the paper's value.
fn tabled(width: u16, height: u16) -> Lab {
    let mut rows = Vec::new();
    let mut members = Vec::new();
    for (i, (lambda, tau, seed)) in [
        (0, 0.07, 0),
        (0, 0.07, 1),
        (0, 0.2, 0),
        (0, 0.2, 1),
        (10, 0.07, 0),
        (10, 0.07, 1),
        (10, 0.2, 0),
        (10, 0.2, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let state = if i == 7 { State::Running } else { State::Finished };
        let mut row = run(&format!("demo-0000000{i}"), state, lambda, seed);
        row.varied.insert("objective.tau".into(), json!(tau));
        row.spec = json!({"data": {"dataset": "shapes"}, "objective": {"kind": "nonparametric", "lambda": lambda, "tau": tau}, "seed": seed});
        row.metrics.get_mut("knn_top1").unwrap().last.0 = 60.0 + i as f64;
        members.push(json!({"run": row.id, "varied": row.varied, "variant": null, "ordinal": i}));
        rows.push(row);
    }
    let reference = json!({"where": {"objective.lambda": 10, "objective.tau": 0.07}, "metric": "knn_top1", "value": 80.4, "source": "Wu et al.", "status": "recalled"});
    let record = json!({
        "name": "demo", "question": "Does λ help?", "text": "", "members": members,
        "factors": ["objective.lambda", "objective.tau"], "references": [reference],
    });
    let mut lab = Lab::with(rows, width, height);
    lab.event(Event::Data(Data::Records(vec![serde_json::from_value(record).unwrap()])));
    lab.keys("3");
    lab
}

#[test]
fn the_ablation_table_is_live_and_complete() {
    let mut lab = tabled(140, 40);
    let screen = lab.screen();
    for text in [
        "Does λ help?",
        "knn_top1.last (%), mean ± sample std · finished runs only · 7 of 8 runs",
        "60.5 ± 0.7",
        "1/2",
        "baseline",
        "+4.0",
        "80.4 (recalled)",
        "paper: Wu et al. (recalled)",
        "knn_top1.last by objective.lambda",
    ] {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    lab.keys("i");
    assert!(lab.screen().contains("66.5 ± 0.7"), "{}", lab.screen());
    lab.keys("i j b");
    assert!(lab.screen().contains("-2.0"), "{}", lab.screen());
    lab.keys("b v m s");
    assert!(lab.screen().contains("loss.best"), "{}", lab.screen());
    for (width, height) in [(80, 24), (60, 16), (300, 100)] {
        let screen = tabled(width, height).screen();
        assert!(screen.contains("60.5 ± 0.7"), "{width}x{height}\n{screen}");
    }
}

#[test]
fn a_factor_goes_across_and_the_cursor_goes_through_the_cells() {
    let mut lab = tabled(140, 40);
    lab.keys("c c j");
    let screen = lab.screen();
    assert!(screen.contains("tau = 0.07") && screen.contains("tau = 0.2"), "{screen}");
    lab.keys("enter");
    assert_eq!(lab.app.tab, Tab::Charts);
    let shown: Vec<&str> = lab.app.shown().iter().map(|run| run.row.id.as_str()).collect();
    assert_eq!(shown, ["demo-00000002", "demo-00000003"]);
}

#[test]
fn the_table_is_copied_and_saved_in_every_format() {
    let mut lab = tabled(140, 40);
    let copied = |lab: &Lab| {
        lab.asked.iter().rev().find_map(|effect| match effect {
            Effect::Copy(text) => Some(text.clone()),
            _ => None,
        })
    };
    for (key, text) in [
        ("y", "LAMBDA"),
        ("c", "objective.lambda,"),
        ("m", "| lambda |"),
        ("l", "\\toprule"),
        ("j", "\"rows\": ["),
    ] {
        assert!(lab.keys(&format!("y {key}")).screen().contains("✓ copied"));
        let copied = copied(&lab).unwrap();
        assert!(copied.contains(text), "{text} in {copied}");
    }
    assert!(lab.keys("w").screen().contains("m save-markdown"), "what may follow is shown");
    lab.keys("l");
    let saved = lab.asked.iter().any(|effect| {
        matches!(effect, Effect::Ask(Ask::Save { file, text }) if file == "demo-knn_top1.last.tex" && text.contains("80.4"))
    });
    assert!(saved, "{:?}", lab.asked.last());
}

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
fn the_queue_says_who_works_what_waits_and_why() {
    let mut rows = tabled(80, 24).app.rows;
    for (i, row) in rows.iter_mut().enumerate().skip(2) {
        row.state = State::Queued;
        row.queued_at = i as i64;
        row.progress = Default::default();
        row.spec["train"] = json!({"epochs": 20});
    }
    rows[0].state = State::Running;
    rows[0].spec["train"] = json!({"epochs": 20});
    let mut lab = Lab::with(rows, 140, 30);
    let worker = |slot: &str, state: Working, run: Option<&str>| Worker {
        slot: slot.into(),
        state,
        run: run.map(str::to_owned),
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

#[test]
fn messages_go_away_and_an_idle_screen_is_not_drawn() {
    let mut finished = sweep();
    finished.retain(|row| !row.state.is_active());
    let mut lab = Lab::with(finished, 80, 24);
    lab.keys("p");
    assert!(lab.app.is_moving());
    lab.app.update(Event::Tick, 20_000);
    assert!(lab.app.toast.is_none() && !lab.app.is_moving());
    lab.app.dirty = false;
    lab.app.update(Event::Tick, 21_000);
    assert!(!lab.app.dirty);
}

#[test]
fn trouble_with_the_run_log_is_said_and_forgotten() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.event(Event::Data(Data::Trouble("the run log is locked".into())));
    assert!(lab.screen().contains("! the run log is locked; trying again"));
    assert!(!lab.event(Event::Data(Data::Runs(sweep()))).screen().contains("locked"));
}

/// A screen with its times of day, which depend on where one is, written as their pattern.
fn timeless(screen: &str) -> String {
    let pattern = |text: &[char], wanted: &str| {
        let fits = |(c, w): (&char, char)| if w == '0' { c.is_ascii_digit() } else { *c == w };
        text.len() == wanted.len() && text.iter().zip(wanted.chars()).all(fits)
    };
    let mut chars: Vec<char> = screen.chars().collect();
    for wanted in ["00-00 00:00:00", " 00:00)"] {
        for at in 0..chars.len().saturating_sub(wanted.len()) {
            if pattern(&chars[at..at + wanted.len()], wanted) {
                chars[at..at + wanted.len()].copy_from_slice(&wanted.chars().collect::<Vec<_>>());
                if wanted.ends_with(')') {
                    chars[at - 3..at].copy_from_slice(&['D', 'A', 'Y']);
                }
            }
        }
    }
    chars.into_iter().collect()
}

/// What a person sees on each screen; a change of any of them is looked at before it is accepted.
#[test]
fn screens_look_as_they_did() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut lab = tabled(width, height);
        for (i, row) in lab.app.rows.clone().iter().enumerate() {
            let loss: Vec<f64> = (0..10).map(|t| 8.0 - 0.2 * (i + t) as f64).collect();
            lab.keys("1").app.table.select(&row.id);
            lab.keys("space");
            lab.points(&row.id, "loss", &loss);
        }
        for (at, tab) in Tab::ALL.iter().enumerate() {
            lab.keys(&format!("{}", at + 1));
            let name = format!("{}_{width}x{height}", tab.title());
            insta::assert_snapshot!(name, timeless(&lab.screen()));
        }
        lab.keys("1 :");
        insta::assert_snapshot!(format!("palette_{width}x{height}"), lab.screen());
        lab.keys("esc ?");
        insta::assert_snapshot!(format!("help_{width}x{height}"), lab.screen());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Any keys at any size leave the program alive and able to draw.
    #[test]
    fn any_keys_are_survived(keys in proptest::collection::vec(0usize..action_keys().len(), 0..24), width in 1u16..180, height in 1u16..60) {
        let mut lab = tabled(width, height);
        lab.points("demo-00000000", "loss", &[8.0, f64::NAN, 7.0]);
        let mut cache = Cache::default();
        for key in keys {
            lab.keys(action_keys()[key]);
            // Drawn into the middle of a larger sheet, nothing outside its area is touched.
            let area = ratatui::layout::Rect::new(3, 2, lab.app.size.0, lab.app.size.1);
            let sheet = ratatui::layout::Rect::new(0, 0, area.right() + 5, area.bottom() + 4);
            let mut buffer = ratatui::buffer::Buffer::empty(sheet);
            screens::draw(&lab.app, area, &mut buffer, &mut cache);
            for position in sheet.positions().filter(|&position| !area.contains(position)) {
                assert_eq!(buffer[position].symbol(), " ", "{position:?} beyond {area:?}");
            }
        }
    }
}

fn action_keys() -> Vec<&'static str> {
    let keys = keys::KEYS.iter().flat_map(|binding| binding.keys.iter());
    let mut keys: Vec<&str> =
        keys.flat_map(|keys| keys.split(' ')).chain(["λ", "5", "-"]).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
