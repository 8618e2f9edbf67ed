//! Point lines by their letters: nearly every line of a journal is one, and our own writer puts them all alike.
//!
//! Whatever is not exactly what the writer puts is left to serde: this never judges a line, it only knows one form of them
//! by heart. What it reads is what serde reads, to the bit.

use std::collections::BTreeMap;

use super::event::{Event, Line, Number, Point, VERSION};

/// The line that stands in `text`, if it stands there in the form known here.
pub(super) fn line(text: &[u8]) -> Option<Line> {
    let mut rest = Rest(text);
    rest.skip(br#"{"v":1,"t":"point","step":"#)?;
    let step = rest.count()?;
    rest.skip(br#","epoch":"#)?;
    let epoch = rest.number()?;
    rest.skip(br#","sec":"#)?;
    let sec = rest.number()?;
    rest.skip(br#","m":{"#)?;
    let mut m = Vec::with_capacity(8);
    loop {
        let name = rest.name()?.to_owned();
        rest.skip(b":")?;
        m.push((name, Number(rest.number()?)));
        match rest.skip(b",") {
            Some(()) => {}
            None => break,
        }
    }
    rest.skip(br#"},"attempt":"#)?;
    let attempt = u32::try_from(rest.count()?).ok()?;
    rest.skip(br#","seq":"#)?;
    let seq = rest.count()?;
    rest.skip(br#","at":"#)?;
    let at = i64::try_from(rest.count()?).ok()?;
    rest.skip(b"}")?;
    let m = BTreeMap::from_iter(m);
    let event = Event::Point(Point { step, epoch, sec, m });
    rest.0.is_empty().then_some(Line { v: VERSION, event, attempt, seq, at })
}

/// What is still to be read of a line.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn skip(&mut self, what: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(what)?;
        Some(())
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    /// Digits as JSON has them. Nineteen of them always fit.
    fn count(&mut self) -> Option<u64> {
        let n = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = self.take(n);
        let fits = (1..=19).contains(&n) && (n == 1 || digits[0] != b'0');
        fits.then(|| digits.iter().fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0')))
    }

    /// A finite number. Rust's own reading of decimals is correctly rounded, as serde's is with `float_roundtrip`; it takes
    /// more forms of them than JSON has, so those are told apart first.
    fn number(&mut self) -> Option<f64> {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = self.0;
        let sign = usize::from(text.first() == Some(&b'-'));
        let whole = digits(&text[sign..]);
        if whole == 0 || (1 < whole && text[sign] == b'0') {
            return None;
        }
        let mut n = sign + whole;
        if text.get(n) == Some(&b'.') {
            let part = digits(&text[n + 1..]);
            if part == 0 {
                return None;
            }
            n += 1 + part;
        }
        if matches!(text.get(n), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(text.get(n + 1), Some(b'-' | b'+')));
            let power = digits(&text[n + 1 + sign..]);
            if power == 0 {
                return None;
            }
            n += 1 + sign + power;
        }
        let number: f64 = std::str::from_utf8(self.take(n)).ok()?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// A name that nothing in it had to be escaped for.
    fn name(&mut self) -> Option<&'a str> {
        self.skip(b"\"")?;
        let end = self.0.iter().position(|&byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
        let name = std::str::from_utf8(self.take(end)).ok()?;
        self.skip(b"\"")?;
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(step: u64, epoch: f64, m: &[(&str, f64)]) -> String {
        let m = m.iter().map(|&(name, value)| (name.to_owned(), Number(value))).collect();
        let event = Event::Point(Point { step, epoch, sec: 0.25, m });
        serde_json::to_string(&Line { v: VERSION, event, attempt: 2, seq: 9, at: 5 }).unwrap()
    }

    #[test]
    fn what_the_writer_puts_is_read() {
        for (step, epoch) in [(0, 0.0), (7, -0.0), (u64::from(u32::MAX), 1e-300), (9, 1e21)] {
            let text =
                written(step, epoch, &[("loss", 0.1), ("loss/instance", -1.5e-7), ("λ", 3.0)]);
            let expected: Line = serde_json::from_str(&text).unwrap();
            assert_eq!(line(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_left_to_serde() {
        let text = written(7, 0.5, &[("loss", 0.25)]);
        assert!(line(text.as_bytes()).is_some());
        let changed = |from: &str, to: &str| text.replace(from, to);
        for other in [
            changed(":0.25", ":\"NaN\""),
            changed(":0.25", ":1e999"),
            changed(":0.25", ":00.25"),
            changed(":0.25", ":.25"),
            changed(":0.25", ":25."),
            changed(":0.25", ":+25"),
            changed(":0.25", ":1e"),
            changed(":0.25", ":-"),
            changed("\"loss\":0.25", ""),
            changed("loss", "lo\\u0073s"),
            changed("loss", "lo\tss"),
            changed(":7,", ":07,"),
            changed(":7,", ":18446744073709551616,"),
            changed(":7,", ":-7,"),
            changed(",\"step\"", ", \"step\""),
            changed("\"attempt\":2", "\"attempt\":4294967296"),
            changed("\"at\":5}", "\"at\":5} "),
            changed("\"at\":5}", "\"at\":5,\"new\":1}"),
            changed("\"at\":5}", "\"at\":5"),
        ] {
            assert_eq!(line(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_serde_reads_them(bits: u64, step: u64, name in "[a-z/_]{1,9}") {
            let value = f64::from_bits(bits);
            let text = written(step >> 1, value, &[(&name, value)]);
            if let Some(read) = line(text.as_bytes()) {
                prop_assert_eq!(Some(read), serde_json::from_str::<Line>(&text).ok());
            } else {
                prop_assert!(!value.is_finite());
            }
        }
    }
}
