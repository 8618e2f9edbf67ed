//! What tenfold costs: time and memory of a step, of the k-NN evaluation and of a lab, as each size grows tenfold with the
//! others left where they are. Every figure is a process of its own, so that its memory is its own.
//! Tables go to standard error; not part of `make bench`.

use std::process::{Command, Stdio};

use crate::Measured;

/// Sizes that grow, with the variable that sets each and its values; the middle ones are CIFAR-10's.
#[cfg(feature = "engine")]
const OF_A_STEP: [(&str, &str, [u32; 3]); 4] = [
    ("n", "BENCH_N", [5_000, 50_000, 500_000]),
    ("m", "BENCH_M", [410, 4_096, 40_960]),
    ("D", "BENCH_D", [16, 128, 1_280]),
    ("B", "BENCH_B", [13, 128, 1_280]),
];

/// The largest of all growths per growth of a size: 1 is linear, more is worse.
pub fn growth() -> Measured {
    let mut worst = 0f64;
    let mut grow = |measure, letter, variable, values| {
        worst = worst.max(grown(measure, letter, variable, values));
    };
    #[cfg(feature = "engine")]
    for measure in ["nce_step", "softmax_step"] {
        for (letter, variable, values) in OF_A_STEP {
            // The exact softmax takes no negatives.
            if measure == "nce_step" || letter != "m" {
                grow(measure, letter, variable, values);
            }
        }
    }
    grow("knn_eval", "n", "BENCH_N", [5_000, 50_000, 500_000]);
    // These measure another process: what it holds is a measure of its own.
    for measure in ["runs_json", "startup", "tui_memory"] {
        grow(measure, "runs", "BENCH_RUNS", [100, 1_000, 10_000]);
    }
    Measured { value: worst, unit: "times per size" }
}

/// How much the measure grows per growth of the size, in the worse of two steps.
fn grown(measure: &str, letter: &str, variable: &str, values: [u32; 3]) -> f64 {
    let found = values.map(|value| {
        let line = child(measure, variable, value);
        let (found, unit) = (line["value"].as_f64().unwrap(), line["unit"].as_str().unwrap());
        let (found, unit) = if unit == "s" { (1e3 * found, "ms") } else { (found, unit) };
        let peak = line["peak_mb"].as_f64().unwrap();
        eprintln!("{measure:<14} {letter:>4} {value:>9} {found:>9.2} {unit:<2} {peak:>7.0} MB");
        found
    });
    let size = |i: usize| f64::from(values[i + 1]) / f64::from(values[i]);
    (found[1] / found[0] / size(0)).max(found[2] / found[1] / size(1))
}

/// Another measure in a process of its own.
fn child(measure: &str, variable: &str, value: u32) -> serde_json::Value {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(measure).env(variable, value.to_string());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}
