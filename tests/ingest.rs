//! Exactly once: however a journal is cut up, whoever dies in between, the run log holds the same rows.

use std::path::Path;
use std::process::{Command, Stdio};

use instdisc_lab::journal::event::*;
use instdisc_lab::journal::reader::Reader;
use instdisc_lab::lab::RunDir;
use instdisc_lab::store::*;
use proptest::prelude::*;

use crate::store::{Lab, lab};

/// A journal of the test's own making.
#[derive(Default)]
pub struct Story {
    pub text: Vec<u8>,
    attempt: u32,
    seq: u64,
    pub at: i64,
}

impl Story {
    pub fn say(&mut self, event: Event) {
        self.at += 10;
        let line = Line { v: VERSION, event, attempt: self.attempt, seq: self.seq, at: self.at };
        self.seq += 1;
        serde_json::to_writer(&mut self.text, &line).unwrap();
        self.text.push(b'\n');
    }

    pub fn start(&mut self, resumed_step: u64) {
        (self.attempt, self.seq) = (self.attempt + 1, 0);
        let info = |name: &str, unit: &str, better| MetricInfo {
            name: name.into(),
            unit: unit.into(),
            better,
        };
        self.say(Event::Start(Start {
            pid: 42,
            boot_id: "boot".into(),
            start_ticks: 7,
            device: "cpu".into(),
            threads: 2,
            precision: "fp32".into(),
            resumed_step,
            steps: 100,
            epochs: 10,
            resume: "exact".into(),
            metrics: vec![
                info("loss", "nats", Better::Lower),
                info("knn_top1", "%", Better::Higher),
                info("lr", "", Better::Neither),
            ],
            host: None,
            job: None,
        }));
    }

    pub fn point(&mut self, step: u64, values: &[(&str, f64)]) {
        let m = values.iter().map(|&(name, x)| (name.to_owned(), Number(x))).collect();
        self.say(Event::Point(Point {
            step,
            epoch: step as f64 / 10.0,
            sec: step as f64 * 2.0,
            m,
        }));
    }

    fn checkpoint(&mut self, step: u64) {
        let file = format!("checkpoints/step-{step}.safetensors");
        self.say(Event::Checkpoint(Checkpoint { step, file, hash: "00".into() }));
    }

    pub fn warn(&mut self, step: u64) {
        self.say(Event::Warn(Warn {
            step,
            code: "loss_at_chance".into(),
            message: format!("at {step}"),
        }));
    }

    pub fn end(&mut self, state: EndState, step: u64) {
        self.say(Event::End(End { state, step, reason: "so".into() }));
    }

    pub fn rubbish(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
        self.text.push(b'\n');
    }
}

/// Everything that can happen to a run: a death, a resume, a torn journal, a fresh start, a stop, an end.
fn eventful() -> Story {
    let mut story = Story::default();
    story.start(0);
    story.point(0, &[("knn_top1", 10.0)]);
    for step in 1..=20 {
        story.point(step, &[("loss", 9.0 - step as f64 / 7.0), ("lr", 0.03)]);
        if step % 5 == 0 {
            story.point(step, &[("knn_top1", 10.0 + step as f64)]);
            story.say(Event::Eval(Eval {
                step,
                metric: "knn_top1".into(),
                value: Number(10.0 + step as f64),
                settings: [("k".to_owned(), 200.into())].into(),
            }));
            story.checkpoint(step);
        }
    }
    story.warn(20);
    story.rubbish("{\"v\":1,\"t\":\"poi");
    story.start(10);
    for step in 11..=15 {
        story.point(step, &[("loss", if step == 13 { f64::NAN } else { 8.5 }), ("lr", -0.0)]);
    }
    story.rubbish("{\"v\":1,\"t\":\"dream\",\"attempt\":2,\"seq\":9,\"at\":1}");
    story.end(EndState::Failed, 13);
    story.start(0);
    story.point(0, &[("knn_top1", 11.0)]);
    for step in 1..=30 {
        story.point(step, &[("loss", f64::from((step as u32 * 7) % 5)), ("lr", 0.03)]);
    }
    story.rubbish("");
    story.point(30, &[("loss", f64::INFINITY)]);
    story.checkpoint(30);
    story.warn(30);
    story.end(EndState::Stopped, 30);
    story
}

