//! Journals that say too much: what the run log has of them is bounded, and the same however they are cut up.

use instdisc_lab::journal::event::*;
use instdisc_lab::queue::audit::{Problem, audit};
use instdisc_lab::store::*;

use crate::ingest::{Story, ingested_at_once, picture};
use crate::store::{Lab, lab};

/// What the run log has of a journal, whether it was read at once or in pieces that break lines: the two must agree.
async fn told(text: &[u8], n_pieces: usize) -> (Lab, String) {
    let (_at_once, _, _, expected) = ingested_at_once(text).await;
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    for piece in 1..=n_pieces {
        std::fs::write(dir.journal(), &text[..text.len() * piece / n_pieces]).unwrap();
        catch_up(&lab.store, &id, &dir).await.unwrap();
    }
    assert!(picture(&lab.store, &id).await == expected, "in {n_pieces} pieces");
    assert_eq!(lab.store.check().await.unwrap(), Vec::<String>::new());
    let found = audit(&lab.home, &lab.store).await.unwrap();
    // That nobody has claimed it is this test's own doing.
    let amiss = |it: &&Problem| it.what == "journal" && !it.found.starts_with("tells of attempt");
    assert_eq!(found.iter().find(amiss), None);
    (lab, id)
}

#[tokio::test]
async fn rubbish_in_a_row_is_one_warning() {
    let mut story = Story::default();
    story.start(0);
    (0..30_000).for_each(|_| story.rubbish(""));
    story.point(1, &[("loss", 1.0)]);
    story.rubbish("{");
    story.rubbish("{");
    let (lab, id) = told(&story.text, 7).await;
    let warnings = lab.store.warnings(&id).await.unwrap();
    let messages: Vec<&str> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    let begun = "of events.jsonl, from byte ";
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with(&format!("lines 2 to 30001 {begun}")), "{}", messages[0]);
    assert!(messages[1].starts_with(&format!("lines 30003 to 30004 {begun}")), "{}", messages[1]);
    // Lists have the newest one of the attempt that counts.
    let other = crate::store::lab().await;
    let (id, dir) = other.one().await;
    other.store.claim("cpu-0", "cpu", 1).await.unwrap();
    std::fs::write(dir.journal(), &story.text).unwrap();
    catch_up(&other.store, &id, &dir).await.unwrap();
    assert_eq!(other.store.run(&id).await.unwrap().warning.as_deref(), Some(messages[1]));
}

#[tokio::test]
async fn an_attempt_that_warns_without_end_is_heard_a_hundred_times() {
    let mut story = Story::default();
    for resumed in [0, 500] {
        story.start(resumed);
        for step in resumed..resumed + 400 {
            story.warn(step);
            story.rubbish(&"x".repeat(20));
        }
        let message = "y".repeat(100_000);
        story.say(Event::Warn(Warn { step: 1, code: "long".into(), message }));
    }
    story.start(900);
    story.say(Event::Warn(Warn { step: 900, code: "long".into(), message: "y".repeat(100_000) }));
    let (lab, id) = told(&story.text, 5).await;
    let warnings = lab.store.warnings(&id).await.unwrap();
    let count = |attempt| warnings.iter().filter(|it| it.attempt == attempt).count();
    assert_eq!((count(1), count(2), count(3)), (101, 101, 1));
    assert_eq!(
        (warnings[100].code.as_str(), warnings[201].code.as_str()),
        ("more_warnings", "more_warnings")
    );
    assert!(warnings[202].message.len() < 2100, "{}", warnings[202].message.len());
}

