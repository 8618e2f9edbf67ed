//! The form of a plan, clones, and saving.

use super::ablations::tabled;
use super::*;
use crate::tui::app::Picker;

/// Opens the plan of one experiment that makes two runs.
pub fn open(lab: &mut Lab) {
    lab.keys("1 a");
    let listed = Listed {
        file: "/x/experiments/demo.toml".into(),
        name: "demo".into(),
        question: "Does it train?".into(),
        sizes: vec!["cpu".into()],
        problem: None,
        text: None,
    };
    lab.event(Event::Data(Data::Experiments(vec![listed])));
    answer(lab, &[0, 10]);
}

/// Answers the plan that was asked for last with runs that vary λ.
fn answer(lab: &mut Lab, lambdas: &[u32]) {
    let wanted = lab.asked.iter().rev().find_map(|effect| match effect {
        Effect::Ask(Ask::Plan(wanted)) => Some(wanted.clone()),
        _ => None,
    });
    let run = |lambda: &u32| PlannedRun {
        varied: format!("lambda={lambda} seed=0"),
        spec: json!({
            "data": {"dataset": "shapes", "fraction": 1.0},
            "objective": {"kind": "nce", "lambda": lambda},
            "train": {"lr_drops": [0.6, 0.8]},
            "seed": 0,
        }),
        exists: None,
    };
    let runs = Ok(lambdas.iter().map(run).collect());
    lab.event(Event::Data(Data::Plan(Plan { wanted: wanted.unwrap(), runs })));
}

fn changes(lab: &Lab) -> String {
    let Layer::Picker(picker) = &lab.app.layer else { panic!("no plan") };
    picker.changes.text().to_owned()
}

/// Moves the form's cursor to a key.
fn go_to(lab: &mut Lab, key: &str) {
    let at = crate::config::keys::KEYS.iter().position(|known| known.name == key).unwrap();
    lab.keys("g g");
    for _ in 0..at {
        lab.keys("j");
    }
}

#[test]
fn a_narrow_plan_says_that_there_is_more_and_lets_nothing_through() {
    let mut lab = tabled(80, 24);
    lab.keys("1 a");
    let listed = |i: usize| Listed {
        file: format!("/x/experiments/{i}.toml").into(),
        name: format!("question-{i}"),
        question: String::new(),
        sizes: Vec::new(),
        problem: None,
        text: None,
    };
    lab.event(Event::Data(Data::Experiments((0..20).map(listed).collect())));
    let screen = lab.screen();
    let shown = screen.lines().filter(|line| line.contains("question-")).count();
    assert!(screen.contains(&format!("{} more below", 20 - shown)), "{screen}");
    for line in screen.lines().skip(2).filter(|line| line.contains("question-")) {
        assert!(line.starts_with('│') && line.ends_with('│'), "{screen}");
    }
    assert!(screen.lines().last().unwrap().contains("esc back"), "{screen}");
    lab.keys("down down down down down down down down down down");
    let screen = lab.screen();
    assert!(screen.contains("more above, 9 more below"), "{screen}");
}

#[test]
fn what_a_key_may_be_is_said_whole() {
    let mut lab = tabled(80, 24);
    open(&mut lab);
    lab.keys("f");
    go_to(&mut lab, "data.dataset");
    let screen = lab.screen();
    assert!(screen.contains("mnist, ") && screen.contains("cars196"), "{screen}");
    let rows: Vec<&str> = screen.lines().collect();
    let end = rows.iter().position(|row| row.contains("commas make an axis")).unwrap();
    assert!(!rows[end].contains('…'), "{screen}");
}

#[test]
fn every_key_is_edited_and_judged_as_it_is_typed() {
    let mut lab = tabled(120, 40);
    open(&mut lab);
    let screen = lab.keys("f").screen();
    assert!(screen.contains("> data.dataset") && screen.contains("shapes"), "{screen}");
    go_to(&mut lab, "objective.lambda");
    assert!(lab.screen().contains("0, 10"), "{}", lab.screen());
    lab.keys("enter");
    // What it is stands there to be changed.
    lab.keys("ctrl-u - 1");
    assert!(lab.screen().contains("found -1, allowed: a number of at least 0"), "{}", lab.screen());
    lab.keys("enter");
    assert_eq!(changes(&lab), "", "what is wrong is not taken");
    lab.keys("ctrl-u 0 , 5 , 2 0 enter");
    assert_eq!(changes(&lab), "objective.lambda=0,5,20");
    let asked = |lab: &Lab| {
        lab.asked.iter().any(|effect| {
        matches!(effect, Effect::Ask(Ask::Plan(wanted)) if wanted.changes == "objective.lambda=0,5,20")
    })
    };
    assert!(asked(&lab), "the plan follows");
    answer(&mut lab, &[0, 5, 20]);
    assert!(
        lab.screen().contains("0,5,20 *") && lab.screen().contains("makes 3 runs"),
        "{}",
        lab.screen()
    );
    go_to(&mut lab, "train.lr_drops");
    lab.keys("enter enter");
    assert_eq!(changes(&lab), "objective.lambda=0,5,20 train.lr_drops=[0.6,0.8]");
    lab.keys("x");
    go_to(&mut lab, "objective.lambda");
    lab.keys("e esc x");
    assert_eq!(changes(&lab), "", "as it was written");
    // One step out at a time.
    lab.keys("esc");
    assert!(matches!(&lab.app.layer, Layer::Picker(picker) if picker.form.is_none()));
    lab.keys("esc");
    assert_eq!(lab.app.layer, Layer::None);
}

