//! JSON over many lines, to the byte as serde_json's own pretty printing has it. That one writes every step of an
//! indentation by itself, which is most of what a long list costs.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Deeper than that it goes on in steps.
const DEPTH: usize = 16;
const SPACES: &str = "\n                                ";

#[derive(Default)]
pub(super) struct Indented {
    depth: usize,
    /// Something stands in the innermost list or object.
    filled: bool,
}

impl Indented {
    /// For a value that stands in that many lists and objects.
    pub(super) fn within(depth: usize) -> Self {
        Self { depth, filled: false }
    }

    fn line<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(&SPACES.as_bytes()[..1 + 2 * self.depth.min(DEPTH)])?;
        (DEPTH..self.depth).try_for_each(|_| out.write_all(b"  "))
    }

    fn open<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        out.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.filled {
            self.line(out)?;
        }
        out.write_all(bracket)
    }

    fn item<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        self.line(out)
    }

    fn filled(&mut self) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

impl Formatter for Indented {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled()
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled()
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::{Serializer, Value, json};

    use super::*;

    fn written(value: &Value) -> String {
        let mut out = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut out, Indented::default())).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_what_serde_writes() {
        let mut deep = json!([1, {}]);
        for _ in 0..DEPTH {
            deep = json!({"in": [deep, []]});
        }
        for value in [json!([]), json!({"a": [], "b": {}, "c": [[1, "x\n"], {"d": null}]}), deep] {
            assert_eq!(written(&value), serde_json::to_string_pretty(&value).unwrap());
        }
    }
}
