//! Evaluating checkpoints with the trainer that was built.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use instdisc_lab::store::State;
use serde_json::Value;

use crate::support::{Lab, wait_for};

fn json(lab: &Lab, args: &[&str]) -> Value {
    serde_json::from_str(&lab.ok(&[args, &["--format", "json"]].concat())).unwrap()
}

#[test]
fn what_an_evaluation_finds_becomes_part_of_the_run() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("real", &[0.0]);
    lab.ok(&["run", file.to_str().unwrap()]);
    let run = lab.runs().remove(0);
    assert_eq!(run.state, State::Finished, "{:?}", run.reason);

    let found =
        json(&lab, &["eval", &run.id, "--what", "knn,svm,linear,layers,retrieval,diagnostics"]);
    let value = |name: &str| {
        let of = found.as_array().unwrap().iter().find(|finding| finding["metric"] == name);
        of.unwrap_or_else(|| panic!("no {name}"))["value"].as_f64().unwrap()
    };
    for name in [
        "knn_top1/selected",
        "svm_top1",
        "linear_top1/embedding",
        "linear_top1/pooled",
        "linear_top5/pooled",
        "linear_top1/conv3",
        "nmi",
    ] {
        assert!((0.0..=100.0).contains(&value(name)), "{name}");
    }
    assert!(value("linear_top1/pooled") <= value("linear_top5/pooled"));
    for finding in found.as_array().unwrap() {
        let name = finding["metric"].as_str().unwrap();
        let has_solver = name.starts_with("svm_") || name.starts_with("linear_");
        assert_eq!(finding["settings"]["solver"]["converged"].is_boolean(), has_solver, "{name}");
    }
    // 100 images in batches of 16: the last epoch wrote 16 rows six to one steps ago each, 4 in its last step.
    assert_eq!(value("slot_age"), (16.0 * 21.0) / 100.0);
    // The spec asks for 5 neighbours at τ = 0.07, which training evaluated already, on the same images.
    let trained = run.metrics["knn_top1"].last.0;
    assert!((value("knn_top1/k=5,tau=0.07") - trained).abs() < 1e-9);
    assert!(value("recall_at_1") <= value("recall_at_10"));
    assert!((1.0..=16.0).contains(&value("rankme")));

    let shown = lab.ok(&["show", &run.id]);
    let (_, classes) = shown.split_once("\nknn_top1/selected of each class, step ").unwrap();
    let (classes, ages) =
        classes.split_once("\n\ncosine of features and bank rows by age, step 14:\n").unwrap();
    assert_eq!(ages.lines().count(), 1 + 4, "{ages}");
    let lines: Vec<&str> = classes.lines().skip(1).collect();
    assert_eq!(lines.len(), 11, "{shown}");
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
    };
    assert_eq!(cells(lines[0]), ["CLASS", "RIGHT (%)", "TAKEN FOR"]);
    let of_class = |line: &str| cells(line)[1].parse::<f64>().unwrap();
    let mean = lines[1..].iter().map(|line| of_class(line)).sum::<f64>() / 10.0;
    assert!((mean - value("knn_top1/selected")).abs() < 0.1, "{mean}: classes are of one size");

    // It stands in tables, is counted once however often it is asked for, and leaves the state as it was.
    let points = |lab: &Lab| lab.ask(async |store| store.curve(&run.id, "nmi", None).await);
    assert_eq!(points(&lab).len(), 1);
    json(&lab, &["eval", &run.id, "--what", "retrieval"]);
    assert_eq!(points(&lab)[0].value, value("nmi"));
    assert_eq!(points(&lab).len(), 1);
    let table = json(&lab, &["table", "real", "--metric", "nmi.last"]);
    assert_eq!(table["rows"][0]["mean"].as_f64().unwrap(), value("nmi"));
    let after = lab.run(&run.id);
    assert_eq!((after.state, after.attempt), (State::Finished, run.attempt));
    assert_eq!(after.metrics["nmi"].unit, "%");

    // Its network was made for 32×32 pixels; MNIST has 28×28.
    let root = lab.path().join("mnist");
    write_idx(&root, 28);
    let output = lab.output(&["eval", &run.id, "--on", "mnist", "--root", root.to_str().unwrap()]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    let said =
        "--on mnist: found images of 28×28 pixels, allowed: 32×32, as the run was trained on";
    assert!(errors.contains(said), "{errors}");
}

