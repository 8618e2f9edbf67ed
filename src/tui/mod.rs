//! The screens: looks and asks. Quitting it stops nothing.
//!
//! ```text
//! keys, signals, hang-up ─┐                    ┌─> screens::draw (state in, cells out)
//!                         ├─> Event ─> App::update ─> Effect ─> loop, store thread
//! store thread ───────────┘        (pure)                             │
//!        ^────────────────────────── Ask ─────────────────────────────┘
//! ```
//!
//! [`event`] is everything that can happen, [`keys`] everything that a person can ask for with its keys, [`app`] the
//! pure update, [`effect`] what follows from it. [`screens`] and [`widgets`] draw, photographs by [`pixels`]; [`feed`] is the
//! only part that talks to the run log, the queue, the data sets and the machine, [`terminal`] and, before it, [`query`] the
//! only ones that talk to the terminal.

pub mod app;
pub mod ascii;
pub mod curves;
pub mod effect;
pub mod event;
pub mod feed;
pub mod figures;
pub mod images;
pub mod inspect;
pub mod keys;
pub mod machine;
pub mod memory;
pub mod pixels;
pub mod query;
pub mod screens;
pub mod terminal;
pub mod theme;
pub mod widgets;

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::lab::Home;

use app::App;
use effect::Effect;
use event::Event;
use feed::Feed;
use keys::{Keymap, KeysError};
use screens::charts::Cache;
use terminal::Screen;
use theme::Look;

/// Shortest time between two frames: 30 a second.
const FRAME: Duration = Duration::from_millis(33);

/// Times on screen move this often.
const TICK: Duration = Duration::from_secs(1);

/// How long leaving waits for requests that are under way.
const PATIENCE: Duration = Duration::from_millis(700);

/// How the screens are opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Look, but ask for nothing.
    pub readonly: bool,
    /// The theme; else the one remembered, else by the terminal's background, as far as it tells.
    pub look: Option<Look>,
    /// Draw with ASCII characters alone.
    pub ascii: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    #[error("the terminal cannot be used: {0}")]
    Terminal(io::Error),
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl TuiError {
    /// Whether a person can do something about it.
    pub fn is_curable(&self) -> bool {
        matches!(self, TuiError::Keys(_))
    }
}

