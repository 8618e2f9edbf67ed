//! Labs of every released schema open, are migrated once, and keep what they hold; newer ones are refused.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use instdisc_lab::store::State;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

use super::{flaws, problems};
use crate::support::{Lab, copy_all};

/// A lab as the first release left it: a finished run and a paused one.
pub fn schema_1() -> Lab {
    let lab = Lab::new();
    fs::write(lab.home().settings(), "[workers]\nslots = { cpu = 0 }\n").unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/schema-1");
    copy_all(&fixture.join("runs"), &lab.home().runs());
    block_on(async {
        let mut raw = raw(&lab.home().database()).await;
        let text = fs::read_to_string(fixture.join("lab.sql")).unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    });
    lab
}

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let options = options.foreign_keys(false).journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    SqliteConnection::connect_with(&options).await.unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Tables with their columns, and indices, in no order.
async fn shape(path: &Path) -> Vec<String> {
    let mut raw = raw(path).await;
    let rows = sqlx::query(
        "SELECT m.type || ' ' || m.name || ' ' || coalesce((SELECT group_concat(name || ' ' || type || ' ' || \"notnull\"
                || ' ' || coalesce(dflt_value, '') || ' ' || pk, ', ' ORDER BY cid) FROM pragma_table_info(m.name)), '')
           FROM sqlite_schema AS m WHERE m.name NOT LIKE 'sqlite_%' ORDER BY 1",
    );
    let rows = rows.fetch_all(&mut raw).await.unwrap();
    let shape = rows.iter().map(|row| row.get(0)).collect();
    raw.close().await.unwrap();
    shape
}

#[test]
fn a_lab_of_schema_1_opens_and_is_migrated_after_a_copy() {
    let lab = schema_1();
    // Looking changes nothing, and works.
    let before = fs::read(lab.home().database()).unwrap();
    assert_eq!(lab.runs().len(), 2);
    assert_eq!(flaws(&lab), []);
    assert_eq!(fs::read(lab.home().database()).unwrap(), before);
    lab.ok(&["tag", "old-e6a0c12a", "--add", "seen"]);
    assert_eq!(problems(&lab.home()), []);
    let run = lab.run("old-e6a0c12a");
    assert_eq!((run.state, run.metrics["knn_top1"].last.0), (State::Finished, 14.4));
    assert_eq!(lab.run("old-6a57f173").note, "look again");
    let fresh = Lab::new();
    fresh.queue(&fresh.experiment("x", &[0.0]), &["--no-start"]);
    let shapes =
        [lab.home().database(), fresh.home().database()].map(|path| block_on(shape(&path)));
    assert_eq!(shapes[0], shapes[1], "migrated and made anew are the same");
    // The copy is the lab as it was.
    let copy = lab.home().root().join("lab.db.schema-1");
    fs::rename(copy, lab.home().database()).unwrap();
    assert_eq!(lab.run("old-e6a0c12a").tags, Vec::<String>::new());
}

/// Each view as it is written, spaces apart.
async fn views(path: &Path) -> Vec<String> {
    let mut raw = raw(path).await;
    let query = "SELECT sql FROM sqlite_schema WHERE type = 'view' ORDER BY name";
    let views: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    views.iter().map(|sql| sql.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Older than 3.44 an SQLite takes no ORDER BY inside an aggregate, and with one view refuses the whole file.
#[test]
fn people_read_the_file_with_the_sqlite_that_they_have() {
    let lab = schema_1();
    lab.ok(&["tag", "old-e6a0c12a", "--add", "b", "--add", "c", "--add", "a"]);
    let fresh = Lab::new();
    fresh.queue(&fresh.experiment("x", &[0.0]), &["--no-start"]);
    let [migrated, made] =
        [lab.home().database(), fresh.home().database()].map(|path| block_on(views(&path)));
    assert_eq!(migrated, made);
    let inside = |sql: &String| {
        let calls = sql.split("group_concat(").skip(1);
        calls.filter_map(|call| call.split(')').next()).any(|call| call.contains("ORDER BY"))
    };
    assert_eq!(made.iter().find(|sql| inside(sql)), None);
    let row: (String, String) = block_on(async {
        let mut raw = raw(&lab.home().database()).await;
        let query = sqlx::query_as("SELECT experiments, tags FROM runs WHERE id = 'old-e6a0c12a'");
        let row = query.fetch_one(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        row
    });
    assert_eq!(row, ("old".to_owned(), "a b c".to_owned()));
}

/// What an earlier `rm` counted although another run filled the place.
#[test]
fn places_that_were_counted_as_removed_and_are_filled_are_so_no_longer() {
    let lab = Lab::new();
    let id = lab.queue(&lab.experiment("x", &[0.0, 1.0]), &["--no-start"]).remove(0);
    lab.ok(&["rm", &id]);
    let path = lab.home().database();
    let removed = || {
        block_on(async {
            let mut raw = raw(&path).await;
            let query = sqlx::query_scalar("SELECT removed FROM experiment");
            let removed: i64 = query.fetch_one(&mut raw).await.unwrap();
            raw.close().await.unwrap();
            removed
        })
    };
    block_on(async {
        let mut raw = raw(&path).await;
        let text = "UPDATE experiment SET removed = 2; PRAGMA user_version = 3";
        sqlx::raw_sql(text).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
    });
    assert_eq!((removed(), flaws(&lab).len()), (2, 1));
    lab.ok(&["rm", "--undo", &id]);
    assert_eq!((removed(), flaws(&lab)), (0, Vec::new()));
}

#[test]
fn of_eight_programs_after_an_upgrade_one_migrates() {
    let lab = schema_1();
    let start = |i: usize| {
        let tag = format!("t{i}");
        let mut command = lab.command(&["tag", "old-e6a0c12a", "--add", &tag]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..8).map(start).collect();
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let tags: Vec<String> = (0..8).map(|i| format!("t{i}")).collect();
    assert_eq!(lab.run("old-e6a0c12a").tags, tags);
    assert_eq!(problems(&lab.home()), []);
}

/// The schema that each released version made, by its `user_version`: a step that is changed after its release would
/// leave labs that nobody can tell apart.
#[test]
fn the_fixture_is_of_its_schema() {
    let lab = schema_1();
    let version = block_on(async {
        let mut raw = raw(&lab.home().database()).await;
        let version: i64 =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        version
    });
    assert_eq!(version, 1);
    assert!(!block_on(shape(&lab.home().database())).iter().any(|line| line.contains("planned")));
}
