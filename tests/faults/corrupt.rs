//! Damage to files at rest is found, named, and undone from the run directories.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use instdisc_lab::queue::audit::Problem;
use instdisc_lab::store::{State, StateChange};

use super::{Chance, either, flaws, problems, repair};
use crate::support::Lab;

/// Finished, failed, paused, cancelled, put back into the queue and never started, with all that people can attach.
fn lived_in() -> (Lab, Vec<String>) {
    let lab = Lab::new();
    // No worker but those that are asked for: one of its own would run what is to be found queued.
    fs::write(lab.home().settings(), "[workers]\nslots = { cpu = 0 }\n").unwrap();
    let file = lab.experiment("lived", &[0.0, 1.0, 2.0, 3.0, 4.0]);
    let ids = lab.queue(&file, &["--no-start", "--priority", "2"]);
    lab.ok(&["cancel", &ids[3]]);
    lab.ok(&["pause", &ids[2], &ids[4]]);
    lab.behave("finish");
    work(&lab);
    lab.behave("fail");
    lab.ok(&["queue", lab.experiment("other", &[9.0]).to_str().unwrap(), "--no-start"]);
    work(&lab);
    let failed = lab.runs().into_iter().find(|run| run.state == State::Failed).unwrap().id;
    lab.ok(&["retry", "--fresh", &failed]);
    lab.ok(&["tag", &ids[0], "--add", "keep", "--add", "best"]);
    lab.ok(&["note", &ids[1], "--text", "look again"]);
    lab.ok(&["archive", &ids[3]]);
    let mut ids = ids;
    ids.push(failed);
    (lab, ids)
}

fn work(lab: &Lab) {
    lab.ok(&["worker", "--slot", "cpu-0", "--until-empty"]);
}

/// Everything that must come back. When its worker heard of it, and why a person stopped it, no directory knows.
fn everything(lab: &Lab) -> Vec<String> {
    let mut lines = Vec::new();
    for mut run in lab.runs() {
        let curve = lab.ask(async |store| store.curve(&run.id, "loss", None).await);
        let curve: Vec<_> = curve.iter().map(|it| (it.step, it.value.to_bits())).collect();
        (run.queued_at, run.started_at, run.ended_at) = (0, run.started_at.map(|_| 0), None);
        if run.state != State::Failed {
            run.reason = None;
        }
        let fields = format!("{run:#?}\ncurve {curve:?}");
        lines.extend(fields.lines().map(|line| format!("{}: {}", run.id, line.trim())));
    }
    for experiment in lab.ask(async |store| store.experiments().await) {
        lines.extend(
            format!("{experiment:#?}").lines().map(|line| format!("{}: {line}", experiment.name)),
        );
    }
    // Sorted by run and experiment alone: lists have their order from when things were queued.
    lines.sort_by(|a, b| a.split(": ").next().cmp(&b.split(": ").next()));
    lines
}

/// Fails with the lines that differ, not with all of both.
#[track_caller]
fn assert_same(now: &[String], before: &[String], when: &str) {
    let missing: Vec<&String> = before.iter().filter(|line| !now.contains(line)).collect();
    let new: Vec<&String> = now.iter().filter(|line| !before.contains(line)).collect();
    assert!(now == before, "{when}\nis gone: {missing:#?}\nis new: {new:#?}");
}

