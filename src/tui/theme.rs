//! What things look like: one theme, one accent, and how it is lowered to poorer terminals.
//!
//! Screens use [`THEME`] as if every terminal had 16 million colours on a dark ground; [`lower`] repaints the finished
//! buffer in the theme at hand, for terminals with 256, sixteen or no colours; [`super::ascii`] does without drawing
//! characters. Nothing may be told by colour alone: a state has its glyph and its word, a series its marker and its dash, a
//! selection its `>` and its reversed row.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::store::model::State;

use super::pixels;

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
pub(super) const MARKERS: [&str; 8] = ["●", "▲", "■", "◆", "○", "△", "□", "◇"];

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

/// A theme: what each ink of [`THEME`] becomes on screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Look {
    /// For dark backgrounds: the inks as they are.
    #[default]
    Dark,
    /// For light backgrounds: darker inks.
    Light,
    /// Safe for red-green blindness: good and bad are blue and orange, series are Okabe and Ito's.
    Safe,
}

impl Look {
    pub const ALL: [Look; 3] = [Look::Dark, Look::Light, Look::Safe];

    pub fn name(self) -> &'static str {
        match self {
            Look::Dark => "dark",
            Look::Light => "light",
            Look::Safe => "safe",
        }
    }

    /// For terminals that do not tell their background when they are asked: dark unless `COLORFGBG` says that it is light,
    /// as rxvt, konsole and others set it.
    pub fn detect(var: impl Fn(&str) -> Option<String>) -> Self {
        let background = var("COLORFGBG").and_then(|value| value.rsplit(';').next()?.parse().ok());
        match background {
            Some(7 | 9..=15) => Look::Light,
            _ => Look::Dark,
        }
    }

    fn paint(self, ink: Ink) -> Color {
        let (r, g, b) = match ink.full {
            Color::Rgb(r, g, b) => (r, g, b),
            other => return other,
        };
        match self {
            Look::Dark => ink.full,
            // Two thirds of the light: enough contrast on white for text and thin lines.
            Look::Light => {
                let darker = |x: u8| (u16::from(x) * 2 / 3) as u8;
                Color::Rgb(darker(r), darker(g), darker(b))
            }
            Look::Safe if ink == THEME.good => Color::Rgb(0, 114, 178),
            Look::Safe if ink == THEME.bad => Color::Rgb(213, 94, 0),
            Look::Safe if ink == THEME.warn => Color::Rgb(230, 159, 0),
            Look::Safe => ink.full,
        }
    }
}

/// A theme by its name; what is allowed otherwise.
pub fn named(name: &str) -> Result<Look, String> {
    let known = Look::ALL.into_iter().find(|look| look.name() == name);
    known.ok_or_else(|| format!("found {name}, allowed: {}", Look::ALL.map(Look::name).join(", ")))
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// `NO_COLOR`: bold, reversed, glyphs and words.
    None,
    Sixteen,
    /// The nearest of the 256 of xterm's palette.
    Palette,
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
            || is("TERM", &["direct", "kitty", "ghostty", "alacritty"])
        {
            Depth::Full
        } else if is("TERM", &["256color"]) {
            Depth::Palette
        } else {
            Depth::Sixteen
        }
    }
}

/// Repaints a finished buffer in a theme, for a terminal with so many colours.
pub fn lower(buffer: &mut Buffer, look: Look, depth: Depth) {
    if (look, depth) == (Look::Dark, Depth::Full) {
        return;
    }
    let paint = |color: Color| {
        let known = THEME.inks().find(|ink| ink.full == color);
        let painted = known.map_or(color, |ink| look.paint(ink));
        match (depth, painted) {
            (Depth::None, _) => Color::Reset,
            (Depth::Sixteen, Color::Rgb(r, g, b)) => {
                known.map_or_else(|| nearest_plain(r, g, b), |ink| ink.plain)
            }
            (Depth::Palette, Color::Rgb(r, g, b)) => Color::Indexed(nearest(r, g, b)),
            _ => painted,
        }
    };
    for cell in &mut buffer.content {
        // Its colour is the number of an image.
        if pixels::is_placeholder(cell.symbol()) {
            continue;
        }
        if cell.fg != Color::Reset {
            cell.fg = paint(cell.fg);
        }
        if cell.bg != Color::Reset {
            cell.bg = paint(cell.bg);
        }
    }
}

