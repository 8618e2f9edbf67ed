//! What filters find, and what they say when they are wrong.

use proptest::prelude::*;
use serde_json::json;

use super::{Filter, tag};
use crate::journal::event::{Better, Number};
use crate::store::{Progress, RunRow, State, Summary};

fn run() -> RunRow {
    let metric = |last: f64, best: f64| Summary {
        last: Number(last),
        last_step: 10,
        best: Some(best),
        best_step: Some(9),
        unit: "%".into(),
        better: Better::Higher,
    };
    let spec = json!({
        "data": {"dataset": "cifar10", "fraction": 0.1},
        "model": {"backbone": "resnet_small", "dim": 128},
        "objective": {"kind": "nce", "m": 512, "tau": 0.07, "lambda": 10.0},
        "augment": {"flip": true},
        "train": {"lr_drops": [0.6, 0.8]},
        "seed": 2,
    });
    RunRow {
        id: "proximal-1a2b3c4d.2".into(),
        experiments: vec!["proximal".into(), "negatives".into()],
        state: State::Failed,
        attempt: 3,
        device: Some("cuda:0".into()),
        progress: Progress { epoch: 12.5, ..Progress::default() },
        seed: 2,
        tags: vec!["baseline".into()],
        varied: json!({"objective.lambda": 10.0}).as_object().unwrap().clone(),
        spec: spec.into(),
        metrics: [
            ("knn_top1".to_owned(), metric(61.5, 63.0)),
            ("loss".to_owned(), metric(f64::NAN, 4.0)),
            ("linear_top1/conv5@places".to_owned(), metric(30.0, 31.0)),
        ]
        .into(),
        queued_at: 0,
        started_at: None,
        ended_at: None,
        reason: Some("loss is NaN at step 10".into()),
        launch: None,
        note: "Redo with a smaller τ".into(),
        priority: 0,
        pinned: false,
        archived: false,
        warning: None,
        resumes: Vec::new(),
    }
}

#[test]
fn filters_find_what_they_name() {
    let run = run();
    let yes = [
        "",
        "  ",
        "state:failed",
        "state:lost,failed",
        "STATE=Failed",
        "state!=running",
        "state:failed objective.lambda>=10 knn_top1.best>60",
        "lambda = 10",
        "lambda:10",
        "lambda >= 1e1",
        "knn_top1>61",
        "knn_top1.last < 62",
        "linear_top1/conv5@places.best=31",
        "loss.last:nan",
        "loss:NaN",
        "tag:baseline",
        "tag:base*",
        "experiment:negatives",
        "device:cuda",
        "id:1a2b",
        "proximal-1a2b3c4d.2",
        "backbone:resnet*",
        "id:proximal-1a2b3c4d.2",
        "id:other-00000000,proximal-1a2b",
        "model.backbone=resnet_small",
        "flip:true",
        "objective.kind:moco,nce",
        "kind!=moco",
        "lr_drops>0.7",
        "pinned:false archived!=true",
        "lr_drops=0.6",
        "note:'smaller τ'",
        "\"smaller Τ\"",
        "objective.lambda=10 OR nonsense",
        "nonsense | failed",
        "NOT state:running",
        "-tag:x !tag:y NOT (seed:0 OR seed:1)",
        "(seed:2)",
        "seed:2 AND attempt>2",
        "seed:2&epoch>12",
        "z_batches!=3",
        "pinned:false",
        "reason:NaN",
        "objective.lambda=10.0",
        "lambda=10",
    ];
    for text in yes {
        assert!(Filter::parse(text).unwrap().matches(&run), "{text}");
    }
    let no = [
        "state:running",
        "state!=failed",
        "lambda>10",
        "knn_top1.best>63",
        "svm_top1.last>0",
        "loss<5",
        "loss.best<4",
        "tag:base",
        "tag:x",
        "model.backbone=resnet18",
        "nonsense",
        "failed nonsense",
        "NOT failed",
        "z_batches=3",
        "archived:true",
        "seed:2 OR seed:3 nonsense NOT failed AND failed",
    ];
    for text in no[..15].iter() {
        assert!(!Filter::parse(text).unwrap().matches(&run), "{text}");
    }
    // AND binds tighter than OR.
    assert!(Filter::parse(no[15]).unwrap().matches(&run));
}

