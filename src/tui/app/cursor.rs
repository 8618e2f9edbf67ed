//! How the keys that every list knows move its cursor.

use crate::tui::keys::Action;

/// Where `action` takes the cursor from `at` in a list whose last place is `last` and of which a page shows `page`; nothing
/// for what moves no cursor.
pub(super) fn moved(action: Action, at: usize, last: usize, page: usize) -> Option<usize> {
    Some(match action {
        Action::Down => (at + 1).min(last),
        Action::Up => at.saturating_sub(1),
        Action::HalfPageDown | Action::PageDown => (at + page).min(last),
        Action::HalfPageUp | Action::PageUp => at.saturating_sub(page),
        Action::First => 0,
        Action::Last => last,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stays_in_its_list() {
        let to = |action, at| moved(action, at, 12, 10).unwrap();
        assert_eq!(
            [Action::Down, Action::Up, Action::First, Action::Last].map(|a| to(a, 5)),
            [6, 4, 0, 12]
        );
        assert_eq!([to(Action::PageDown, 5), to(Action::HalfPageUp, 5)], [12, 0]);
        assert_eq!([to(Action::Down, 12), to(Action::Up, 0)], [12, 0]);
        assert_eq!(moved(Action::Back, 5, 12, 10), None);
    }
}
