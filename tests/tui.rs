//! The screens in a real pseudo-terminal: opened, used, left, and torn away.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::terminal::Terminal;
use crate::support::{self, signal, wait_for};

/// A folder with one small experiment and a lab in which no worker is ever started.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("instdisc-lab-tui-").tempdir().unwrap();
    fs::create_dir_all(dir.path().join("home")).unwrap();
    fs::write(dir.path().join("home/lab.toml"), "[workers.slots]\ncpu = 0\n").unwrap();
    fs::create_dir(dir.path().join("experiments")).unwrap();
    let experiment = "name = \"sweep\"\nquestion = \"Does lambda smooth training?\"\n\
        [base]\ndata.dataset = \"shapes\"\nobjective = { kind = \"nce\", m = 16 }\n\
        [grid]\n\"objective.lambda\" = [0, 10, 30]\n";
    fs::write(dir.path().join("experiments/sweep.toml"), experiment).unwrap();
    fs::write(dir.path().join("experiments/wrong.toml"), "name = \"wrong\"\nbogus = 1\n").unwrap();
    dir
}

#[test]
fn opens_on_an_empty_lab_and_q_gives_the_terminal_back() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.").shows("q quit");
    assert!(!terminal.is_given_back());
    let raw = terminal.modes();
    assert!(!raw.contains("ICANON") && !raw.contains("ECHO |"), "{raw}");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    wait_for("the normal screen", || terminal.is_given_back());
    let modes = terminal.modes();
    assert!(modes.contains("ICANON") && modes.contains("ECHO"), "{modes}");
}

/// A lab that is made where somebody stands by mistake would hide the right one from then on.
#[test]
fn a_look_where_no_lab_is_makes_none_and_the_first_grid_does() {
    let dir = folder();
    let home = dir.path().join("home");
    fs::remove_dir_all(&home).unwrap();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal
        .shows("This lab has no runs yet.")
        .types("7")
        .shows("where the lab lies")
        .types("1")
        .shows("This lab has no runs yet.");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    assert!(!home.exists(), "{:?}", fs::read_dir(&home).unwrap().collect::<Vec<_>>());
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("lab.toml"), "[workers.slots]\ncpu = 0\n").unwrap();
    let mut terminal = Terminal::start(dir.path(), 100, 30, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    terminal.types("a").shows("makes 3 runs").types("\r").shows("sweep: 3 runs queued");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    assert!(home.join("lab.db").exists());
}

#[test]
fn a_grid_is_queued_paused_resumed_and_cancelled_by_keyboard() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 100, 30, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    terminal.types("a").shows("makes 3 runs").shows("lambda=30").shows("cannot be queued");
    terminal.types("\r").shows("sweep: 3 runs queued").shows("○ 3 queued");
    terminal.types("p").shows("is paused").shows("‖ 1 paused");
    terminal.types("r").shows("○ 3 queued");
    terminal.types(" x").shows("cancel sweep-").types("y").shows("- 1 cancelled");
    terminal.types("*/state:queued\r").shows("2 of 3 runs");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    terminal.shows("2 queued: they go on without this screen.");
}

#[test]
fn a_redrawn_screen_is_whole_and_lives_on() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    let before = terminal.bytes().len();
    terminal.types("\u{c}");
    wait_for("every cell again", || {
        String::from_utf8_lossy(&terminal.bytes()[before..]).contains("This lab has no runs yet.")
    });
    terminal.types("?").shows("type to search").types("\u{1b}").shows("q quit");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn a_key_file_is_obeyed_and_its_mistakes_are_named() {
    let dir = folder();
    let keys = dir.path().join("keys.toml");
    let named = keys.to_str().unwrap();
    fs::write(&keys, "[screens]\nquit = \"ctrl-q\"\n").unwrap();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[("INSTDISC_LAB_KEYS", named)]);
    terminal.shows("ctrl-q quit").types("q?").shows("type to search");
    terminal.types("\u{1b}").shows("This lab has no runs yet.");
    assert_eq!(terminal.types("\u{11}").ends().exit_code(), 0);
    fs::write(&keys, "[runs]\npause = \"r\"\n").unwrap();
    let mut terminal = Terminal::start(dir.path(), 120, 24, &[], &[("INSTDISC_LAB_KEYS", named)]);
    terminal.shows("keys.toml:2: runs.pause: found \"r\", allowed: a key that runs.resume");
    assert_eq!(terminal.ends().exit_code(), 2);
}

