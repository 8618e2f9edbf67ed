//! Every file operation of queueing, claiming, ingesting, repairing, migrating, saving: it fails, the process dies right
//! after it, half of it happens. Whatever was acknowledged is there afterwards, nothing false is said, and the same
//! command completes when it is given again.

use std::fs;
use std::process::{Command, Output};

use instdisc_lab::store::State;

use super::layer::{Fault, count, kinds, meet, places};
use super::{Chance, either, flaws, problems, repair};
use crate::support::Lab;

const LAB: &str = "instdisc-lab";

/// One operation that is interrupted everywhere.
struct Case<'a> {
    name: &'static str,
    /// A lab in the state before it.
    before: &'a Lab,
    args: &'a [&'a str],
    /// Places in the quick form, and how many are passed over in the long one.
    quick: u64,
    stride: u64,
}

impl Case<'_> {
    /// `acknowledged` is told what a command that exited with 0 printed; `complete` looks after the retry.
    fn everywhere(&self, acknowledged: impl Fn(&Lab, &Output), complete: impl Fn(&Lab)) {
        let mut chance = Chance::new(self.name);
        let lab = self.before.copy();
        let n = count(lab.command(self.args), lab.home().root(), LAB);
        complete(&lab);
        drop(lab);
        assert!(4 < n, "{}: only {n} operations were seen", self.name);
        let mut n_fired = 0;
        for at in places(&mut chance, n, self.quick, self.stride) {
            for (kind, lasts) in kinds(&mut chance) {
                // A worker waits for a disk that stays full: that is a test of its own.
                let lasts = lasts && self.name != "worker";
                let fault = Fault { kind, at, lasts };
                let fired = self.once(fault, &acknowledged, &complete, chance.seed);
                // Only writes can be short; a worker's rounds vary, as does what connections do when they are closed.
                let may_not = n / 2 < at || kind == "short" || self.name == "worker";
                assert!(fired || may_not, "{}: {fault:?} of {n} did not fire", self.name);
                n_fired += u32::from(fired);
            }
        }
        println!("{}: {n} operations, {n_fired} faults", self.name);
        assert!(0 < n_fired, "{}: no fault fired", self.name);
    }

    fn once(
        &self,
        fault: Fault,
        acknowledged: &impl Fn(&Lab, &Output),
        complete: &impl Fn(&Lab),
        seed: u64,
    ) -> bool {
        let lab = self.before.copy();
        let (fired, output) = meet(lab.command(self.args), lab.home().root(), LAB, fault);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let say = || format!("{}, {fault:?}, seed {seed}\n{said}", self.name);
        // A fault of the disk is no fault of the program's.
        assert_ne!(output.status.code(), Some(70), "{}", say());
        if output.status.success() {
            acknowledged(&lab, &output);
        }
        // Between a death and the next worker a run may have nobody, a repair that was cut short has not mended all,
        // and a run log that was not made yet is none.
        if lab.try_ask(async |store| store.custody().await).is_ok() {
            let unmended = |what: &str| {
                ["directories", "grid", "journal"].contains(&what) && self.name == "repair"
            };
            let found = flaws(&lab).into_iter();
            let found = found.filter(|it| it.what != "processes" && !unmended(it.what));
            assert_eq!(found.collect::<Vec<_>>(), [], "{}", say());
        }
        let again = lab.output(self.args);
        let words = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.success(), "{}\nagain: {words}", say());
        complete(&lab);
        assert_eq!(flaws(&lab), [], "{}", say());
        repair(&lab);
        assert_eq!(problems(&lab.home()), [], "{}", say());
        fired
    }
}

fn without_workers() -> Lab {
    let lab = Lab::new();
    fs::write(lab.home().settings(), "[workers]\ngrace = 0.25\nslots = { cpu = 0 }\n").unwrap();
    lab
}