#[test]
fn the_checkpoint_that_images_held_out_selected_is_there_to_be_looked_at() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("real", &[0.0]);
    let settings = ["--set", "data.held_out=0.05", "--set", "eval.every=1"];
    lab.ok(&[&["run", file.to_str().unwrap()][..], &settings].concat());
    let run = lab.runs().remove(0);
    assert_eq!(run.state, State::Finished, "{:?}", run.reason);
    let rows = lab.ask(async |store| store.evaluations(&run.id).await);
    let row = rows.iter().rfind(|row| row.metric == "knn_top1_selected").unwrap();
    let of_step = row.settings["of_step"].as_u64().unwrap();
    let found = json(&lab, &["eval", &run.id, "--what", "knn", "--step", "selected"]);
    assert!(found.as_array().unwrap().iter().all(|finding| finding["step"] == of_step));
    let by_five = |finding: &&Value| finding["metric"] == "knn_top1/k=5,tau=0.07";
    let found = found.as_array().unwrap().iter().find(by_five).unwrap()["value"].as_f64().unwrap();
    assert!((found - row.value.0).abs() < 1e-9, "{found}, {row:?}");
    lab.ok(&["neighbors", &run.id, "--step", "selected"]);
    let to = lab.path().join("out");
    lab.ok(&["export", &run.id, "--step", "selected", "--to", to.to_str().unwrap()]);

    let refused = |args: &[&str]| {
        let output = lab.output(args);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let plain = lab.experiment("plain", &[0.0]);
    lab.ok(&["run", plain.to_str().unwrap(), "--set", "seed=9"]);
    let plain = lab.runs().into_iter().find(|it| it.id != run.id).unwrap();
    let said = refused(&["eval", &plain.id, "--step", "selected"]);
    assert!(said.contains("found no checkpoint that images held out have selected"), "{said}");
    assert!(said.contains("allowed: a run with data.held_out above 0"), "{said}");
    let said = refused(&["eval", &run.id, "--step", "best"]);
    assert!(said.contains("allowed: a step, or selected"), "{said}");
    let tiny = ["run", file.to_str().unwrap(), "--set", "data.held_out=0.00001"];
    let said = lab.output(&tiny);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("data.held_out: found 0.00001, which is no image of any class"),
        "{said}"
    );
}

/// Found before anything is loaded, and without a header of a table that says nothing.
#[test]
fn a_run_that_trains_is_to_be_paused_first() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("one", &[0.0]), &["--no-start"]).remove(0);
    let lock = File::create(lab.dir_of(&id).lock()).unwrap();
    lock.lock().unwrap();
    for format in ["table", "csv", "json"] {
        let output = lab.output(&["eval", &id, "--format", format]);
        let said = String::from_utf8_lossy(&output.stderr);
        let expected =
            format!("error: {id}: is being trained: pause it first (`instdisc-lab pause {id}`)\n");
        assert_eq!((output.status.code(), said.as_ref()), (Some(2), expected.as_str()));
        assert!(output.stdout.is_empty(), "{format}");
    }
}

