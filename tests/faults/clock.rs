//! The time of day jumps: nobody loses his place in the queue, and nothing takes less than no time.

use std::fs;
use std::path::Path;

use instdisc_lab::store::State;

use super::layer;
use crate::support::{Lab, wait_for};

const HOUR: i64 = 3600;

/// From now on the clock of whoever looks into `file` is so many seconds ahead.
fn jump(file: &Path, seconds: i64) {
    let new = file.with_extension("new");
    fs::write(&new, seconds.to_string()).unwrap();
    fs::rename(new, file).unwrap();
}

#[test]
fn a_clock_that_jumps_changes_no_order_and_loses_nothing() {
    let lab = Lab::new();
    let ahead = lab.path().join("ahead");
    jump(&ahead, 0);
    let queue = |name: &str, lambda: f64| {
        let file = lab.experiment(name, &[lambda]);
        let mut command = lab.command(&["queue", file.to_str().unwrap(), "--no-start"]);
        let output = command.envs(layer::clock(&ahead)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let first = queue("first", 0.0);
    jump(&ahead, -HOUR);
    let second = queue("second", 1.0);
    jump(&ahead, -2 * HOUR);
    let third = queue("third", 2.0);
    lab.ok(&["cancel", &second]);
    // Back in line behind those that waited meanwhile; a worker with the same clock comes with it.
    let retry = lab.command(&["retry", &second]).envs(layer::clock(&ahead)).output().unwrap();
    assert!(retry.status.success(), "{}", String::from_utf8_lossy(&retry.stderr));

    let points = |id: &str| lab.ask(async |store| store.curve(id, "loss", None).await).len();
    lab.wait_for_state(&first, State::Running);
    for hours in [1, -1, 0] {
        jump(&ahead, hours * HOUR);
        let before = points(&first);
        wait_for("it to go on", || before + 2 < points(&first));
    }
    assert_eq!(lab.run(&third).state, State::Queued);
    lab.behave("finish");
    lab.wait_for_state(&second, State::Finished);
    wait_for("everybody to leave", || lab.processes().is_empty());

    // The kernel's own clock, which did not jump, says who went first.
    let began =
        |id: &str| fs::metadata(lab.dir_of(id).path().join("starts")).unwrap().modified().unwrap();
    assert!(began(&first) < began(&third) && began(&third) < began(&second));
    for id in [&first, &second, &third] {
        let history = lab.ask(async |store| store.history(id).await);
        assert!(history.iter().all(|change| !matches!(change.to, State::Lost | State::Failed)));
        assert_eq!(lab.starts(id).len(), 1, "none was taken for lost");
    }
    for id in [&first, &second, &third] {
        let run = lab.run(id);
        assert!(0.0 <= run.progress.sec, "{run:?}");
        let shown = lab.ok(&["show", id]);
        assert!(!shown.contains("-1h") && !shown.contains("-59m"), "{shown}");
    }
    assert_eq!(super::flaws(&lab), []);
}
