//! The help page, made from the key table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::action::{KEYS, Scope};
use crate::tui::theme;

use super::boxed;

const WIDTH: u16 = 88;

fn lines() -> Vec<(String, &'static str)> {
    let listed = KEYS.iter().filter(|key| !key.help.is_empty());
    let listed = listed.filter(|key| matches!(key.scope, Scope::Runs | Scope::Anywhere));
    let mut lines: Vec<(String, &str)> =
        listed.map(|key| (key.keys.join("  "), key.help)).collect();
    lines.push((String::new(), ""));
    lines.push(("states".into(), ""));
    lines
}

fn states() -> impl Iterator<Item = (String, &'static str)> {
    use crate::store::model::State;
    State::ALL.into_iter().map(|state| {
        let meaning = match state {
            State::Queued => "waits for a free worker",
            State::Starting => "a worker has it; its trainer has not spoken yet",
            State::Running => "trains",
            State::Stopping => "a pause or cancel is under way",
            State::Paused => "stopped at a checkpoint; r goes on",
            State::Finished => "done",
            State::Failed => "ended by an error that waits for you; r tries again",
            State::Cancelled => "cancelled; r tries again",
            State::Lost => "its process vanished; it requeues itself, at most three times",
        };
        (format!("{} {state}", theme::state(state).0), meaning)
    })
}

/// How far the page can be scrolled on a screen of this size.
pub fn most_scrolled(size: (u16, u16)) -> usize {
    let n = lines().len() + states().count();
    n.saturating_sub(usize::from(size.1).saturating_sub(5))
}

pub fn draw(scroll: usize, area: Rect, buf: &mut Buffer) {
    let all: Vec<_> = lines().into_iter().chain(states()).collect();
    let inner = boxed("keys", (WIDTH, all.len() as u16 + 2), area, buf);
    let keys = 17;
    for (i, (key, help)) in all.iter().skip(scroll).take(inner.height.into()).enumerate() {
        let y = inner.y + i as u16;
        buf.set_stringn(inner.x, y, key, keys, theme::bold());
        let room = usize::from(inner.width).saturating_sub(keys + 1);
        buf.set_stringn(inner.x + keys as u16 + 1, y, help, room, theme::faint());
    }
}
