//! What surrounds every screen: tabs, palette, help, keys, freezing, messages.

use super::*;

#[test]
fn tabs_turn_by_digit_and_by_tab() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("2");
    assert_eq!(lab.app.tab, Tab::Charts);
    lab.keys("tab");
    assert_ne!(lab.app.tab, Tab::Charts);
    lab.keys("shift-tab esc");
    assert_eq!(lab.app.tab, Tab::Runs, "esc leads back to the runs");
    for at in 0..Tab::ALL.len() {
        lab.keys(&format!("{}", at + 1));
        assert_eq!(lab.app.tab, Tab::ALL[at]);
        let screen = lab.screen();
        assert!(screen.lines().next().unwrap().contains(Tab::ALL[at].title()), "{screen}");
    }
}

#[test]
fn the_palette_finds_completes_and_recalls_commands() {
    let mut lab = Lab::with(sweep(), 120, 40);
    let screen = lab.keys(": b a s").screen();
    assert!(screen.contains("pin as the baseline"), "{screen}");
    lab.keys("enter");
    assert!(lab.app.baseline().is_some());
    // Words of the explanation find it too.
    assert!(lab.keys(": c h e c k p o i n t").screen().contains("pause at a checkpoint"));
    lab.keys("esc : g r o tab l a m tab enter");
    assert_eq!(lab.app.table.group(), Some("objective.lambda"));
    lab.keys(": up up");
    let Layer::Palette(palette) = &lab.app.layer else { panic!("no palette") };
    assert_eq!(palette.line.text(), "baseline");
    lab.keys("esc : n o n s e n s e enter");
    assert!(lab.screen().contains("nonsense is no command of the runs screen"));
}

#[test]
fn the_help_page_lists_the_registry_and_is_searched() {
    let mut lab = Lab::with(sweep(), 120, 80);
    let screen = lab.keys("?").screen();
    for binding in keys::KEYS.iter().filter(|key| key.scope == Scope::Runs && !key.help.is_empty())
    {
        assert!(screen.contains(binding.help), "{}\n{screen}", binding.help);
    }
    let screen = lab.keys("c h e c k p o i n t").screen();
    assert!(
        screen.contains("pause at a checkpoint") && !screen.contains("half a page"),
        "{screen}"
    );
    lab.keys("esc");
    assert!(lab.screen().contains("half a page down"));
    assert!(!lab.keys("esc").screen().contains("half a page down"));
}

#[test]
fn a_narrow_help_page_cuts_nothing() {
    let mut lab = Lab::with(sweep(), 60, 24);
    let screen = lab.keys("? t h r e e").screen();
    let words: Vec<&str> =
        screen.lines().flat_map(|line| line.trim_matches(['│', ' ']).split_whitespace()).collect();
    let said = words.join(" ");
    assert!(said.contains("it requeues itself, at most three times"), "{screen}");
    let lost = screen.lines().find(|line| line.contains("? lost")).unwrap();
    assert!(lost.starts_with('│') && lost.ends_with('│'), "nothing shows at its sides\n{screen}");
}

#[test]
fn a_begun_sequence_shows_how_it_may_go_on() {
    let mut lab = Lab::with(sweep(), 120, 40);
    assert!(lab.keys("g").screen().lines().last().unwrap().contains("g first"));
}

#[test]
fn other_keys_are_shown_and_obeyed() {
    let mut lab = Lab::with(sweep(), 120, 60);
    lab.app.keymap = Keymap::remapped("keys.toml", "[runs]\npause = \"ctrl-p\"").unwrap();
    lab.keys("p");
    assert_eq!(lab.last_request(), None);
    lab.keys("ctrl-p");
    assert_eq!(lab.last_request(), Some(&Request::Pause(vec!["demo-aaaaaaaa".into()])));
    assert!(lab.keys("?").screen().contains("ctrl-p            pause at a checkpoint"));
}

#[test]
fn a_frozen_screen_says_so_and_catches_up() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("F");
    lab.event(Event::Data(Data::Runs(Vec::new())));
    lab.points("demo-aaaaaaaa", "loss", &[8.0, 7.0]);
    assert!(lab.screen().contains("FROZEN +2"));
    assert_eq!(lab.app.rows.len(), 4);
    lab.keys("F");
    assert!(lab.app.rows.is_empty() && !lab.screen().contains("FROZEN"));
}

#[test]
fn messages_go_away_and_an_idle_screen_is_not_drawn() {
    let mut finished = sweep();
    finished.retain(|row| !row.state.is_active());
    let mut lab = Lab::with(finished, 80, 24);
    lab.keys("p");
    assert!(lab.app.is_moving());
    drop(lab.app.update(Event::Tick, 20_000));
    assert!(lab.app.toast.is_none() && !lab.app.is_moving());
    lab.app.dirty = false;
    drop(lab.app.update(Event::Tick, 21_000));
    assert!(!lab.app.dirty);
}

#[test]
fn a_message_stays_on_its_screen() {
    let mut lab = Lab::with(sweep(), 80, 24);
    let foot = |lab: &Lab| lab.screen().lines().last().unwrap().to_owned();
    lab.keys("j p");
    assert!(foot(&lab).contains("nothing to pause"));
    lab.keys("2");
    assert!(foot(&lab).contains("crosshair") && !foot(&lab).contains("pause"), "{}", foot(&lab));
    // An answer that comes later is news wherever one is.
    lab.event(Event::Data(Data::Answer { done: true, text: "demo: 4 runs queued".into() }));
    assert!(foot(&lab).contains("4 runs queued"));
}

#[test]
fn trouble_with_the_run_log_is_said_and_forgotten() {
    let mut lab = Lab::with(sweep(), 80, 24);
    lab.event(Event::Data(Data::Trouble("the run log is locked".into())));
    assert!(lab.screen().contains("! the run log is locked; trying again"));
    assert!(!lab.event(Event::Data(Data::Runs(sweep()))).screen().contains("locked"));
}