/// Minutes of evaluating hold nobody up: only what is written is written under the run's lock. A run that a cluster started
/// meanwhile, whose lock may not be seen from here, is left alone.
#[test]
fn an_evaluation_keeps_no_trainer_waiting() {
    let lab = Lab::new().with_real_trainer();
    lab.ok(&["run", lab.experiment("real", &[0.0]).to_str().unwrap()]);
    let dir = lab.dir_of(&lab.runs().remove(0).id);
    let before = fs::read(dir.journal()).unwrap();
    let mut trainer = lab.command_of(Path::new(env!("CARGO_BIN_EXE_instdisc-train")), &[]);
    trainer.arg(dir.path()).args(["--evaluate", "svm"]).stderr(Stdio::piped());
    let mut trainer = trainer.spawn().unwrap();
    let mut said = BufReader::new(trainer.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "instdisc-train: loading images\n");
    let lock = File::open(dir.lock()).unwrap();
    wait_for("the lock of an evaluation", || lock.try_lock().is_ok());
    assert!(trainer.try_wait().unwrap().is_none(), "it has the lock of one that has ended");
    // Another start, here or on a node; what is under way must not be written behind it.
    let start = before.split(|byte| *byte == b'\n').next().unwrap();
    assert!(start.starts_with(b"{\"v\":1,\"t\":\"start\""));
    let begun = [&before[..], start, b"\n"].concat();
    fs::write(dir.journal(), &begun).unwrap();
    lock.unlock().unwrap();
    said.read_to_string(&mut line).unwrap();
    assert_eq!(trainer.wait().unwrap().code(), Some(1), "{line}");
    assert!(line.contains("began to train again meanwhile, so nothing was written"), "{line}");
    assert_eq!(fs::read(dir.journal()).unwrap(), begun);
    // The same of a claim alone, before the journal has a word of it.
    let mut trainer = lab.command_of(Path::new(env!("CARGO_BIN_EXE_instdisc-train")), &[]);
    trainer.arg(dir.path()).args(["--evaluate", "svm"]).stderr(Stdio::piped());
    let mut trainer = trainer.spawn().unwrap();
    let mut said = BufReader::new(trainer.stderr.take().unwrap());
    line.clear();
    said.read_line(&mut line).unwrap();
    fs::write(dir.claim(), "2 41_0 n1\n").unwrap();
    said.read_to_string(&mut line).unwrap();
    assert_eq!(trainer.wait().unwrap().code(), Some(1), "{line}");
    assert_eq!(fs::read(dir.journal()).unwrap(), begun);
}

