//! Every key of the program, in the order in which the help page lists them.

use super::{Action, Binding, Scope};

const fn key(
    scope: Scope,
    keys: &'static [&'static str],
    action: Action,
    name: &'static str,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { scope, keys, action, name, hint, help, writes: false }
}

const fn verb(
    scope: Scope,
    keys: &'static [&'static str],
    action: Action,
    name: &'static str,
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { scope, keys, action, name, hint, help, writes: true }
}

/// A key of a layer that everybody knows: neither listed nor named.
const fn plain(scope: Scope, keys: &'static [&'static str], action: Action) -> Binding {
    key(scope, keys, action, "", "", "")
}

/// The registry.
pub const KEYS: &[Binding] = &{
    use Action::*;
    use Scope::{Anywhere, Choose, Confirm, Filter, Palette, Picker, Runs, Screen, Typing};
    [
        // Runs.
        key(Runs, &["enter"], Open, "open", "charts", "charts of the marked runs, or of this one"),
        key(Runs, &["space"], Mark, "mark", "mark", "mark: marked runs share charts and verbs"),
        key(Runs, &["V"], MarkShown, "mark-shown", "", "mark every run that passes the filter"),
        key(Runs, &["*"], ClearMarks, "clear-marks", "", "clear all marks"),
        key(Runs, &["/"], Action::Filter, "filter", "filter", "filter the runs as you type"),
        key(Runs, &["f"], SavedFilters, "filters", "", "take a saved filter"),
        key(
            Runs,
            &["s"],
            Sort,
            "sort",
            "sort",
            "sort by this column; again reverses, then lets go",
        ),
        key(Runs, &["S"], ReverseSort, "reverse", "", "reverse the order"),
        key(
            Runs,
            &["o"],
            Group,
            "group",
            "group",
            "group by the next factor; mean ± std in each head",
        ),
        key(Runs, &["c"], Columns, "columns", "", "choose and order the columns"),
        key(Runs, &["<"], ColumnLeft, "column-left", "", "move this column to the left"),
        key(Runs, &[">"], ColumnRight, "column-right", "", "move this column to the right"),
        key(Runs, &["b"], Baseline, "baseline", "", "pin as the baseline; again lets go"),
        key(Runs, &["m"], NextMetric, "metric", "", "next metric in the chart beside the table"),
        key(Runs, &["M"], PreviousMetric, "metric-back", "", "previous metric in that chart"),
        key(Runs, &["z"], Zoom, "zoom", "", "the table on the whole screen, and back"),
        verb(Runs, &["a"], Queue, "add", "add", "queue an experiment"),
        verb(Runs, &["p"], Pause, "pause", "pause", "pause at a checkpoint"),
        verb(
            Runs,
            &["r"],
            Resume,
            "resume",
            "resume",
            "resume; retry what failed, was lost or cancelled",
        ),
        verb(Runs, &["x"], Cancel, "cancel", "cancel", "cancel, after asking"),
        verb(Runs, &["t"], Tag, "tag", "", "add tags; -name takes one away"),
        verb(Runs, &["n"], Note, "note", "", "write a note"),
        verb(Runs, &["A"], Archive, "archive", "", "archive, or bring back"),
        verb(Runs, &["D"], Remove, "delete", "", "delete with all files, after you typed the name"),
        // Every screen.
        key(Screen, &["1"], Tab(0), "runs", "", "the run table"),
        key(Screen, &["2"], Tab(1), "charts", "", "curves of the marked runs"),
        key(Screen, &["tab"], NextTab, "next-screen", "", "next screen"),
        key(Screen, &["shift-tab"], PreviousTab, "previous-screen", "", "previous screen"),
        key(Screen, &["j", "down"], Down, "down", "", "down"),
        key(Screen, &["k", "up"], Up, "up", "", "up"),
        key(Screen, &["h", "left"], Left, "left", "", "left: column, crosshair"),
        key(Screen, &["l", "right"], Right, "right", "", "right"),
        key(Screen, &["g g", "home"], First, "first", "", "to the first"),
        key(Screen, &["G", "end"], Last, "last", "", "to the last"),
        key(Screen, &["ctrl-d"], HalfPageDown, "half-page-down", "", "half a page down"),
        key(Screen, &["ctrl-u"], HalfPageUp, "half-page-up", "", "half a page up"),
        key(Screen, &["pgdn", "ctrl-f"], PageDown, "page-down", "", "a page down"),
        key(Screen, &["pgup", "ctrl-b"], PageUp, "page-up", "", "a page up"),
        verb(Screen, &["u"], Undo, "undo", "", "undo: archive, tag, note, order"),
        key(Screen, &["F"], Freeze, "freeze", "", "freeze what is shown, and go on"),
        key(Screen, &[":"], Action::Palette, "palette", "", "any command by its name"),
        key(Screen, &["?", "f1"], Help, "help", "help", "this page"),
        key(Screen, &["esc"], Back, "back", "", "one step out"),
        key(Screen, &["q"], Quit, "quit", "quit", "quit; everything goes on running"),
        key(Anywhere, &["ctrl-c"], Quit, "quit-at-once", "", "quit as well"),
        key(Anywhere, &["ctrl-l"], Redraw, "redraw", "", "draw the screen afresh"),
        key(Anywhere, &["ctrl-z"], Suspend, "suspend", "", "suspend; `fg` comes back"),
        // Lines of text.
        key(Typing, &["enter"], Accept, "", "take", ""),
        key(Typing, &["esc"], Back, "", "leave", ""),
        plain(Typing, &["backspace", "ctrl-h"], EraseChar),
        plain(Typing, &["delete", "ctrl-d"], EraseNext),
        plain(Typing, &["ctrl-w"], EraseWord),
        plain(Typing, &["ctrl-u"], EraseAll),
        plain(Typing, &["left", "ctrl-b"], Left),
        plain(Typing, &["right", "ctrl-f"], Right),
        plain(Typing, &["home", "ctrl-a"], LineStart),
        plain(Typing, &["end", "ctrl-e"], LineEnd),
        plain(Typing, &["down", "ctrl-n"], Down),
        plain(Typing, &["up", "ctrl-p"], Up),
        key(Filter, &["ctrl-s"], SaveFilter, "", "save", ""),
        key(Palette, &["tab"], Complete, "", "complete", ""),
        plain(Scope::Help, &["pgdn"], PageDown),
        plain(Scope::Help, &["pgup"], PageUp),
        // Lists to choose from.
        key(Choose, &["enter"], Accept, "", "take", ""),
        key(Choose, &["space"], Toggle, "", "show or hide", ""),
        plain(Choose, &["j", "down"], Down),
        plain(Choose, &["k", "up"], Up),
        key(Choose, &["J", ">"], ColumnRight, "", "later", ""),
        key(Choose, &["K", "<"], ColumnLeft, "", "earlier", ""),
        plain(Choose, &["g g", "home"], First),
        plain(Choose, &["G", "end"], Last),
        key(Choose, &["x", "delete"], Remove, "", "forget", ""),
        key(Choose, &["esc", "q"], Back, "", "back", ""),
        key(Picker, &["enter"], Accept, "", "queue", ""),
        key(Picker, &["j", "down"], Down, "", "down", ""),
        key(Picker, &["k", "up"], Up, "", "up", ""),
        key(Picker, &["l", "right", "tab"], NextSize, "", "size", ""),
        plain(Picker, &["h", "left", "shift-tab"], PreviousSize),
        key(Picker, &["esc", "q", "a"], Back, "", "back", ""),
        key(Confirm, &["y", "Y"], Yes, "", "yes", ""),
        key(Confirm, &["n", "N", "esc", "q"], No, "", "no", ""),
    ]
};
