//! What the terminal shows, as far as its environment says: colours, characters, images.

use super::Finding;

/// `environment` yields a variable that is set and not empty.
pub(super) fn look(environment: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    vec![colours(environment), characters(environment), images(environment)]
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

fn images(environment: &dyn Fn(&str) -> Option<String>) -> Finding {
    let what = "images";
    let term = environment("TERM").unwrap_or_default();
    let program = environment("TERM_PROGRAM").unwrap_or_default();
    let protocol = if environment("KITTY_WINDOW_ID").is_some()
        || term.contains("kitty")
        || term.contains("ghostty")
        || program == "ghostty"
        || program == "WezTerm"
    {
        "kitty graphics"
    } else if program == "iTerm.app" || program == "vscode" {
        "iTerm2 inline images"
    } else if term.starts_with("foot") || term.starts_with("mlterm") || term.contains("sixel") {
        "sixel"
    } else {
        "half blocks (no image protocol announced)"
    };
    if environment("TMUX").is_some() && !protocol.starts_with("half") {
        let found = format!("{protocol}, inside tmux");
        return Finding::warn(what, found, "tmux set -g allow-passthrough on");
    }
    Finding::ok(what, protocol)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn found(variables: &[(&str, &str)]) -> [(State, String); 3] {
        let get = |name: &str| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        let findings = look(&get);
        [0, 1, 2].map(|i| (findings[i].state, findings[i].found.clone()))
    }

    #[test]
    fn a_modern_terminal_has_it_all() {
        let kitty = [("TERM", "xterm-kitty"), ("COLORTERM", "truecolor"), ("LANG", "en_GB.UTF-8")];
        let ok = |found: &str| (State::Ok, found.to_owned());
        let expected =
            [ok("16 million (xterm-kitty)"), ok("UTF-8 (en_GB.UTF-8)"), ok("kitty graphics")];
        assert_eq!(found(&kitty), expected);
    }

    #[test]
    fn a_bare_one_is_warned_of_and_lc_all_wins_over_lang() {
        let bare = [("TERM", "dumb"), ("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")];
        let [colours, characters, images] = found(&bare);
        assert_eq!(colours, (State::Warn, "TERM says nothing".to_owned()));
        assert_eq!(characters.0, State::Warn);
        assert!(images.1.starts_with("half blocks"));
    }

    #[test]
    fn tmux_has_to_let_images_through() {
        let [_, _, images] = found(&[("KITTY_WINDOW_ID", "1"), ("TMUX", "/tmp/x")]);
        assert_eq!(images, (State::Warn, "kitty graphics, inside tmux".to_owned()));
    }
}