/// Opens the screens on a lab and stays until `q`, a signal or the loss of the terminal; none of them stops a run.
pub fn run(home: &Home, options: Options) -> Result<(), TuiError> {
    let keymap = Keymap::load(keys::key_file(|name| std::env::var(name).ok()))?;
    let (sender, events) = mpsc::channel();
    terminal::install_panic_hook(sender.clone());
    let mut screen = Screen::enter(options.ascii).map_err(TuiError::Terminal)?;
    // The run log is read while the terminal answers.
    let feed = Feed::start(home.clone(), options, sender.clone()).map_err(TuiError::Thread)?;
    // Before keys are read: the answers come the same way.
    let answers = query::ask();
    // A terminal that does not know a question may have printed it.
    screen.forget().map_err(TuiError::Terminal)?;
    terminal::listen(&sender, query::Late::new(&answers)).map_err(TuiError::Thread)?;
    for key in answers.typed.iter().filter_map(|c| keys::key_named(&c.to_string())) {
        drop(sender.send(Event::Key(key)));
    }
    let size = screen.size().map_err(TuiError::Terminal)?;
    let mut app = App::new(home.root().display().to_string(), options.readonly, size, keymap);
    let environment = |name: &str| std::env::var(name).ok();
    let detected = answers.look().unwrap_or_else(|| Look::detect(environment));
    app.look = options.look.unwrap_or(detected);
    app.graphics = answers.graphics(environment("INSTDISC_LAB_IMAGES").as_deref());
    app.look_given = options.look.is_some();
    app.images.map.marks = !screen.has_colours();
    // A terminal that fails while it is drawn on is gone, and nobody is left to be told.
    let drawn = attend(&mut screen, &mut app, &events, &feed);
    drop(screen);
    feed.finish(PATIENCE);
    if drawn.is_ok() {
        farewell(&app);
    }
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The loop: wait, update, carry out, draw when something changed.
fn attend(
    screen: &mut Screen,
    app: &mut App,
    events: &Receiver<Event>,
    feed: &Feed,
) -> io::Result<()> {
    let mut cache = Cache::default();
    let mut drawn: Option<Instant> = None;
    let mut ticked = Instant::now();
    loop {
        let since = drawn.map_or(FRAME, |at| at.elapsed());
        if app.dirty && since >= FRAME {
            screen.draw(app.look, |area, buf| screens::draw(app, area, buf, &mut cache))?;
            app.dirty = false;
            drawn = Some(Instant::now());
        }
        let wait = match (app.dirty, app.is_moving()) {
            (true, _) => FRAME.saturating_sub(since),
            (false, true) => TICK.saturating_sub(ticked.elapsed()),
            (false, false) => Duration::MAX,
        };
        let first = match wait {
            Duration::MAX => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            _ => events.recv_timeout(wait),
        };
        let first = match first {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        // What has piled up is taken in before the next frame, but never for ever.
        for event in first.into_iter().chain(events.try_iter().take(512)) {
            if matches!(event, Event::HangUp) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let effects = app.update(event, now_ms());
            if carry_out(effects, screen, app, events, feed)?.is_break() {
                return Ok(());
            }
        }
        if app.is_moving() && ticked.elapsed() >= TICK {
            ticked = Instant::now();
            let effects = app.update(Event::Tick, now_ms());
            if carry_out(effects, screen, app, events, feed)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// Does what an update leads to; breaks where that is to leave.
fn carry_out(
    effects: Vec<Effect>,
    screen: &mut Screen,
    app: &mut App,
    events: &Receiver<Event>,
    feed: &Feed,
) -> io::Result<ControlFlow<()>> {
    for effect in effects {
        match effect {
            Effect::Quit => return Ok(ControlFlow::Break(())),
            Effect::Redraw => screen.forget()?,
            Effect::Suspend => {
                let meanwhile = suspend(screen, app, events)?;
                if carry_out(meanwhile, screen, app, events, feed)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Effect::Copy(text) => screen.copy(&text)?,
            Effect::Transmit(text) => screen.transmit(&text)?,
            Effect::Notify(notice) => screen.notify(&notice)?,
            Effect::Mouse(ours) => screen.mouse(ours)?,
            Effect::Ask(ask) => feed.ask(ask),
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Stops until the shell continues us; what is to be done then.
fn suspend(
    screen: &mut Screen,
    app: &mut App,
    events: &Receiver<Event>,
) -> io::Result<Vec<Effect>> {
    screen.suspend()?;
    let mut effects = until_continued(app, events)?;
    screen.resume()?;
    let (width, height) = screen.size()?;
    effects.extend(app.update(Event::Resize(width, height), now_ms()));
    Ok(effects)
}

/// The stop may arrive a moment after it was sent: the signal that ends it is waited for, within bounds, before the
/// terminal is taken again. What comes in meanwhile is taken in, and what it leads to is done afterwards: the terminal is
/// the shell's, but whatever the app has recorded as asked for must be asked.
fn until_continued(app: &mut App, events: &Receiver<Event>) -> io::Result<Vec<Effect>> {
    let mut effects = Vec::new();
    let limit = Instant::now() + TICK;
    while let Ok(event) = events.recv_timeout(limit.saturating_duration_since(Instant::now())) {
        let over = match event {
            Event::HangUp => return Err(io::ErrorKind::BrokenPipe.into()),
            Event::Continued => true,
            _ => false,
        };
        effects.extend(app.update(event, now_ms()));
        if over {
            break;
        }
    }
    Ok(effects)
}

/// Says on the shell's own screen what goes on.
fn farewell(app: &App) {
    use io::Write;
    let active = app.rows.iter().filter(|row| row.state.is_active()).count();
    let queued =
        app.rows.iter().filter(|row| row.state == crate::store::model::State::Queued).count();
    if active + queued > 0 {
        let text = format!("{active} running, {queued} queued: they go on without this screen.");
        drop(writeln!(io::stdout(), "{text}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::model::RunRow;
    use effect::Ask;
    use event::Data;
    use keys::{Keymap, key_named};

    #[test]
    fn what_is_led_to_while_we_are_stopped_is_done_afterwards() {
        let mut app = App::new("/lab".into(), false, (80, 24), Keymap::default());
        let (sender, events) = mpsc::channel();
        let row = RunRow::queued("demo-aaaaaaaa", 0, Default::default(), Default::default());
        sender.send(Event::Data(Data::Runs(vec![row]))).unwrap();
        sender.send(Event::Key(key_named("5").unwrap())).unwrap();
        sender.send(Event::Continued).unwrap();
        sender.send(Event::Key(key_named("1").unwrap())).unwrap();
        let effects = until_continued(&mut app, &events).unwrap();
        // The app believes that this was asked: nothing would ask again.
        let asked = Effect::Ask(Ask::Inspect(Some("demo-aaaaaaaa".into())));
        assert!(effects.contains(&asked), "{effects:?}");
        assert_eq!(effects.last(), Some(&Effect::Redraw));
        assert!(events.try_recv().is_ok(), "what comes later is the loop's");
        drop(sender.send(Event::HangUp));
        assert!(until_continued(&mut app, &events).is_err());
    }
}
