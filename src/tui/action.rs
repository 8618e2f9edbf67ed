//! What a person can ask for, and the one table of keys that says how.
//!
//! The table drives dispatch, the hint bar and the help page, so that none of them can tell a different story. Keys are
//! written as people read them (`ctrl-d`, `g g`), because a file may remap them one day.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Everything a key can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // Moving.
    Down,
    Up,
    HalfPageDown,
    HalfPageUp,
    PageDown,
    PageUp,
    First,
    Last,
    // Choosing what is seen.
    Mark,
    ClearMarks,
    Filter,
    Sort,
    ReverseSort,
    NextFocus,
    PreviousFocus,
    NextMetric,
    PreviousMetric,
    Axis,
    Zoom,
    // Doing something to runs.
    Queue,
    Pause,
    Resume,
    Cancel,
    // Layers.
    Yes,
    No,
    NextSize,
    PreviousSize,
    Accept,
    Back,
    EraseChar,
    EraseWord,
    EraseAll,
    Help,
    // The program.
    Quit,
    Redraw,
    Suspend,
}

/// Where a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Anywhere,
    Runs,
    Filter,
    Picker,
    Confirm,
    Help,
}

/// One row of the table.
pub struct Binding {
    pub scope: Scope,
    pub keys: &'static [&'static str],
    pub action: Action,
    /// One or two words for the hint bar; empty = not hinted at.
    pub hint: &'static str,
    /// What the help page says; empty = not listed (the same thing stands there already).
    pub help: &'static str,
    /// Does not work under `--readonly`.
    pub writes: bool,
}

const fn key(
    scope: Scope,
    keys: &'static [&'static str],
    action: Action,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { scope, keys, action, hint, help, writes: false }
}

const fn verb(
    keys: &'static [&'static str],
    action: Action,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { scope: Scope::Runs, keys, action, hint, help, writes: true }
}

/// Every key of the program.
pub const KEYS: &[Binding] = &{
    use Action::*;
    use Scope::{Anywhere, Confirm, Picker, Runs};
    [
        key(Runs, &["j", "down"], Down, "", "next run"),
        key(Runs, &["k", "up"], Up, "", "previous run"),
        key(Runs, &["g g", "home"], First, "", "first run"),
        key(Runs, &["G", "end"], Last, "", "last run"),
        key(Runs, &["ctrl-d"], HalfPageDown, "", "half a page down"),
        key(Runs, &["ctrl-u"], HalfPageUp, "", "half a page up"),
        key(Runs, &["pgdn", "ctrl-f"], PageDown, "", "a page down"),
        key(Runs, &["pgup", "ctrl-b"], PageUp, "", "a page up"),
        key(Runs, &["space"], Mark, "mark", "mark: marked runs share charts and verbs"),
        key(Runs, &["*"], ClearMarks, "", "clear all marks"),
        key(Runs, &["/"], Filter, "filter", "filter the runs as you type"),
        key(Runs, &["s"], Sort, "", "sort by the next column"),
        key(Runs, &["S"], ReverseSort, "", "reverse the order"),
        key(Runs, &["tab"], NextFocus, "", "go on to the next panel"),
        key(Runs, &["shift-tab"], PreviousFocus, "", "go back to the previous panel"),
        key(Runs, &["m", "l", "right"], NextMetric, "metric", "next metric in the chart"),
        key(Runs, &["M", "h", "left"], PreviousMetric, "", "previous metric in the chart"),
        key(Runs, &["e"], Axis, "", "steps or epochs along the chart"),
        key(Runs, &["z", "enter"], Zoom, "", "one panel on the whole screen, and back"),
        verb(&["a"], Queue, "add", "queue an experiment"),
        verb(&["p"], Pause, "pause", "pause at a checkpoint"),
        verb(&["r"], Resume, "resume", "resume; retry what failed, was lost or cancelled"),
        verb(&["x"], Cancel, "cancel", "cancel, after asking"),
        key(Runs, &["?", "f1"], Help, "help", "this page"),
        key(Runs, &["esc"], Back, "", "one step out: zoom, marks, filter"),
        key(Runs, &["q"], Quit, "quit", "quit; everything goes on running"),
        key(Scope::Filter, &["enter"], Accept, "keep", ""),
        key(Scope::Filter, &["esc"], Back, "as it was", ""),
        key(Scope::Filter, &["backspace", "ctrl-h"], EraseChar, "", ""),
        key(Scope::Filter, &["ctrl-w"], EraseWord, "", ""),
        key(Scope::Filter, &["ctrl-u"], EraseAll, "clear", ""),
        key(Scope::Filter, &["down"], Down, "", ""),
        key(Scope::Filter, &["up"], Up, "", ""),
        key(Picker, &["enter"], Accept, "queue", ""),
        key(Picker, &["j", "down"], Down, "down", ""),
        key(Picker, &["k", "up"], Up, "up", ""),
        key(Picker, &["l", "right", "tab"], NextSize, "size", ""),
        key(Picker, &["h", "left", "shift-tab"], PreviousSize, "", ""),
        key(Picker, &["esc", "q", "a"], Back, "back", ""),
        key(Confirm, &["y", "Y"], Yes, "yes", ""),
        key(Confirm, &["n", "N", "esc", "q"], No, "no", ""),
        key(Scope::Help, &["j", "down"], Down, "down", ""),
        key(Scope::Help, &["k", "up"], Up, "up", ""),
        key(Scope::Help, &["pgdn", "ctrl-d", "space"], HalfPageDown, "", ""),
        key(Scope::Help, &["pgup", "ctrl-u"], HalfPageUp, "", ""),
        key(Scope::Help, &["g g", "home"], First, "", ""),
        key(Scope::Help, &["G", "end"], Last, "", ""),
        key(Scope::Help, &["esc", "q", "?", "f1", "enter"], Back, "back", ""),
        key(Anywhere, &["ctrl-c"], Quit, "", "quit as well"),
        key(Anywhere, &["ctrl-l"], Redraw, "", "draw the screen afresh"),
        key(Anywhere, &["ctrl-z"], Suspend, "", "suspend; `fg` comes back"),
    ]
};

