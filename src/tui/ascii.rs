//! What is drawn, in plain ASCII: for terminals and fonts without the rest.

use ratatui::buffer::{Buffer, Cell};

/// Replaces every character that is not ASCII by one that is as wide: for terminals and fonts without the others.
pub fn to_ascii(buffer: &mut Buffer) {
    let width = usize::from(buffer.area.width);
    if 0 < width {
        buffer.content.chunks_mut(width).for_each(spell_powers);
    }
    for cell in &mut buffer.content {
        let Some(c) = cell.symbol().chars().next().filter(|c| !c.is_ascii()) else { continue };
        if let Some(plain) = ascii(c) {
            cell.set_char(plain);
        }
    }
}

/// Writes `x²` as `x^2` where the rest of the phrase can move by a cell.
fn spell_powers(row: &mut [Cell]) {
    let is_blank = |cell: Option<&Cell>| cell.is_none_or(|cell| cell.symbol() == " ");
    let is_cut = |cell: Option<&Cell>| cell.is_some_and(|cell| cell.symbol() == "…");
    let mut at = 0;
    while at < row.len() {
        let ends = |&end: &usize| {
            let next = row.get(end + 1);
            is_cut(next) || is_blank(row.get(end)) && is_blank(next)
        };
        if row[at].symbol() == "²"
            && let Some(end) = (at + 1..row.len()).find(ends)
        {
            row[at + 1..=end].rotate_right(1);
            row[at + 1] = row[at].clone();
            row[at].set_char('^');
            row[at + 1].set_char('2');
        }
        at += 1;
    }
}

/// What stands for a character that draws; letters of names are left as they are.
fn ascii(c: char) -> Option<char> {
    Some(match c {
        // Braille: by which rows of the cell have dots.
        '\u{2800}'..='\u{28ff}' => {
            let dots = c as u32 - 0x2800;
            let (top, bottom) = (dots & 0b0001_1011 != 0, dots & 0b1110_0100 != 0);
            match (top, bottom, dots.count_ones()) {
                (_, _, 0) => ' ',
                (true, true, 5..) => '#',
                (true, true, _) => ':',
                (true, false, _) => '\'',
                _ => '.',
            }
        }
        '│' | '┃' | '‖' | '▏' | '▎' | '▍' | '▌' => '|',
        '─' | '╌' | '–' | '−' => '-',
        '┬' | '┴' | '┤' | '├' | '└' | '┘' | '┌' | '┐' | '╭' | '╮' | '╰' | '╯' | '┼' => {
            '+'
        }
        '█' | '▇' | '▆' | '▊' | '▋' | '▉' => '#',
        '▅' | '▄' => '=',
        '▃' | '▂' => '-',
        '▁' | '·' => '.',
        '░' => '~',
        '●' => '*',
        '▲' => '^',
        '△' => 'A',
        '■' => '%',
        '□' => '=',
        '◆' => '&',
        '◇' => '$',
        '○' => 'o',
        '◔' => 'c',
        '◐' | '◎' | '◉' => '@',
        '✓' => 'v',
        '✗' => 'x',
        '…' | '±' => '~',
        '‡' => '+',
        '†' | '§' | '¶' => '*',
        '↻' => 'r',
        '↑' => '^',
        '↓' => 'v',
        'λ' => 'l',
        'τ' => 't',
        'Δ' => 'd',
        '×' => 'x',
        '→' | '≥' => '>',
        '≠' => '!',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        'ⁿ' => 'n',
        '½' => '/',
        '∞' => 'I',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::model::State;
    use crate::tui::theme::{self, MARKERS};

    #[test]
    fn ascii_draws_with_what_every_terminal_has() {
        let mut buffer = Buffer::with_lines(["│●⣿⠁⡀▁█…╭λ"]);
        to_ascii(&mut buffer);
        let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, "|*#'..#~+l");
        let distinct = |glyphs: &[&str]| -> BTreeSet<char> {
            let glyphs = glyphs.iter().flat_map(|glyph| glyph.chars());
            glyphs.map(|c| if c.is_ascii() { c } else { ascii(c).unwrap() }).collect()
        };
        assert_eq!(distinct(&State::ALL.map(|state| theme::state(state).0)).len(), 9);
        assert_eq!(distinct(&MARKERS).len(), MARKERS.len());
    }

    #[test]
    fn formulas_and_errors_stay_readable_in_ascii() {
        let plain = |text: &str| {
            let mut buffer = Buffer::with_lines([text]);
            to_ascii(&mut buffer);
            buffer.content.iter().map(|cell| cell.symbol()).collect::<String>()
        };
        assert_eq!(plain("38.8 ± 0.5"), "38.8 ~ 0.5");
        assert_eq!(
            plain("λ‖v_t − v_(t−1)‖² smooth  │"),
            "l|v_t - v_(t-1)|^2 smooth |",
            "what follows moves, what stands beside it does not"
        );
        assert_eq!(plain("x² and y² "), "x^2 and y2", "there is room for one");
        assert_eq!(plain("x²│"), "x2|");
        assert_eq!(plain("‖v‖² smooths tr…"), "|v|^2 smooths t~");
    }
}