/// Three runs in the queue.
fn queued() -> (Lab, Vec<String>) {
    let lab = without_workers();
    let file = lab.experiment("grid", &[0.0, 1.0, 2.0]);
    let ids = lab.queue(&file, &["--no-start"]);
    (lab, ids)
}

#[test]
fn queueing_is_all_or_nothing_and_can_be_repeated() {
    let lab = without_workers();
    let file = lab.experiment("grid", &[0.0, 1.0, 2.0]);
    let args = ["queue", file.to_str().unwrap(), "--no-start"];
    let case = Case { name: "queue", before: &lab, args: &args, quick: 5, stride: 1 };
    case.everywhere(
        |lab, output| {
            for id in String::from_utf8_lossy(&output.stdout).lines() {
                assert_eq!(lab.run(id).state, State::Queued);
            }
        },
        |lab| {
            let runs = lab.runs();
            assert_eq!(runs.len(), 3);
            assert!(
                runs.iter().all(|run| run.state == State::Queued && run.experiments == ["grid"])
            );
        },
    );
}

/// Nobody else can write while a grid is queued: sixty-four runs do not wait for the disk as often as eight times eight.
#[test]
fn many_runs_are_synced_together_and_queueing_them_can_be_repeated() {
    let lab = without_workers();
    let grid = |n: u32| lab.experiment("grid", &(0..n).map(f64::from).collect::<Vec<_>>());
    let operations = |n: u32| {
        let (file, lab) = (grid(n), lab.copy());
        let command = lab.command(&["queue", file.to_str().unwrap(), "--no-start"]);
        count(command, lab.home().root(), LAB)
    };
    let (few, many) = (operations(8), operations(64));
    assert!(many < 8 * few * 3 / 4, "{few} operations for 8 runs, {many} for 64");
    let file = grid(64);
    let args = ["queue", file.to_str().unwrap(), "--no-start"];
    let case = Case { name: "many", before: &lab, args: &args, quick: 3, stride: 41 };
    let all = |lab: &Lab| {
        let runs = lab.runs();
        assert_eq!(runs.len(), 64);
        assert!(runs.iter().all(|run| lab.dir_of(&run.id).spec().is_file()));
    };
    case.everywhere(|lab, _| all(lab), all);
}

#[test]
fn queueing_a_run_again_with_files_elsewhere_can_be_repeated() {
    let lab = without_workers();
    let text = "name = \"c\"\n[base]\ndata.dataset = \"cifar10\"\nobjective.kind = \"nce\"\n";
    let file = lab.path().join("c.toml");
    fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let queue = |root| ["queue", file, "--no-start", "--priority", "3", "--set", root];
    let id = lab.ok(&queue("data.root=/one")).trim().to_owned();
    lab.ok(&["cancel", &id]);
    let args = queue("data.root=/two");
    let case = Case { name: "requeue", before: &lab, args: &args, quick: 5, stride: 1 };
    let moved = |lab: &Lab| {
        let run = lab.run(&id);
        let spec = fs::read(lab.dir_of(&id).spec()).unwrap();
        let spec: serde_json::Value = serde_json::from_slice(&spec).unwrap();
        assert_eq!((run.state, run.priority), (State::Queued, 3));
        assert_eq!(
            (&run.spec["data"]["root"], &spec["data"]["root"]),
            (&"/two".into(), &"/two".into())
        );
    };
    case.everywhere(|lab, _| moved(lab), moved);
}

#[test]
fn what_people_say_about_a_run_is_said_whole() {
    let (lab, ids) = queued();
    let id = ids[0].as_str();
    let tag = Case {
        name: "tag",
        before: &lab,
        args: &["tag", id, "--add", "keep"],
        quick: 5,
        stride: 1,
    };
    let tagged = |lab: &Lab| assert_eq!(lab.run(id).tags, ["keep"]);
    tag.everywhere(|lab, _| tagged(lab), tagged);
    let cancel = Case { name: "cancel", before: &lab, args: &["cancel", id], quick: 4, stride: 1 };
    let cancelled = |lab: &Lab| assert_eq!(lab.run(id).state, State::Cancelled);
    cancel.everywhere(|lab, _| cancelled(lab), cancelled);
}