/// The nearest colour of xterm's 6×6×6 cube.
fn nearest(r: u8, g: u8, b: u8) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |x: u8| (0..6).min_by_key(|&i| LEVELS[usize::from(i)].abs_diff(x)).unwrap_or(0);
    let (i, j, k) = (level(r), level(g), level(b));
    16 + 36 * i + 6 * j + k
}

/// The nearest of the sixteen, as xterm paints them.
fn nearest_plain(r: u8, g: u8, b: u8) -> Color {
    const PLAIN: [(u8, u8, u8, Color); 16] = [
        (0, 0, 0, Color::Black),
        (205, 0, 0, Color::Red),
        (0, 205, 0, Color::Green),
        (205, 205, 0, Color::Yellow),
        (0, 0, 238, Color::Blue),
        (205, 0, 205, Color::Magenta),
        (0, 205, 205, Color::Cyan),
        (229, 229, 229, Color::Gray),
        (127, 127, 127, Color::DarkGray),
        (255, 0, 0, Color::LightRed),
        (0, 255, 0, Color::LightGreen),
        (255, 255, 0, Color::LightYellow),
        (92, 92, 255, Color::LightBlue),
        (255, 0, 255, Color::LightMagenta),
        (0, 255, 255, Color::LightCyan),
        (255, 255, 255, Color::White),
    ];
    let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
    let far = |c: &&(u8, u8, u8, Color)| square(c.0, r) + square(c.1, g) + square(c.2, b);
    PLAIN.iter().min_by_key(far).map_or(Color::Gray, |c| c.3)
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
        lower(&mut sixteen, Look::Dark, Depth::Sixteen);
        assert_eq!((sixteen[(0, 0)].fg, sixteen[(1, 0)].fg), (Color::Red, Color::LightRed));
        lower(&mut buffer, Look::Dark, Depth::None);
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset));
        assert_eq!(buffer[(1, 0)].modifier, Modifier::BOLD);
    }

    #[test]
    fn themes_repaint_and_are_named() {
        let mut buffer = Buffer::with_lines(["ab"]);
        buffer[(0, 0)].set_style(fg(THEME.good));
        buffer[(1, 0)].set_style(fg(THEME.faint));
        let painted = |look: Look, depth: Depth| {
            let mut buffer = buffer.clone();
            lower(&mut buffer, look, depth);
            (buffer[(0, 0)].fg, buffer[(1, 0)].fg)
        };
        assert_eq!(painted(Look::Dark, Depth::Full).0, THEME.good.full);
        assert_eq!(painted(Look::Light, Depth::Full).0, Color::Rgb(42, 110, 73));
        assert_eq!(painted(Look::Safe, Depth::Full).0, Color::Rgb(0, 114, 178));
        assert_eq!(painted(Look::Dark, Depth::Palette).0, Color::Indexed(16 + 36 + 6 * 3 + 1));
        assert_eq!(named("safe"), Ok(Look::Safe));
        assert_eq!(named("pink").unwrap_err(), "found pink, allowed: dark, light, safe");
        let light = |value: &'static str| Look::detect(move |_| Some(value.to_owned()));
        assert_eq!(
            [light("0;15"), light("15;0"), light("x")],
            [Look::Light, Look::Dark, Look::Dark]
        );
    }

    #[test]
    fn the_environment_says_how_many_colours() {
        let of = |vars: &'static [(&str, &str)]| {
            Depth::detect(|name| {
                vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[("TERM", "xterm")]), Depth::Sixteen);
        assert_eq!(of(&[("TERM", "xterm-256color")]), Depth::Palette);
        assert_eq!(of(&[("TERM", "xterm"), ("COLORTERM", "truecolor")]), Depth::Full);
        assert_eq!(of(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Depth::None);
        assert_eq!(of(&[("COLORTERM", "truecolor"), ("NO_COLOR", "")]), Depth::Full);
    }
}