#[tokio::test]
async fn a_run_has_no_more_metrics_than_a_list_can_bear() {
    let mut story = Story::default();
    story.start(0);
    story.point(1, &[("loss", 1.0)]);
    let named = |from: usize, to: usize| -> Vec<(String, f64)> {
        (from..to).map(|i| (format!("m{i:05}"), 1.0)).collect()
    };
    for (step, (from, to)) in [(0, 600), (500, 5_000), (4_000, 4_100)].into_iter().enumerate() {
        let names = named(from, to);
        let values: Vec<(&str, f64)> = names.iter().map(|(name, x)| (name.as_str(), *x)).collect();
        story.point(2 + step as u64, &values);
    }
    story.point(9, &[("loss", 0.5), ("z", 1.0)]);
    // What a new start takes back makes room.
    let first = story.text.clone();
    story.start(1);
    story.point(2, &[("loss", 0.25), ("z", 1.0)]);
    let (lab, id) = told(&first, 4).await;
    let metrics = lab.store.metrics(&id).await.unwrap();
    assert_eq!((metrics.len(), metrics[999].as_str()), (MOST_METRICS, "m00998"));
    assert_eq!(lab.store.run(&id).await.unwrap().metrics["loss"].last, Number(0.5));
    let warnings = lab.store.warnings(&id).await.unwrap();
    let said = "a run may have 1000 metrics: m00999 and others are left out";
    assert_eq!(warnings.iter().map(|it| it.message.as_str()).collect::<Vec<_>>(), [said]);
    let (lab, id) = told(&story.text, 4).await;
    assert_eq!(lab.store.metrics(&id).await.unwrap(), ["loss", "z"]);
}

#[tokio::test]
async fn what_a_metric_means_is_for_the_first_to_say() {
    let declared = |unit: &str, better| {
        let info = MetricInfo { name: "loss".into(), unit: unit.into(), better };
        Event::Declare(Declare { metrics: vec![info] })
    };
    let lab = lab().await;
    let runs = lab.several(3).await;
    let mut stories = [Story::default(), Story::default(), Story::default()];
    // One that never says what its metrics mean, one that does, one that says something else.
    stories[0].point(1, &[("loss", 2.0)]);
    stories[0].point(2, &[("loss", 1.0)]);
    stories[0].say(declared("", Better::Neither));
    stories[1].start(0);
    stories[1].point(1, &[("loss", 3.0)]);
    stories[2].start(0);
    stories[2].point(1, &[("loss", 4.0)]);
    stories[2].say(declared("", Better::Neither));
    stories[2].say(declared("bits", Better::Higher));
    stories[2].point(2, &[("loss", 5.0)]);
    let text = String::from_utf8(std::mem::take(&mut stories[0].text)).unwrap();
    stories[0].text = text.replace("\"attempt\":0", "\"attempt\":1").into_bytes();
    for ((id, dir), story) in runs.iter().zip(&stories) {
        std::fs::write(dir.journal(), &story.text).unwrap();
        catch_up(&lab.store, id, dir).await.unwrap();
    }
    let found = lab.store.runs().await.unwrap();
    for (run, best) in found.iter().zip([1.0, 3.0, 4.0]) {
        let loss = &run.metrics["loss"];
        assert_eq!((loss.unit.as_str(), loss.better), ("nats", Better::Lower));
        assert_eq!(loss.best, Some(best), "{}", run.id);
    }
    assert_eq!((found[0].warning.as_deref(), found[1].warning.as_deref()), (None, None));
    let warning = &lab.store.warnings(&runs[2].0).await.unwrap()[0];
    assert_eq!(
        (warning.code.as_str(), warning.message.as_str()),
        (
            "contradicted_metric",
            "loss is said to be better higher, in bits, and is better lower, in nats since a run said so first"
        )
    );
}

#[tokio::test]
async fn a_look_at_a_line_that_does_not_end_is_remembered() {
    let lab = lab().await;
    let (id, dir) = lab.one().await;
    let mut story = Story::default();
    story.start(0);
    let whole = story.text.clone();
    story.text.resize(whole.len() + (17 << 20), b'x');
    std::fs::write(dir.journal(), &story.text).unwrap();
    let read = || {
        let told = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        let read = told.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        read.parse::<u64>().unwrap()
    };
    let runs = [(id.as_str(), &dir)];
    for _ in 0..2 {
        catch_up_all(&lab.store, &runs).await.unwrap().remove(0).unwrap();
    }
    let before = read();
    catch_up_all(&lab.store, &runs).await.unwrap().remove(0).unwrap();
    catch_up(&lab.store, &id, &dir).await.unwrap();
    assert!(read() - before < 1 << 20, "{} bytes", read() - before);
    // The next attempt cuts it off.
    story.text = whole;
    story.start(0);
    story.point(1, &[("loss", 1.0)]);
    std::fs::write(dir.journal(), &story.text).unwrap();
    assert_eq!(catch_up_all(&lab.store, &runs).await.unwrap().remove(0).unwrap().points, 1);
}
