//! Looking at runs: lists, one run, its logs and curves, the ablation table.

use std::fs;
use std::path::PathBuf;

use instdisc_lab::store::State;
use serde_json::Value;

use super::said;
use crate::support::Lab;

/// Two values of λ, two seeds each, one published value; every run finished by the stand-in at its first step.
fn finished() -> (Lab, Vec<String>) {
    let lab = Lab::new();
    lab.behave("finish");
    let ids = lab.queue(&experiment(&lab), &[]);
    for id in &ids {
        lab.wait_for_state(id, State::Finished);
    }
    (lab, ids)
}

fn experiment(lab: &Lab) -> PathBuf {
    let path = lab.experiment("sweep", &[0.0, 10.0]);
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str(
        "seed = [0, 1]\n[[reference]]\nwhere = { objective.lambda = 10 }\nmetric = \"loss\"\nvalue = 0.5\n\
         source = \"a paper\"\nstatus = \"recalled\"\n",
    );
    fs::write(&path, text).unwrap();
    path
}

fn json(lab: &Lab, args: &[&str]) -> Value {
    serde_json::from_str(&lab.ok(args)).unwrap()
}

#[test]
fn what_was_measured_can_be_read_in_every_form() {
    let (lab, ids) = finished();
    runs(&lab, &ids);
    table(&lab, &ids);
    one_run(&lab, &ids[0]);
    mistakes(&lab, &ids[0]);
}

fn runs(lab: &Lab, ids: &[String]) {
    let all = json(lab, &["runs", "--format", "json"]);
    let listed: Vec<&str> =
        all.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!(listed, ids);
    let run = &all[2];
    assert_eq!(run["experiments"], serde_json::json!(["sweep"]));
    assert_eq!(
        (&run["state"], &run["attempt"], &run["seed"]),
        (&"finished".into(), &1.into(), &0.into())
    );
    assert_eq!(run["varied"], serde_json::json!({"objective.lambda": 10.0}));
    assert_eq!(run["spec"]["objective"]["kind"], "nonparametric");
    let loss = &run["metrics"]["loss"];
    assert_eq!(
        (&loss["last"], &loss["best"], &loss["best_step"], &loss["better"]),
        (&1.0.into(), &1.0.into(), &1.into(), &"lower".into())
    );
    assert!(run["queued_at"].as_str().unwrap().ends_with('Z'), "{}", run["queued_at"]);

    let found =
        |filter: &str| json(lab, &["runs", filter, "--format", "json"]).as_array().unwrap().len();
    assert_eq!(
        ["lambda>0", "state:finished seed:1", "NOT sweep", "loss.last>1 OR lambda=0"].map(found),
        [2, 2, 0, 2]
    );
    // Words of one filter may come as one argument or as several.
    assert_eq!(lab.ok(&["runs", "seed:1", "lambda>0", "--format", "csv"]).lines().count(), 2);
    let plain = lab.ok(&["runs"]);
    assert!(plain.starts_with("RUN "), "{plain}");
    assert!(plain.contains("lambda=10"), "{plain}");
    assert_eq!(lab.ok(&[]), plain);
    assert!(lab.ok(&["runs", "--format", "md"]).starts_with("| run "));
    assert!(lab.ok(&["runs", "--format", "tex"]).starts_with("\\begin{tabular}"));

    lab.ok(&["archive", &ids[3]]);
    assert_eq!((found("seed:1"), found("seed:1 archived:true")), (1, 1));
}

