//! The run table: moving, marking, filtering, sorting, grouping.

use super::ablations::tabled;
use super::*;

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
    assert!(lab.app.selected().is_none(), "nobody chose the next one");
    assert_eq!(lab.keys("j").app.selected().unwrap().id, "demo-dddddddd");
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
    lab.keys("esc c").app.toast = None;
    assert!(lab.screen().contains("space show or hide") && !lab.screen().contains("x forget"));
    lab.keys("esc f");
    assert!(lab.screen().contains("saved filters"));
    assert!(!lab.screen().contains("space show or hide") && lab.screen().contains("x forget"));
    lab.keys("enter");
    assert_eq!(lab.app.table.filter(), "q");
}

#[test]
fn a_long_filter_leaves_the_count() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.keys(": f i l t e r space s t a t e : f i n i s h e d space A N D space k n n _ t o p 1 > 3 0 enter");
    let screen = lab.keys("space").screen();
    let foot = screen.lines().last().unwrap();
    assert!(foot.trim_end().ends_with("…  1 of 4 runs  1 marked"), "{foot}");
}

#[test]
fn a_filter_that_cannot_be_read_is_not_taken() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.keys("/ k n n _ t o p 1 . b e s t t > 4 0");
    assert_eq!(lab.app.table.shown().len(), 4, "a field in the making empties nothing");
    lab.keys("enter");
    let screen = lab.screen();
    assert!(matches!(lab.app.layer, Layer::Filter { .. }), "{screen}");
    assert!(screen.lines().last().unwrap().contains("bestt"), "{screen}");
    assert!(!screen.contains("no run passes the filter") && !screen.contains("of 4 runs"));
    lab.keys("ctrl-s");
    assert!(lab.app.memory.filters.is_empty());
    lab.keys("home").keys("a a a a a a a a space a a a a a a a a space a a a a a a a a a a space");
    let screen = lab.keys("end").screen();
    assert!(screen.lines().last().unwrap().contains("bestt"), "{screen}");
    lab.keys("home").keys(&"delete ".repeat(29)).keys("end");
    // Mended, it is.
    lab.keys("left left left backspace enter");
    assert_eq!((&lab.app.layer, lab.app.table.shown().len()), (&Layer::None, 3));
    // What the one before showed stays in sight while the next is typed.
    lab.keys("/ ctrl-u f a i l e d");
    assert_eq!(lab.app.table.shown().len(), 1);
    lab.keys("space z z z > enter");
    assert_eq!(lab.app.table.shown().len(), 3, "nothing is called so: as before");
    lab.keys("esc");
    assert_eq!(lab.app.table.filter(), "knn_top1.best>40");
    lab.keys(": f i l t e r space s t a t e > 3 enter");
    assert!(matches!(lab.app.layer, Layer::Filter { .. }), "{}", lab.screen());
    // A slip in a metric's name would find nothing.
    lab.keys("esc / ctrl-u k n n _ t o p p 1 . b e s t > 4 0 enter");
    let screen = lab.screen();
    let foot = screen.lines().last().unwrap();
    assert!(foot.contains("no metric is called knn_topp1; the nearest is knn_top1"), "{screen}");
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
    let plan = |runs: &[PlannedRun]| {
        let wanted = wanted(Some("cpu"), "");
        Event::Data(Data::Plan(Plan { wanted, runs: Ok(runs.to_vec()) }))
    };
    lab.event(plan(&runs[..1]));
    assert!(lab.screen().contains("its one run is there already"), "{}", lab.screen());
    lab.event(plan(&runs));
    let screen = lab.screen();
    assert!(screen.contains("makes 1 of 2 runs; one is there already"), "{screen}");
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
    assert_eq!(
        lab.last_request(),
        Some(&Request::Queue { wanted: wanted(Some("cpu"), ""), left_out: Default::default() })
    );
}