#[test]
fn screens_turn_and_commands_are_typed() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 100, 30, &[], &[]);
    terminal.shows("This lab has no runs yet.").types("a").shows("makes 3 runs");
    terminal.types("\r").shows("○ 3 queued");
    terminal.types(":group la\t\r").shows("λ = 30");
    terminal.types("t").shows("tag sweep-").types("keep\r").shows("is tagged").shows("keep");
    terminal.types("u").shows("undone: tags of");
    terminal.types("D").shows("into the trash?").types("no\r").shows("nothing was deleted");
    terminal.resize(70, 20);
    terminal.types("2").types("1").shows("state");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    assert!(dir.path().join("home/screens.json").exists());
}

#[test]
fn a_key_that_comes_with_a_new_size_is_not_kept_back() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 100, 30, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    for round in 0..60 {
        let to_charts = round % 2 == 0;
        terminal.resize(100 + round % 2, 30);
        terminal.types(if to_charts { "2" } else { "1" });
        let turned = || terminal.screen().contains("crosshair") == to_charts;
        wait_for(&format!("the screen to turn, round {round}"), turned);
    }
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn the_demo_opens_recorded_runs_and_leaves_nothing_behind() {
    let dir = folder();
    let temporary = dir.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let env = [("TMPDIR", temporary.to_str().unwrap())];
    let mut terminal = Terminal::start(dir.path(), 120, 40, &["--demo"], &env);
    terminal.shows("proximal-").shows("points");
    terminal.types("3").shows("mean ± sample std").shows("knn_top1.last by objective.lambda");
    terminal.types("j2").shows("knn_top1 %").types("h").shows("● ");
    terminal.types("5").shows("against the defaults");
    // What is known of the run may come a moment later and make the sheet longer.
    wait_for("the end of the sheet", || terminal.types("G").screen().contains("to make it again"));
    terminal.types(":theme light\r").shows("theme light");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "its home is gone");
}

#[test]
fn the_demo_shows_neighbours_as_images_by_what_the_terminal_can() {
    let dir = folder();
    for (graphics, wanted) in [
        ("blocks", "▀"),
        ("kitty", "\u{1b}_Ga=T,U=1"),
        ("iterm", "\u{1b}]1337;File=inline=1"),
        ("sixel", "\u{1b}P0;1;0q"),
    ] {
        let env = [("INSTDISC_LAB_IMAGES", graphics)];
        let mut terminal = Terminal::start(dir.path(), 120, 40, &["--demo"], &env);
        terminal.shows("proximal-").types("/neighbours\r").shows("1 of 11 runs");
        terminal.types("6").shows("shapes, 1,500 images").shows("line 1 of 1,500");
        wait_for(graphics, || String::from_utf8_lossy(&terminal.bytes()).contains(wanted));
        terminal.types("l").shows("neighbour 1 of image").types("o").shows("best first");
        assert_eq!(terminal.types("q").ends().exit_code(), 0, "{graphics}");
    }
}