fn table(lab: &Lab, ids: &[String]) {
    let table = json(lab, &["table", "sweep", "--metric", "loss", "--format", "json"]);
    assert_eq!((&table["experiment"], &table["metric"]), (&"sweep".into(), &"loss.last".into()));
    let row = &table["rows"][0];
    assert_eq!(
        (&row["n"], &row["n_planned"], &row["mean"], &row["std"]),
        (&2.into(), &2.into(), &1.0.into(), &0.0.into())
    );
    // One of its two runs is archived.
    let row = &table["rows"][1];
    assert_eq!(
        (&row["n"], &row["std"], &row["runs"]),
        (&1.into(), &Value::Null, &serde_json::json!([ids[2]]))
    );
    assert_eq!(
        row["reference"],
        serde_json::json!({"value": 0.5, "source": "a paper", "status": "recalled"})
    );
    let plain = lab.ok(&["table", "sweep", "--metric", "loss"]);
    insta::assert_snapshot!(plain, @r#"
    LAMBDA       LOSS  N         Δ              PAPER
         0  1.000 ± 0  2  baseline
        10      1.000  1         0  0.5000 (recalled)
    paper: a paper (recalled)
    "#);
    let across = lab.ok(&["table", "sweep", "--metric", "loss", "--cols", "lambda"]);
    assert!(across.trim_start().starts_with("LAMBDA = 0"), "{across}");
    let both = ["--metric", "loss", "--metric", "loss.best"];
    let beside = lab.ok(&[&["table", "sweep"][..], &both].concat());
    insta::assert_snapshot!(beside, @r#"
    LAMBDA       LOSS              PAPER  LOSS.BEST              PAPER  N
         0  1.000 ± 0                     1.000 ± 0                     2
        10      1.000  0.5000 (recalled)      1.000  0.5000 (recalled)  1
    paper: a paper (recalled)
    "#);
    let twice = ["--metric", "loss", "--metric", "loss.last"];
    assert_eq!(lab.ok(&[&["table", "sweep"][..], &twice].concat()), plain, "the same once");
    let json = json(lab, &[&["table", "sweep", "--format", "json"][..], &both].concat());
    assert_eq!((&json[0], &json[1]["metric"]), (&table, &"loss.best".into()));

    // What the file wants to see, as far as it was measured.
    let path = lab.path().join("sweep.toml");
    let text = fs::read_to_string(&path).unwrap();
    let declared = "metrics = [\"nmi\", \"loss\", \"loss.best\"]\n";
    fs::write(&path, format!("{declared}{text}")).unwrap();
    lab.ok(&["queue", path.to_str().unwrap(), "--no-start"]);
    assert_eq!(lab.ok(&["table", "sweep"]), beside);
    assert_eq!(lab.ok(&["table", "sweep", "--cols", "lambda"]), across);
    let report = lab.ok(&["report", "sweep"]);
    let at = |text: &str| report.find(text).unwrap_or_else(|| panic!("no {text} in\n{report}"));
    assert!(at("loss.last") < at("loss.best"), "{report}");
}

fn one_run(lab: &Lab, id: &str) {
    let short = &id[..id.len() - 2];
    let shown = lab.ok(&["show", short]);
    assert!(shown.contains("finished") && shown.contains("objective.lambda"), "{shown}");
    let run = json(lab, &["show", id, "--format", "json"]);
    let states: Vec<&str> = run["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["to"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["queued", "starting", "running", "finished"]);
    assert!(run["history"][0]["at"].as_str().unwrap().contains('T'));
    assert_eq!(
        lab.ok(&["curve", id, "loss", "--format", "csv"]),
        "step,epoch,sec,value\r\n1,0.1,0,1\r\n"
    );
    let points = json(lab, &["curve", id, "loss", "--format", "json"]);
    assert_eq!(points, serde_json::json!([{"step": 1, "epoch": 0.1, "sec": 0.0, "value": 1.0}]));
    fs::write(lab.dir_of(id).stdout(), "hello\n").unwrap();
    fs::write(lab.dir_of(id).stderr(), "oh\n").unwrap();
    assert_eq!(lab.ok(&["logs", id]), "==> stdout.log <==\nhello\n==> stderr.log <==\noh\n");
    assert_eq!(lab.ok(&["logs", id, "--only", "stderr", "-f"]), "oh\n");
    assert!(lab.ok(&["logs", id, "--only", "events"]).contains("\"t\":\"end\""));
}

fn mistakes(lab: &Lab, id: &str) {
    let cases: [(&[&str], &str); 8] = [
        (
            &["table", "sweep", "--cols", "seed", "--metric", "loss", "--metric", "lr"],
            "--cols seed: found 2 metrics, allowed: one, as the columns are the metrics else",
        ),
        (
            &["cancel", "--where", " "],
            "--where: found nothing, allowed: a filter as `runs` takes it",
        ),
        (
            &["runs", "state:fnished"],
            "filter, character 7: found fnished, allowed: queued, starting, running, stopping, paused, finished, failed, cancelled, lost",
        ),
        (&["table", "swep"], "no experiment is called swep: allowed: sweep, nearest: sweep"),
        (
            &["table", "sweep", "--metric", "los"],
            "no run of sweep has the metric los: found los, allowed: loss",
        ),
        (
            &["table", "sweep", "--rows", "tau"],
            "sweep does not vary tau: found tau, allowed: objective.lambda, seed",
        ),
        (&["show", "nobody"], "no run is called nobody"),
        (&["curve", id, "los"], &format!("{id} has no metric los: allowed: loss, nearest: loss")),
    ];
    for (args, message) in cases {
        let (code, out, err) = said(&lab.output(args));
        assert_eq!(
            (code, out.as_str(), err),
            (Some(2), "", format!("error: {message}\n")),
            "{args:?}"
        );
    }
}

/// What `runs FILTER` lists is what a verb means by `--where FILTER`.
#[test]
fn a_verb_takes_a_filter_in_place_of_ids() {
    let (lab, ids) = finished();
    let tagged = || lab.ok(&["runs", "tag:keep", "--format", "csv"]).lines().count() - 1;
    let (_, _, err) =
        said(&lab.output(&["tag", "--where", "lambda>0 state:finished", "--add", "keep"]));
    assert_eq!(err, format!("{} is tagged keep.\n{} is tagged keep.\n", ids[2], ids[3]));
    assert_eq!(tagged(), 2);
    // What is in the archive is out of reach unless it is spoken of.
    lab.ok(&["archive", "--where", "tag:keep seed:0"]);
    lab.ok(&["tag", "--where", "sweep", "--remove", "keep"]);
    assert_eq!(lab.ok(&["runs", "archived:true tag:keep", "--format", "csv"]).lines().count(), 2);
    lab.ok(&["archive", "--undo", "--where", "archived:true"]);
    assert_eq!(tagged(), 1);
    // Safe to repeat: nothing left to do is no mistake.
    let (code, out, err) = said(&lab.output(&["retry", "--where", "state:failed"]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", "No run matches state:failed.\n"));
    lab.ok(&["rm", "--where", "lambda=0"]);
    lab.ok(&["rm", "--undo", &ids[0]]);
    assert_eq!(lab.ok(&["runs", "--format", "csv"]).lines().count(), 4);
    let files = lab.ok(&["export", "--where", "sweep", "--what", "csv", "--to", "out"]);
    assert_eq!(files.lines().count(), 3);
    for args in [
        &["cancel", &ids[0], "--where", "sweep"][..],
        &["rm", "--undo", "--where", "sweep"],
        &["cancel"],
        &["eval", "--where", "state:fnished"],
    ] {
        let (code, out, err) = said(&lab.output(args));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
    }
}

#[test]
fn run_ends_with_the_table_and_json_stands_alone_on_stdout() {
    let lab = Lab::new();
    lab.behave("finish");
    let file = experiment(&lab);
    let output = lab.output(&["run", file.to_str().unwrap(), "--format", "json"]);
    let (code, out, err) = said(&output);
    assert_eq!(code, Some(0), "{err}");
    let table: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&table["experiment"], table["rows"].as_array().unwrap().len()),
        (&"sweep".into(), 2)
    );
    // The stand-in never evaluates: planned and finished, but no accuracy.
    assert_eq!((&table["rows"][0]["n"], &table["rows"][0]["n_planned"]), (&0.into(), &2.into()));
}

#[test]
fn a_failed_run_shows_the_end_of_its_error_output() {
    let lab = Lab::new();
    lab.behave("fail");
    let ids = lab.queue(&lab.experiment("x", &[0.0]), &[]);
    lab.wait_for_state(&ids[0], State::Failed);
    fs::write(lab.dir_of(&ids[0]).stderr(), "the sky fell\n").unwrap();
    let shown = lab.ok(&["show", &ids[0]]);
    assert!(shown.contains("End of ") && shown.contains("  the sky fell\n"), "{shown}");
}
