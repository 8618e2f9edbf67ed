//! The terminal itself: taking it, drawing on it, and giving it back whatever happens.
//!
//! Every step of giving back is tried by itself, because the terminal may be half dead; nothing is printed on the way,
//! because standard error may be dead too, and then printing panics.

use std::io::{self, IsTerminal, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::mpsc::Sender;

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{KeyEventKind, MouseButton, MouseEventKind};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};

use super::ascii::to_ascii;
use super::effect::Notice;
use super::event::{Event, Mouse, Press};
use super::pixels;
use super::query::Late;
use super::theme::{self, Depth, Look};

/// A terminal in raw mode on its alternate screen.
pub struct Screen {
    /// Not dropped: ratatui's destructor prints to a standard error that may be gone.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    depth: Depth,
    ascii: bool,
    mouse: bool,
}

/// Presses and the wheel, with places beyond column 223 (xterm's modes 1000 and 1006). Not the moves, which would wake the
/// program at every one.
const TAKE_MOUSE: &str = "\x1b[?1000h\x1b[?1006h";
const LEAVE_MOUSE: &str = "\x1b[?1006l\x1b[?1000l";

impl Screen {
    /// Takes the terminal; with `ascii`, nothing else is drawn on it.
    pub fn enter(ascii: bool) -> io::Result<Self> {
        take()?;
        let terminal =
            Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?;
        let depth = Depth::detect(|name| std::env::var(name).ok());
        Ok(Self { terminal: ManuallyDrop::new(terminal), depth, ascii, mouse: false })
    }

    pub fn has_colours(&self) -> bool {
        self.depth != Depth::None
    }

    /// Columns and rows.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Draws one frame; terminals that can show it at once do.
    pub fn draw(&mut self, look: Look, paint: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let (depth, ascii) = (self.depth, self.ascii);
        self.terminal.draw(|frame| {
            let area = frame.area();
            paint(area, frame.buffer_mut());
            if ascii || depth == Depth::None {
                pixels::shade(frame.buffer_mut(), look == Look::Light);
            }
            theme::lower(frame.buffer_mut(), look, depth);
            if ascii {
                to_ascii(frame.buffer_mut());
            }
        })?;
        execute!(self.terminal.backend_mut(), EndSynchronizedUpdate)
    }

    /// Forgets what is on screen, so that the next frame draws every cell. Not by ratatui's own `clear`, which asks the
    /// terminal where the cursor is: the answer would go to the thread that reads keys.
    pub fn forget(&mut self) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), terminal::Clear(terminal::ClearType::All))?;
        // The last frame stands in the buffer that is not drawn on; swapping empties it.
        self.terminal.swap_buffers();
        Ok(())
    }

    /// Hands text to the clipboard of the terminal, also over ssh (OSC 52). Inside tmux, which may keep that sequence to
    /// itself, tmux is asked to do it.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        if std::env::var_os("TMUX").is_some() && copy_by_tmux(text).is_ok() {
            return Ok(());
        }
        execute!(self.terminal.backend_mut(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Tells the terminal of images.
    pub fn transmit(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Rings, or hands words to the desktop (OSC 9). tmux keeps that sequence to itself unless it is wrapped.
    pub fn notify(&mut self, notice: &Notice) -> io::Result<()> {
        let text = match notice {
            Notice::Bell => "\x07".to_owned(),
            Notice::Desktop(words) => {
                let words: String = words.chars().filter(|c| !c.is_control()).collect();
                match std::env::var_os("TMUX") {
                    Some(_) => format!("\x1bPtmux;\x1b\x1b]9;{words}\x07\x1b\\"),
                    None => format!("\x1b]9;{words}\x07"),
                }
            }
        };
        self.transmit(&text)
    }

    /// Takes the mouse, or leaves it to the terminal.
    pub fn mouse(&mut self, ours: bool) -> io::Result<()> {
        self.mouse = ours;
        self.transmit(if ours { TAKE_MOUSE } else { LEAVE_MOUSE })
    }

    /// Gives the terminal to the shell until `fg`; the whole process group stops, so that a `make` above us does too.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        Ok(())
    }

    /// After [`Screen::suspend`].
    pub fn resume(&mut self) -> io::Result<()> {
        take()?;
        if self.mouse {
            self.transmit(TAKE_MOUSE)?;
        }
        self.forget()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// `load-buffer -w` sets tmux's own buffer and passes it on to the terminal outside.
fn copy_by_tmux(text: &str) -> io::Result<()> {
    use std::process::{Command, Stdio};
    let mut tmux = Command::new("tmux");
    tmux.args(["load-buffer", "-w", "-"]).stdin(Stdio::piped());
    let mut child = tmux.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    if child.wait()?.success() { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

fn take() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, Hide).inspect_err(|_| give_back())
}

/// Restores the terminal, best effort, as often as it is called.
pub fn give_back() {
    drop(terminal::disable_raw_mode());
    drop(execute!(io::stdout(), EndSynchronizedUpdate));
    drop(io::stdout().write_all(LEAVE_MOUSE.as_bytes()));
    drop(execute!(io::stdout(), LeaveAlternateScreen));
    drop(execute!(io::stdout(), Show));
    drop(io::stdout().flush());
}

/// Restores the terminal before a panic is printed, and ends the loop: a dead thread must not leave a screen that
/// looks alive.
pub fn install_panic_hook(events: Sender<Event>) {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        drop(events.send(Event::HangUp));
        earlier(info);
    }));
}