fn broken(lab: &Lab) -> Vec<String> {
    let output = lab.output(&["doctor", "--check", "--format", "json"]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let broken = rows.into_iter().filter(|row| row["state"] == "broken");
    broken.map(|row| format!("{}: {}", row["what"].as_str().unwrap(), row["found"])).collect()
}

/// Whether `doctor --check` finds anything, without a process for each look.
fn is_broken(lab: &Lab) -> bool {
    match lab.try_ask(async |store| store.custody().await) {
        Ok(_) => super::try_problems(&lab.home()).is_none_or(|found| !found.is_empty()),
        Err(_) => true,
    }
}

#[test]
fn garbage_in_any_page_is_found_and_undone() {
    let (lab, _) = lived_in();
    assert_eq!(problems(&lab.home()), []);
    let before = everything(&lab);
    let database = lab.home().database();
    // Folds the write-ahead log in, so that the file is all there is.
    close(&lab);
    let whole = fs::read(&database).unwrap();
    let n_pages = whole.len() / 4096;
    let mut chance = Chance::new("garbage_in_any_page");
    let pages: Vec<usize> =
        either((0..4).map(|_| chance.below(n_pages)).collect(), (0..n_pages).collect());
    for page in pages {
        let garbage: Vec<u8> = (0..512).flat_map(|_| chance.next().to_le_bytes()).collect();
        clear(&database);
        fs::write(&database, &whole).unwrap();
        let file = OpenOptions::new().write(true).open(&database).unwrap();
        file.write_all_at(&garbage, page as u64 * 4096).unwrap();
        drop(file);
        assert!(is_broken(&lab), "page {page}, seed {}", chance.seed);
        repair(&lab);
        assert_same(&everything(&lab), &before, &format!("page {page}, seed {}", chance.seed));
        assert_eq!(problems(&lab.home()), [], "page {page}, seed {}", chance.seed);
        let aside = entries(lab.home().root(), "lab.db.damaged-");
        assert_eq!(aside.len(), 1, "the damaged one is kept: {aside:?}");
    }
}

#[test]
fn a_truncated_or_vanished_run_log_is_found_and_undone() {
    let (lab, _) = lived_in();
    let before = everything(&lab);
    let database = lab.home().database();
    close(&lab);
    let whole = fs::read(&database).unwrap();
    for len in [None, Some(0), Some(50), Some(4096), Some(whole.len() / 2), Some(whole.len() - 1)] {
        clear(&database);
        if let Some(len) = len {
            fs::write(&database, &whole[..len]).unwrap();
        }
        assert!(is_broken(&lab), "{len:?}");
        repair(&lab);
        assert_same(&everything(&lab), &before, &format!("{len:?}"));
        assert_eq!(problems(&lab.home()), [], "{len:?}");
    }
}

/// A copy of the database file alone lacks what was still in the write-ahead log.
#[test]
fn a_run_log_without_its_write_ahead_log_is_found_and_undone() {
    let (lab, ids) = lived_in();
    close(&lab);
    let database = lab.home().database();
    let old = fs::read(&database).unwrap();
    lab.ok(&["tag", &ids[0], "--add", "late"]);
    lab.behave("finish");
    lab.ok(&["resume", &ids[2]]);
    work(&lab);
    assert_eq!(lab.run(&ids[2]).state, State::Finished);
    let before = everything(&lab);
    clear(&database);
    fs::write(&database, old).unwrap();
    let found = broken(&lab);
    assert!(found.iter().any(|line| line.contains("older copy")), "{found:?}");
    lab.ok(&["doctor", "--repair"]);
    assert_same(&everything(&lab), &before, "after the repair");
    assert_eq!(problems(&lab.home()), []);
}

#[test]
fn a_changed_number_is_found_and_undone() {
    let (lab, ids) = lived_in();
    let before = everything(&lab);
    sql(&lab, "UPDATE point SET value = value + 1e-9 WHERE step = 1");
    let found = flaws(&lab);
    assert!(found.iter().any(|problem| problem.found.contains("loss is 1 at step 1")), "{found:?}");
    assert!(found.iter().all(|problem| problem.what == "journal"), "{found:?}");
    repair(&lab);
    assert_same(&everything(&lab), &before, "after the repair");
    assert_eq!(problems(&lab.home()), []);
    // One that is no number of ours at all.
    sql(&lab, &format!("UPDATE run SET spec = '{{}}' WHERE id = '{}'", ids[0]));
    assert!(flaws(&lab).iter().any(|problem| problem.found.contains("spec.json")));
}

/// What an earlier program took from a journal and can no longer read: one such number kept the whole lab from being looked
/// at, and its repair as well.
#[test]
fn a_number_that_cannot_be_read_back_is_found_and_undone() {
    let (lab, ids) = lived_in();
    let before = everything(&lab);
    let of = |id: &str| format!("(SELECT key FROM run WHERE id = '{id}')");
    for statement in [
        format!("UPDATE run SET steps = -9223372036854775807 WHERE id = '{}'", ids[0]),
        format!("UPDATE run SET attempt = 4294967295 WHERE id = '{}'", ids[0]),
        format!("UPDATE attempt SET resumed_step = -5 WHERE run = {}", of(&ids[0])),
        format!("UPDATE attempt SET end_step = -5 WHERE run = {}", of(&ids[1])),
        format!("UPDATE point SET step = -step WHERE step = 1 AND run = {}", of(&ids[0])),
        format!("UPDATE summary SET last_step = -1 WHERE run = {}", of(&ids[1])),
        format!(
            "INSERT INTO attempt (run, attempt, resumed_step, started_at) VALUES ({}, 4294967295, 0, 7)",
            of(&ids[2])
        ),
        format!(
            "INSERT INTO warning (run, attempt, step, at, code, message) VALUES ({}, 1, -1, 7, 'x', 'y')",
            of(&ids[0])
        ),
    ] {
        sql(&lab, &statement);
        let found = flaws(&lab);
        let is_told = |it: &Problem| it.what == "journal" && it.cure.contains("--repair");
        assert!(found.iter().any(is_told), "{statement}: {found:?}");
        repair(&lab);
        assert_same(&everything(&lab), &before, &statement);
        assert_eq!(problems(&lab.home()), [], "{statement}");
    }
    assert_eq!(entries(lab.home().root(), "lab.db.damaged-").len(), 0, "cured in its place");
}

#[test]
fn a_garbled_line_is_named_and_a_cut_journal_stops_nobody_else() {
    let (lab, ids) = lived_in();
    let journal = lab.dir_of(&ids[0]).journal();
    let text = fs::read(&journal).unwrap();
    fs::write(&journal, &text[..text.len() / 2]).unwrap();
    let found = flaws(&lab);
    assert!(found.iter().any(|problem| problem.what == "journal"), "{found:?}");
    // The run had finished; the queue goes on.
    lab.behave("finish");
    lab.ok(&["resume", &ids[4]]);
    work(&lab);
    assert_eq!(lab.run(&ids[4]).state, State::Finished);
    // In the middle of a journal that is still to be read.
    let mut garbled = text.clone();
    let line = garbled.iter().position(|&byte| byte == b'\n').unwrap() + 3;
    garbled[line] = 0xff;
    fs::write(&journal, garbled).unwrap();
    sql(&lab, &format!("DELETE FROM run WHERE id = '{}'", ids[0]));
    repair(&lab);
    let warnings = lab.ask(async |store| store.warnings(&ids[0]).await);
    assert_eq!(warnings[0].code, "garbled_journal");
    assert!(warnings[0].message.starts_with("line 2 of events.jsonl"), "{}", warnings[0].message);
    assert!(lab.ok(&["show", &ids[0]]).contains("line 2 of events.jsonl"));
}

/// The journal of a run at work loses its beginning: the run fails in words, and the worker goes on with the others.
#[test]
fn a_journal_cut_under_a_worker_fails_its_run_alone() {
    let lab = Lab::new();
    let ids = lab.queue(&lab.experiment("two", &[0.0, 1.0]), &[]);
    lab.wait_for_state(&ids[0], State::Running);
    crate::support::wait_for("points", || 3 < lab.run(&ids[0]).progress.step);
    fs::write(lab.dir_of(&ids[0]).journal(), "").unwrap();
    lab.behave("finish");
    lab.wait_for_state(&ids[0], State::Failed);
    let why = lab.run(&ids[0]).reason.unwrap();
    assert!(why.starts_with("damaged journal: ") && why.contains("--repair"), "{why}");
    lab.wait_for_state(&ids[1], State::Finished);
}

#[test]
fn a_damaged_meta_json_keeps_no_run_out() {
    let (lab, ids) = lived_in();
    fs::write(lab.dir_of(&ids[0]).meta(), "{\"tags\": [").unwrap();
    let found = flaws(&lab);
    assert!(found.iter().any(|problem| problem.found.contains("meta.json")), "{found:?}");
    clear(&lab.home().database());
    repair(&lab);
    assert_eq!(lab.run(&ids[0]).state, State::Finished);
    assert!(lab.dir_of(&ids[0]).path().join("meta.json.damaged").exists());
    lab.ok(&["tag", &ids[0], "--add", "again"]);
    assert_eq!(lab.run(&ids[0]).tags, ["again"]);
}

/// What people said of a run stands in its row as well: a file that is gone takes none of it away.
#[test]
fn a_lost_meta_json_is_written_again_from_the_run_log() {
    let (lab, ids) = lived_in();
    for id in &ids {
        fs::remove_file(lab.dir_of(id).meta()).unwrap();
    }
    fs::write(lab.dir_of(&ids[0]).meta(), "{\"tags\": [").unwrap();
    // A file that had this alone would say that nobody had said anything else.
    lab.ok(&["tag", &ids[1], "--add", "late"]);
    let before = everything(&lab);
    let said = lab.output(&["doctor", "--repair"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains(&format!("{} had no meta.json any more", ids[2])), "{said}");
    assert_same(&everything(&lab), &before, "after the repair");
    assert_eq!(problems(&lab.home()), []);
    clear(&lab.home().database());
    repair(&lab);
    assert_same(&everything(&lab), &before, "from the new files alone");
    assert_eq!(problems(&lab.home()), []);
}

/// A repair that is killed between forgetting a journal and reading it again.
#[test]
fn a_journal_that_nobody_reads_on_is_found_and_undone() {
    let (lab, ids) = lived_in();
    let before = everything(&lab);
    for table in ["point", "summary", "checkpoint"] {
        let key = format!("(SELECT key FROM run WHERE id = '{}')", ids[0]);
        sql(&lab, &format!("DELETE FROM {table} WHERE run = {key}"));
    }
    let forgotten = "UPDATE run SET journal_bytes = 0, journal_lines = 0";
    sql(&lab, &format!("{forgotten} WHERE id = '{}'", ids[0]));
    let found = flaws(&lab);
    assert!(
        found.iter().any(|it| it.found.ends_with("more than the run log has read")),
        "{found:?}"
    );
    repair(&lab);
    assert_same(&everything(&lab), &before, "after the repair");
    assert_eq!(problems(&lab.home()), []);
}

#[test]
fn history_and_processes_are_held_against_the_states() {
    let (lab, ids) = lived_in();
    let finished = &ids[0];
    // A trainer that should not be.
    let lock = fs::File::create(lab.dir_of(finished).lock()).unwrap();
    lock.lock().unwrap();
    let found = flaws(&lab);
    // Not the first of them for certain: what another test forks in this moment holds the lock as well.
    assert!(found.iter().any(|it| it.found.contains("a trainer holds run.lock")), "{found:?}");
    // Two of them, which takes a file that was deleted and made again.
    fs::remove_file(lab.dir_of(finished).lock()).unwrap();
    let dir = lab.dir_of(finished).path().to_owned();
    // Holds the lock itself (-o) for as long as `cat` is not at the end of its input.
    let mut second = std::process::Command::new("flock");
    let second = second.arg("-o").arg(dir.join("run.lock")).arg("cat");
    let mut second = second.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let both = || flaws(&lab).iter().any(|problem| problem.found.contains("all hold run.lock"));
    crate::support::wait_for("two holders to be seen", both);
    drop(second.stdin.take());
    second.wait().unwrap();
    drop(lock);
    // A run at work on which nobody works.
    sql(&lab, &format!("UPDATE run SET state = 'running', slot = 'cpu-7' WHERE id = '{finished}'"));
    let found = flaws(&lab);
    assert!(
        found.iter().any(|it| it.found == "is running, but no process works on it"),
        "{found:?}"
    );
    let history: Vec<StateChange> = lab.ask(async |store| store.history(finished).await);
    assert!(!history.is_empty());
}

/// Past the store, with every connection of the program closed.
pub fn sql(lab: &Lab, statement: &str) {
    use sqlx::Connection;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(lab.home().database());
        let mut raw = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    });
}

/// Everything into the database file itself.
fn close(lab: &Lab) {
    sql(lab, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/// No database, and nothing beside it that an earlier round set aside.
fn clear(database: &Path) {
    for file in entries(database.parent().unwrap(), "lab.db") {
        fs::remove_file(file).unwrap();
    }
}

fn entries(folder: &Path, prefix: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(prefix)
                && name != "lab.db.lock"
                && !name.ends_with("-wal")
                && !name.ends_with("-shm")
                || (prefix == "lab.db" && (name == "lab.db-wal" || name == "lab.db-shm"))
        })
        .collect();
    found.sort();
    found
}
