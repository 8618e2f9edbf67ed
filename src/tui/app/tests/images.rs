//! Image search: strips, galleries, pictures.

use std::sync::Arc;

use super::ablations::tabled;
use super::*;
use crate::saved::Neighbours;
use crate::search::Neighbour;
use crate::tui::images::Found;
use crate::tui::pixels::{Picture, TILES};

/// Twelve images of three classes. Image 3's neighbours are all of other classes, those of the others are not.
pub fn found(run: &str) -> Found {
    let labels: Vec<u16> = (0..12).map(|i| i % 3).collect();
    let strip = |query: usize| {
        let near = (1..=10).map(|i| (query + i) % 12).filter(|other| query != 3 || other % 3 != 0);
        let near: Vec<Neighbour> = near
            .map(|row| Neighbour { row: row as u32, similarity: 1.0 - 0.05 * row as f32 })
            .collect();
        let alike = near.iter().filter(|other| other.row as usize % 3 == query % 3).count();
        Neighbours { query, alike: alike as f64 / near.len() as f64, near }
    };
    Found {
        run: run.to_owned(),
        step: Some(1200),
        dataset: "shapes".into(),
        classes: ["circle", "square", "star"].map(str::to_owned).to_vec(),
        labels,
        strips: (0..12).map(strip).collect(),
        why: None,
    }
}

/// Puts a search and its pictures on the images screen, and goes back to where one was.
pub fn show(lab: &mut Lab) {
    lab.keys("1 6");
    let Some(run) = lab.app.selected().map(|row| row.id.clone()) else { return };
    lab.event(Event::Data(Data::Found(Arc::new(found(&run)))));
    pictures(lab);
    lab.keys("1");
}

/// Answers what was asked for last.
fn pictures(lab: &mut Lab) -> Vec<u32> {
    let wished = lab.asked.iter().rev().find_map(|effect| match effect {
        Effect::Ask(Ask::Pictures(wished)) => Some(wished.clone()),
        _ => None,
    });
    let Some(wished) = wished else { return Vec::new() };
    let picture = |&row: &u32| {
        let grey = (20 * row) as u8;
        (row, Picture::new(2, &[grey; 12], wished.tile, wished.graphics, row + 1))
    };
    let pictures = wished.rows.iter().map(picture).collect();
    lab.event(Event::Data(Data::Pictures { run: wished.run, tile: wished.tile, pictures }));
    wished.rows
}

#[test]
fn strips_stand_worst_first_and_wrong_ones_are_marked_by_sign_and_word() {
    let mut lab = tabled(120, 40);
    lab.keys("6");
    assert!(lab.screen().contains("searching its bank"));
    assert!(lab.asked.contains(&Effect::Ask(Ask::Images(Some("demo-00000000".into())))));
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    let rows = pictures(&mut lab);
    assert!(rows.contains(&3), "{rows:?}");
    let screen = lab.screen();
    for text in ["step 1,200", "shapes, 12 images", "worst first", "0/7 circle", "✗ square", "▀▀▀"]
    {
        assert!(screen.contains(text), "{text} in\n{screen}");
    }
    assert!(
        screen.contains("image 3, circle · 0 of its 7 nearest are of its class · line 1 of 12")
    );
    // What is at hand is not asked for again; best first shows others.
    lab.asked.clear();
    lab.keys("l");
    assert!(!lab.asked.iter().any(|effect| matches!(effect, Effect::Ask(Ask::Pictures(_)))));
    assert!(lab.screen().contains("neighbour 1 of image 3 (circle), cosine"));
    // Search by the neighbour: its own strip.
    lab.keys("enter");
    assert!(lab.screen().contains("image 4, square · "), "{}", lab.screen());
    let screen = lab.keys("o").screen();
    assert!(screen.contains("best first") && screen.contains("✓"), "{screen}");
    let screen = lab.keys("c").screen();
    assert!(screen.contains("class circle: 4") && screen.contains("line 1 of 4"), "{screen}");
    lab.keys("C esc");
    assert_eq!(lab.app.tab, Tab::Runs);
    assert_eq!(lab.asked.last(), Some(&Effect::Ask(Ask::Images(None))), "nobody looks any more");
}

#[test]
fn without_a_bank_the_images_are_shown_and_it_is_said_why() {
    let mut lab = tabled(120, 40);
    lab.keys("6");
    let why = Some("/lab/runs/x: found no checkpoint, allowed: a run that has trained".to_owned());
    let bare = Found { strips: Vec::new(), step: None, why, ..found("demo-00000000") };
    lab.event(Event::Data(Data::Found(Arc::new(bare))));
    assert_eq!(pictures(&mut lab).len(), 12);
    let screen = lab.screen();
    assert!(
        screen.contains("found no checkpoint") && screen.contains("image 0, circle · line 1 of")
    );
    assert!(screen.contains("star") && !screen.contains('✗'), "{screen}");
    let nothing =
        Found { run: "demo-00000000".into(), why: Some("no such file".into()), ..Found::default() };
    lab.event(Event::Data(Data::Found(Arc::new(nothing))));
    assert!(lab.screen().contains("no such file"));
    lab.keys("j l enter + - c o G");
}

#[test]
fn answers_of_another_run_or_size_are_not_shown() {
    let mut lab = tabled(120, 40);
    lab.keys("6");
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000005")))));
    assert!(lab.screen().contains("searching its bank"));
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    lab.keys("+");
    let picture = Picture::new(1, &[9; 3], TILES[0], Graphics::Blocks, 1);
    let pictures = vec![(3, picture)];
    lab.event(Event::Data(Data::Pictures {
        run: "demo-00000000".into(),
        tile: TILES[0],
        pictures,
    }));
    assert!(!lab.screen().contains('▀'));
    lab.keys("]");
    assert!(lab.asked.contains(&Effect::Ask(Ask::Images(Some("demo-00000001".into())))));
}

#[test]
fn a_terminal_with_graphics_is_told_of_each_image_once() {
    let mut lab = tabled(120, 40);
    lab.app.graphics = Graphics::Kitty;
    show(&mut lab);
    let sent = |lab: &Lab| -> String {
        let sent = lab.asked.iter().filter_map(|effect| match effect {
            Effect::Transmit(text) => Some(text.as_str()),
            _ => None,
        });
        sent.collect()
    };
    let told = sent(&lab);
    let n = told.matches("a=T,U=1").count();
    assert!(n >= 8, "{told:?}");
    assert!(told.contains("i=4,"));
    let screen = lab.keys("6").screen();
    assert!(screen.contains('\u{10EEEE}') && !screen.contains('▀'), "{screen}");
    assert_eq!(sent(&lab), told);
    // After a suspension the terminal knows nothing.
    lab.event(Event::Continued);
    pictures(&mut lab);
    assert_eq!(sent(&lab).matches("a=T,U=1").count(), 2 * n);
}

#[test]
fn sixels_are_wiped_when_something_else_is_shown() {
    let mut lab = tabled(120, 40);
    lab.app.graphics = Graphics::Sixel { cell: (8, 16) };
    show(&mut lab);
    assert!(lab.keys("6").screen().contains("\u{1b}P0;1;0q"));
    lab.asked.clear();
    lab.keys("?");
    assert!(lab.asked.contains(&Effect::Redraw));
    lab.asked.clear();
    lab.keys("esc c 1");
    assert_eq!(lab.asked.iter().filter(|effect| **effect == Effect::Redraw).count(), 3);
    // What is not wiped is not drawn afresh.
    lab.asked.clear();
    lab.keys("6 l");
    assert!(!lab.asked.contains(&Effect::Redraw));
}
