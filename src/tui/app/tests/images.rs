//! Image search: strips, galleries, pictures.

use std::sync::Arc;

use super::ablations::tabled;
use super::*;
use crate::saved::{Method, Neighbours};
use crate::search::Neighbour;
use crate::tui::images::{Found, Map};
use crate::tui::pixels::{Picture, TILES};
use crate::tui::theme;

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

/// Puts a search with its pictures and its map on the images screen, and goes back to where one was.
pub fn show(lab: &mut Lab) {
    lab.keys("1 6");
    let Some(run) = lab.app.selected().map(|row| row.id.clone()) else { return };
    lab.event(Event::Data(Data::Found(Arc::new(found(&run)))));
    lab.event(Event::Data(Data::Map(Arc::new(clock(&run)))));
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
fn what_is_painted_is_wiped_when_something_else_is_shown() {
    let sixel = Graphics::Sixel { cell: (8, 16) };
    for (graphics, begins) in [(sixel, "\u{1b}P0;1;0q"), (Graphics::Iterm, "\u{1b}]1337;File=")] {
        let mut lab = tabled(120, 40);
        lab.app.graphics = graphics;
        show(&mut lab);
        assert!(lab.keys("6").screen().contains(begins));
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
}

/// The twelve images on a circle, as on a clock: 0 at three, 3 at twelve.
fn clock(run: &str) -> Map {
    let place = |i: u32| {
        let (sin, cos) = (std::f32::consts::TAU * i as f32 / 12.0).sin_cos();
        [0.5 + 0.5 * cos, 0.5 + 0.5 * sin]
    };
    let rows: Vec<u32> = (0..12).collect();
    Map {
        run: run.to_owned(),
        step: 1200,
        method: Method::Tsne,
        words: "t-SNE".to_owned(),
        places: rows.iter().map(|&row| place(row)).collect(),
        rows,
        why: None,
    }
}

#[test]
fn the_map_has_names_a_chosen_point_and_its_neighbours() {
    for (width, height) in [(80, 24), (200, 60), (60, 16)] {
        let mut lab = tabled(width, height);
        lab.keys("6");
        lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
        for key in ["o", "o", "v"] {
            pictures(&mut lab);
            lab.keys(key);
        }
        assert!(lab.screen().contains("drawing the map"));
        let asked = Effect::Ask(Ask::Map { run: "demo-00000000".into(), step: 1200 });
        assert_eq!(lab.asked.iter().filter(|effect| **effect == asked).count(), 1);
        lab.event(Event::Data(Data::Map(Arc::new(clock("demo-00000000")))));
        pictures(&mut lab);
        let screen = lab.screen();
        let words = ["circle", "square", "star", "◉ image 0, circle", "t-SNE of 12", "1 of 12"];
        // Where there is least room, the head and the foot lose their ends.
        for text in words.into_iter().take(if width < 80 { 4 } else { 6 }) {
            assert!(screen.contains(text), "{text} in\n{screen}");
        }
        assert!(screen.contains('✓') && screen.contains('✗') && screen.contains("▀▀▀"), "{screen}");
        assert_eq!(lab.asked.iter().filter(|effect| **effect == asked).count(), 1);
    }
}

/// The same by principal components: all on one line, from the left to the right.
fn line(run: &str) -> Map {
    let words = "PCA, 23 % and 11 % of the variance".to_owned();
    let places = (0..12).map(|i| [i as f32 / 11.0, 0.5]).collect();
    Map { method: Method::Pca, words, places, ..clock(run) }
}

#[test]
fn components_are_there_at_once_and_make_way_for_t_sne_unless_they_are_asked_for() {
    let mut lab = tabled(120, 40);
    lab.keys("6");
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    lab.keys("o o v");
    let method = |lab: &Lab| lab.app.images.map.shown().map(|map| map.method);
    lab.event(Event::Data(Data::Map(Arc::new(line("demo-00000000")))));
    assert!(lab.screen().contains("PCA of 12, t-SNE follows"), "{}", lab.screen());
    assert!(lab.keys("p").screen().contains("t-SNE is still being worked out"));
    lab.keys("l l");
    lab.event(Event::Data(Data::Map(Arc::new(clock("demo-00000000")))));
    assert_eq!(method(&lab), Some(Method::Tsne));
    assert!(lab.screen().contains("◉ image 2, star"), "the chosen point stays: {}", lab.screen());
    assert!(lab.keys("p").screen().contains("PCA of 12, 23 % and 11 % of the variance"));
    // Also of the next search, once it was asked for.
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    for map in [line("demo-00000000"), clock("demo-00000000")] {
        lab.event(Event::Data(Data::Map(Arc::new(map))));
    }
    assert_eq!(method(&lab), Some(Method::Pca));
    lab.keys("p");
    assert_eq!(method(&lab), Some(Method::Tsne));
}

#[test]
fn points_are_dots_in_the_colour_of_their_class_or_its_mark() {
    let mut lab = tabled(120, 40);
    lab.keys("6");
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    lab.keys("v");
    lab.event(Event::Data(Data::Map(Arc::new(clock("demo-00000000")))));
    // 6 lies at nine o'clock and is none of the neighbours of 3, which is chosen.
    let canvas = crate::tui::screens::layout::map_canvas(&lab.app);
    let at = (canvas.x, canvas.y + canvas.height / 2);
    let cell = |lab: &Lab| lab.buffer()[at].clone();
    let drawn = cell(&lab);
    assert!(
        ('\u{2801}'..='\u{28ff}').contains(&drawn.symbol().chars().next().unwrap()),
        "{drawn:?}"
    );
    assert_eq!(drawn.fg, theme::series(0).0.full);
    lab.keys("m");
    assert_eq!((cell(&lab).symbol(), cell(&lab).fg), ("●", drawn.fg));
    // Stars alone stand out. The nearest one is 2, whose neighbours do not have 1 among them.
    lab.keys("m C");
    let at = crate::tui::screens::layout::cell(clock("").places[1], canvas);
    assert_eq!(lab.buffer()[at].fg, theme::THEME.faint.full);
}

#[test]
fn the_map_is_saved_as_it_is_seen() {
    let mut lab = tabled(120, 40);
    lab.keys("6 w s");
    assert!(lab.screen().contains("there is no map to save"));
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    lab.keys("v");
    lab.event(Event::Data(Data::Map(Arc::new(line("demo-00000000")))));
    lab.asked.clear();
    lab.keys("w p");
    let drawn = |effect: &Effect| match effect {
        Effect::Ask(Ask::Draw { file, svg, kind }) => Some((file.clone(), svg.clone(), *kind)),
        _ => None,
    };
    let (file, svg, kind) = lab.asked.iter().find_map(drawn).unwrap();
    assert_eq!((file.as_str(), kind), ("pca-demo-00000000.png", Kind::Png));
    assert_eq!(svg.matches("<circle").count(), 12 + 3, "and its key");
    for text in ["step 1200, 12 images, PCA, 23 % and 11 % of the variance", "circle", "square"] {
        assert!(svg.contains(text), "{text} in {svg}");
    }
}

#[test]
fn names_on_the_map_make_way_for_signs() {
    let mut lab = tabled(80, 24);
    lab.keys("6");
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    lab.keys("v");
    let heap = Map { places: vec![[0.5, 0.5]; 12], ..clock("demo-00000000") };
    lab.event(Event::Data(Data::Map(Arc::new(heap))));
    let screen = lab.screen();
    for name in ["● circle", "▲ square", "■ star"] {
        assert!(screen.contains(name), "{name} in\n{screen}");
    }
}

#[test]
fn keys_and_clicks_go_from_point_to_point() {
    let mut lab = tabled(120, 40);
    lab.keys("6");
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    lab.keys("v");
    lab.event(Event::Data(Data::Map(Arc::new(clock("demo-00000000")))));
    assert!(lab.screen().contains("◉ image 3, circle"), "where the strips' cursor was");
    lab.keys("v o o v");
    let at = |lab: &Lab| lab.app.mapped(lab.app.images.map.at).map(|(row, _)| row);
    lab.keys("k");
    assert_eq!(at(&lab), Some(1), "up, counterclockwise");
    lab.keys("j");
    assert_eq!(at(&lab), Some(11), "straight down");
    lab.keys("l l");
    assert_eq!(at(&lab), Some(0), "nothing is further to the right");
    // Only stars: the nearest one is chosen, and moves stay among them.
    lab.keys("C");
    assert_eq!(at(&lab), Some(11));
    lab.keys("h");
    assert_eq!(at(&lab), Some(8));
    let canvas = crate::tui::screens::layout::map_canvas(&lab.app);
    let mouse = |x: u16, y: u16| Event::Mouse(Mouse { press: Press::Left, x, y });
    lab.event(mouse(canvas.x + canvas.width / 2, canvas.y));
    assert_eq!(at(&lab), Some(2), "3 stands there, and is no star");
    // Into its strip and back: the map is still there, at the same point.
    lab.keys("enter");
    assert!(lab.screen().contains("image 2, star · 3 of its 10 nearest"), "{}", lab.screen());
    lab.keys("v");
    assert!(lab.screen().contains("◉ image 2, star"));
    lab.keys("esc");
    assert!(!lab.app.images.map.on && lab.app.tab == Tab::Images, "one step out");
}

#[test]
fn a_map_that_cannot_be_is_explained_and_one_of_another_search_is_not_shown() {
    let mut lab = tabled(120, 40);
    lab.keys("6 v");
    lab.event(Event::Data(Data::Found(Arc::new(found("demo-00000000")))));
    let old = Map { step: 600, ..clock("demo-00000000") };
    lab.event(Event::Data(Data::Map(Arc::new(old))));
    assert!(lab.screen().contains("drawing the map"));
    let why = Some("its rows are too few or do not differ".to_owned());
    let none = Map { run: "demo-00000000".into(), step: 1200, why, ..Map::default() };
    lab.event(Event::Data(Data::Map(Arc::new(none))));
    assert!(lab.screen().contains("there is no map: its rows are too few"));
    lab.keys("h j k l enter c C + - r");
}