#[test]
fn a_run_is_cloned_with_changes() {
    let mut lab = tabled(120, 40);
    lab.keys("1 C o b j e c t i v e . t a u = 0 . 5 enter enter");
    let Some(Request::Queue { wanted, .. }) = lab.last_request() else {
        panic!("{:?}", lab.asked.last())
    };
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
fn a_long_list_of_columns_says_that_it_goes_on() {
    let mut lab = Lab::with(sweep(), 80, 24);
    assert!(lab.keys("c").screen().contains(" more below "), "{}", lab.screen());
    assert!(!lab.keys("G").screen().contains(" more below "), "{}", lab.screen());
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
    assert!(screen.contains("λ = 0   (0/1)"), "what still trains has no result\n{screen}");
    // The cursor steps over heads.
    lab.keys("g g j j");
    assert_eq!(lab.app.selected().unwrap().id, "demo-eeeeeeee");
    lab.keys("esc");
    assert!(!lab.screen().contains("λ = 10"));
}

#[test]
fn a_mean_is_of_one_data_set_and_one_experiment() {
    let with = |change: &dyn Fn(&mut RunRow)| {
        let mut rows = sweep();
        rows.push(run("demo-eeeeeeee", State::Finished, 10, 1));
        change(&mut rows[4]);
        Lab::with(rows, 120, 40).keys("o").screen()
    };
    let cifar = with(&|row| row.spec = json!({"data": {"dataset": "cifar10"}}).into());
    assert!(cifar.contains("λ = 10   2 runs of 2 data sets: no mean"), "{cifar}");
    let other = with(&|row| row.experiments = vec!["negatives".into()]);
    assert!(other.contains("λ = 10   2 runs of several experiments: no mean"), "{other}");
    // A run can belong to several.
    let shared = with(&|row| row.experiments.push("negatives".into()));
    assert!(shared.contains("λ = 10   knn_top1 41.2 ± 0.0 (2)"), "{shared}");
    // One that was given up says nothing about the others.
    let given_up = with(&|row| row.state = State::Cancelled);
    assert!(given_up.contains("λ = 10   knn_top1 41.2 (1/2)"), "{given_up}");
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
fn a_column_that_is_gone_is_sketched_no_longer() {
    let mut lab = Lab::with(sweep(), 200, 40);
    lab.asked.clear();
    lab.keys(": c o l u m n s space r u n enter");
    let let_go = Effect::Ask(Ask::Sketch { metric: "loss".into(), runs: Vec::new() });
    assert_eq!(lab.asked.iter().filter(|effect| **effect == let_go).count(), 1);
    lab.keys("j j 2 1");
    assert_eq!(lab.asked.iter().filter(|effect| **effect == let_go).count(), 1, "said once");
    lab.keys(": c o l u m n s space r u n , l o s s . c u r v e enter");
    let again = |effect: &Effect| matches!(effect, Effect::Ask(Ask::Sketch { metric, runs }) if metric == "loss" && runs.len() == 4);
    assert!(lab.asked.iter().any(again), "{:?}", lab.asked);
}

#[test]
fn no_other_run_takes_the_place_of_one_that_somebody_else_removed() {
    let mut lab = Lab::with(sweep(), 100, 24);
    lab.keys("j");
    let mut rows = sweep();
    rows.remove(1);
    lab.event(Event::Data(Data::Runs(rows.clone())));
    let screen = lab.screen();
    let said = "demo-bbbbbbbb was removed: k or j goes to another run";
    assert!(screen.contains(said) && !screen.contains("\n>"), "{screen}");
    // Neither of the neighbours is meant by a key that was meant for the run.
    for verb in ["p", "r", "x", "D"] {
        lab.keys(verb);
        assert!(lab.app.layer == Layer::None && lab.last_request().is_none(), "{verb}");
        assert!(lab.screen().contains("demo-bbbbbbbb was removed"), "{}", lab.screen());
    }
    // The gap lies between its neighbours; nothing else of the log moves the cursor.
    lab.event(Event::Data(Data::Runs(rows.clone())));
    let at = |lab: &Lab| lab.app.selected().map(|row| row.id.clone());
    assert_eq!(at(&lab), None);
    assert_eq!(at(lab.keys("j")).as_deref(), Some("demo-cccccccc"));
    assert_eq!(at(lab.keys("k")).as_deref(), Some("demo-aaaaaaaa"));
    // Behind the last line too, and a run that comes back is chosen again.
    lab.keys("G");
    lab.event(Event::Data(Data::Runs(rows[..2].to_vec())));
    assert_eq!(at(lab.keys("k")).as_deref(), Some("demo-cccccccc"));
    lab.event(Event::Data(Data::Runs(rows[..1].to_vec())));
    lab.event(Event::Data(Data::Runs(rows.clone())));
    assert_eq!(at(&lab).as_deref(), Some("demo-cccccccc"));
    // Two filters: a person who types one chooses from what it leaves.
    lab.event(Event::Data(Data::Runs(rows[..1].to_vec())));
    assert_eq!(at(lab.keys("/ a enter")).as_deref(), Some("demo-aaaaaaaa"));
}

#[test]
fn what_a_verb_of_ours_takes_away_leaves_the_cursor_on_its_line() {
    let mut lab = Lab::with(sweep(), 100, 24);
    lab.keys("j A");
    let archived = Request::Archive { runs: vec!["demo-bbbbbbbb".into()], archived: true };
    assert_eq!(lab.last_request(), Some(&archived));
    let mut rows = sweep();
    rows[1].archived = true;
    lab.event(Event::Data(Data::Runs(rows.clone())));
    assert_eq!(lab.app.selected().unwrap().id, "demo-cccccccc");
    // Somebody else's hand.
    rows[2].archived = true;
    lab.event(Event::Data(Data::Runs(rows)));
    assert!(lab.app.selected().is_none());
    assert!(lab.screen().contains("demo-cccccccc was archived"), "{}", lab.screen());
}

#[test]
fn marks_that_go_with_their_runs_leave_no_verb_to_the_cursor() {
    let mut lab = Lab::with(sweep(), 100, 24);
    lab.keys("j space g g");
    let mut rows = sweep();
    rows.remove(1);
    lab.event(Event::Data(Data::Runs(rows)));
    assert!(lab.screen().contains("the marked runs were removed"), "{}", lab.screen());
    assert!(lab.keys("p").last_request().is_none());
    lab.keys("p");
    assert_eq!(lab.last_request(), Some(&Request::Pause(vec!["demo-aaaaaaaa".into()])));
}
