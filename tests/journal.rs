//! The journal: however its bytes arrive, the same lines; whatever is torn waits or is cut off.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use instdisc_lab::journal::event::{
    Better, Declare, End, EndState, Event, Line, MetricInfo, Number, Point, VERSION, Warn,
};
use instdisc_lab::journal::reader::{Batch, MOST_STARTS, Position, ReadError, Reader};
use instdisc_lab::journal::writer::{Clock, Writer};
use instdisc_lab::lab::RunDir;
use proptest::prelude::*;

fn point(step: u64, value: f64) -> Event {
    let m = [("loss".to_owned(), Number(value))].into();
    Event::Point(Point { step, epoch: step as f64 / 10.0, sec: step as f64, m })
}

fn line(seq: u64, event: Event) -> Line {
    Line { v: VERSION, event, attempt: 1, seq, at: 1000 + seq as i64 }
}

fn text(line: &Line) -> String {
    serde_json::to_string(line).unwrap() + "\n"
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// Everything there is for now.
fn read_all(reader: &mut Reader) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        batches.push(batch);
    }
    batches
}

fn lines(batches: &[Batch]) -> Vec<Line> {
    batches.iter().flat_map(|batch| batch.lines.clone()).collect()
}

/// A clock that ticks when it is looked at.
fn ticking() -> Clock {
    let now = AtomicI64::new(5000);
    Arc::new(move || now.fetch_add(1, Ordering::Relaxed))
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
        Just(f64::MIN_POSITIVE / 2.0),
    ]
}

/// A whole line: an event, an event of the future, or rubbish.
fn any_text(seq: u64) -> impl Strategy<Value = (Option<Line>, Vec<u8>, bool)> {
    let event = value().prop_map(move |x| {
        let line = line(seq, point(seq, x));
        (Some(line.clone()), text(&line).into_bytes(), false)
    });
    let word = "[ -~é\u{1F980}\"\\\\]{0,40}".prop_map(move |message| {
        let line = line(seq, Event::Warn(Warn { step: seq, code: "x".into(), message }));
        (Some(line.clone()), text(&line).into_bytes(), false)
    });
    let future = Just((
        None,
        b"{\"v\":1,\"t\":\"dream\",\"attempt\":1,\"seq\":0,\"at\":1,\"z\":[1]}\n".to_vec(),
        false,
    ));
    let later = Just((None, b"{\"v\":2,\"t\":\"point\",\"attempt\":\"one\"}\n".to_vec(), false));
    let rubbish =
        prop::collection::vec(any::<u8>().prop_filter("ends a line", |&b| b != b'\n'), 0..30)
            .prop_filter("is an event", |bytes| {
                serde_json::from_slice::<serde_json::Value>(bytes).is_err()
            })
            .prop_map(|mut bytes| {
                bytes.push(b'\n');
                (None, bytes, true)
            });
    prop_oneof![4 => event, 2 => word, 1 => future, 1 => later, 1 => rubbish]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn however_the_bytes_arrive_the_lines_are_the_same(
        texts in (0u64..12).prop_flat_map(|n| (0..n).map(any_text).collect::<Vec<_>>()),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let bytes: Vec<u8> = texts.iter().flat_map(|(_, bytes, _)| bytes.clone()).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let mut reader = Reader::new(&path, Position::default());
        let (mut batches, mut from) = (Vec::new(), 0);
        for cut in cuts {
            append(&path, &bytes[from..cut]);
            from = cut;
            let more = read_all(&mut reader);
            // Between any two batches another reader may take over.
            reader = Reader::new(&path, reader.position());
            batches.extend(more);
        }
        let expected: Vec<Line> = texts.iter().filter_map(|(line, _, _)| line.clone()).collect();
        prop_assert_eq!(lines(&batches), expected);
        let garbled = batches.iter().flat_map(|batch| &batch.garbled);
        let garbled: Vec<u64> = garbled.flat_map(|bad| bad.line..bad.line + bad.lines).collect();
        let rubbish = texts.iter().enumerate().filter(|(_, (_, _, rubbish))| *rubbish);
        prop_assert_eq!(garbled, rubbish.map(|(i, _)| i as u64 + 1).collect::<Vec<_>>());
        prop_assert_eq!(reader.position(), Position { bytes: bytes.len() as u64, lines: texts.len() as u64 });
    }

    #[test]
    fn a_torn_tail_is_cut_off_by_the_next_attempt_and_never_read(
        n in 0u64..5, torn in 1usize..60, size in 0usize..9000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::new(dir.path());
        let whole: String = (0..n).map(|i| text(&line(i, point(i, 1.5)))).collect();
        append(&run.journal(), whole.as_bytes());
        // Longer than one piece of the search from the back.
        let tail = text(&line(n, Event::Warn(Warn { step: 0, code: "x".into(), message: "y".repeat(size) })));
        append(&run.journal(), &tail.as_bytes()[..torn.min(tail.len() - 1)]);
        let mut reader = Reader::new(run.journal(), Position::default());
        prop_assert_eq!(lines(&read_all(&mut reader)).len() as u64, n);
        let writer = Writer::open(&run, 2, ticking()).unwrap();
        prop_assert_eq!(fs::metadata(run.journal()).unwrap().len(), whole.len() as u64);
        writer.write(point(7, 0.25)).unwrap();
        writer.sync().unwrap();
        let new = lines(&read_all(&mut reader));
        prop_assert_eq!(new, vec![Line { v: VERSION, event: point(7, 0.25), attempt: 2, seq: 0, at: 5000 }]);
    }
}

