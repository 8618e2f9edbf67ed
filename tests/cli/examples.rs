//! The examples that help texts end in, on the recorded runs of the demo.

use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;

use super::said;
use crate::support::Lab;

/// What the examples may be run with here: they read, or change nothing but a run's page.
const TRIED: [&str; 13] = [
    "archive",
    "completions",
    "curve",
    "data ls",
    "keys",
    "logs",
    "neighbors",
    "note",
    "report",
    "runs",
    "show",
    "table",
    "tag",
];

/// A lab with the runs of the demo.
fn demo() -> Lab {
    let lab = Lab::new();
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.tar.gz");
    let packed = GzDecoder::new(File::open(packed).unwrap());
    tar::Archive::new(packed).unpack(lab.home().root()).unwrap();
    lab.ok(&["doctor", "--repair"]);
    lab
}

/// The commands of a help text's examples.
fn examples(help: &str) -> Vec<String> {
    let from = help.find("Example").unwrap_or(help.len());
    let lines = help[from..].lines().filter_map(|line| line.split_once("instdisc-lab "));
    lines.map(|(_, command)| command.to_owned()).collect()
}

#[test]
fn examples_do_what_they_promise() {
    let lab = demo();
    let of = |name: &str| {
        let run = lab.runs().into_iter().find(|run| run.experiments == [name]);
        run.unwrap().id
    };
    let (trained, searched) = (of("proximal"), of("neighbours"));
    for verb in TRIED {
        // Only this one has its memory bank along.
        let id = if verb == "neighbors" { &searched } else { &trained };
        let verb: Vec<&str> = verb.split(' ').collect();
        let help = lab.ok(&[&verb[..], &["--help"]].concat());
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{help}");
        for example in examples.iter().filter(|example| example.starts_with(verb[0])) {
            // The run of an example stands for one that there is.
            let words = |word: String| match word.starts_with("proximal-") {
                true => id.clone(),
                false => word,
            };
            let words = shlex::split(example).unwrap().into_iter().map(words);
            let words: Vec<String> = words.take_while(|word| word != ">").collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (code, out, err) = said(&lab.output(&words));
            assert_eq!(code, Some(0), "{example}: {err}");
            assert!(!out.is_empty() || !err.is_empty() || verb == ["logs"], "{example}");
        }
    }
}

/// Recorded runs come without their weights, which would be most of the program.
#[test]
fn a_checkpoint_without_weights_is_named() {
    let lab = demo();
    let (code, out, err) = said(&lab.output(&["export", "neighbours", "--what", "encoder"]));
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("found no weights, allowed: a checkpoint of a run"), "{err}");
}
