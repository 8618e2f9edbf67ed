//! What the terminal shows: colours and characters as far as its environment says, images as it says itself.

use super::Finding;
use crate::cli::{IMAGES, check_images};
use crate::tui::pixels::Graphics;
use crate::tui::query::Answers;

/// `environment` yields a variable that is set and not empty; `answers` are those of the terminal, if there is one.
pub(super) fn look(
    environment: &dyn Fn(&str) -> Option<String>,
    answers: Option<&Answers>,
) -> Vec<Finding> {
    let wanted = environment(IMAGES);
    vec![colours(environment), characters(environment), images(answers, wanted.as_deref())]
}

fn colours(environment: &dyn Fn(&str) -> Option<String>) -> Finding {
    let what = "colours";
    let term = environment("TERM").unwrap_or_default();
    if environment("NO_COLOR").is_some() {
        return Finding::ok(what, "none, as NO_COLOR asks");
    }
    let cure = "a terminal with TERM=xterm-256color, or COLORTERM=truecolor where it is one";
    match environment("COLORTERM").as_deref() {
        Some("truecolor" | "24bit") => Finding::ok(what, format!("16 million ({term})")),
        _ if term.contains("direct") => Finding::ok(what, format!("16 million ({term})")),
        _ if term.contains("256color") || term.contains("kitty") => Finding::ok(
            what,
            format!("256 ({term}); COLORTERM=truecolor gives more where it is true"),
        ),
        _ if term.is_empty() || term == "dumb" => Finding::warn(what, "TERM says nothing", cure),
        _ => Finding::warn(what, format!("16 ({term})"), cure),
    }
}

/// Curves are drawn with braille characters, which need UTF-8.
fn characters(environment: &dyn Fn(&str) -> Option<String>) -> Finding {
    let what = "characters";
    // The first of them that is set counts (POSIX).
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| environment(name));
    let utf8 = |locale: &String| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    };
    match locale {
        Some(locale) if utf8(&locale) => Finding::ok(what, format!("UTF-8 ({locale})")),
        Some(locale) => {
            let found = format!("{locale} is not UTF-8: curves may not show");
            Finding::warn(what, found, "export LC_ALL=C.UTF-8")
        }
        None => Finding::warn(what, "no locale: curves may not show", "export LC_ALL=C.UTF-8"),
    }
}

/// As the screens find it out: the terminal is asked, and INSTDISC_LAB_IMAGES overrules it.
fn images(answers: Option<&Answers>, wanted: Option<&str>) -> Finding {
    let what = "images";
    if let Err(why) = check_images(wanted) {
        return Finding::broken(what, why, format!("unset {IMAGES}, or set it to one of them"));
    }
    let Some(answers) = answers else {
        return Finding::ok(what, "half blocks anywhere; a terminal is asked for more");
    };
    let protocol = match answers.graphics(wanted) {
        Graphics::Kitty => "kitty graphics",
        Graphics::Iterm => "iTerm2 inline images",
        Graphics::Sixel { .. } => "sixels",
        Graphics::Blocks => "half blocks",
    };
    let name = match answers.name.as_str() {
        "" => "a terminal that does not name itself",
        name => name,
    };
    Finding::ok(what, format!("{protocol} ({name})"))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn found(variables: &[(&str, &str)], answers: Option<&Answers>) -> [(State, String); 3] {
        let get = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        let findings = look(&get, answers);
        [0, 1, 2].map(|i| (findings[i].state, findings[i].found.clone()))
    }

    fn ok(found: &str) -> (State, String) {
        (State::Ok, found.to_owned())
    }

    #[test]
    fn a_modern_terminal_has_it_all() {
        let kitty = [("TERM", "xterm-kitty"), ("COLORTERM", "truecolor"), ("LANG", "en_GB.UTF-8")];
        let answers =
            Answers { kitty: true, name: "kitty(0.35.2)".to_owned(), ..Answers::default() };
        let expected = [
            ok("16 million (xterm-kitty)"),
            ok("UTF-8 (en_GB.UTF-8)"),
            ok("kitty graphics (kitty(0.35.2))"),
        ];
        assert_eq!(found(&kitty, Some(&answers)), expected);
        let overruled = [("INSTDISC_LAB_IMAGES", "blocks")];
        assert_eq!(found(&overruled, Some(&answers))[2], ok("half blocks (kitty(0.35.2))"));
        let slip = found(&[("INSTDISC_LAB_IMAGES", "foo")], None);
        assert_eq!(
            (slip[2].0, slip[2].1.contains("found foo, allowed: blocks")),
            (State::Broken, true)
        );
    }

    #[test]
    fn a_bare_one_is_warned_of_and_lc_all_wins_over_lang() {
        let bare = [("TERM", "dumb"), ("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")];
        let [colours, characters, images] = found(&bare, Some(&Answers::default()));
        assert_eq!(colours, (State::Warn, "TERM says nothing".to_owned()));
        assert_eq!(characters.0, State::Warn);
        assert_eq!(images, ok("half blocks (a terminal that does not name itself)"));
        assert_eq!(found(&bare, None)[2], ok("half blocks anywhere; a terminal is asked for more"));
    }
}
