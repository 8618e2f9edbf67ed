//! Warnings of a run, and no more of them than anybody would read: a journal may be nothing but rubbish, and every list asks
//! for the newest.

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::Result;
use crate::journal::event::Warn;
use crate::journal::reader::Garbled;

/// Warnings of one attempt. One more says that there were others.
const MOST: i64 = 100;
/// Characters of a warning.
const LONGEST: usize = 2000;
/// Characters of what is wrong with a garbled line, which may quote all of it.
const LONGEST_WHY: usize = 200;

/// Code of a warning about lines that are no events.
const GARBLED: &str = "garbled_journal";

/// One more warning of `run`, unless its attempt has had enough of them.
pub(super) async fn note(
    tx: &mut SqliteConnection,
    run: i64,
    attempt: u32,
    at: i64,
    warn: &Warn,
) -> Result<()> {
    // Attempts come one after the other, so an attempt that has had enough has the newest ones to itself.
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT attempt FROM warning WHERE run = ? ORDER BY key DESC LIMIT ?) WHERE attempt = ?",
    );
    let n: i64 = query.bind(run).bind(MOST + 1).bind(attempt).fetch_one(&mut *tx).await?;
    let (code, message) = match n {
        _ if n < MOST => (warn.code.as_str(), shortened(&warn.message, LONGEST)),
        MOST => {
            ("more_warnings", format!("more than {MOST} warnings: events.jsonl has the others"))
        }
        _ => return Ok(()),
    };
    let query = sqlx::query(
        "INSERT INTO warning (run, attempt, step, at, code, message) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let query = query.bind(run).bind(attempt).bind(warn.step.cast_signed()).bind(at);
    query.bind(shortened(code, LONGEST)).bind(message).execute(tx).await?;
    Ok(())
}

/// Lines in a row that are no events are one warning, also when they were not read at once.
pub(super) async fn note_garbled(
    tx: &mut SqliteConnection,
    run: i64,
    attempt: u32,
    at: i64,
    step: u64,
    bad: &Garbled,
) -> Result<()> {
    let query = sqlx::query(
        "SELECT key, message FROM warning
          WHERE key = (SELECT max(key) FROM warning WHERE run = ?) AND code = ?",
    );
    let before = query.bind(run).bind(GARBLED).fetch_optional(&mut *tx).await?;
    let last = bad.line + bad.lines - 1;
    if let Some(before) = before
        && let Some(rubbish) = Rubbish::parse(before.try_get(1)?)
        && rubbish.last + 1 == bad.line
    {
        let message = Rubbish { last, ..rubbish }.message();
        let query = sqlx::query("UPDATE warning SET message = ? WHERE key = ?");
        query.bind(message).bind(before.try_get::<i64, _>(0)?).execute(tx).await?;
        return Ok(());
    }
    let why = shortened(&bad.why, LONGEST_WHY);
    let message = Rubbish { first: bad.line, last, at: bad.at, why: &why }.message();
    note(tx, run, attempt, at, &Warn { step, code: GARBLED.into(), message }).await
}

/// What a warning says about lines that are no events.
#[derive(Debug, PartialEq)]
struct Rubbish<'a> {
    first: u64,
    last: u64,
    /// Where the first begins, in bytes.
    at: u64,
    why: &'a str,
}

impl<'a> Rubbish<'a> {
    fn message(&self) -> String {
        let Self { first, last, at, why } = self;
        if first == last {
            format!("line {first} of events.jsonl, at byte {at}, is no event: {why}")
        } else {
            format!(
                "lines {first} to {last} of events.jsonl, from byte {at} on, are no events: {why}"
            )
        }
    }

    /// What [`Self::message`] was made of.
    fn parse(message: &'a str) -> Option<Self> {
        let (lines, rest) = message.split_once(" of events.jsonl, ")?;
        let (place, why) = rest.split_once(": ")?;
        let (first, last) = match lines.strip_prefix("lines ") {
            Some(range) => range.split_once(" to ")?,
            None => (lines.strip_prefix("line ")?, lines.strip_prefix("line ")?),
        };
        let at = place.split([' ', ',']).nth(2)?;
        Some(Self {
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            at: at.parse().ok()?,
            why,
        })
    }
}

/// The first `most` characters of a text.
fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_made() {
        for rubbish in [
            Rubbish { first: 7, last: 7, at: 0, why: "EOF while parsing, at: line 1" },
            Rubbish { first: 7, last: 19, at: 4711, why: "" },
        ] {
            assert_eq!(Rubbish::parse(&rubbish.message()), Some(rubbish));
        }
        for other in ["", "line x of events.jsonl, at byte 1, is no event: y", "so: it goes"] {
            assert_eq!(Rubbish::parse(other), None);
        }
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö…");
    }
}