#[test]
fn what_is_removed_comes_back_or_stays_away() {
    let (lab, ids) = queued();
    let id = ids[0].as_str();
    let gone = |lab: &Lab| assert_eq!(lab.runs().len(), 2);
    let rm = Case { name: "rm", before: &lab, args: &["rm", id], quick: 4, stride: 1 };
    rm.everywhere(|lab, _| gone(lab), gone);
    let lab_without = lab.copy();
    lab_without.ok(&["rm", id]);
    let undo = Case {
        name: "undo",
        before: &lab_without,
        args: &["rm", "--undo", id],
        quick: 5,
        stride: 1,
    };
    let back = |lab: &Lab| {
        assert_eq!(lab.run(id).state, State::Queued);
        assert_eq!(lab.runs().len(), 3);
    };
    undo.everywhere(|lab, _| back(lab), back);
}

#[test]
fn a_run_is_executed_once_whatever_happens_to_its_worker() {
    let lab = without_workers();
    lab.behave("finish");
    let file = lab.experiment("one", &[0.0]);
    let id = lab.queue(&file, &["--no-start"]).remove(0);
    let args = ["worker", "--slot", "cpu-0", "--until-empty"];
    let case = Case { name: "worker", before: &lab, args: &args, quick: 4, stride: 4 };
    case.everywhere(
        |lab, _| assert!(matches!(lab.run(&id).state, State::Finished | State::Failed)),
        |lab| {
            let run = lab.run(&id);
            if run.state == State::Failed {
                // Its log file could not be made: named, and left to a person.
                assert!(run.reason.unwrap().contains("cannot start"));
                lab.ok(&["retry", &id]);
                lab.ok(&["worker", "--slot", "cpu-0", "--until-empty"]);
            }
            assert_eq!(lab.run(&id).state, State::Finished, "{:?}", lab.run(&id).reason);
            let attempts: Vec<u32> = lab.starts(&id).iter().map(|start| start.attempt).collect();
            assert!(attempts.windows(2).all(|pair| pair[0] < pair[1]), "{attempts:?}");
            assert_eq!(lab.processes(), Vec::<u32>::new());
        },
    );
}

/// Making the run log is cut short, and the next to come only looks: it finds no lab yet, and nothing in the way.
#[test]
fn a_first_start_can_be_cut_short_and_a_reader_comes_next() {
    for at in either(8..20, 1..80) {
        let lab = without_workers();
        let file = lab.experiment("one", &[0.0]);
        let args = ["queue", file.to_str().unwrap(), "--no-start"];
        let fault = Fault { kind: "kill", at, lasts: false };
        meet(lab.command(&args), lab.home().root(), LAB, fault);
        assert!(lab.ok(&["runs"]).lines().count() <= 2, "operation {at}");
        lab.ok(&args);
        assert_eq!(flaws(&lab), [], "operation {at}");
    }
}

#[test]
fn a_repair_can_be_cut_short_anywhere() {
    let (lab, ids) = queued();
    lab.behave("finish");
    lab.ok(&["cancel", &ids[2]]);
    lab.ok(&["worker", "--slot", "cpu-0", "--until-empty"]);
    fs::remove_file(lab.home().database()).unwrap();
    let args = ["doctor", "--repair"];
    let case = Case { name: "repair", before: &lab, args: &args, quick: 4, stride: 2 };
    let whole = |lab: &Lab| {
        let states: Vec<State> = ids.iter().map(|id| lab.run(id).state).collect();
        assert_eq!(states, [State::Finished, State::Finished, State::Cancelled]);
        let n: u64 = ids
            .iter()
            .map(|id| lab.ask(async |store| store.curve(id, "loss", None).await).len() as u64)
            .sum();
        assert_eq!(n, 2);
    };
    case.everywhere(|lab, _| whole(lab), whole);
}

