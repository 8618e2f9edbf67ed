//! What the terminal can say about itself: whether its ground is dark or light, and how it shows images.
//!
//! Asked once, before keys are read, and never waited for longer than a moment. Device attributes come last, because every
//! terminal answers them: their answer ends the wait. A line that is slower than that sends its answers among the keys,
//! where [`Late`] takes them out again.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::pixels::Graphics;
use super::theme::Look;

/// How long all answers may take together: a slow line, or a terminal that has just been opened on a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long answers may come too late.
const LATE: Duration = Duration::from_secs(10);

/// The background's colour (OSC 11); one pixel in kitty's protocol, to be judged and not shown; the terminal's name
/// (XTVERSION); pixels of a cell; device attributes.
const QUESTIONS: &str =
    "\x1b]11;?\x1b\\\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[16t\x1b[c";

/// Terminals that place images by placeholder characters, from this version on. Others, and kitty before, answer that they
/// know kitty's graphics, and show boxes.
const PLACEHOLDERS: [(&str, (u32, u32)); 2] = [("kitty", (0, 28)), ("ghostty", (1, 0))];

/// Terminals with iTerm2's inline images, which are sharper than sixels.
const INLINE: [&str; 2] = ["iterm2", "wezterm"];

/// Terminals whose sixels do not stay within their cells.
const BAD_SIXELS: [&str; 1] = ["konsole"];

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// Red, green and blue of the background, each in [0, 1].
    pub background: Option<[f64; 3]>,
    /// Kitty's graphics are understood, as far as the terminal says.
    pub kitty: bool,
    pub sixel: bool,
    /// What the terminal calls itself, in small letters.
    pub name: String,
    /// Pixels of a cell, across and down.
    pub cell: Option<(u16, u16)>,
    /// The last question was answered.
    pub complete: bool,
    /// What was typed meanwhile.
    pub typed: Vec<char>,
}

impl Answers {
    /// The theme for this background.
    pub fn look(&self) -> Option<Look> {
        let [r, g, b] = self.background?;
        // Relative luminance, near enough without undoing gamma: grounds are far from the middle.
        let light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
        Some(if light > 0.5 { Look::Light } else { Look::Dark })
    }

    /// How images are shown; `wanted` overrules what the terminal said (`blocks`, `kitty`, `iterm`, `sixel`).
    pub fn graphics(&self, wanted: Option<&str>) -> Graphics {
        // What a cell of a terminal with a font of usual size has.
        let sixel = Graphics::Sixel { cell: self.cell.unwrap_or((10, 20)) };
        match wanted {
            Some("blocks") => Graphics::Blocks,
            Some("kitty") => Graphics::Kitty,
            Some("iterm") => Graphics::Iterm,
            Some("sixel") => sixel,
            _ if self.kitty
                && PLACEHOLDERS.iter().any(|&(name, from)| self.is_from(name, from)) =>
            {
                Graphics::Kitty
            }
            _ if self.is_one_of(&INLINE) => Graphics::Iterm,
            _ if self.sixel && self.cell.is_some() && !self.is_one_of(&BAD_SIXELS) => sixel,
            _ => Graphics::Blocks,
        }
    }

    /// Whether it is this terminal, in this version or a later one.
    fn is_from(&self, name: &str, from: (u32, u32)) -> bool {
        let Some(rest) = self.name.strip_prefix(name) else { return false };
        let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        let mut next = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        from <= (next(), next())
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.name.starts_with(name))
    }
}

/// Asks the terminal outside the screens; what is typed meanwhile is lost.
pub fn ask_aside() -> Answers {
    if crossterm::terminal::enable_raw_mode().is_err() {
        return Answers::default();
    }
    let answers = ask();
    drop(crossterm::terminal::disable_raw_mode());
    answers
}