#[test]
fn what_is_written_is_read_and_stamped_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path());
    let writer = Writer::open(&run, 3, ticking()).unwrap();
    for step in 0..1000 {
        writer.write(point(step, step as f64)).unwrap();
    }
    writer.finish(End { state: EndState::Finished, step: 1000, reason: "done".into() }).unwrap();
    let read = lines(&read_all(&mut Reader::new(run.journal(), Position::default())));
    assert_eq!(read.len(), 1001);
    for (i, line) in read.iter().enumerate() {
        assert_eq!((line.attempt, line.seq, line.at), (3, i as u64, 5000 + i as i64));
    }
    assert!(matches!(&read[1000].event, Event::End(end) if end.reason == "done"));
}

#[test]
fn lines_reach_the_file_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path());
    let writer = Writer::open(&run, 1, ticking()).unwrap();
    writer.write(point(1, 1.0)).unwrap();
    let begin = std::time::Instant::now();
    while fs::metadata(run.journal()).unwrap().len() == 0 {
        assert!(begin.elapsed().as_secs() < 30, "never flushed");
        std::thread::yield_now();
    }
    drop(writer);
}

#[test]
fn a_dropped_writer_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = RunDir::new(dir.path());
    let writer = Writer::open(&run, 1, ticking()).unwrap();
    for step in 0..100 {
        writer.write(point(step, 1.0)).unwrap();
    }
    drop(writer);
    assert_eq!(lines(&read_all(&mut Reader::new(run.journal(), Position::default()))).len(), 100);
}

#[test]
fn a_journal_that_is_not_there_yet_is_empty_and_one_that_went_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let mut reader = Reader::new(&path, Position::default());
    assert_eq!(reader.next_batch().unwrap(), None);
    append(&path, text(&line(0, point(0, 1.0))).as_bytes());
    assert_eq!(lines(&read_all(&mut reader)).len(), 1);
    let later = reader.position();
    fs::write(&path, "").unwrap();
    assert!(matches!(reader.next_batch(), Err(ReadError::Shrunk { len: 0, .. })));
    fs::remove_file(&path).unwrap();
    assert!(matches!(Reader::new(&path, later).next_batch(), Err(ReadError::Io { .. })));
}

#[test]
fn an_event_that_no_run_log_could_keep_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let nameless =
        Point { step: 1, epoch: 0.1, sec: 1.0, m: [(String::new(), Number(1.0))].into() };
    let declared = Declare {
        metrics: vec![MetricInfo { name: String::new(), unit: "".into(), better: Better::Neither }],
    };
    let zeroth = Line { attempt: 0, ..line(2, point(2, 1.0)) };
    let good = line(3, point(3, 1.0));
    for bad in [line(0, Event::Point(nameless)), line(1, Event::Declare(declared)), zeroth] {
        append(&path, text(&bad).as_bytes());
        append(&path, text(&good).as_bytes());
    }
    let read = read_all(&mut Reader::new(&path, Position::default()));
    assert_eq!(lines(&read), [good.clone(), good.clone(), good]);
    let why: Vec<&str> = read[0].garbled.iter().map(|bad| bad.why.as_str()).collect();
    assert_eq!(why, ["a metric has no name", "a metric has no name", "attempts count from 1"]);
}

