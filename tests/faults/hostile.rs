//! Input that is broken or means harm: whatever it is, it is refused or passed over, in words and in bounded memory.
//!
//! Real files are the corpus; each is mutated at random, again and again, from a printed seed.

use std::fs;
use std::path::{Path, PathBuf};

use instdisc_lab::config::experiment;
use instdisc_lab::config::spec::RunSpec;
use instdisc_lab::filter::Filter;
use instdisc_lab::journal::reader::{Position, Reader};
use instdisc_lab::lab::Home;
use instdisc_lab::queue::Plan;
use instdisc_lab::queue::meta::Meta;
use instdisc_lab::store::{Change, State, Store};

use super::{Chance, either};
use crate::support::faults::{confined, is_confined, mutate};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn experiment_files() {
    let mut chance = Chance::new("experiment_files");
    let files = fs::read_dir(root().join("experiments")).unwrap();
    let corpus: Vec<String> =
        files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let mut n_valid = 0;
    for _ in 0..either(400, 30_000) {
        let text = &corpus[chance.below(corpus.len())];
        let text = String::from_utf8_lossy(&mutate(&mut chance, text.as_bytes())).into_owned();
        match experiment::parse("x.toml", &text, &Default::default()) {
            // The name becomes part of a path.
            Ok(experiment) => {
                n_valid += 1;
                let name = &experiment.name;
                assert!(!name.contains(['/', '\0']) && !name.starts_with('.'), "{name:?}");
                if let Ok(plan) = Plan::new(experiment, Path::new("/")) {
                    assert!(plan.runs.len() <= 10_000);
                }
            }
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
    assert!(0 < n_valid, "the mutations leave nothing to look at");
}

#[test]
fn filters() {
    let mut chance = Chance::new("filters");
    let corpus = [
        "state:failed objective.lambda>=10 knn_top1.best>60",
        "(seed:1 OR NOT \"a b\") AND loss.last<2.5 tag:keep",
        "NOT (NOT (NOT x)) epoch>=3 archived:true",
    ];
    for _ in 0..either(800, 40_000) {
        let text = corpus[chance.below(corpus.len())];
        let text = mutate(&mut chance, text.as_bytes());
        let text = String::from_utf8_lossy(&text).into_owned();
        if let Err(why) = Filter::parse(&text) {
            assert!(why.at <= text.chars().count(), "{text:?}: {why}");
        }
    }
    // Deeper than any stack.
    for deep in [
        "(".repeat(20_000),
        "NOT ".repeat(20_000),
        format!("{}x{}", "(".repeat(10_000), ")".repeat(10_000)),
    ] {
        let _ = Filter::parse(&deep);
    }
}

#[test]
fn journals_and_what_else_lies_in_a_run_directory() {
    let mut chance = Chance::new("journals");
    let run = root().join("tests/fixtures/schema-1/runs/old-e6a0c12a");
    let journal = fs::read(run.join("events.jsonl")).unwrap();
    let (meta, spec) =
        (fs::read(run.join("meta.json")).unwrap(), fs::read(run.join("spec.json")).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    for _ in 0..either(200, 10_000) {
        let bytes = mutate(&mut chance, &journal);
        fs::write(&path, &bytes).unwrap();
        let mut reader = Reader::new(&path, Position::default());
        let (mut lines, mut end) = (0, 0);
        while let Some(batch) = reader.next_batch().unwrap() {
            lines += batch.lines.len() + batch.garbled.len();
            end = batch.to.bytes;
        }
        // All of it but a torn last line.
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        assert_eq!(end, whole as u64, "seed {}", chance.seed);
        assert!(lines <= bytes.iter().filter(|&&byte| byte == b'\n').count());
        let _ = serde_json::from_slice::<Meta>(&mutate(&mut chance, &meta));
        let _ = serde_json::from_slice::<RunSpec>(&mutate(&mut chance, &spec));
    }
}

/// A journal that anybody could have written is taken in, or the run is refused; the run log stays whole.
#[test]
fn a_repair_of_garbled_directories_makes_a_sound_run_log() {
    let mut chance = Chance::new("garbled_directories");
    let run = root().join("tests/fixtures/schema-1/runs/old-e6a0c12a");
    let files = ["events.jsonl", "meta.json", "spec.json"];
    for _ in 0..either(8, 300) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        for i in 0..4 {
            let to = home.run(&format!("old-0000000{i}"));
            fs::create_dir_all(to.path()).unwrap();
            for file in files {
                let bytes = fs::read(run.join(file)).unwrap();
                let bytes = if chance.below(2) == 0 { mutate(&mut chance, &bytes) } else { bytes };
                fs::write(to.path().join(file), bytes).unwrap();
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let clock: instdisc_lab::journal::writer::Clock = std::sync::Arc::new(|| 9_000);
            instdisc_lab::queue::rebuild(&home, &clock).await.unwrap();
            let store = instdisc_lab::store::Store::open(&home).await.unwrap();
            assert_eq!(store.check().await.unwrap(), Vec::<String>::new(), "seed {}", chance.seed);
            store.runs().await.unwrap();
        });
        assert_eq!(
            super::problems(&home).iter().filter(|it| it.what == "journal").count(),
            0,
            "{:?}, seed {}",
            super::problems(&home),
            chance.seed
        );
    }
}

/// Every count of a journal, larger than a run log keeps it or a program can count on from: the line is passed over, and
/// whoever looks at the lab or works on its queue never hears of it.
#[test]
fn numbers_that_nobody_can_keep_stop_nobody() {
    let run = root().join("tests/fixtures/schema-1/runs/old-e6a0c12a");
    let journal = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let lines: Vec<&str> = journal.lines().filter(|line| !line.contains("\"t\":\"end\"")).collect();
    let stamp = "\"attempt\":1,\"seq\":9,\"at\":5}";
    let started = lines[0].split_once(",\"attempt\"").unwrap().0;
    let patched = |key: &str, value: &str| {
        let (before, rest) = started.split_once(&format!("\"{key}\":")).unwrap();
        let rest = rest.split_once(',').unwrap().1;
        format!("{before}\"{key}\":{value},{rest},{stamp}")
    };
    let mut nasty = Vec::new();
    for value in ["9007199254740993", "9223372036854775808", "18446744073709551615"] {
        for key in ["resumed_step", "steps", "start_ticks"] {
            nasty.push(patched(key, value));
        }
        for rest in [
            "\"t\":\"point\",\"epoch\":1.0,\"sec\":1.0,\"m\":{\"loss\":1.0}",
            "\"t\":\"checkpoint\",\"file\":\"x\",\"hash\":\"00\"",
            "\"t\":\"eval\",\"metric\":\"knn_top1\",\"value\":1.0,\"settings\":{}",
            "\"t\":\"warn\",\"code\":\"x\",\"message\":\"y\"",
            "\"t\":\"end\",\"state\":\"stopped\",\"reason\":\"so\"",
        ] {
            nasty.push(format!("{{\"v\":1,\"step\":{value},{rest},{stamp}"));
        }
    }
    for attempt in ["2147483648", "4294967295"] {
        nasty.push(lines[0].replace("\"attempt\":1,", &format!("\"attempt\":{attempt},")));
    }
    for at in ["9223372036854775807", "-9223372036854775808"] {
        nasty
            .push(lines[1].split_once("\"at\":").unwrap().0.to_owned() + &format!("\"at\":{at}}}"));
    }
    let dir = tempfile::tempdir().unwrap();
    let home = Home::new(dir.path());
    for (i, bad) in nasty.iter().enumerate() {
        let to = home.run(&format!("old-{i:08x}"));
        fs::create_dir_all(to.path()).unwrap();
        for file in ["meta.json", "spec.json"] {
            fs::copy(run.join(file), to.path().join(file)).unwrap();
        }
        let mut text = lines.clone();
        text.insert(3, bad);
        fs::write(to.journal(), text.join("\n") + "\n").unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock: instdisc_lab::journal::writer::Clock = std::sync::Arc::new(|| 9_000);
        instdisc_lab::queue::rebuild(&home, &clock).await.unwrap();
        let store = Store::open(&home).await.unwrap();
        let runs = store.runs().await.unwrap();
        assert_eq!(runs.len(), nasty.len());
        for (run, bad) in runs.iter().zip(&nasty) {
            assert_eq!((run.state, run.attempt), (State::Lost, 1), "{bad}");
            assert_eq!((run.progress.step, run.progress.steps), (7, 7), "{bad}");
            let warning = run.warning.as_deref().unwrap_or_default();
            assert!(warning.starts_with("line 4 of events.jsonl"), "{bad}: {warning}");
            let change = Change { at: 9_001, reason: None, by: "test".into() };
            store.requeue(&run.id, State::Lost, false, change).await.unwrap();
        }
        for run in &runs {
            let claim = store.claim("cpu-0", "cpu", 9_002).await.unwrap().unwrap();
            assert_eq!((&claim.id, claim.attempt), (&run.id, 2));
        }
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    });
    assert_eq!(super::problems(&home).iter().find(|it| it.what == "journal"), None);
}

/// What claims to be larger than it is, read with 4 GB of addresses: a reader that believed it would not survive.
#[test]
fn bombs() {
    confined("faults::hostile::inside");
}

#[test]
fn inside() {
    if is_confined() {
        images(&mut Chance::new("bombs"));
    }
}

/// A folder of images in which one claims 60,000 x 60,000 pixels and others are mutated.
fn images(chance: &mut Chance) {
    let dir = tempfile::tempdir().unwrap();
    let png = {
        let mut bytes = Vec::new();
        let image = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb([x as u8, y as u8, 7]));
        image.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
        bytes
    };
    let mut bomb = png.clone();
    // Width and height of the header chunk, with a checksum that is right.
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    let place = |name: &str| -> PathBuf {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    };
    for part in ["train", "test"] {
        for class in ["a", "b"] {
            for i in 0..4 {
                fs::write(place(&format!("{part}/{class}/{i}.png")), &png).unwrap();
            }
        }
    }
    let text = format!(
        "name = \"x\"\nquestion = \"?\"\n[base]\ndata.dataset = \"folder\"\ndata.root = \"{}\"\nobjective = {{ kind = \"nonparametric\" }}\n",
        dir.path().display()
    );
    let experiment = experiment::parse("x.toml", &text, &Default::default()).unwrap();
    let spec = Plan::new(experiment, Path::new("/")).unwrap().runs.remove(0).spec;
    let home = Home::new(dir.path().join("home"));
    let load = || instdisc_lab::data::load(&spec.data, &home).map(|data| data.train.len());
    assert_eq!(load().unwrap(), 8);
    let bad = place("train/a/0.png");
    fs::write(&bad, &bomb).unwrap();
    let why = load().unwrap_err().to_string();
    assert!(why.contains("0.png"), "{why}");
    for _ in 0..either(60, 6_000) {
        fs::write(&bad, mutate(chance, &png)).unwrap();
        let _ = load();
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}