/// Asks the terminal, which is in raw mode already. Without a terminal at both ends nothing is asked.
pub fn ask() -> Answers {
    let (stdin, mut stdout) = (io::stdin(), io::stdout());
    if !stdin.is_terminal() || !stdout.is_terminal() {
        return Answers { complete: true, ..Answers::default() };
    }
    let sent = stdout.write_all(QUESTIONS.as_bytes()).and_then(|()| stdout.flush());
    let deadline = Instant::now() + PATIENCE;
    let mut read = Vec::new();
    let mut answers = Answers::default();
    while sent.is_ok() && !answers.complete {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
        match rustix::event::poll(&mut watched, Some(&wait)) {
            Ok(1..) => {}
            Err(rustix::io::Errno::INTR) => continue,
            _ => break,
        }
        let mut bytes = [0u8; 1024];
        // Past the buffer of `Stdin`: what is read here must not wait for a line, nor be kept from the keys.
        match rustix::io::read(&stdin, &mut bytes) {
            Ok(n @ 1..) => read.extend_from_slice(&bytes[..n]),
            _ => break,
        }
        answers = parse(&read);
    }
    answers
}

/// Reads answers out of what the terminal sent.
fn parse(bytes: &[u8]) -> Answers {
    let text = String::from_utf8_lossy(bytes);
    let mut answers = Answers::default();
    let mut rest = text.as_ref();
    while let Some(c) = rest.chars().next() {
        let body = |skip: usize, ends: &[&str]| -> Option<(&str, usize)> {
            let after = &rest[skip..];
            let end = ends.iter().filter_map(|end| Some((after.find(end)?, end.len()))).min()?;
            Some((&after[..end.0], skip + end.0 + end.1))
        };
        if let Some((said, length)) =
            rest.starts_with("\x1b]").then(|| body(2, &["\x1b\\", "\x07"])).flatten()
        {
            answers.background = said.strip_prefix("11;").and_then(colour).or(answers.background);
            rest = &rest[length..];
        } else if let Some((said, length)) =
            rest.starts_with("\x1b_").then(|| body(2, &["\x1b\\"])).flatten()
        {
            answers.kitty |= said.starts_with("Gi=31") && said.ends_with(";OK");
            rest = &rest[length..];
        } else if let Some((said, length)) =
            rest.starts_with("\x1bP").then(|| body(2, &["\x1b\\"])).flatten()
        {
            answers.name = said.strip_prefix(">|").unwrap_or_default().to_lowercase();
            rest = &rest[length..];
        } else if let Some(said) = rest.strip_prefix("\x1b[") {
            let Some(end) = said.find(|c: char| ('@'..='~').contains(&c)) else { break };
            let (numbers, kind) = (&said[..end], &said[end..=end]);
            if let (Some(attributes), "c") = (numbers.strip_prefix('?'), kind) {
                answers.complete = true;
                answers.sixel = attributes.split(';').any(|attribute| attribute == "4");
            }
            if let (Some(size), "t") = (numbers.strip_prefix("6;"), kind)
                && let Some((high, wide)) = size.split_once(';')
            {
                let pixels = wide.parse().ok().zip(high.parse().ok());
                answers.cell = pixels.filter(|&(wide, high)| wide > 0u16 && high > 0u16);
            }
            rest = &said[end + 1..];
        } else {
            // What is typed ahead counts; a sequence cut off waits for its end.
            if c == '\x1b' {
                break;
            }
            answers.typed.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    answers
}

/// `rgb:1e1e/1e1e/2e2e`, with one to four digits a channel.
fn colour(text: &str) -> Option<[f64; 3]> {
    let text = text.strip_prefix("rgb:").or_else(|| text.strip_prefix("rgba:"))?;
    let channel = |digits: &str| {
        let most = 16f64.powi(i32::try_from(digits.len()).ok()?) - 1.0;
        Some(f64::from(u32::from_str_radix(digits, 16).ok()?) / most)
    };
    let mut channels = text.split('/').map(channel);
    Some([channels.next()??, channels.next()??, channels.next()??])
}

/// Takes late answers out of the keys. To the reader of keys they begin with alt-], alt-_ or alt-P and end with alt-\ or
/// ctrl-g.
pub struct Late {
    until: Option<Instant>,
    inside: bool,
}

impl Late {
    pub fn new(answers: &Answers) -> Self {
        Self { until: (!answers.complete).then(|| Instant::now() + LATE), inside: false }
    }

    /// Whether this was typed.
    pub fn is_typed(&mut self, key: KeyEvent) -> bool {
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let over = self.until.is_none_or(|until| Instant::now() > until);
        if over {
            (self.until, self.inside) = (None, false);
            return true;
        }
        match key.code {
            KeyCode::Char(']' | '_' | 'P') if alt => self.inside = true,
            KeyCode::Char('\\') if alt && self.inside => self.inside = false,
            KeyCode::Char('g') if self.inside && key.modifiers.contains(KeyModifiers::CONTROL) => {
                self.inside = false;
            }
            _ => return !self.inside,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modern_terminal_says_it_all_and_what_is_typed_is_kept() {
        let said = "\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\j\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.35.2)\x1b\\\x1b[6;36;17t2\x1b[?62;4;22c";
        let answers = parse(said.as_bytes());
        assert_eq!(answers.look(), Some(Look::Light));
        assert_eq!(answers.graphics(None), Graphics::Kitty);
        assert_eq!((answers.cell, answers.complete), (Some((17, 36)), true));
        assert_eq!(answers.typed, ['j', '2']);
        assert_eq!(answers.graphics(Some("sixel")), Graphics::Sixel { cell: (17, 36) });
        assert_eq!(answers.graphics(Some("blocks")), Graphics::Blocks);
    }

    #[test]
    fn terminals_that_promise_too_much_are_known_by_name() {
        let of = |name: &str| {
            let said = format!("\x1b_Gi=31;OK\x1b\\\x1bP>|{name}\x1b\\\x1b[6;20;10t\x1b[?62;4c");
            parse(said.as_bytes()).graphics(None)
        };
        let sixel = Graphics::Sixel { cell: (10, 20) };
        assert_eq!(
            [
                "kitty(0.28.1)",
                "kitty(0.26.5)",
                "ghostty 1.1",
                "WezTerm 20240203",
                "iTerm2 3.5.0",
                "foot(1.16)",
                "Konsole 24.08"
            ]
            .map(of),
            [
                Graphics::Kitty,
                sixel,
                Graphics::Kitty,
                Graphics::Iterm,
                Graphics::Iterm,
                sixel,
                Graphics::Blocks
            ]
        );
    }

    #[test]
    fn poorer_ones_say_less_and_half_an_answer_is_awaited() {
        let xterm = parse(b"\x1b]11;rgb:00/00/00\x07\x1b_Gi=31;ENOTSUPPORTED\x1b\\\x1b[?63;1;2;4c");
        assert_eq!(xterm.look(), Some(Look::Dark));
        // Without the size of a cell sixels would not fit theirs.
        assert_eq!((xterm.sixel, xterm.graphics(None)), (true, Graphics::Blocks));
        let console = parse(b"\x1b[?6c");
        assert_eq!((console.look(), console.complete, console.sixel), (None, true, false));
        for cut in ["", "\x1b", "\x1b]11;rgb:ff", "\x1b[?62;4"] {
            assert!(!parse(cut.as_bytes()).complete, "{cut:?}");
        }
        assert_eq!(parse(b"\x1b]11;rgb:zz/0/0\x07\x1b[?1c").background, None);
    }

    #[test]
    fn answers_that_come_too_late_are_no_keys() {
        let key = |c: char, modifiers| KeyEvent::new(KeyCode::Char(c), modifiers);
        let plain = |c: char| key(c, KeyModifiers::NONE);
        let said =
            [key(']', KeyModifiers::ALT), plain('1'), plain('x'), key('\\', KeyModifiers::ALT)];
        let mut late = Late::new(&Answers::default());
        assert!(late.is_typed(plain('q')));
        assert!(said.iter().all(|&key| !late.is_typed(key)));
        assert!(late.is_typed(plain('q')));
        // Who has answered in time types what he types.
        let mut none = Late::new(&Answers { complete: true, ..Answers::default() });
        assert!(said.iter().all(|&key| none.is_typed(key)));
    }
}
