//! Experiment files from text to runs, and every mistake a person can make in one.

use proptest::prelude::*;
use serde_json::{Map, json};

use super::experiment::{self, Overrides};
use super::{fingerprint, resolve};
use crate::grid::{Planned, expand};

const NEGATIVES: &str = r#"
name = "negatives"
question = "How many negatives does NCE need?"
[base]
data.dataset = "cifar10"
objective = { kind = "nce", tau = 0.07, lambda = 0.0, bank_momentum = 0.0 }
[grid]
seed = [0, 1]
"objective.m" = [1, 10, 512, 4096]
[[variant]]
name = "full softmax"
set = { "objective.kind" = "nonparametric" }
[size.cpu]
why = "two cores"
train.epochs = 20
grid = { seed = [0] }
[[reference]]
where = { "objective.m" = 4096 }
metric = "knn_top1"
value = 80.4
source = "Wu et al. 2018, Table 1"
status = "verified"
"#;

fn plan(text: &str, overrides: &Overrides) -> Vec<Planned> {
    expand(&experiment::parse("x.toml", text, overrides).unwrap()).unwrap()
}

fn wrong(text: &str, overrides: &Overrides) -> String {
    experiment::parse("x.toml", text, overrides).unwrap_err().to_string()
}

fn overrides(size: Option<&str>, set: &[&str], grid: &[&str]) -> Overrides {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Overrides { size: size.map(str::to_owned), set: owned(set), grid: owned(grid) }
}

#[test]
fn the_example_plans_its_rows_with_seeds_innermost_and_one_softmax_a_seed() {
    let runs = plan(NEGATIVES, &Overrides::default());
    let row = |run: &Planned| {
        (run.spec.seed, run.varied.get("objective.m").and_then(|m| m.as_u64()), run.variant.clone())
    };
    let full = Some("full softmax".to_owned());
    assert_eq!(
        runs.iter().map(row).collect::<Vec<_>>(),
        [
            (0, Some(1), None),
            (1, Some(1), None),
            (0, Some(10), None),
            (1, Some(10), None),
            (0, Some(512), None),
            (1, Some(512), None),
            (0, Some(4096), None),
            (1, Some(4096), None),
            (0, None, full.clone()),
            (1, None, full),
        ]
    );
    assert_eq!(json!(runs[0].varied), json!({"objective.m": 1, "objective.kind": "nce"}));
    assert_eq!(json!(runs[8].varied), json!({"objective.kind": "nonparametric"}));
}

#[test]
fn sizes_sets_and_grids_lie_over_the_file_in_that_order() {
    let runs = plan(NEGATIVES, &overrides(Some("cpu"), &[], &[]));
    assert_eq!((runs.len(), runs[0].spec.train.epochs), (5, 20));
    let runs = plan(NEGATIVES, &overrides(Some("cpu"), &["train.epochs=2"], &["seed=5,6,7"]));
    assert_eq!((runs.len(), runs[0].spec.train.epochs, runs[2].spec.seed), (15, 2, 7));
    let runs = plan(NEGATIVES, &overrides(None, &["objective.m=3", "seed=9"], &[]));
    assert_eq!(runs.len(), 2);
    assert_eq!(json!(runs[0].varied), json!({"objective.kind": "nce"}));
}

#[test]
fn the_proximal_sweep_without_its_term_is_the_row_with_4096_negatives() {
    let proximal =
        "name = 'p'\n[base]\nobjective.lambda_from = 1\n[grid]\nobjective.lambda = [0, 10]";
    let proximal = plan(proximal, &Overrides::default());
    let negatives = plan(NEGATIVES, &Overrides::default());
    assert_eq!(proximal[0].fingerprint, negatives[6].fingerprint);
    assert_ne!(proximal[1].fingerprint, negatives[6].fingerprint);
}