/// Ten images of `side` pixels for each split, in the format of MNIST.
fn write_idx(root: &Path, side: u8) {
    fs::create_dir_all(root).unwrap();
    for split in ["train", "t10k"] {
        let mut images = vec![0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, side, 0, 0, 0, side];
        images.extend((0..10 * usize::from(side).pow(2)).map(|i| (i % 251) as u8));
        fs::write(root.join(format!("{split}-images-idx3-ubyte")), images).unwrap();
        let labels = [&[0, 0, 8, 1, 0, 0, 0, 10][..], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]].concat();
        fs::write(root.join(format!("{split}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// A run that asks for it evaluates itself, and finds what anybody finds who asks afterwards.
#[test]
fn a_run_evaluates_itself_when_it_has_trained_to_the_end() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("self", &[0.0]);
    let finally = "eval.finally=[\"retrieval\", \"svm\", \"finetune\"]";
    lab.ok(&["run", file.to_str().unwrap(), "--set", finally]);
    let run = lab.runs().remove(0);
    assert_eq!(run.state, State::Finished, "{:?}", run.reason);
    let found = json(&lab, &["eval", &run.id, "--what", "svm,retrieval,finetune"]);
    for name in ["svm_top1", "recall_at_1", "finetune_top1/labels=0.2", "finetune_top5/labels=0.01"]
    {
        let again = found.as_array().unwrap().iter().find(|finding| finding["metric"] == name);
        let points = lab.ask(async |store| store.curve(&run.id, name, None).await);
        let before = run.metrics[name].last.0;
        assert_eq!(again.unwrap()["value"], before, "{name}");
        // Asked for twice, counted once.
        assert_eq!(points.iter().map(|point| point.value).collect::<Vec<_>>(), [before], "{name}");
    }
}

/// Twelve images of two classes to train on and four to test on, of 32×32 pixels.
fn write_folder(root: &Path) {
    for (split, n) in [("train", 6), ("test", 2)] {
        for (class, hue) in [("ant", 0u8), ("bee", 90)] {
            let folder = root.join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..n {
                let pixel = |x, y| image::Rgb([hue + 9 * i, (x * 7) as u8, (y * 5) as u8]);
                let path = folder.join(format!("{i}.png"));
                image::RgbImage::from_fn(32, 32, pixel).save(path).unwrap();
            }
        }
    }
}

/// As a transfer experiment has it: measured on its own images and on others, without anybody asking afterwards.
#[test]
fn a_run_measures_itself_on_other_data_sets_too() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("across", &[0.0]);
    let run = |on: &str| {
        let finally = "eval.finally=[\"linear\", \"retrieval\"]";
        let on = format!("eval.on=[\"folder={on}\"]");
        lab.ok(&["run", file.to_str().unwrap(), "--set", finally, "--set", &on]);
        let run = lab.runs().remove(0);
        assert_eq!(run.state, State::Finished, "{:?}", run.reason);
        run
    };
    write_folder(&lab.path().join("insects"));
    // A relative place is meant from where the command was given.
    let first = run("insects");
    let args =
        ["eval", &first.id, "--what", "linear,retrieval", "--on", "folder", "--root", "insects"];
    let found = json(&lab, &args);
    for name in ["linear_top1/pooled@folder", "recall_at_1@folder", "nmi@folder"] {
        let again = found.as_array().unwrap().iter().find(|finding| finding["metric"] == name);
        assert_eq!(again.unwrap()["value"], first.metrics[name].last.0, "{name}");
    }
    for own in ["linear_top1/pooled", "recall_at_1"] {
        assert!(first.metrics.contains_key(own), "{own}");
    }
    assert_eq!(first.metrics["linear_top1/pooled@folder"].unit, "%");
    let table = json(&lab, &["table", "across", "--metric", "linear_top1/pooled@folder"]);
    assert_eq!(table["rows"][0]["mean"], first.metrics["linear_top1/pooled@folder"].last.0);
}

/// Not after the days that a training takes.
#[test]
fn another_data_set_that_is_not_there_ends_a_run_before_it_trains() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("across", &[0.0]);
    let asked = ["--set", "eval.finally=[\"linear\"]", "--set"];
    let run = |on: &str| {
        let args = [&["run", file.to_str().unwrap()], &asked[..], &[on]].concat();
        let output = lab.output(&args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = run("eval.on=[\"cifar100=nowhere\"]");
    let lack = "Not here yet: cifar100 is not in ";
    assert!(said.contains(lack) && said.contains("or set eval.on = NAME=DIR"), "{said}");
    assert_eq!(code, Some(1), "{said}");
    let failed = lab.runs().remove(0);
    let reason = failed.reason.clone().unwrap();
    assert!(reason.starts_with("data: eval.on: ") && reason.contains("nowhere"), "{reason}");
    assert!(!lab.dir_of(&failed.id).checkpoints().exists(), "it has not trained");

    for (on, why) in [
        (
            "[\"cifar\"]",
            "eval.on: found [\"cifar\"], allowed: a list of data sets, each once, as NAME or NAME=DIR, of shapes",
        ),
        (
            "[\"shapes\"]",
            "eval.on: found shapes, allowed: another data set than the run's own, data.dataset",
        ),
        (
            "[\"mnist\"]",
            "eval.on: found mnist, whose images have 28×28 pixels, allowed: sets of 32×32 pixels",
        ),
    ] {
        let (code, said) = run(&format!("eval.on={on}"));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_named_and_exits_with_2() {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("real", &[0.0]);
    let id = lab.queue(&file, &["--no-start"]).remove(0);
    for (args, said) in [
        (
            &["--what", "svn"][..],
            "--what: found svn, allowed: knn, svm, linear, layers, retrieval, diagnostics, finetune",
        ),
        (&["--on", "cifar"][..], "--on: found cifar, allowed: shapes, cifar10"),
        (&["--what", "knn"][..], "found no checkpoint, allowed: a run that has trained"),
    ] {
        let output = lab.output(&[&["eval", &id], args].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(said), "{errors}");
    }
    assert_eq!(lab.run(&id).state, State::Queued);
}