#[test]
fn a_mistake_is_placed_and_explained() {
    let cases = [
        (
            "state:fialed",
            6,
            "found fialed, allowed: queued, starting, running, stopping, paused, finished, failed, cancelled, lost",
        ),
        ("seed:1 lambda>=ten", 15, "found ten, allowed: a number"),
        ("lamda>3", 0, "nothing is called lamda; objective.lambda is"),
        ("x knn_topl>3", 2, "nothing is called knn_topl; knn_top1 is"),
        (
            "objective.kind:nonsense",
            15,
            "found nonsense, allowed: nce, nonparametric, parametric, infonce, invaspread, exemplar, triplet, deepcluster, simclr, moco, supervised, random",
        ),
        (
            "backbone=resnet",
            9,
            "found resnet, allowed: resnet18, resnet34, resnet50, alexnet, vgg16, vgg16_bn, resnet_small",
        ),
        ("objective.z:frozen,esact", 12, "found esact, allowed: frozen, ema, exact"),
        ("augment.flip:maybe", 13, "found maybe, allowed: true, false"),
        ("pinned:perhaps", 7, "found perhaps, allowed: true, false"),
        ("archived!=yes", 10, "found yes, allowed: true, false"),
        ("state>5", 6, "found > before a word, allowed: :, =, !="),
        ("tag <= x", 7, "found <= before a word, allowed: :, =, !="),
        ("backbone>=resnet18", 10, "found >= before a word, allowed: :, =, !="),
        ("accuracy>3", 0, "nothing is called accuracy; metrics are METRIC.last and METRIC.best"),
        ("state:", 6, "state is compared with nothing"),
        ("lambda>", 7, "lambda is compared with nothing"),
        ("(seed:1", 0, "( is never closed"),
        ("seed:1)", 6, ") closes nothing"),
        ("a OR", 4, "OR joins nothing"),
        ("a AND", 5, "AND joins nothing"),
        ("NOT", 3, "NOT of nothing"),
        ("note:\"x", 5, "\" is never closed"),
        (">3", 0, "nothing is called ; metrics are METRIC.last and METRIC.best"),
    ];
    for (text, at, message) in cases {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
    }
    assert!(Filter::parse(&"(".repeat(100_000)).is_err());
    assert!(Filter::parse(&"-".repeat(100_000)).is_err());
}

#[test]
fn a_name_is_all_of_it_and_a_whole_id_no_copy_of_it() {
    let of = |kind: &str| RunRow { spec: json!({"objective": {"kind": kind}}).into(), ..run() };
    let finds = |text: &str, run: &RunRow| Filter::parse(text).unwrap().matches(run);
    assert!(finds("kind:nce", &of("nce")) && !finds("kind:nce", &of("infonce")));
    assert!(finds("kind:*nce", &of("infonce")) && finds("kind:nce,moco", &of("moco")));
    let first = RunRow { id: "proximal-1a2b3c4d".into(), ..run() };
    for (text, first_too, copy_too) in [
        ("id:proximal-1a2b3c4d", true, false),
        ("id:proximal-1a2b3c4d.2", false, true),
        ("id:proximal-1a2b3c4", true, true),
        ("id:proximal-1a2b3c4d*", true, true),
    ] {
        assert_eq!((finds(text, &first), finds(text, &run())), (first_too, copy_too), "{text}");
    }
}

#[test]
fn a_metric_is_one_of_ours_or_one_that_a_run_has() {
    let runs = [run()];
    let check = |text: &str| Filter::parse(text).unwrap().check(&runs);
    for text in ["svm_top1.best>1", "linear_top1/conv5@places.best>1", "x"] {
        check(text).unwrap();
    }
    let odd =
        RunRow { metrics: [("mine".to_owned(), run().metrics["loss"].clone())].into(), ..run() };
    Filter::parse("mine.last<3").unwrap().check(&[odd]).unwrap();
    for (text, at, message) in [
        ("nosuch.best>1", 0, "no metric is called nosuch"),
        ("x NOT knn_topl.best>1", 6, "no metric is called knn_topl; the nearest is knn_top1"),
    ] {
        let error = check(text).unwrap_err();
        assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
    }
}

#[test]
fn archived_runs_are_asked_for_by_name() {
    assert!(Filter::parse("x OR NOT archived:false").unwrap().mentions_archived());
    assert!(!Filter::parse("archived").unwrap().mentions_archived());
}

#[test]
fn a_tag_is_what_a_filter_can_name() {
    for text in ["a|b", "a&b", "(a", "a)", "'a", "\"", "a*", "a,b", "a b", "a\tb", ""] {
        let why = tag(text).unwrap_err();
        assert!(why.ends_with("allowed: a word without spaces, quotes and any of |&()*,"), "{why}");
    }
    assert_eq!(
        tag(&"é".repeat(65)).unwrap_err(),
        "found a tag of 65 characters, allowed: at most 64"
    );
    for text in ["keep", "λ=10", "v1.2", "a:b", "-", "<3", &"é".repeat(64)] {
        let named = RunRow { tags: vec![tag(text).unwrap()], ..run() };
        assert!(Filter::parse(&format!("tag:{text}")).unwrap().matches(&named), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_is_refused_within_it(text in "\\PC*") {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!(error.at <= text.chars().count());
        }
    }

    #[test]
    fn any_mixture_of_its_own_signs_parses_or_is_refused(
        parts in proptest::collection::vec(prop_oneof![
            Just("seed"), Just(":"), Just(">="), Just("!="), Just("2"), Just(" "), Just("("), Just(")"), Just("OR"),
            Just("AND"), Just("NOT"), Just("-"), Just("!"), Just("\""), Just("'"), Just("|"), Just("&"), Just("*"),
            Just("knn_top1.best"), Just("é"),
        ], 0..16),
    ) {
        if let Ok(filter) = Filter::parse(&parts.concat()) {
            filter.matches(&run());
        }
    }

    /// De Morgan, over random terms.
    #[test]
    fn not_of_or_is_and_of_nots(a in "(state:failed|seed:1|lambda>3|tag:x)", b in "(loss:nan|seed:2|word|proximal)") {
        let run = run();
        let matches = |text: String| Filter::parse(&text).unwrap().matches(&run);
        prop_assert_eq!(matches(format!("NOT ({a} OR {b})")), matches(format!("-{a} !{b}")));
        prop_assert_eq!(matches(format!("{a} {b}")), matches(format!("({a}) AND ({b})")));
    }
}