/// A change here means that every run ever made is a stranger: old results are no longer found.
#[test]
fn fingerprints_are_frozen() {
    let paper = resolve(&Map::new()).unwrap();
    assert_eq!(
        fingerprint(&paper),
        "58503af6e07523d7fe09f995fa5d0c58c287f21027d7b604c072a102b9e7ca3b"
    );
    let mut elsewhere = paper.clone();
    elsewhere.data.root = Some("/elsewhere".into());
    assert_eq!(fingerprint(&elsewhere), fingerprint(&paper));
    let folder = |root: &str| {
        let settings = json!({"data.dataset": "folder", "data.root": root});
        fingerprint(&resolve(settings.as_object().unwrap()).unwrap())
    };
    assert_ne!(folder("/a"), folder("/b"));
    // Other sets to be evaluated on make another run, where they lie does not.
    let on = |on: serde_json::Value| {
        let settings = json!({"eval.finally": ["linear"], "eval.on": on});
        fingerprint(&resolve(settings.as_object().unwrap()).unwrap())
    };
    let without = json!({"eval.finally": ["linear"]});
    assert_eq!(on(json!([])), fingerprint(&resolve(without.as_object().unwrap()).unwrap()));
    assert_eq!(on(json!(["cifar100=/a"])), on(json!(["cifar100"])));
    assert_ne!(on(json!(["cifar100"])), on(json!(["shapes"])));
    assert_ne!(on(json!(["folder=/a"])), on(json!(["folder=/b"])));
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line() {
    let text = r#"
name = "a b"
title = 3
[base]
objective.tua = 0.1
foo.bar = 1
objective.tau = 0
objective = 3
"#;
    // TOML itself refuses the last line; without it all the rest comes together.
    let syntax = wrong(text, &Overrides::default());
    assert_eq!(syntax, "x.toml:8: objective: found the key again, allowed: each key once");
    let text = text.replace("objective = 3\n", "train = 3\nseed = { a = 1 }\n");
    let all = wrong(&text, &overrides(Some("gpu"), &["m=3", "nonsense"], &["seed=", "seed=x"]));
    insta::assert_snapshot!(all, @r#"
    x.toml:2: name: found "a b", allowed: 1 to 64 letters, digits, `-` and `_`, beginning with a letter or digit
    x.toml:3: title: found an unknown key, allowed: name, question, why, metrics, preset, [base], [grid], [[variant]], [size.NAME], [[reference]]
    x.toml:5: objective.tua: found an unknown key, allowed: a key of a specification, such as objective.tau
    x.toml:6: foo.bar: found an unknown key, allowed: a key of a specification (`instdisc-lab keys` lists them)
    x.toml:7: objective.tau: found 0, allowed: a number above 0
    x.toml:8: train: found a value, allowed: a table of epochs, batch_size, bn_splits, lr, schedule, warmup, lr_drops, lr_factors, momentum, weight_decay, precision, threads, checkpoint_every
    x.toml:9: seed: found { a = 1 }, allowed: a whole number from 0
    --set: m: found an unknown key, allowed: a key of a specification, such as objective.m
    --set: found nonsense, allowed: KEY=VALUE
    --grid: seed: found nothing, allowed: a list of one or more values, each a whole number from 0
    --grid: seed: found x, allowed: a whole number from 0
    --size: found gpu, allowed: no size: the file has none
    "#);
}

#[test]
fn values_out_of_range_are_named_with_what_is_allowed() {
    let cases = [
        ("objective.lambda = -1", "found -1, allowed: a number of at least 0"),
        ("objective.tau = 0", "found 0, allowed: a number above 0"),
        ("objective.tau = nan", "found nan, allowed: a number above 0"),
        ("objective.tau = \"x\"", "found \"x\", allowed: a number above 0"),
        ("model.dim = 0", "found 0, allowed: a whole number from 1 to 65536"),
        ("model.dim = 128.0", "found 128.0, allowed: a whole number from 1 to 65536"),
        ("objective.m = 0", "found 0, allowed: a whole number from 1"),
        ("data.fraction = 0", "found 0, allowed: a number in (0, 1]"),
        ("data.fraction = 1.5", "found 1.5, allowed: a number in (0, 1]"),
        (
            "train.lr_drops = [0.5, 1979-05-27]",
            "found [0.5, 1979-05-27], allowed: a list, each item a number above 0",
        ),
        (
            "data.dataset = 'imagenet'",
            "found 'imagenet', allowed: shapes, cifar10, cifar100, stl10, mnist, fashion_mnist, kmnist, cub200, cars196, sop, folder",
        ),
        ("augment.flip = 1", "found 1, allowed: true or false"),
        ("seed = -1", "found -1, allowed: a whole number from 0"),
    ];
    for (line, message) in cases {
        let key = line.split(' ').next().unwrap();
        let expected = format!("x.toml:3: {key}: {message}");
        assert_eq!(wrong(&format!("name = 'x'\n[base]\n{line}"), &Overrides::default()), expected);
        let axis = line.replace("= ", "= [").replace('\n', "") + "]";
        let in_grid = wrong(&format!("name = 'x'\n[grid]\n{axis}"), &Overrides::default());
        assert_eq!(in_grid, expected);
    }
}

#[test]
fn empty_and_duplicate_axes_are_mistakes() {
    let cases = [
        (
            "[grid]",
            "x.toml:2: grid: found no axis, allowed: one or more axes, `KEY = [VALUE, …]`, or no [grid]",
        ),
        (
            "[grid]\nseed = []",
            "x.toml:3: seed: found [], allowed: a list of one or more values, each a whole number from 0",
        ),
        (
            "[grid]\nseed = 3",
            "x.toml:3: seed: found 3, allowed: a list of one or more values, each a whole number from 0",
        ),
        (
            "[grid]\nobjective.m = [1]\n\"objective.m\" = [2]",
            "x.toml:4: objective.m: found the key again (first in line 3), allowed: each key once",
        ),
        (
            "[grid]\nseed = [1]\nseed = [2]",
            "x.toml:4: seed: found the key again, allowed: each key once",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(wrong(&format!("name = 'x'\n{text}"), &Overrides::default()), message);
    }
    let many: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    let many = many.join(",");
    let huge = format!(
        "name = 'x'\n[grid]\nseed = [{many}]\nmodel.dim = [{}]",
        many.replacen('0', "200", 1)
    );
    assert_eq!(
        wrong(&huge, &Overrides::default()),
        "x.toml: grid: found 40000 runs, allowed: at most 10000 runs"
    );
}

#[test]
fn a_key_that_no_run_can_use_is_a_mistake_and_one_that_some_cannot_is_not() {
    let m = "name = 'x'\n[base]\nobjective.kind = 'parametric'\nobjective.m = 7";
    let message = "x.toml:4: objective.m: found 7, allowed: nothing, unless objective.kind = nce or infonce or moco";
    assert_eq!(wrong(m, &Overrides::default()), message);
    let mixed =
        "name = 'x'\n[base]\nobjective.m = 7\n[grid]\nobjective.kind = ['nce', 'parametric']";
    assert_eq!(plan(mixed, &Overrides::default()).len(), 2);
    // What the command line switches off, it switches off knowingly.
    let set = overrides(None, &["objective.kind=parametric"], &[]);
    assert_eq!(plan("name = 'x'\n[base]\nobjective.m = 7", &set).len(), 1);
    let both = overrides(None, &["objective.kind=parametric", "objective.z=ema"], &[]);
    let message = "--set: objective.z: found ema, allowed: nothing, unless objective.kind = nce";
    assert_eq!(wrong("name = 'x'", &both), message);
    let variant = "name = 'x'\n[[variant]]\nname = 'v'\nset = { objective.kind = 'parametric', objective.m = 2 }";
    assert!(wrong(variant, &Overrides::default()).contains("objective.m: found 2"));
}

#[test]
fn what_the_command_line_sets_without_effect_is_said_and_no_mistake() {
    let idle = |set: &[&str], grid: &[&str]| {
        experiment::parse("x.toml", NEGATIVES, &overrides(None, set, grid)).unwrap().idle
    };
    assert_eq!(
        idle(&["objective.lambda_from=3", "data.subset_seed=1"], &[]),
        [
            "--set: objective.lambda_from has no effect: no run has objective.lambda > 0",
            "--set: data.subset_seed has no effect: no run has data.fraction < 1",
        ]
    );
    assert_eq!(
        idle(&[], &["objective.z_batches=1,2"]),
        Vec::<String>::new(),
        "Z is frozen unless told otherwise"
    );
    assert!(idle(&["objective.lambda_from=3"], &["objective.lambda=0,10"]).is_empty());
}

#[test]
fn references_are_checked_like_settings() {
    let text = "name = 'x'\n[[reference]]\nwhere = { objective.m = 0 }\nmetric = 'knn_top1'\nvalue = 'high'\nstatus = 'sure'";
    insta::assert_snapshot!(wrong(text, &Overrides::default()), @r#"
    x.toml:2: reference.source: found nothing, allowed: a value
    x.toml:3: objective.m: found 0, allowed: a whole number from 1
    x.toml:5: reference.value: found 'high', allowed: a number
    x.toml:6: reference.status: found 'sure', allowed: verified, recalled, figure
    "#);
    let reference = |metric: &str| {
        format!(
            "name = 'x'\n[[reference]]\nwhere = {{}}\nvalue = 1\nsource = ''\nstatus = 'recalled'\nmetric = '{metric}'"
        )
    };
    for metric in ["knn_top1", "loss.best", "linear_top1/conv5@stl10", "recall_at_1"] {
        assert!(experiment::parse("x.toml", &reference(metric), &Overrides::default()).is_ok());
    }
    for metric in ["knn_topp1", "knn_top1.lst"] {
        assert_eq!(
            wrong(&reference(metric), &Overrides::default()),
            format!(
                "x.toml:7: reference.metric: found '{metric}', allowed: a metric that runs have, such as knn_top1"
            )
        );
    }
}

#[test]
fn the_metrics_of_a_table_are_named_once_each() {
    let read = |list: &str| {
        experiment::parse("x.toml", &format!("name = 'x'\nmetrics = {list}"), &Overrides::default())
    };
    let named = ["nmi", "loss.best", "knn_top1.reach=60", "accuracy_of_another_program"];
    assert_eq!(read(&format!("{named:?}")).unwrap().metrics, named);
    for list in ["[]", "'nmi'", "[1]", "['nmi', 'nmi']"] {
        let said = read(list).unwrap_err().to_string();
        let allowed = format!(
            "x.toml:2: metrics: found {list}, allowed: a list of one or more metrics, each once"
        );
        assert_eq!(said, allowed);
    }
    let said = read("['nmi', 'knn_topp1']").unwrap_err().to_string();
    assert_eq!(
        said,
        "x.toml:2: metrics: found knn_topp1, allowed: a metric that runs have, such as knn_top1"
    );
}

#[test]
fn a_published_curve_rises_in_its_epochs() {
    let reference = |more: &str| {
        format!(
            "name = 'x'\n[[reference]]\nwhere = {{}}\nvalue = 84\nsource = ''\nstatus = 'figure'\nmetric = 'knn_top1'\n{more}"
        )
    };
    let text = reference("curve = [[10, 68], [20, 73.5]]\non = 'ImageNet'");
    let known = experiment::parse("x.toml", &text, &Overrides::default()).unwrap().references;
    assert_eq!(known[0].curve, [(10.0, 68.0), (20.0, 73.5)]);
    assert_eq!(known[0].on.as_deref(), Some("ImageNet"));
    for curve in ["[]", "[[20, 73], [10, 68]]", "[[10, 68, 1]]", "[[10, 'x']]", "3"] {
        let said = wrong(&reference(&format!("curve = {curve}")), &Overrides::default());
        let allowed = "allowed: a list of [EPOCH, VALUE] with rising epochs";
        assert!(
            said.starts_with("x.toml:8: reference.curve: ") && said.ends_with(allowed),
            "{said}"
        );
    }
    let reach = reference("").replace("knn_top1", "knn_top1.reach=60");
    assert!(experiment::parse("x.toml", &reach, &Overrides::default()).is_ok());
}

#[test]
fn a_preset_lies_under_the_base() {
    let text = "name = 'x'\npreset = 'released'\n[base]\nobjective.tau = 0.2";
    let spec = &plan(text, &Overrides::default())[0].spec;
    assert_eq!((spec.objective.bank_momentum, spec.eval.knn_tau), (0.5, 0.1));
    assert!(serde_json::to_string(&spec.objective).unwrap().contains("\"tau\":0.2"));
    let set = overrides(None, &["preset=paper"], &[]);
    assert_eq!(plan(text, &set)[0].spec.objective.bank_momentum, 0.0);
    let message =
        "x.toml:2: preset: found 'best', allowed: paper, released, invaspread, invaspread_released";
    assert_eq!(wrong("name = 'x'\npreset = 'best'", &Overrides::default()), message);
}

#[test]
fn a_relative_root_is_meant_from_the_file_or_from_the_shell() {
    let text = "name = 'x'\n[base]\ndata.root = '../data'";
    let read = |overrides: &Overrides| {
        let experiment = experiment::parse("exp/x.toml", text, overrides).unwrap();
        experiment.base["data.root"].clone()
    };
    assert_eq!(read(&Overrides::default()), "exp/../data");
    assert_eq!(read(&overrides(None, &["data.root=d"], &[])), "d");
    assert_eq!(read(&overrides(None, &["data.root=/d"], &[])), "/d");
}

proptest! {
    /// No text panics: it is an experiment or a list of mistakes.
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*", set in "\\PC{0,20}", grid in "\\PC{0,20}") {
        let overrides = overrides(Some("cpu"), &[&set], &[&grid]);
        let _ = experiment::parse("x.toml", &text, &overrides);
    }

    /// Texts made of what experiment files are made of come further than noise does.
    #[test]
    fn any_shuffled_file_is_read_or_refused(
        parts in proptest::collection::vec(prop_oneof![
            Just("\n"), Just("[base]\n"), Just("[grid]\n"), Just("[[variant]]\n"), Just("[size.cpu]\n"),
            Just("[[reference]]\n"), Just("name = 'x'\n"), Just("objective"), Just("."), Just("m"), Just(" = "),
            Just("[1, 2]"), Just("{ a = 1 }"), Just("nan"), Just("-1"), Just("'é'"), Just("set"), Just("where"),
            Just("seed = [0]\n"), Just("\"objective.m\" = [1]\n"), Just("why = 'ä'\n"), Just("[[1], {}]"), Just("grid"),
        ], 0..24),
    ) {
        let overrides = overrides(Some("cpu"), &["objective.m=1"], &["seed=1,2"]);
        if let Ok(experiment) = experiment::parse("x.toml", &parts.concat(), &overrides) {
            prop_assert!(expand(&experiment).is_ok());
        }
    }
}
