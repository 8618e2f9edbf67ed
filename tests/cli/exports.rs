//! What leaves the lab: encoders, banks, curves, neighbours, pages.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use instdisc_lab::store::State;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::support::Lab;

fn trained() -> (Lab, String) {
    let lab = Lab::new().with_real_trainer();
    let file = lab.experiment("real", &[0.0]);
    lab.ok(&["run", file.to_str().unwrap()]);
    let run = lab.runs().remove(0);
    assert_eq!(run.state, State::Finished, "{:?}", run.reason);
    (lab, run.id)
}

/// What the trainer writes of the test images.
fn features(lab: &Lab, id: &str) {
    let dir = lab.dir_of(id);
    let journal = fs::read(dir.journal()).unwrap();
    let write = |to: &str| {
        let program = Path::new(env!("CARGO_BIN_EXE_instdisc-train"));
        let args = [dir.path().to_str().unwrap(), "--features", to];
        lab.command_of(program, &args).output().unwrap()
    };
    assert!(write("f.safetensors").status.success());
    let bytes = fs::read(lab.path().join("f.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let embedding = file.tensor("embedding").unwrap();
    assert_eq!(embedding.shape(), [2000, 16]);
    assert_eq!(file.tensor("pooled").unwrap().shape()[0], 2000);
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    let numbers: Vec<f32> = embedding.data().chunks_exact(4).map(number).collect();
    for row in numbers.chunks_exact(16) {
        assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let labels = file.tensor("labels").unwrap();
    let of_class_3 = labels.data().chunks_exact(8).filter(|label| **label == 3i64.to_le_bytes());
    assert_eq!((labels.shape(), of_class_3.count()), (&[2000][..], 200));
    assert_eq!(fs::read(dir.journal()).unwrap(), journal, "the run is left alone");
    let refused = write("nowhere/f.safetensors");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot write nowhere/f.safetensors: "), "{said}");
}

#[test]
fn a_run_leaves_in_files_that_other_programs_read() {
    let (lab, id) = trained();
    let listed =
        lab.ok(&["export", &id, "--what", "encoder,bank,npy,map,pca,csv,parquet,json,tensorboard"]);
    assert_eq!(listed.lines().count(), 14);
    let folder = lab.path().join("exported").join(&id);
    let read = |name: &str| fs::read(folder.join(name)).unwrap();

    let bytes = read("encoder.safetensors");
    let encoder = SafeTensors::deserialize(&bytes).unwrap();
    assert!(encoder.tensor("layer4.0.downsample.1.running_var").is_ok());
    assert!(
        encoder.names().iter().all(|name| !name.contains("objective") && !name.contains("bank"))
    );
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let notes = header.metadata().as_ref().unwrap();
    assert_eq!((&*notes["run"], &*notes["stem"], &*notes["side"]), (&*id, "cifar", "32"));

    let bytes = read("bank.safetensors");
    let bank = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(bank.tensor("bank").unwrap().shape(), [100, 16]);
    assert_eq!(bank.tensor("labels").unwrap().shape(), [100]);
    assert!(read("bank.npy").ends_with(bank.tensor("bank").unwrap().data()));

    let curves: Value = serde_json::from_slice(&read("metrics.json")).unwrap();
    let last = &curves["knn_top1"].as_array().unwrap().last().unwrap()["value"];
    assert_eq!(last.as_f64().unwrap(), lab.run(&id).metrics["knn_top1"].last.0);
    let csv = String::from_utf8(read("metrics.csv")).unwrap();
    assert!(csv.starts_with("metric,step,epoch,sec,value") && csv.contains("\nloss,1,"));
    let map = String::from_utf8(read("map.csv")).unwrap();
    assert!(map.starts_with("image,class,x,y") && map.lines().count() == 101, "{map}");
    // Scores, not places on the drawing: their mean is where the axes cross.
    let pca = String::from_utf8(read("pca.csv")).unwrap();
    let across =
        pca.lines().skip(1).map(|row| row.rsplit(',').nth(1).unwrap().parse::<f64>().unwrap());
    let across: Vec<f64> = across.collect();
    assert!(across.len() == 100 && across.iter().sum::<f64>().abs() < 1e-9, "{pca}");
    for name in ["map", "pca"] {
        assert!(read(&format!("{name}.svg")).starts_with(b"<svg"));
        let picture = image::load_from_memory(&read(&format!("{name}.png"))).unwrap();
        assert_eq!((picture.width(), picture.height()), (1600, 1280));
    }
    assert!(String::from_utf8(read("pca.svg")).unwrap().contains("of the variance"));
    figures(&lab, &id);
    features(&lab, &id);
    assert!(read("metrics.parquet").ends_with(b"PAR1"));
    assert!(!folder.join("encoder.safetensors.partial").exists());

    let found: Value = serde_json::from_str(&lab.ok(&[
        "neighbors",
        &id,
        "--query",
        "7,3",
        "-k",
        "4",
        "--sheet",
        "n.png",
        "--format",
        "json",
    ]))
    .unwrap();
    assert_eq!((&found[0]["query"], &found[1]["query"]), (&7.into(), &3.into()));
    let near = found[0]["neighbours"].as_array().unwrap();
    assert_eq!(near.len(), 4);
    assert!(near.iter().all(|other| other["index"] != 7));
    assert!(fs::read(lab.path().join("n.png")).unwrap().starts_with(b"\x89PNG"));

    // One by one out of the index: the same neighbours.
    let (answers, errors) = asked(&lab, &id, "7\n3\n");
    assert_eq!(answers, found.as_array().unwrap().as_slice(), "{errors}");
    let (answers, errors) = asked(&lab, &id, "3\n100\n");
    assert_eq!(answers, [found[1].clone()]);
    assert!(errors.contains("stdin: found \"100\", allowed: 0 to 99"), "{errors}");

    let listed =
        lab.ok(&["report", "real", "--to", "real.html", "--figures", "drawn", "--metric", "lr"]);
    // One evaluation is no curve.
    assert_eq!(listed.lines().count(), 1 + 2 * 2, "{listed}");
    for file in ["curve-loss_instance.svg", "curve-loss_instance.png", "curve-lr.png"] {
        assert!(lab.path().join("drawn").join(file).exists(), "{file} in {listed}");
    }
    let page = fs::read_to_string(lab.path().join("real.html")).unwrap();
    for part in
        ["Does it run?", "knn_top1.last", "<svg", "libtorch 2.11.0", "instdisc-lab run real.toml"]
    {
        assert!(page.contains(part), "{part}");
    }
    mistakes(&lab, &id);
}

#[test]
fn a_backbone_leaves_for_detectors() {
    let lab = Lab::new().with_real_trainer();
    for (split, class, n) in
        [("train", "a", 4), ("train", "b", 4), ("val", "a", 1), ("val", "b", 1)]
    {
        let folder = lab.path().join("images").join(split).join(class);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..n {
            let pixel = |x, y| image::Rgb([x as u8 * 3, y as u8 * 2, i * 40]);
            image::RgbImage::from_fn(64, 64, pixel).save(folder.join(format!("{i}.png"))).unwrap();
        }
    }
    let file = lab.path().join("detect.toml");
    let text = "name = \"detect\"\nquestion = \"Does it load?\"\n\n[base]\n\
                data = { dataset = \"folder\", root = \"images\", side = 64 }\n\
                model = { backbone = \"resnet18\", stem = \"imagenet\", dim = 8 }\n\
                objective = { kind = \"nonparametric\" }\n\
                train = { epochs = 1, batch_size = 4, threads = 1, precision = \"fp32\" }\n\
                eval = { knn_k = 1 }\n";
    fs::write(&file, text).unwrap();
    lab.ok(&["run", file.to_str().unwrap()]);
    let id = lab.runs().remove(0).id;
    let listed = lab.ok(&["export", &id, "--what", "detection"]);
    assert_eq!(listed.lines().count(), 4, "{listed}");
    let read = |name: &str| fs::read(lab.path().join("exported").join(&id).join(name)).unwrap();
    let bytes = read("backbone.safetensors");
    let names = SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<String> = names.names().into_iter().map(|name| name.to_string()).collect();
    names.sort();
    // torchvision's ResNet-18 has 122 tensors: 2 of the head, and 20 counters of batches, which it sets itself.
    assert_eq!(names.len(), 100, "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with("fc.")));
    let settings = String::from_utf8(read("detectron2.yaml")).unwrap();
    assert!(settings.contains("DEPTH: 18") && settings.contains("FORMAT: \"RGB\""), "{settings}");
    let pickled = read("detectron2.pkl");
    let has = |text: &[u8]| pickled.windows(text.len()).any(|window| window == text);
    assert!(has(b"res5.0.shortcut.norm.running_var") && !has(b"layer4"));
    assert!(String::from_utf8(read("detection.md")).unwrap().contains("import resnet18"));
}

/// Learning curves, a drawing a metric.
fn figures(lab: &Lab, id: &str) {
    let all = lab.ok(&["export", id, "--what", "svg,png", "--to", "figures"]);
    let folder = lab.path().join("figures").join(id);
    for metric in ["loss", "loss_instance"] {
        let name = |kind: &str| folder.join(format!("curve-{metric}.{kind}"));
        let svg = fs::read_to_string(name("svg")).unwrap();
        assert!(svg.contains(id) && svg.contains("<polyline"), "{metric}: {svg}");
        let picture = image::open(name("png")).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (1440, 720), "{metric}");
        assert!(picture.pixels().any(|pixel| pixel.0 == [0, 114, 178]), "{metric} has no line");
    }
    assert!(!all.contains("loss/"), "{all}");
    let one = lab.ok(&["export", id, "--what", "png", "--metric", "loss/instance", "--to", "one"]);
    assert!(one.lines().count() == 1 && one.trim().ends_with("curve-loss_instance.png"), "{one}");
}

/// What `neighbors --stdin` says to some lines, and on standard error.
fn asked(lab: &Lab, id: &str, lines: &str) -> (Vec<Value>, String) {
    let mut command = lab.command(&["neighbors", id, "--stdin", "-k", "4", "--format", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (answers, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn mistakes(lab: &Lab, id: &str) {
    for (args, said) in [
        (&["export", id, "--step", "5"][..], "found no checkpoint of step 5, allowed: "),
        (
            &["export", id, "--what", "detection"],
            "model.backbone: found resnet_small, allowed: resnet18,",
        ),
        (
            &["export", id, "--what", "png", "--metric", "knn_top1"],
            "found no curve of knn_top1, allowed: a metric that was measured twice or more",
        ),
        (
            &["export", id, "--what", "svg", "--metric", "knn_top"],
            "has no metric knn_top: allowed: ",
        ),
        (&["neighbors", id, "--query", "100"], "--query: found 100, allowed: 0 to 99"),
        (
            &["report", "real", "--to", "real.pdf"],
            "--to: found a file of kind `pdf`, allowed: .html, .md",
        ),
        (&["report", "reel"], "no experiment is called reel: allowed: real"),
    ] {
        let output = lab.output(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(said), "{args:?}: {errors}");
    }
}
