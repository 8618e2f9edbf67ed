//! What things look like: one theme, one accent, and how it is lowered to poorer terminals.
//!
//! Screens use [`THEME`] as if every terminal had 16 million colours; [`lower`] repaints the finished buffer for those
//! that have sixteen or none. Nothing may be told by colour alone: a state has its glyph and its word, a series its
//! marker and its dash, a selection its `>` and its reversed row.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::store::model::State;

/// A colour and its nearest relative among the sixteen that every terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    pub full: Color,
    pub plain: Color,
}

const fn ink(r: u8, g: u8, b: u8, plain: Color) -> Ink {
    Ink { full: Color::Rgb(r, g, b), plain }
}

/// Every colour of the program. Text itself has none: it keeps the terminal's own, on its own background.
pub struct Theme {
    /// What has the focus, and nothing else.
    pub accent: Ink,
    /// Rules, units, hints.
    pub faint: Ink,
    pub good: Ink,
    pub warn: Ink,
    pub bad: Ink,
    /// Runs in charts: Okabe and Ito's colour-blind safe set, blue lightened and yellow darkened so that both read
    /// on black and on white.
    pub series: [Ink; 8],
}

pub const THEME: Theme = Theme {
    accent: ink(64, 156, 230, Color::Cyan),
    faint: ink(128, 134, 145, Color::DarkGray),
    good: ink(64, 166, 110, Color::Green),
    warn: ink(214, 148, 24, Color::Yellow),
    bad: ink(222, 84, 72, Color::Red),
    series: [
        ink(86, 180, 233, Color::LightCyan),
        ink(230, 159, 0, Color::LightYellow),
        ink(0, 170, 125, Color::LightGreen),
        ink(213, 104, 20, Color::LightRed),
        ink(204, 121, 167, Color::LightMagenta),
        ink(70, 130, 210, Color::LightBlue),
        ink(190, 178, 50, Color::White),
        ink(150, 150, 150, Color::Gray),
    ],
};

/// What tells a series apart where colour does not: its marker.
const MARKERS: [&str; 8] = ["●", "▲", "■", "◆", "○", "△", "□", "◇"];

/// How the run in a slot is drawn in charts. Beyond eight, colours come again with other markers.
pub fn series(slot: usize) -> (Ink, &'static str) {
    let n = THEME.series.len();
    (THEME.series[slot % n], MARKERS[(slot + slot / n) % MARKERS.len()])
}

impl Theme {
    fn inks(&self) -> impl Iterator<Item = Ink> {
        [self.accent, self.faint, self.good, self.warn, self.bad].into_iter().chain(self.series)
    }
}

/// Plain style in an ink.
pub fn fg(ink: Ink) -> Style {
    Style::new().fg(ink.full)
}

pub fn faint() -> Style {
    fg(THEME.faint)
}

pub fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Title of a panel, by whether keys go there.
pub fn title(focused: bool) -> Style {
    if focused { fg(THEME.accent).add_modifier(Modifier::BOLD) } else { bold() }
}

/// The row under the cursor.
pub fn cursor(focused: bool) -> Style {
    if focused { Style::new().add_modifier(Modifier::REVERSED) } else { bold() }
}

/// A state's glyph and how it is painted; its word stands beside it.
pub fn state(state: State) -> (&'static str, Style) {
    match state {
        State::Queued => ("○", faint()),
        State::Starting => ("◔", fg(THEME.good)),
        State::Running => ("●", fg(THEME.good)),
        State::Stopping => ("◐", fg(THEME.warn)),
        State::Paused => ("‖", fg(THEME.warn)),
        State::Finished => ("✓", Style::new()),
        State::Failed => ("✗", fg(THEME.bad)),
        State::Cancelled => ("-", faint()),
        State::Lost => ("?", fg(THEME.bad)),
    }
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// `NO_COLOR`: bold, reversed, glyphs and words.
    None,
    Sixteen,
    Full,
}

impl Depth {
    /// From the environment, as <https://no-color.org> and the `COLORTERM` convention have it.
    pub fn detect(var: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str, known: &[&str]| {
            var(name).is_some_and(|value| known.iter().any(|k| value.contains(k)))
        };
        if var("NO_COLOR").is_some_and(|value| !value.is_empty()) || is("TERM", &["dumb"]) {
            Depth::None
        } else if is("COLORTERM", &["truecolor", "24bit"])
            || is("TERM", &["256color", "direct", "kitty", "ghostty", "alacritty"])
        {
            // A terminal with 256 colours that is given an RGB one takes the nearest; tmux does it itself.
            Depth::Full
        } else {
            Depth::Sixteen
        }
    }
}

/// Repaints a finished buffer for a terminal with fewer colours.
pub fn lower(buffer: &mut Buffer, depth: Depth) {
    if depth == Depth::Full {
        return;
    }
    let plain = |color: Color| match depth {
        Depth::None => Color::Reset,
        _ => THEME.inks().find(|ink| ink.full == color).map_or(color, |ink| ink.plain),
    };
    for cell in &mut buffer.content {
        if cell.fg != Color::Reset {
            cell.fg = plain(cell.fg);
        }
        if cell.bg != Color::Reset {
            cell.bg = plain(cell.bg);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_looks_different_without_colour() {
        let mut glyphs: Vec<_> = State::ALL.map(|s| state(s).0).to_vec();
        glyphs.sort_unstable();
        glyphs.dedup();
        assert_eq!(glyphs.len(), State::ALL.len());
    }

    #[test]
    fn no_color_leaves_no_colour_and_sixteen_leaves_no_rgb() {
        let mut buffer = Buffer::with_lines(["ab"]);
        buffer[(0, 0)].set_style(fg(THEME.bad));
        buffer[(1, 0)].set_style(fg(THEME.series[3]).add_modifier(Modifier::BOLD));
        let mut sixteen = buffer.clone();
        lower(&mut sixteen, Depth::Sixteen);
        assert_eq!((sixteen[(0, 0)].fg, sixteen[(1, 0)].fg), (Color::Red, Color::LightRed));
        lower(&mut buffer, Depth::None);
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset));
        assert_eq!(buffer[(1, 0)].modifier, Modifier::BOLD);
    }

    #[test]
    fn the_environment_says_how_many_colours() {
        let of = |vars: &'static [(&str, &str)]| {
            Depth::detect(|name| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[("TERM", "xterm")]), Depth::Sixteen);
        assert_eq!(of(&[("TERM", "xterm-256color")]), Depth::Full);
        assert_eq!(of(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]), Depth::Full);
        assert_eq!(of(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Depth::None);
        assert_eq!(of(&[("COLORTERM", "truecolor"), ("NO_COLOR", "")]), Depth::Full);
    }
}
