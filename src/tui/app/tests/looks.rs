//! Every screen as it looked, and any keys on any size.

use super::ablations::tabled;
use super::*;

/// A screen with its times of day, which depend on where one is, written as their pattern.
fn timeless(screen: &str) -> String {
    let pattern = |text: &[char], wanted: &str| {
        let fits = |(c, w): (&char, char)| if w == '0' { c.is_ascii_digit() } else { *c == w };
        text.len() == wanted.len() && text.iter().zip(wanted.chars()).all(fits)
    };
    let mut chars: Vec<char> = screen.chars().collect();
    for wanted in ["00-00 00:00:00", " 00:00)"] {
        for at in 0..chars.len().saturating_sub(wanted.len()) {
            if pattern(&chars[at..at + wanted.len()], wanted) {
                chars[at..at + wanted.len()].copy_from_slice(&wanted.chars().collect::<Vec<_>>());
                if wanted.ends_with(')') {
                    chars[at - 3..at].copy_from_slice(&['D', 'A', 'Y']);
                }
            }
        }
    }
    chars.into_iter().collect()
}

/// What a person sees on each screen; a change of any of them is looked at before it is accepted.
#[test]
fn screens_look_as_they_did() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut lab = tabled(width, height);
        for (i, row) in lab.app.rows.clone().iter().enumerate() {
            let loss: Vec<f64> = (0..10).map(|t| 8.0 - 0.2 * (i + t) as f64).collect();
            lab.keys("1").app.table.select(&row.id);
            lab.keys("space");
            lab.points(&row.id, "loss", &loss);
        }
        images::show(&mut lab);
        machine::show(&mut lab);
        for (at, tab) in Tab::ALL.iter().enumerate() {
            lab.keys(&format!("{}", at + 1));
            let name = format!("{}_{width}x{height}", tab.title());
            insta::assert_snapshot!(name, timeless(&lab.screen()));
        }
        lab.keys("6 v");
        insta::assert_snapshot!(format!("map_{width}x{height}"), lab.screen());
        lab.keys("v 1 :");
        insta::assert_snapshot!(format!("palette_{width}x{height}"), lab.screen());
        lab.keys("esc ?");
        insta::assert_snapshot!(format!("help_{width}x{height}"), lab.screen());
        lab.keys("esc");
        plan::open(&mut lab);
        insta::assert_snapshot!(format!("plan_{width}x{height}"), lab.screen());
        lab.keys("f j j j j j j enter ctrl-u 0");
        insta::assert_snapshot!(format!("form_{width}x{height}"), lab.screen());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Any keys at any size leave the program alive and able to draw.
    #[test]
    fn any_keys_are_survived(keys in proptest::collection::vec(0usize..action_keys().len(), 0..24), width in 1u16..180, height in 1u16..60) {
        let mut lab = tabled(width, height);
        lab.points("demo-00000000", "loss", &[8.0, f64::NAN, 7.0]);
        images::show(&mut lab);
        if width % 2 == 0 {
            lab.keys("6 v 1");
        }
        machine::show(&mut lab);
        let mut cache = Cache::default();
        for key in keys {
            lab.keys(action_keys()[key]);
            // Drawn into the middle of a larger sheet, nothing outside its area is touched.
            let area = ratatui::layout::Rect::new(3, 2, lab.app.size.0, lab.app.size.1);
            let sheet = ratatui::layout::Rect::new(0, 0, area.right() + 5, area.bottom() + 4);
            let mut buffer = ratatui::buffer::Buffer::empty(sheet);
            screens::draw(&lab.app, area, &mut buffer, &mut cache);
            for position in sheet.positions().filter(|&position| !area.contains(position)) {
                assert_eq!(buffer[position].symbol(), " ", "{position:?} beyond {area:?}");
            }
        }
    }
}

fn action_keys() -> Vec<&'static str> {
    let keys = keys::KEYS.iter().flat_map(|binding| binding.keys.iter());
    let mut keys: Vec<&str> =
        keys.flat_map(|keys| keys.split(' ')).chain(["λ", "5", "-"]).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