/// Everything the run log says that comes from a journal, as text that compares.
pub async fn picture(store: &Store, id: &str) -> String {
    let run = store.run(id).await.unwrap();
    let mut text = format!("{:?} {:?} {:?}\n", run.progress, run.metrics, run.warning);
    for metric in store.metrics(id).await.unwrap() {
        text += &format!("{metric} {:?}\n", store.curve(id, &metric, None).await.unwrap());
    }
    text += &format!("{:?}\n", store.attempts(id).await.unwrap());
    text += &format!("{:?}\n", store.evaluations(id).await.unwrap());
    text += &format!("{:?}\n", store.checkpoints(id).await.unwrap());
    text += &format!("{:?}\n", store.warnings(id).await.unwrap());
    text + &format!("{:?}\n", store.journal_position(id).await.unwrap())
}

pub async fn ingested_at_once(text: &[u8]) -> (Lab, String, RunDir, String) {
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    std::fs::write(dir.journal(), text).unwrap();
    catch_up(&lab.store, &id, &dir).await.unwrap();
    let picture = picture(&lab.store, &id).await;
    (lab, id, dir, picture)
}

#[tokio::test]
async fn the_story_is_told_as_it_happened() {
    let (lab, id, _, _) = ingested_at_once(&eventful().text).await;
    let run = lab.store.run(&id).await.unwrap();
    // The third attempt began from nothing: all that was measured before is void.
    let loss = lab.store.curve(&id, "loss", None).await.unwrap();
    assert_eq!(loss.len(), 30);
    assert_eq!(loss[0], CurvePoint { step: 1, epoch: 0.1, sec: 2.0, value: 2.0 });
    assert_eq!(loss[29].value, f64::INFINITY);
    assert_eq!(lab.store.curve(&id, "loss", Some(28)).await.unwrap().len(), 2);
    assert_eq!(lab.store.curve(&id, "nothing", None).await.unwrap(), []);
    let summary = &run.metrics["loss"];
    assert_eq!(
        (summary.best, summary.best_step),
        (Some(0.0), Some(5)),
        "the first of the equally good"
    );
    assert_eq!((summary.last, summary.last_step), (Number(f64::INFINITY), 30));
    assert_eq!((summary.unit.as_str(), summary.better), ("nats", Better::Lower));
    assert_eq!(run.metrics["lr"].best, None);
    assert_eq!(run.metrics["knn_top1"].last, Number(11.0));
    assert_eq!((run.progress.step, run.progress.steps, run.progress.epochs), (30, 100, 10));
    assert_eq!((run.progress.epoch, run.progress.sec), (3.0, 60.0));
    assert_eq!(lab.store.evaluations(&id).await.unwrap(), []);
    let checkpoints = lab.store.checkpoints(&id).await.unwrap();
    assert_eq!(checkpoints.iter().map(|c| c.step).collect::<Vec<_>>(), [30]);
    let attempts = lab.store.attempts(&id).await.unwrap();
    let ends: Vec<_> = attempts.iter().map(|a| a.ending.as_ref().map(|end| end.state)).collect();
    assert_eq!(ends, [None, Some(EndState::Failed), Some(EndState::Stopped)]);
    assert_eq!(attempts[1].resumed_step, Some(10));
    let codes: Vec<String> =
        lab.store.warnings(&id).await.unwrap().into_iter().map(|w| w.code).collect();
    assert_eq!(codes, ["loss_at_chance", "garbled_journal", "garbled_journal", "loss_at_chance"]);
    let garbled = &lab.store.warnings(&id).await.unwrap()[1];
    assert!(
        garbled.message.starts_with("line 36 of events.jsonl, at byte "),
        "{}",
        garbled.message
    );
    assert_eq!(lab.store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_sketch_shows_the_course_of_a_curve_and_its_latest_mean() {
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    let mut story = Story::default();
    story.start(0);
    (1..=1000).for_each(|step| story.point(step, &[("loss", 1001.0 - step as f64)]));
    story.point(1001, &[("lr", f64::NAN)]);
    std::fs::write(dir.journal(), &story.text).unwrap();
    catch_up(&lab.store, &id, &dir).await.unwrap();
    let runs = vec![id.clone(), "nobody".to_owned()];
    let sketches = lab.store.sketches("loss", &runs).await.unwrap();
    assert_eq!(sketches.len(), 1);
    let sketch = &sketches[0];
    assert_eq!((sketch.strokes.len(), sketch.last_step), (STROKES, 1000));
    assert_eq!(sketch.strokes[0], 992.5, "the mean of the first sixteen");
    assert!(sketch.strokes.is_sorted_by(|a, b| a > b), "{:?}", sketch.strokes);
    assert_eq!(sketch.recent, 8.5, "the mean of the last sixteen");
    assert!(lab.store.sketches("lr", &runs).await.unwrap()[0].recent.is_nan());
}

#[tokio::test]
async fn a_resumed_attempt_takes_back_what_lies_beyond_its_checkpoint() {
    let text = eventful().text;
    let second_end = text
        .split_inclusive(|&b| b == b'\n')
        .position(|line| line.starts_with(b"{\"v\":1,\"t\":\"end\""));
    let lines = second_end.unwrap() + 1;
    let until: usize = text.split_inclusive(|&b| b == b'\n').take(lines).map(<[u8]>::len).sum();
    let (lab, id, _, _) = ingested_at_once(&text[..until]).await;
    let loss = lab.store.curve(&id, "loss", None).await.unwrap();
    assert_eq!(
        loss.iter().map(|point| point.step).collect::<Vec<_>>(),
        (1..=15).collect::<Vec<_>>()
    );
    assert!(loss[12].value.is_nan());
    assert_eq!((loss[9].value, loss[10].value), (9.0 - 10.0 / 7.0, 8.5));
    let lr = lab.store.curve(&id, "lr", Some(10)).await.unwrap();
    assert!(lr.iter().all(|point| point.value == 0.0 && point.value.is_sign_negative()));
    let run = lab.store.run(&id).await.unwrap();
    assert_eq!(run.metrics["knn_top1"].best, Some(20.0), "what came after step 10 is void");
    assert_eq!(run.metrics["knn_top1"].last_step, 10);
    let ending = lab.store.ending(&id, 2).await.unwrap().unwrap();
    assert_eq!((ending.state, ending.step, ending.reason.as_str()), (EndState::Failed, 13, "so"));
    assert_eq!(lab.store.ending(&id, 1).await.unwrap(), None);
}

#[tokio::test]
async fn the_whole_journal_can_be_read_again() {
    let (lab, id, dir, expected) = ingested_at_once(&eventful().text).await;
    assert_eq!(catch_up(&lab.store, &id, &dir).await.unwrap(), Ingested::default());
    lab.store.forget_journal(&id).await.unwrap();
    assert!(lab.store.metrics(&id).await.unwrap().is_empty());
    catch_up(&lab.store, &id, &dir).await.unwrap();
    assert_eq!(picture(&lab.store, &id).await, expected);
}

#[tokio::test]
async fn a_batch_that_was_ingested_is_not_ingested_again() {
    let (lab, id, dir, expected) = ingested_at_once(&eventful().text).await;
    let batch = Reader::new(dir.journal(), Default::default()).next_batch().unwrap().unwrap();
    let error = lab.store.ingest(&id, &batch).await.unwrap_err();
    assert!(matches!(error, StoreError::OutOfPlace { found: 0, .. }), "{error}");
    assert_eq!(picture(&lab.store, &id).await, expected);
}

#[tokio::test]
async fn a_journal_that_became_shorter_takes_nothing_away() {
    let (lab, id, dir, expected) = ingested_at_once(&eventful().text).await;
    std::fs::write(dir.journal(), "").unwrap();
    let said = catch_up(&lab.store, &id, &dir).await.unwrap_err().to_string();
    assert!(said.contains("has become shorter: 0 bytes"), "{said}");
    assert_eq!(picture(&lab.store, &id).await, expected);
}

#[tokio::test]
async fn two_who_ingest_at_once_do_no_harm() {
    let text = eventful().text;
    let (_reference, _, _, expected) = ingested_at_once(&text).await;
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    let other = Store::open(&lab.home).await.unwrap();
    let mut written = 0;
    for piece in text.chunks(700) {
        written += piece.len();
        std::fs::write(dir.journal(), &text[..written]).unwrap();
        let (one, two) = tokio::join!(catch_up(&lab.store, &id, &dir), catch_up(&other, &id, &dir));
        one.unwrap();
        two.unwrap();
    }
    assert_eq!(picture(&other, &id).await, expected);
}

/// A run that is at work, as its journal has it: `steps` losses.
fn plain(steps: u64) -> Vec<u8> {
    let mut story = Story::default();
    story.start(0);
    for step in 1..=steps {
        story.point(step, &[("loss", 1.0 / step as f64), ("lr", 0.03)]);
    }
    story.text
}

#[tokio::test]
async fn many_journals_say_together_what_each_says_alone() {
    // One that says nothing yet, one whose last line is torn, and some that are longer than what is read at a time.
    let mut texts = vec![eventful().text, plain(3), Vec::new(), plain(20_000), eventful().text];
    texts[1].extend_from_slice(b"{\"v\":1,\"t\":\"poi");
    texts.push(plain(20_000));
    let mut alone = Vec::new();
    for text in &texts {
        let (_lab, _, _, picture) = ingested_at_once(text).await;
        alone.push(picture);
    }
    let lab = lab().await;
    let runs = lab.several(texts.len() as u64).await;
    let named: Vec<(&str, &RunDir)> = runs.iter().map(|(id, dir)| (id.as_str(), dir)).collect();
    // In two goes, cut within a line.
    for part in [0.4, 1.0] {
        for (text, (_, dir)) in texts.iter().zip(&runs) {
            let cut = (text.len() as f64 * part) as usize;
            std::fs::write(dir.journal(), &text[..cut]).unwrap();
        }
        for done in catch_up_all(&lab.store, &named).await.unwrap() {
            done.unwrap();
        }
    }
    for (alone, (id, _)) in alone.iter().zip(&runs) {
        let together = picture(&lab.store, id).await;
        assert!(together == *alone, "{id}");
    }
    assert_eq!(lab.store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn one_bad_journal_keeps_no_other_waiting() {
    let lab = lab().await;
    let runs = lab.several(4).await;
    for (_, dir) in &runs {
        std::fs::write(dir.journal(), plain(5)).unwrap();
    }
    // One was read before and has become shorter, one is of a run that is gone.
    catch_up(&lab.store, &runs[1].0, &runs[1].1).await.unwrap();
    std::fs::write(runs[1].1.journal(), "").unwrap();
    let mut named: Vec<(&str, &RunDir)> = runs.iter().map(|(id, dir)| (id.as_str(), dir)).collect();
    named[2].0 = "gone-00000000";
    let done = catch_up_all(&lab.store, &named).await.unwrap();
    assert_eq!(done[0].as_ref().unwrap().points, 10);
    assert!(matches!(done[1], Err(StoreError::Journal(_))), "{:?}", done[1]);
    assert!(matches!(done[2], Err(StoreError::UnknownRun { .. })), "{:?}", done[2]);
    assert_eq!(done[3].as_ref().unwrap().points, 10);
    assert_eq!(lab.store.curve(&runs[3].0, "loss", None).await.unwrap().len(), 5);
}

#[tokio::test]
async fn two_who_ingest_the_same_journals_at_once_do_no_harm() {
    let text = plain(3_000);
    let (_reference, _, _, expected) = ingested_at_once(&text).await;
    let lab = lab().await;
    let runs = lab.several(3).await;
    let named: Vec<(&str, &RunDir)> = runs.iter().map(|(id, dir)| (id.as_str(), dir)).collect();
    let other = Store::open(&lab.home).await.unwrap();
    for end in [1_000, 2_000, 50_000, 200_000, text.len()] {
        for (_, dir) in &runs {
            std::fs::write(dir.journal(), &text[..end.min(text.len())]).unwrap();
        }
        let both = tokio::join!(catch_up_all(&lab.store, &named), catch_up_all(&other, &named));
        for done in both.0.unwrap().into_iter().chain(both.1.unwrap()) {
            done.unwrap();
        }
    }
    for (id, _) in &runs {
        assert!(picture(&other, id).await == expected, "{id}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn from_any_prefix_it_comes_out_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..6)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let text = eventful().text;
            let (_reference, _, _, expected) = ingested_at_once(&text).await;
            let lab = lab().await;
            let (id, dir) = lab.one().await;
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            for cut in cuts {
                std::fs::write(dir.journal(), &text[..cut]).unwrap();
                let store = Store::open(&lab.home).await.unwrap();
                catch_up(&store, &id, &dir).await.unwrap();
            }
            assert_eq!(picture(&lab.store, &id).await, expected);
        });
    }

    #[test]
    fn summaries_equal_what_the_points_say(
        attempts in prop::collection::vec((
            prop::collection::vec((0u64..3, prop_oneof![
                (-3i32..3).prop_map(f64::from), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), any::<f64>(),
            ]), 0..12),
            0u64..20,
        ), 1..4),
        piece in 1usize..2000,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let lab = lab().await;
            let (id, dir) = lab.one().await;
            let mut story = Story::default();
            for (points, resumed) in attempts {
                story.start(resumed);
                let mut step = resumed;
                for (more, value) in points {
                    // Steps may repeat: the later value counts.
                    step += more;
                    story.point(step, &[("loss", value), ("knn_top1", value), ("lr", value)]);
                }
            }
            let mut written = 0;
            for bytes in story.text.chunks(piece) {
                written += bytes.len();
                std::fs::write(dir.journal(), &story.text[..written]).unwrap();
                catch_up(&lab.store, &id, &dir).await.unwrap();
            }
            let run = lab.store.run(&id).await.unwrap();
            for (metric, sign) in [("loss", 1.0), ("knn_top1", -1.0), ("lr", 0.0)] {
                let points = lab.store.curve(&id, metric, None).await.unwrap();
                let summary = run.metrics.get(metric);
                assert_eq!(summary.is_none(), points.is_empty());
                let Some(summary) = summary else { continue };
                let last = points.last().unwrap();
                assert_eq!((summary.last, summary.last_step), (Number(last.value), last.step));
                let tallies = lab.store.tallies(&id).await.unwrap().1;
                let tally = tallies.iter().find(|tally| tally.metric == metric).unwrap();
                let counted = Some((points.len() as u64, last.step));
                assert_eq!((tally.summary, Some((tally.points, tally.last_step))), (counted, counted));
                let mut best: Option<&CurvePoint> = None;
                for point in points.iter().filter(|point| point.value.is_finite() && sign != 0.0) {
                    if best.is_none_or(|best| sign * point.value < sign * best.value) {
                        best = Some(point);
                    }
                }
                assert_eq!((summary.best, summary.best_step), (best.map(|b| b.value), best.map(|b| b.step)));
            }
        });
    }
}

