//! Text to tree: OR binds weakest, then AND (a space will do), then NOT.

use super::field::{Field, Op, Test};
use super::{FilterError, Node};

/// Parentheses and NOTs inside each other; more is noise, and the stack is finite.
const DEEPEST: usize = 64;

pub(super) fn parse(text: &str) -> Result<Node, FilterError> {
    let mut parser = Parser { chars: text.chars().collect(), at: 0, depth: 0 };
    let node = parser.any()?;
    match parser.peek() {
        None => Ok(node),
        Some(c) => Err(parser.error(format!("{c} closes nothing"))),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.all()?];
        while self.takes_word("OR") || self.takes("||") || self.takes("|") {
            let at = self.at;
            nodes.push(self.all()?);
            self.filled(&nodes, at, "OR")?;
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self) -> Result<Node, FilterError> {
        let mut nodes = Vec::new();
        loop {
            let joined = self.takes_word("AND") || self.takes("&&") || self.takes("&");
            let at = self.at;
            let ends = matches!(self.peek(), None | Some(')' | '|')) || self.sees_word("OR");
            if ends && joined {
                return Err(self.error_at(at, "AND joins nothing"));
            }
            if ends {
                return Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) });
            }
            nodes.push(self.not()?);
        }
    }

    fn not(&mut self) -> Result<Node, FilterError> {
        self.depth += 1;
        if DEEPEST < self.depth {
            return Err(self.error("too many parentheses or NOTs inside each other"));
        }
        let node = if self.takes_word("NOT") || self.takes("!") || self.takes("-") {
            if matches!(self.peek(), None | Some(')' | '|')) {
                return Err(self.error("NOT of nothing"));
            }
            Node::Not(Box::new(self.not()?))
        } else if self.takes("(") {
            let opened = self.at - 1;
            let node = self.any()?;
            if !self.takes(")") {
                return Err(self.error_at(opened, "( is never closed"));
            }
            node
        } else {
            self.term()?
        };
        self.depth -= 1;
        Ok(node)
    }

    /// A word, a quoted text, or FIELD OP VALUE.
    fn term(&mut self) -> Result<Node, FilterError> {
        self.peek();
        let start = self.at;
        if let Some(text) = self.quoted()? {
            return Ok(Node::Word(text.to_lowercase()));
        }
        let ends = |parser: &Parser, c: char| {
            c.is_whitespace()
                || "():<>=|&".contains(c)
                || (c == '!' && parser.chars.get(parser.at + 1) == Some(&'='))
        };
        let name = self.read(ends);
        let Some(op) = self.op() else {
            return if name.is_empty() {
                Err(self.error("found nothing, allowed: a word or FIELD:VALUE"))
            } else {
                Ok(Node::Word(name.to_lowercase()))
            };
        };
        let field = Field::parse(&name).map_err(|message| self.error_at(start, message))?;
        self.peek();
        let at = self.at;
        let value = match self.quoted()? {
            Some(text) => text,
            None => self.read(|_, c| c.is_whitespace() || c == ')' || c == '|' || c == '&'),
        };
        if value.is_empty() && at == self.at {
            return Err(self.error_at(at, format!("{name} is compared with nothing")));
        }
        let test = Test::new(&field, op, &value).map_err(|message| self.error_at(at, message))?;
        Ok(Node::Term(start, field, test))
    }

    /// A comparison may stand apart from its field, a colon may not.
    fn op(&mut self) -> Option<Op> {
        if self.chars.get(self.at) == Some(&':') {
            self.at += 1;
            return Some(Op::Has);
        }
        let ops = [
            ("!=", Op::Unequal),
            ("<=", Op::AtMost),
            (">=", Op::AtLeast),
            ("==", Op::Equal),
            ("=", Op::Equal),
            ("<", Op::Less),
            (">", Op::More),
        ];
        ops.into_iter().find_map(|(sign, op)| self.takes(sign).then_some(op))
    }

    fn quoted(&mut self) -> Result<Option<String>, FilterError> {
        let Some(&quote) = self.chars.get(self.at).filter(|&&c| c == '"' || c == '\'') else {
            return Ok(None);
        };
        let start = self.at;
        let rest = &self.chars[start + 1..];
        let Some(n) = rest.iter().position(|&c| c == quote) else {
            return Err(self.error_at(start, format!("{quote} is never closed")));
        };
        self.at = start + n + 2;
        Ok(Some(rest[..n].iter().collect()))
    }

    fn read(&mut self, ends: impl Fn(&Parser, char) -> bool) -> String {
        let start = self.at;
        while let Some(&c) = self.chars.get(self.at)
            && !ends(self, c)
        {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.chars.get(self.at).copied()
    }

    fn takes(&mut self, sign: &str) -> bool {
        self.peek();
        let n = sign.chars().count();
        let found = self.chars[self.at..].iter().take(n).copied().eq(sign.chars());
        self.at += if found { n } else { 0 };
        found
    }

    fn sees_word(&mut self, word: &str) -> bool {
        self.peek();
        let n = word.chars().count();
        let after = self.chars.get(self.at + n);
        self.chars[self.at..].iter().take(n).copied().eq(word.chars())
            && after.is_none_or(|c| c.is_whitespace() || *c == '(' || *c == ')')
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.sees_word(word);
        self.at += if found { word.chars().count() } else { 0 };
        found
    }

    /// Both sides of an OR have to say something.
    fn filled(&self, nodes: &[Node], at: usize, word: &str) -> Result<(), FilterError> {
        let empty = nodes.iter().any(|node| matches!(node, Node::All(inner) if inner.is_empty()));
        if empty { Err(self.error_at(at, format!("{word} joins nothing"))) } else { Ok(()) }
    }

    fn error(&self, message: impl Into<String>) -> FilterError {
        self.error_at(self.at, message)
    }

    fn error_at(&self, at: usize, message: impl Into<String>) -> FilterError {
        FilterError { at, message: message.into() }
    }
}