#[test]
fn a_migration_can_be_cut_short_anywhere() {
    let lab = super::versions::schema_1();
    let args = ["tag", "old-e6a0c12a", "--add", "migrated"];
    let case = Case { name: "migrate", before: &lab, args: &args, quick: 5, stride: 1 };
    let migrated = |lab: &Lab| {
        assert_eq!(lab.run("old-e6a0c12a").tags, ["migrated"]);
        assert_eq!(lab.run("old-6a57f173").tags, ["keep"]);
        assert!(lab.home().root().join("lab.db.schema-1").exists());
    };
    case.everywhere(|lab, _| migrated(lab), migrated);
}

/// The trainer that was built, on a run of a few steps with a checkpoint every other one.
mod trainer {
    use super::*;

    fn train(lab: &Lab, id: &str, attempt: u32) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_instdisc-train"));
        command.arg(lab.dir_of(id).path()).args(["--attempt", &attempt.to_string()]);
        command
    }

    /// Bytes of the newest checkpoint's tensors: weights, momentum, bank, Z.
    fn last_tensors(lab: &Lab, id: &str) -> Vec<u8> {
        let folder = lab.dir_of(id).checkpoints();
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let tensors = files.filter(|path| path.extension().is_some_and(|it| it == "safetensors"));
        let step = |path: &std::path::PathBuf| -> u64 {
            path.file_stem().unwrap().to_str().unwrap()[5..].parse().unwrap()
        };
        fs::read(tensors.max_by_key(step).unwrap()).unwrap()
    }

    #[test]
    fn a_save_that_fails_costs_no_bit() {
        let lab = without_workers();
        let file = lab.experiment("real", &[1.0]);
        let more = [
            "--no-start",
            "--set",
            "train.epochs=2",
            "--set",
            "train.checkpoint_every=1",
            "--set",
            "eval.every=2",
        ];
        let id = lab.queue(&file, &more).remove(0);
        let whole = lab.copy();
        let n = count(train(&whole, &id, 1), whole.home().root(), "instdisc-train");
        let tensors = last_tensors(&whole, &id);
        let mut chance = Chance::new("trainer");
        let mut n_fired = 0;
        for at in places(&mut chance, n, 2, 3) {
            for (kind, lasts) in kinds(&mut chance) {
                let fault = Fault { kind, at, lasts };
                let say = || format!("{fault:?} of {n}, seed {}", chance.seed);
                let broken = lab.copy();
                let root = broken.home().root().to_owned();
                let (fired, output) = meet(train(&broken, &id, 1), &root, "instdisc-train", fault);
                n_fired += u32::from(fired);
                let journal = fs::read_to_string(broken.dir_of(&id).journal()).unwrap_or_default();
                // Its last line may be in the file though the sync after it failed.
                let says =
                    |state: &str| journal.contains(&format!("\"t\":\"end\",\"state\":\"{state}\""));
                if fired && kind == "enospc" && says("failed") {
                    assert!(journal.contains("\"reason\":\"disk full: "), "{}: {journal}", say());
                }
                // What says it is finished has all of it.
                if output.status.success() || says("finished") {
                    assert!(last_tensors(&broken, &id) == tensors, "{}", say());
                }
                let again = train(&broken, &id, 2).output().unwrap();
                assert!(
                    again.status.success(),
                    "{}\n{}",
                    say(),
                    String::from_utf8_lossy(&again.stderr)
                );
                assert!(last_tensors(&broken, &id) == tensors, "{}: another result", say());
                // The run log never heard of any of it: the directory alone tells the whole story.
                fs::remove_file(broken.home().database()).unwrap();
                repair(&broken);
                assert_eq!(broken.run(&id).state, State::Finished, "{}", say());
                assert_eq!(problems(&broken.home()), [], "{}", say());
            }
        }
        println!("trainer: {n} operations, {n_fired} faults");
        assert!(0 < n_fired);
    }
}
