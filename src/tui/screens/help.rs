//! The help page, made from the key registry and searched as one types.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::model::State;
use crate::tui::app::{App, Line};
use crate::tui::figures;
use crate::tui::keys::Scope;
use crate::tui::theme;

use super::{boxed, put};

const WIDTH: u16 = 92;

/// Columns for the keys.
const KEYS: usize = 17;

/// A line of the page: what is pressed and what it does, or a heading.
struct Entry {
    keys: String,
    help: String,
    heading: bool,
}

/// Columns for what they do.
fn room(app: &App) -> usize {
    usize::from(WIDTH.min(app.size.0)).saturating_sub(KEYS + 5)
}

/// The screen's own keys first, then those of every screen, then what the states mean. With a search, what fits it.
fn entries(app: &App, search: &str) -> Vec<Entry> {
    let room = room(app);
    let search = search.to_lowercase();
    let mut all: Vec<Entry> = Vec::new();
    let mut add = |title: &str, lines: Vec<(String, String, &str)>| {
        let fits = |(keys, help, name): &(String, String, &str)| {
            search.is_empty()
                || keys.to_lowercase() == search
                || help.to_lowercase().contains(&search)
                || name.contains(&search)
        };
        let lines: Vec<_> = lines.into_iter().filter(fits).collect();
        if !lines.is_empty() {
            if !all.is_empty() {
                all.push(Entry { keys: String::new(), help: String::new(), heading: false });
            }
            all.push(Entry { keys: title.to_owned(), help: String::new(), heading: true });
            for (keys, help, _) in lines {
                let mut keys = Some(keys);
                all.extend(figures::wrap(&help, room, 3).into_iter().map(|help| Entry {
                    keys: keys.take().unwrap_or_default(),
                    help,
                    heading: false,
                }));
            }
        }
    };
    let here = app.tab.scope();
    for (scope, title) in [
        (here, format!("{} screen", app.tab.title())),
        (Scope::Screen, "every screen".to_owned()),
        (Scope::Anywhere, "anywhere".to_owned()),
    ] {
        let rows =
            app.keymap.of(here).filter(|(row, _)| row.scope == scope && !row.help.is_empty());
        let line = |(row, keys): (&'static crate::tui::keys::Binding, &[String])| {
            let keys = if keys.is_empty() { format!(":{}", row.name) } else { keys.join("  ") };
            (keys, row.help.to_owned(), row.name)
        };
        add(&title, rows.map(line).collect());
    }
    let meaning = |state: State| {
        let key = format!("{} {state}", theme::state(state).0);
        (key, meaning(state).to_owned(), "")
    };
    add("states", State::ALL.map(meaning).to_vec());
    all
}

fn meaning(state: State) -> &'static str {
    match state {
        State::Queued => "waits for a free worker",
        State::Starting => "a worker has it; its trainer has not spoken yet",
        State::Running => "trains",
        State::Stopping => "a pause or cancel is under way",
        State::Paused => "stopped at a checkpoint; resume goes on",
        State::Finished => "done",
        State::Failed => "ended by an error that waits for you; resume tries again",
        State::Cancelled => "cancelled; resume tries again",
        State::Lost => "its process vanished; it requeues itself, at most three times",
    }
}

/// How far the page can be scrolled.
pub fn most_scrolled(app: &App, search: &str) -> usize {
    let room = usize::from(app.size.1).saturating_sub(5);
    entries(app, search).len().saturating_sub(room)
}

pub fn draw(app: &App, search: &Line, scroll: usize, area: Rect, buf: &mut Buffer) {
    let all = entries(app, search.text());
    let height = (all.len() as u16).max(1) + 2;
    let inner = boxed("keys", (WIDTH, height), area, buf);
    if all.is_empty() {
        let text = format!("no key does {:?}", search.text());
        buf.set_stringn(inner.x, inner.y, text, inner.width.into(), theme::faint());
    }
    for (i, entry) in all.iter().skip(scroll).take(inner.height.into()).enumerate() {
        let y = inner.y + i as u16;
        if entry.heading {
            buf.set_stringn(inner.x, y, &entry.keys, inner.width.into(), theme::title(true));
            continue;
        }
        buf.set_stringn(inner.x, y, &entry.keys, KEYS, theme::bold());
        put(buf, inner, inner.x + KEYS as u16 + 1, y, &entry.help, theme::faint());
    }
}