#[test]
fn a_line_without_end_is_passed_over_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let bomb = vec![b'x'; 18 << 20];
    append(&path, text(&line(0, point(0, 1.0))).as_bytes());
    append(&path, &bomb);
    let mut reader = Reader::new(&path, Position::default());
    assert_eq!(lines(&read_all(&mut reader)).len(), 1);
    append(&path, format!("\n{}", text(&line(1, point(1, 1.0)))).as_bytes());
    let rest = read_all(&mut reader);
    assert_eq!(lines(&rest).len(), 1);
    assert_eq!(rest[0].garbled[0].line, 2);
    assert_eq!(reader.position().lines, 3);
}

#[test]
fn lines_in_a_row_that_are_no_events_are_told_of_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let good = text(&line(0, point(0, 1.0)));
    append(&path, format!("{good}\n{{\nx\n{good}y\n").as_bytes());
    let read = read_all(&mut Reader::new(&path, Position::default())).remove(0);
    let told: Vec<_> =
        read.garbled.iter().map(|bad| (bad.line, bad.lines, bad.at, bad.after)).collect();
    let len = good.len() as u64;
    assert_eq!(told, [(2, 3, len, 1), (6, 1, 2 * len + 5, 2)]);
    assert!(read.garbled[0].why.starts_with("EOF"), "{}", read.garbled[0].why);
}

#[test]
fn a_batch_has_few_starts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let mut story = crate::ingest::Story::default();
    for step in 1..30 {
        story.start(step - 1);
        story.point(step, &[("loss", 1.0)]);
    }
    append(&path, &story.text);
    let mut reader = Reader::new(&path, Position::default());
    let mut starts = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        let is_start = |line: &&Line| matches!(line.event, Event::Start(_));
        starts.push(batch.lines.iter().filter(is_start).count());
        assert_eq!(reader.has_more(), reader.position().bytes < story.text.len() as u64);
    }
    assert_eq!(starts, [MOST_STARTS, MOST_STARTS, MOST_STARTS, 29 - 3 * MOST_STARTS]);
}

/// Bytes that this thread has read from files so far.
fn bytes_read() -> u64 {
    let told = fs::read_to_string("/proc/thread-self/io").unwrap();
    let read = told.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    read.parse().unwrap()
}

#[test]
fn a_line_that_does_not_end_is_not_read_again_at_every_look() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.jsonl");
    let first = text(&line(0, point(0, 1.0)));
    append(&path, first.as_bytes());
    append(&path, &vec![b'x'; 18 << 20]);
    let mut reader = Reader::new(&path, Position::default());
    assert_eq!(lines(&read_all(&mut reader)).len(), 1);
    assert_eq!(reader.unended(), 18 << 20);
    // Whoever comes next at the same place, too.
    let mut reader = Reader::new(&path, reader.position()).beyond(reader.unended());
    append(&path, &[b'x'; 100]);
    let before = bytes_read();
    assert_eq!(reader.next_batch().unwrap(), None);
    assert!(bytes_read() - before < 200_000, "{} bytes for 100", bytes_read() - before);
    assert_eq!(reader.unended(), (18 << 20) + 100);
    let (position, unended) = (reader.position(), reader.unended());
    append(&path, format!("\n{first}").as_bytes());
    let rest = read_all(&mut reader);
    assert_eq!((lines(&rest).len(), rest[0].garbled[0].line, reader.unended()), (1, 2, 0));
    // The next attempt cuts it off, and writes over the same place before anybody looks.
    let mut story = first.clone();
    while (story.len() as u64) < position.bytes + unended {
        story += &first;
    }
    fs::write(&path, &story).unwrap();
    let mut reader = Reader::new(&path, position).beyond(unended);
    assert_eq!(lines(&read_all(&mut reader)).len(), story.len() / first.len() - 1);
}