/// Bindings of a scope, its own before those that hold anywhere.
pub fn bindings(scope: Scope) -> impl Iterator<Item = &'static Binding> {
    let of = move |wanted: Scope| KEYS.iter().filter(move |binding| binding.scope == wanted);
    of(scope).chain(of(Scope::Anywhere))
}

/// What the keys typed so far mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Does(Action),
    /// The beginning of a sequence.
    Waits,
    Nothing,
}

/// Looks up key names typed one after another (`"g g"`).
pub fn look_up(scope: Scope, typed: &str) -> Meaning {
    let found = bindings(scope).find(|binding| binding.keys.contains(&typed));
    if let Some(binding) = found {
        return Meaning::Does(binding.action);
    }
    let begins = |keys: &&str| keys.strip_prefix(typed).is_some_and(|rest| rest.starts_with(' '));
    match bindings(scope).any(|binding| binding.keys.iter().any(begins)) {
        true => Meaning::Waits,
        false => Meaning::Nothing,
    }
}

/// A key as the table writes it; `None` for keys that it cannot name.
pub fn name_of(key: KeyEvent) -> Option<String> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    let base = match key.code {
        KeyCode::Char(' ') => "space".into(),
        KeyCode::Char(c) if ctrl => c.to_ascii_lowercase().to_string(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::F(n) => format!("f{n}"),
        KeyCode::Up => "up".into(),
        KeyCode::Down => "down".into(),
        KeyCode::Left => "left".into(),
        KeyCode::Right => "right".into(),
        KeyCode::Home => "home".into(),
        KeyCode::End => "end".into(),
        KeyCode::PageUp => "pgup".into(),
        KeyCode::PageDown => "pgdn".into(),
        KeyCode::Tab => "tab".into(),
        KeyCode::BackTab => "shift-tab".into(),
        KeyCode::Enter => "enter".into(),
        KeyCode::Esc => "esc".into(),
        KeyCode::Backspace => "backspace".into(),
        KeyCode::Delete => "delete".into(),
        _ => return None,
    };
    let control = if ctrl { "ctrl-" } else { "" };
    let alternate = if alt { "alt-" } else { "" };
    Some(format!("{control}{alternate}{base}"))
}

/// A key by its name, the inverse of [`name_of`]; for tests and scripts.
pub fn key_named(name: &str) -> Option<KeyEvent> {
    let (modifiers, base) = match name.strip_prefix("ctrl-") {
        Some(base) => (KeyModifiers::CONTROL, base),
        None => (KeyModifiers::NONE, name),
    };
    let code = match base {
        "space" => KeyCode::Char(' '),
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "tab" => KeyCode::Tab,
        "shift-tab" => KeyCode::BackTab,
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "backspace" => KeyCode::Backspace,
        "delete" => KeyCode::Delete,
        _ => {
            let mut chars = base.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => KeyCode::Char(c),
                (Some('f'), Some(_)) => KeyCode::F(base[1..].parse().ok()?),
                _ => return None,
            }
        }
    };
    Some(KeyEvent::new(code, modifiers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_can_be_typed() {
        for binding in KEYS {
            for keys in binding.keys {
                for name in keys.split(' ') {
                    let typed = key_named(name).and_then(name_of);
                    assert_eq!(typed.as_deref(), Some(name), "{:?}", binding.action);
                }
            }
        }
    }

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for scope in [Scope::Runs, Scope::Filter, Scope::Picker, Scope::Confirm, Scope::Help] {
            let mut seen: Vec<&str> =
                bindings(scope).flat_map(|b| b.keys.iter().copied()).collect();
            let n = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), n, "{scope:?}");
            // A key that begins a sequence must mean nothing by itself.
            for keys in &seen {
                if let Some((first, _)) = keys.split_once(' ') {
                    assert!(!seen.contains(&first), "{keys} in {scope:?}");
                }
            }
        }
    }

    #[test]
    fn sequences_wait_and_then_act() {
        assert_eq!(look_up(Scope::Runs, "g"), Meaning::Waits);
        assert_eq!(look_up(Scope::Runs, "g g"), Meaning::Does(Action::First));
        assert_eq!(look_up(Scope::Runs, "g x"), Meaning::Nothing);
        assert_eq!(look_up(Scope::Help, "ctrl-c"), Meaning::Does(Action::Quit));
    }
}
