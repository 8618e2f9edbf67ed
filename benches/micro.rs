//! What single operations of the inner loops cost: `cargo bench --bench micro`, or a part, `cargo bench --bench micro --
//! journal`. `make bench` measures whole capabilities beside their peers; this tells which of their parts a change moved.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]

fn main() {
    divan::main();
}

#[path = "ours/lab.rs"]
#[allow(dead_code, reason = "it makes whole labs for the other benchmarks")]
mod lab;

mod journal {
    use divan::Bencher;
    use divan::counter::ItemsCount;
    use instdisc_lab::journal::event::{Line, VERSION};
    use instdisc_lab::journal::reader::{Position, Reader};
    use instdisc_lab::lab::Home;

    use crate::lab;

    const LINES: u64 = 10_000;

    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let run = Home::new(dir.path()).run("micro-00000000");
        std::fs::create_dir_all(run.path()).unwrap();
        // Its start record is a line too.
        lab::write(&run, 0..LINES - 1);
        (dir, run.journal())
    }

    fn line() -> Line {
        let event = lab::point(7, &lab::NAMES);
        Line { v: VERSION, event, attempt: 1, seq: 7, at: 1_700_000_000_000 }
    }

    #[divan::bench]
    fn read_10_000_lines(bencher: Bencher) {
        let (_dir, path) = written();
        bencher.counter(ItemsCount::new(LINES)).bench(|| {
            let mut reader = Reader::new(&path, Position::default());
            let mut n = 0;
            while let Some(batch) = reader.next_batch().unwrap() {
                n += batch.lines.len();
            }
            assert_eq!(n as u64, LINES);
        });
    }

    #[divan::bench]
    fn parse_a_line(bencher: Bencher) {
        let text = serde_json::to_string(&line()).unwrap();
        bencher.bench(|| serde_json::from_str::<Line>(divan::black_box(&text)).unwrap());
    }

    #[divan::bench]
    fn write_a_line(bencher: Bencher) {
        let line = line();
        bencher.bench(|| serde_json::to_vec(divan::black_box(&line)).unwrap());
    }
}

mod plan {
    use divan::Bencher;
    use instdisc_lab::config::{experiment, fingerprint};
    use instdisc_lab::filter::Filter;
    use instdisc_lab::grid;

    const FILE: &str = include_str!("../experiments/negatives.toml");

    #[divan::bench]
    fn parse_an_experiment_and_make_its_runs() -> usize {
        let parsed =
            experiment::parse("negatives.toml", divan::black_box(FILE), &Default::default())
                .unwrap();
        grid::expand(&parsed).unwrap().len()
    }

    #[divan::bench]
    fn fingerprint_of_a_specification(bencher: Bencher) {
        let parsed = experiment::parse("negatives.toml", FILE, &Default::default()).unwrap();
        let planned = grid::expand(&parsed).unwrap().remove(0);
        bencher.bench(|| fingerprint(divan::black_box(&planned.spec)));
    }

    #[divan::bench]
    fn parse_a_filter() -> Filter {
        Filter::parse(divan::black_box("state:finished objective.m>=1024 knn_top1>40 -tag:old"))
            .unwrap()
    }
}

mod curves {
    use divan::Bencher;
    use instdisc_lab::tui::curves::{Along, Sample, Series, Window};
    use instdisc_lab::tui::widgets::range::Range;

    fn series(n: u64) -> Series {
        let mut series = Series::default();
        for step in 1..=n {
            let value = (step as f64 * 0.01).sin();
            series.push(Sample { step, sec: step as f64 * 0.1, value });
        }
        series
    }

    #[divan::bench(args = [1_000, 100_000, 1_000_000])]
    fn collapse_to_400_columns(bencher: Bencher, n: u64) {
        let series = series(n);
        let window =
            Window { along: Along::Steps { each: 1.0 }, range: Range::linear(0.0, n as f64) };
        bencher.bench(|| series.collapse(divan::black_box(&window), 400));
    }

    #[divan::bench]
    fn push_100_000_points() -> usize {
        series(100_000).len()
    }
}

mod numbers {
    use divan::Bencher;
    use instdisc_lab::random::{self, Purpose};
    use instdisc_lab::search::top_k;

    /// An image's augmentation: a stream of its own, and a dozen draws from it.
    #[divan::bench]
    fn a_stream_and_twelve_draws() -> f32 {
        let mut stream = random::stream(divan::black_box(1), Purpose::Augment, 2, 3);
        (0..12).map(|_| stream.unit()).sum()
    }

    #[divan::bench(args = [1_000, 10_000, 100_000])]
    fn ten_nearest_of(bencher: Bencher, n: usize) {
        let mut stream = random::stream(1, Purpose::Evaluation, 0, 0);
        let mut rows = |n: usize| -> Vec<f32> { (0..n * 128).map(|_| stream.normal()).collect() };
        let (queries, bank) = (rows(16), rows(n));
        bencher.bench(|| top_k(divan::black_box(&queries), &bank, 128, 10));
    }
}
