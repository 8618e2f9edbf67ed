//! A line of text that is being typed.

use crate::tui::keys::Action;

/// Text and where the next character goes, in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    at: usize,
}

impl Line {
    /// With the cursor behind it.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at: text.chars().count(), text }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Text before and from the cursor on.
    pub fn split(&self) -> (&str, &str) {
        self.text.split_at(self.byte(self.at))
    }

    pub fn insert(&mut self, c: char) {
        self.text.insert(self.byte(self.at), c);
        self.at += 1;
    }

    /// Does what an action means inside a line; false when it means nothing there.
    pub fn act(&mut self, action: Action) -> bool {
        let n = self.text.chars().count();
        match action {
            Action::Left => self.at = self.at.saturating_sub(1),
            Action::Right => self.at = (self.at + 1).min(n),
            Action::LineStart => self.at = 0,
            Action::LineEnd => self.at = n,
            Action::EraseChar if self.at > 0 => self.erase(self.at - 1, self.at),
            Action::EraseNext if self.at < n => self.erase(self.at, self.at + 1),
            Action::EraseWord => {
                let before = self.split().0.trim_end();
                let from = before.rfind(' ').map_or(0, |byte| before[..=byte].chars().count());
                self.erase(from, self.at);
            }
            Action::EraseAll => *self = Self::default(),
            Action::EraseChar | Action::EraseNext => {}
            _ => return false,
        }
        true
    }

    fn erase(&mut self, from: usize, to: usize) {
        self.text.replace_range(self.byte(from)..self.byte(to), "");
        self.at = from;
    }

    fn byte(&self, chars: usize) -> usize {
        self.text.char_indices().nth(chars).map_or(self.text.len(), |(byte, _)| byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_any_width_are_edited_one_by_one() {
        let mut line = Line::new("λ=学 30");
        line.act(Action::EraseWord);
        assert_eq!(line.text(), "λ=学 ");
        line.act(Action::Left);
        line.act(Action::EraseChar);
        line.insert('x');
        assert_eq!((line.text(), line.split()), ("λ=x ", ("λ=x", " ")));
        line.act(Action::LineStart);
        line.act(Action::EraseNext);
        line.act(Action::EraseChar);
        assert_eq!(line.split(), ("", "=x "));
        assert!(!line.act(Action::Accept));
        line.act(Action::EraseAll);
        assert_eq!(line, Line::default());
    }
}