#[test]
fn keys_are_looked_for_and_a_value_may_have_a_space() {
    let mut lab = tabled(120, 40);
    open(&mut lab);
    let at = |lab: &Lab| match &lab.app.layer {
        Layer::Picker(Picker { form: Some(form), .. }) => form.key().name,
        _ => "no form",
    };
    lab.keys("f / l r _");
    assert_eq!(at(&lab), "train.lr_drops", "found while one types");
    assert!(lab.screen().contains("/lr_"));
    lab.keys("ctrl-u r o o t enter");
    assert_eq!(at(&lab), "data.root");
    lab.keys("n N");
    assert_eq!(at(&lab), "data.root", "once round and back");
    lab.keys("enter ctrl-u a space b enter");
    assert_eq!(changes(&lab), "data.root='a b'");
    assert!(lab.screen().contains("a b *"), "{}", lab.screen());
    // Shown as it is, and quoted again when it is taken over.
    lab.keys("enter c enter");
    assert_eq!(changes(&lab), "data.root='a bc'");
    lab.keys("/ esc x");
    assert_eq!(changes(&lab), "");
}

#[test]
fn some_of_the_runs_are_queued() {
    let mut lab = tabled(120, 40);
    open(&mut lab);
    answer(&mut lab, &[0, 10, 30]);
    let screen = lab.keys("s").screen();
    assert!(screen.contains("makes 3 runs") && screen.contains("> ✓ lambda=0"), "{screen}");
    let screen = lab.keys("j space").screen();
    assert!(screen.contains("makes 2 runs; 1 left out"), "{screen}");
    assert!(screen.contains("> - lambda=10"), "{screen}");
    lab.keys("* space j j * *");
    assert!(lab.screen().contains("makes 0 runs; 3 left out"), "{}", lab.screen());
    lab.keys("enter enter");
    assert!(lab.screen().contains("every run is left out") && lab.last_request().is_none());
    lab.keys("s * j space enter enter");
    let Some(Request::Queue { left_out, .. }) = lab.last_request() else { panic!("not queued") };
    assert_eq!(left_out.iter().copied().collect::<Vec<_>>(), [1]);
    // Another plan is another choice.
    open(&mut lab);
    answer(&mut lab, &[0, 10, 30]);
    lab.keys("s space enter e s e e d = 3");
    assert!(matches!(&lab.app.layer, Layer::Picker(picker) if picker.left_out.is_empty()));
}

#[test]
fn a_plan_is_saved_under_a_name() {
    let mut lab = tabled(120, 40);
    open(&mut lab);
    lab.keys("e s e e d = 3 enter");
    answer(&mut lab, &[0]);
    let screen = lab.keys("w").screen();
    assert!(screen.contains("save as experiments/demo-2.toml"), "{screen}");
    lab.keys("ctrl-u m i n e enter");
    let wanted = Wanted {
        file: "/x/experiments/demo.toml".into(),
        changes: "seed=3".into(),
        ..Wanted::default()
    };
    let saved = Effect::Ask(Ask::SavePlan { wanted, name: "mine".into() });
    assert!(lab.asked.contains(&saved), "{:?}", lab.asked);
}

#[test]
fn a_clone_has_the_form_and_can_be_saved_too() {
    let mut lab = tabled(120, 40);
    lab.keys("1 C esc");
    answer(&mut lab, &[10]);
    let screen = lab.keys("f").screen();
    assert!(screen.contains("> data.dataset"), "{screen}");
    go_to(&mut lab, "seed");
    lab.keys("enter ctrl-u 7 enter");
    assert_eq!(changes(&lab), "seed=7");
    answer(&mut lab, &[10]);
    lab.keys("esc w enter");
    assert!(lab.asked.iter().any(|effect| {
        matches!(effect, Effect::Ask(Ask::SavePlan { wanted, name }) if wanted.text.is_some() && name == "clone-2")
    }));
    // The list of the folder does not push the clone away.
    lab.event(Event::Data(Data::Experiments(Vec::new())));
    assert!(lab.screen().contains("the settings of"), "{}", lab.screen());
}
