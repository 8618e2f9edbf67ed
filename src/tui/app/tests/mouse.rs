//! The mouse does what keys do.

use super::ablations::tabled;
use super::*;
use crate::tui::memory::Memory;

fn press(lab: &mut Lab, press: Press, x: u16, y: u16) {
    lab.event(Event::Mouse(Mouse { press, x, y }));
}

/// Where a text stands on screen.
fn place(lab: &Lab, text: &str) -> (u16, u16) {
    let screen = lab.screen();
    let (y, line) = screen.lines().enumerate().find(|(_, line)| line.contains(text)).unwrap();
    let x = line[..line.find(text).unwrap()].chars().count();
    (x as u16, y as u16)
}

#[test]
fn a_click_chooses_tabs_and_rows_and_a_second_one_opens() {
    let mut lab = tabled(120, 40);
    let (x, y) = place(&lab, "Queue");
    press(&mut lab, Press::Left, x, y);
    assert_eq!(lab.app.tab, Tab::Queue);
    let (x, y) = place(&lab, "Runs");
    press(&mut lab, Press::Left, x, y);
    let (x, y) = place(&lab, "demo-00000003");
    press(&mut lab, Press::Left, x, y);
    assert_eq!(lab.app.selected().unwrap().id, "demo-00000003");
    press(&mut lab, Press::WheelUp, x, y);
    assert_eq!(lab.app.selected().unwrap().id, "demo-00000002");
    press(&mut lab, Press::Left, x, y);
    press(&mut lab, Press::Left, x, y);
    assert_eq!(lab.app.tab, Tab::Charts);
    lab.keys("1");
    let (x, y) = place(&lab, "k-NN");
    press(&mut lab, Press::Left, x, y);
    assert!(lab.app.table.sort().0.is_some(), "a heading sorts");
}

#[test]
fn clicks_find_what_is_under_them_on_every_screen() {
    let mut lab = tabled(120, 40);
    images::show(&mut lab);
    lab.keys("3 g g");
    let (x, y) = place(&lab, "> ");
    press(&mut lab, Press::Left, x + 4, y + 1);
    assert_eq!(lab.app.ablations.cursor, 1);
    lab.keys("6");
    let (x, y) = place(&lab, "✗ star");
    press(&mut lab, Press::Left, x, y - 1);
    assert_eq!((lab.app.images.cursor, lab.app.images.at), (0, 2));
    lab.keys("5");
    press(&mut lab, Press::WheelDown, 110, 20);
    assert_eq!(lab.app.run.panel, Panel::Log);
    press(&mut lab, Press::Left, 5, 20);
    assert_eq!(lab.app.run.panel, Panel::Sheet);
    // Anywhere and anything is survived, also with a layer on top.
    for (digit, layer) in
        [("1", "?"), ("2", ":"), ("3", "esc"), ("4", "x"), ("5", "/"), ("6", "a"), ("7", "?")]
    {
        for x in (0..130).step_by(13) {
            for y in (0..45).step_by(5) {
                lab.keys(&format!("esc esc {digit} {layer}"));
                press(&mut lab, Press::Left, x, y);
                press(&mut lab, Press::WheelDown, x, y);
                press(&mut lab, Press::WheelUp, x, y);
            }
        }
        lab.screen();
    }
}

#[test]
fn a_question_is_not_answered_by_the_wheel() {
    let mut lab = Lab::with(sweep(), 120, 40);
    lab.keys("x");
    press(&mut lab, Press::WheelDown, 5, 5);
    press(&mut lab, Press::Left, 5, 5);
    assert!(matches!(lab.app.layer, Layer::Confirm { .. }));
}

#[test]
fn the_mouse_is_ours_unless_it_is_remembered_otherwise() {
    let mut lab = Lab::with(sweep(), 120, 40);
    assert!(!lab.asked.contains(&Effect::Mouse(true)), "not before it is known");
    lab.event(Event::Data(Data::Memory(Memory::default())));
    assert_eq!(lab.asked.last(), Some(&Effect::Mouse(true)));
    lab.keys(": m o u s e enter");
    assert!(lab.asked.contains(&Effect::Mouse(false)));
    let mut again = Lab::with(sweep(), 120, 40);
    again.event(Event::Data(Data::Memory(Memory { no_mouse: true, ..Memory::default() })));
    assert!(!again.asked.contains(&Effect::Mouse(true)));
}