/// Starts the threads that turn keys, signals and a vanished terminal into events.
pub fn listen(events: &Sender<Event>, late: Late) -> io::Result<()> {
    let keys = events.clone();
    std::thread::Builder::new().name("keys".into()).spawn(move || read_keys(&keys, late))?;
    let hang_up = events.clone();
    std::thread::Builder::new()
        .name("hang-up".into())
        .spawn(move || watch_for_hang_up(&hang_up))?;
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGCONT])?;
    let caught = events.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGCONT { Event::Continued } else { Event::HangUp };
            if caught.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

fn read_keys(events: &Sender<Event>, mut late: Late) {
    loop {
        let event = match crossterm::event::read() {
            Ok(crossterm::event::Event::Key(key)) if key.kind != KeyEventKind::Release => {
                if !late.is_typed(key) {
                    continue;
                }
                Event::Key(key)
            }
            Ok(crossterm::event::Event::Mouse(mouse)) => {
                let press = match mouse.kind {
                    MouseEventKind::Down(MouseButton::Left) => Press::Left,
                    MouseEventKind::ScrollUp => Press::WheelUp,
                    MouseEventKind::ScrollDown => Press::WheelDown,
                    _ => continue,
                };
                Event::Mouse(Mouse { press, x: mouse.column, y: mouse.row })
            }
            Ok(crossterm::event::Event::Resize(width, height)) => Event::Resize(width, height),
            Ok(_) => continue,
            Err(_) => Event::HangUp,
        };
        let over = matches!(event, Event::HangUp);
        if events.send(event).is_err() || over {
            return;
        }
    }
}

/// Waits for the terminal to vanish. crossterm 0.29 would not tell: its reader spins on a dead terminal
/// (crossterm issue 793), and a SIGHUP may reach a parent only.
fn watch_for_hang_up(events: &Sender<Event>) {
    let stdin = io::stdin();
    let tty = match stdin.is_terminal() {
        true => rustix::io::dup(&stdin).ok(),
        false => std::fs::File::open("/dev/tty").ok().map(Into::into),
    };
    let Some(tty) = tty else { return };
    loop {
        // No event is asked for: hang-up and error are reported all the same, and keys do not wake this thread.
        let mut watched = [PollFd::new(&tty, PollFlags::empty())];
        match rustix::event::poll(&mut watched, None) {
            Ok(_) if watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) => {
                drop(events.send(Event::HangUp));
                return;
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        if watched[0].revents().contains(PollFlags::NVAL) {
            return;
        }
    }
}