/// Not a test of its own: what [`killed_at_any_moment_nothing_is_doubled_or_lost`] runs in processes that it kills.
#[test]
fn ingesting_process() {
    let Ok(home) = std::env::var("INSTDISC_TEST_INGEST") else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let home = instdisc_lab::lab::Home::new(home);
        let store = Store::open(&home).await.unwrap();
        let id = store.runs().await.unwrap().remove(0).id;
        let dir = home.run(&id);
        // One line at a time, so that there are many moments to die in.
        let mut reader = Reader::new(dir.journal(), store.journal_position(&id).await.unwrap());
        let mut at = reader.position();
        while let Some(batch) = reader.next_batch().unwrap() {
            let text = std::fs::read(dir.journal()).unwrap();
            for line in text[batch.from.bytes as usize..batch.to.bytes as usize]
                .split_inclusive(|&b| b == b'\n')
            {
                let piece = dir.path().join("piece.jsonl");
                std::fs::write(&piece, &text[..at.bytes as usize + line.len()]).unwrap();
                let batch = Reader::new(&piece, at).next_batch().unwrap().unwrap();
                at = batch.to;
                store.ingest(&id, &batch).await.unwrap();
            }
        }
    });
}

fn spawn(home: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ingest::ingesting_process"])
        .env("INSTDISC_TEST_INGEST", home)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn killed_at_any_moment_nothing_is_doubled_or_lost() {
    let text = eventful().text;
    let (_reference, _, _, expected) = ingested_at_once(&text).await;
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    std::fs::write(dir.journal(), &text).unwrap();
    let mut kills = 0;
    loop {
        let before = lab.store.journal_position(&id).await.unwrap();
        let mut child = spawn(lab.home.root());
        // Let it commit a few lines, then kill it wherever it is by then.
        let over = loop {
            let now = lab.store.journal_position(&id).await.unwrap();
            if child.try_wait().unwrap().is_some() {
                break true;
            }
            if before.lines + 11 <= now.lines {
                break false;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        };
        if over {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(3 <= kills, "{kills} kills prove little");
    assert_eq!(picture(&lab.store, &id).await, expected);
    assert_eq!(lab.store.check().await.unwrap(), Vec::<String>::new());
}
