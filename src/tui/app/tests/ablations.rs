//! The ablation table.

use super::*;

/// λ × τ with two seeds each, one run still training, and the paper's value.
pub(super) fn tabled(width: u16, height: u16) -> Lab {
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
        row.spec = json!({"data": {"dataset": "shapes"}, "objective": {"kind": "nonparametric", "lambda": lambda, "tau": tau}, "seed": seed}).into();
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
fn a_published_value_beside_another_setting_is_marked() {
    let mut lab = tabled(140, 40);
    let mut record = lab.app.records[0].clone();
    record.text =
        "name = 'demo'\n[grid]\nobjective.lambda = [0, 10]\nobjective.tau = [0.07]".into();
    lab.event(Event::Data(Data::Records(vec![record])));
    let screen = lab.screen();
    for text in ["80.4† (recalled)", "† published at another setting; here: data.dataset = shapes"]
    {
        assert!(screen.contains(text), "{text} in\n{screen}");
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
fn the_metric_that_the_file_names_first_is_shown_until_another_is_chosen() {
    let mut lab = tabled(140, 40);
    let mut record = lab.app.records[0].clone();
    record.text = "name = 'demo'\nmetrics = ['nmi', 'loss.best', 'knn_top1']".to_owned();
    let mut plain = record.clone();
    (plain.name, plain.text) = ("plain".to_owned(), String::new());
    lab.event(Event::Data(Data::Records(vec![plain, record])));
    assert_eq!(lab.app.tabled_metric(), "loss", "nmi is not measured yet");
    assert!(lab.screen().contains("loss.last (nats)"), "{}", lab.screen());
    lab.keys("m");
    assert_eq!(lab.app.tabled_metric(), "knn_top1");
    lab.app.ablations.metric = None;
    lab.keys("]");
    assert_eq!(lab.app.ablations.experiment.as_deref(), Some("plain"));
    assert_eq!(lab.app.tabled_metric(), "knn_top1");
    lab.keys("]");
    assert_eq!(lab.app.tabled_metric(), "loss", "its own file again");
}

#[test]
fn a_row_is_looked_at_without_being_marked() {
    let mut lab = tabled(120, 40);
    lab.keys("1 space / t a u > 0 . 1 enter 3 j j m m");
    lab.keys("enter");
    let shown = |lab: &Lab| -> Vec<String> {
        lab.app.shown().iter().map(|run| run.row.id.clone()).collect()
    };
    assert_eq!(shown(&lab), ["demo-00000004", "demo-00000005"]);
    assert_eq!(lab.app.focused_metric(), Some(lab.app.tabled_metric().to_owned()));
    assert!(lab.screen().contains("2 of a row · esc to the table"), "{}", lab.screen());
    lab.keys("esc");
    assert_eq!(lab.app.tab, Tab::Ablations);
    let marked: Vec<&str> = lab.app.rows.iter().map(|row| row.id.as_str()).collect();
    let marked: Vec<&str> = marked.into_iter().filter(|id| lab.app.table.marks.has(id)).collect();
    assert_eq!(marked, ["demo-00000000"], "what a person marked, and no more");
    lab.keys("2");
    assert_eq!(shown(&lab), ["demo-00000000"], "the charts are those of the marked runs again");
    assert_eq!(lab.keys("esc").app.tab, Tab::Runs);
}

#[test]
fn the_head_keeps_its_numbers_and_the_foot_is_about_this_screen() {
    let mut lab = tabled(80, 24);
    lab.keys("1 / t a u > 0 . 1 enter");
    assert!(lab.screen().contains("/tau>0.1  4 of 8 runs"), "{}", lab.screen());
    lab.keys("3");
    let screen = lab.screen();
    assert!(!screen.contains("tau>0.1") && !screen.contains("4 of 8 runs"), "{screen}");
    assert!(lab.keys("i").screen().contains("unfinished runs count too · 8 of 8 runs"));
    lab.app.ablations.metric = Some("knn_top1_of_a_long_name".into());
    for width in [80, 70, 60] {
        lab.event(Event::Resize(width, 24));
        let screen = lab.screen();
        let head = screen.lines().nth(3).unwrap();
        assert!(head.ends_with("of 8 runs"), "{head}");
    }
    assert!(lab.keys("5").screen().contains("/tau>0.1  4 of 8 runs"), "] goes by it");
}

#[test]
fn keys_that_turn_nothing_say_why() {
    let mut lab = tabled(120, 40);
    let foot = |lab: &Lab| lab.screen().lines().last().unwrap().to_owned();
    assert!(foot(&lab).contains("c across") && foot(&lab).contains("s slice"), "{}", foot(&lab));
    let mut record = lab.app.records[0].clone();
    record.factors = vec!["objective.lambda".into()];
    record.members.retain(|member| member.varied["objective.tau"] == json!(0.07));
    let mut rows = lab.app.rows.clone();
    rows.retain(|row| row.varied["objective.tau"] == json!(0.07));
    lab.event(Event::Data(Data::Runs(rows)));
    lab.event(Event::Data(Data::Records(vec![record])));
    for hint in ["c across", "s slice", "] experiment"] {
        assert!(!foot(&lab).contains(hint), "{}", foot(&lab));
    }
    assert!(foot(&lab).contains("m metric"));
    for (key, why) in [
        ("c", "only one thing varies here: a two-way table needs two factors"),
        ("s", "only one thing varies here: the plot has no other way to go"),
        ("]", "there is no other experiment"),
    ] {
        assert!(foot(lab.keys(key)).contains(why), "{}", foot(&lab));
    }
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
