//! The real program in a real pseudo-terminal, and what a person would see there.

use std::io::{Read, Write};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use super::wait_for;

/// What has come out of the program so far.
struct Seen {
    /// Nobody listens any more.
    over: bool,
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

/// `instdisc-lab` on a terminal of its own. Killed when dropped.
pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn Write + Send>>,
    pub child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

impl Terminal {
    /// Starts the program in the folder `cwd`, whose `home` is the lab.
    pub fn start(cwd: &Path, columns: u16, rows: u16, args: &[&str], env: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_instdisc-lab"));
        command.arg("--home");
        command.arg(cwd.join("home"));
        command.args(args);
        command.cwd(cwd);
        command.env_remove("NO_COLOR");
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let seen = Seen {
            over: false,
            screen: vt100::Parser::new(cells(rows), cells(columns), 0),
            bytes: Vec::new(),
        };
        let seen = Arc::new(Mutex::new(seen));
        let output = pair.master.try_clone_reader().unwrap();
        let into = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            let mut output = output;
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                let mut seen = into.lock().unwrap();
                seen.screen.process(&bytes[..n]);
                seen.bytes.extend_from_slice(&bytes[..n]);
                if seen.over {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: Some(pair.master), keys: Some(keys), child, seen }
    }

    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// Everything that was written to the terminal.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Waits until the screen shows `text`. Fails with the screen as it is then.
    pub fn shows(&mut self, text: &str) -> &mut Self {
        let shown = || wait_for(&format!("{text:?} on screen"), || self.screen().contains(text));
        if let Err(failure) = catch_unwind(AssertUnwindSafe(shown)) {
            eprintln!("{}", self.screen());
            resume_unwind(failure);
        }
        self
    }

    /// Types `keys`, as bytes.
    pub fn types(&mut self, keys: &str) -> &mut Self {
        let out = self.keys.as_mut().unwrap();
        out.write_all(keys.as_bytes()).unwrap();
        out.flush().unwrap();
        self
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.seen.lock().unwrap().screen.screen_mut().set_size(cells(rows), cells(columns));
        self.master.as_ref().unwrap().resize(size(columns, rows)).unwrap();
    }

    /// Modes of the terminal's line discipline, in words.
    pub fn modes(&self) -> String {
        format!("{:?}", self.master.as_ref().unwrap().get_termios().unwrap().local_flags)
    }

    /// Whether the program has given the screen back: normal screen, cursor visible.
    pub fn is_given_back(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        !seen.screen.screen().alternate_screen() && !seen.screen.screen().hide_cursor()
    }

    /// The terminal vanishes, as when a window is closed: all that held it lets go. The thread that reads does so at
    /// the next output, which a key brings about.
    pub fn hang_up(&mut self) {
        self.seen.lock().unwrap().over = true;
        self.types("?");
        let held = Arc::clone(&self.seen);
        wait_for("the reader to let go", || Arc::strong_count(&held) == 2);
        self.keys = None;
        self.master = None;
    }

    /// Waits for the program to end.
    pub fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the end of the program", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