#[test]
fn the_machine_is_looked_at_while_somebody_looks() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 100, 30, &[], &[]);
    terminal
        .shows("This lab has no runs yet.")
        .types("7")
        .shows("load")
        .shows("where the lab lies");
    terminal.types("1").shows("This lab has no runs yet.");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn the_mouse_is_taken_and_given_back() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 100, 30, &["--demo"], &[]);
    terminal.shows("proximal-");
    let said =
        |terminal: &Terminal, what: &str| String::from_utf8_lossy(&terminal.bytes()).contains(what);
    wait_for("the mouse", || said(&terminal, "\u{1b}[?1000h"));
    // The left button on the fourth tab: columns and rows count from one.
    terminal.types("\u{1b}[<0;36;1M").shows("waiting");
    terminal.types(":mouse\r").shows("the mouse selects text");
    wait_for("the mouse to be left alone", || said(&terminal, "\u{1b}[?1000l"));
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn a_terminal_that_answers_late_types_nothing() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    assert!(String::from_utf8_lossy(&terminal.bytes()).contains("\u{1b}]11;?"), "it was asked");
    terminal.types("\u{1b}]11;rgb:fdfd/f6f6/e3e3\u{1b}\\\u{1b}_Gi=31;OK\u{1b}\\\u{1b}[?62;4c");
    // Taken for keys, the colon would have opened the palette, which `q` does not leave.
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn ascii_draws_nothing_else() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 100, 30, &["--demo", "--ascii"], &[]);
    terminal.shows("v finished").types("?").shows("+ keys");
    let screen = terminal.screen();
    let beyond: Vec<char> = screen.chars().filter(|c| !c.is_ascii()).collect();
    assert!(beyond.is_empty(), "{beyond:?} in\n{screen}");
    terminal.types("\u{1b}");
    // A q that comes with the escape is another key.
    wait_for("the help to go", || !terminal.screen().contains("+ keys"));
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn read_only_looks_and_asks_for_nothing() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &["--readonly"], &[]);
    terminal.shows("only looks (started with --readonly)");
    terminal.types("a").shows("! read only");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    assert!(!dir.path().join("home/lab.db").exists(), "looking made a run log");
}

#[test]
fn a_lab_of_somebody_else_is_looked_at() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.").types("a").shows("makes 3 runs");
    terminal.types("\r").shows("○ 3 queued");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
    // Not even root makes a file there, so that the lock cannot be taken.
    let lock = dir.path().join("home/lab.db.lock");
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("/sys/somebody-elses", &lock).unwrap();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("read only").shows("queued").types("p");
    terminal.shows("only looks (this lab cannot be written)");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn no_color_writes_no_colour() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[("NO_COLOR", "1")]);
    terminal.shows("This lab has no runs yet.").types("a").shows("makes 3 runs");
    terminal.types("\r").shows("○ 3 queued").shows("> ");
    let bytes = terminal.bytes();
    let text = String::from_utf8_lossy(&bytes);
    for colour in ["38;2", "38;5", "48;2", "48;5", "\u{1b}[31", "\u{1b}[32", "\u{1b}[36"] {
        assert!(!text.contains(colour), "{colour:?} in {text:?}");
    }
    // The selection is still seen: reversed.
    assert!(text.contains("\u{1b}[7m") || text.contains(";7m"), "{text:?}");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

#[test]
fn a_small_terminal_is_told_so_and_a_larger_one_is_used() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    terminal.resize(20, 5);
    terminal.shows("needs 60x16");
    terminal.resize(1, 1);
    terminal.resize(120, 40);
    terminal.shows("This lab has no runs yet.");
    assert_eq!(terminal.types("q").ends().exit_code(), 0);
}

/// A little above the second that the program may take, for a busy machine.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_vanished_terminal_ends_the_program() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    let began = Instant::now();
    terminal.hang_up();
    terminal.ends();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_signal_ends_the_program_and_gives_the_terminal_back() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    signal(terminal.child.process_id().unwrap(), rustix::process::Signal::TERM);
    terminal.ends();
    wait_for("the normal screen", || terminal.is_given_back());
    assert!(terminal.modes().contains("ICANON"));
}

#[test]
fn an_idle_screen_takes_no_processor_time() {
    let dir = folder();
    let mut terminal = Terminal::start(dir.path(), 80, 24, &[], &[]);
    terminal.shows("This lab has no runs yet.");
    let pid = terminal.child.process_id().unwrap();
    let (used, began) = (support::cpu_ticks(pid), Instant::now());
    // Nothing happens while the clock runs: the one thing that is waited for is time itself.
    wait_for("two seconds", || began.elapsed() > Duration::from_secs(2));
    let used = support::cpu_ticks(pid) - used;
    // A hundred ticks a second: five are 2.5 % of a core even in a debug build.
    assert!(used <= 5, "{used} ticks in {:?}", began.elapsed());
    terminal.types("q").ends();
}
