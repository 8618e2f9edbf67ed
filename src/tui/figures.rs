//! Numbers as people read them on a screen: short, aligned, never more digits than mean something.

use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `12,400`.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `42s`, `3m12s`, `1h04m`, `2d03h`: two units at most.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    let s = seconds as u64;
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// A measured value in at most six characters or so: four significant digits, `NaN` and `∞` by name.
pub fn value(x: f64) -> String {
    let magnitude = x.abs();
    match magnitude {
        _ if x.is_nan() => "NaN".into(),
        _ if x.is_infinite() => if x > 0.0 { "∞" } else { "-∞" }.into(),
        0.0 => "0".into(),
        m if !(1e-3..1e6).contains(&m) => format!("{x:.1e}"),
        m if m >= 1000.0 => format!("{x:.0}"),
        m if m >= 100.0 => format!("{x:.1}"),
        m if m >= 1.0 => format!("{x:.2}"),
        _ => format!("{x:.4}"),
    }
}

/// A percentage, one decimal.
pub fn percent(x: f64) -> String {
    if x.is_finite() { format!("{x:.1}") } else { value(x) }
}

/// A difference, with its sign.
pub fn signed(x: f64) -> String {
    if x > 0.0 { format!("+{}", value(x)) } else { value(x) }
}

/// One unit: `42s`, `3m`, `5h`, `2d`.
pub fn brief_duration(seconds: f64) -> String {
    let text = duration(seconds);
    let end = text.find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |at| at + 1);
    text.get(..end).unwrap_or(&text).to_owned()
}

/// A share in [0, 1] as a bar of `cells`, in eighths of a cell, so that slow runs are seen to move.
pub fn bar(share: f64, cells: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (cells * 8) as f64).round() as usize;
    let filled = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
    let rest = cells - filled.chars().count();
    format!("{filled}{}", "·".repeat(rest))
}

/// A curve as one line of blocks, its own range from bottom to top; what is not finite is a gap.
pub fn strokes(values: &[f64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || values.iter().copied().filter(|x| x.is_finite());
    let (low, high) =
        (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let block = |x: f64| match (x - low) / (high - low) {
        _ if !x.is_finite() => ' ',
        share if share.is_finite() => BLOCKS[((share * 8.0) as usize).min(7)],
        _ => BLOCKS[3],
    };
    values.iter().map(|&x| block(x)).collect()
}

/// A position on an axis whose ticks lie `step` apart: as many decimals as the step needs, `12k`, `3.5M`.
pub fn tick(x: f64, step: f64) -> String {
    let (scale, suffix) = match step.abs() * 10.0 {
        s if s >= 1e7 => (1e6, "M"),
        s if s >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let (x, step) = (x / scale, step / scale);
    if x == 0.0 {
        return "0".into();
    }
    if step < 1e-5 {
        return format!("{x:.1e}");
    }
    let decimals = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
    // A step of 2.5 or 0.25 needs one decimal more than its magnitude says.
    let decimals = decimals + usize::from((step * 10f64.powi(decimals as i32)).fract() > 1e-6);
    format!("{x:.decimals$}{suffix}")
}

/// A round number on its own: `0.001`, `20`, `5k`, `1e-7`.
pub fn short_number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        m if m >= 1e6 => format!("{}M", x / 1e6),
        m if m >= 1e4 => format!("{}k", x / 1e3),
        m if m >= 1e-4 => {
            let text = format!("{x:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{x:.0e}"),
    }
}

/// Seconds as a tick: `30s`, `5m`, `1h30m`.
pub fn tick_duration(seconds: f64) -> String {
    let text = duration(seconds);
    let text = text.trim_end_matches("00s").trim_end_matches("00m").trim_end_matches("00h");
    if text.is_empty() || text == "0s" { "0".into() } else { text.to_owned() }
}

/// A configured value as a cell: numbers as written, strings without quotes.
pub fn setting(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        // 10.0 and 10 are the same setting.
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(x) if x.fract() == 0.0 && x.abs() < 1e15 => format!("{x:.0}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// At most `width` columns; what was cut is marked by `…`.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for ch in text.chars() {
        let w = ch.width().unwrap_or(0);
        if used + w + 1 > width {
            break;
        }
        used += w;
        out.push(ch);
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// A run's name in at most `width` columns: its end, which tells it from its siblings, stays.
pub fn fit_id(id: &str, width: usize) -> String {
    let tail = id.rfind('-').map_or("", |at| &id[at..]);
    let head = width.saturating_sub(tail.width());
    match &id[..id.len() - tail.len()] {
        _ if id.width() <= width || tail.is_empty() => fit(id, width),
        // Too narrow for both.
        _ if head < 2 => fit(&tail[1..], width),
        name => format!("{}{tail}", fit(name, head)),
    }
}

/// Breaks a line at spaces into at most `most` lines of `width` columns; what is left over is cut.
pub fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let indent = text.len() - text.trim_start().len();
    let mut lines = vec![" ".repeat(indent)];
    let mut fresh = true;
    for word in text.split_whitespace() {
        let n = lines.len();
        let line = &mut lines[n - 1];
        if !fresh && n < most && line.width() + 1 + word.width() > width {
            lines.push(format!("{}{word}", " ".repeat((indent + 2).min(width / 2))));
            continue;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    lines.iter().map(|line| fit(line, width)).collect()
}

/// What a log line looks like without its escape sequences, control characters and overwritten progress.
pub fn printable(line: &str) -> String {
    let line = line.trim_end_matches(['\r', '\n']);
    let last = line.rsplit('\r').next().unwrap_or(line);
    let mut out = String::with_capacity(last.len());
    let mut chars = last.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            '\t' => out.push_str("    "),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_durations_and_values_are_short() {
        assert_eq!([grouped(0), grouped(999), grouped(12_400)], ["0", "999", "12,400"]);
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(duration(59.9), "59s");
        assert_eq!(duration(192.0), "3m12s");
        assert_eq!(duration(3840.0), "1h04m");
        assert_eq!(duration(183_600.0), "2d03h");
        assert_eq!(duration(f64::NAN), "–");
        assert_eq!([value(8.31777), value(0.0312), value(1234.5)], ["8.32", "0.0312", "1234"]);
        assert_eq!([value(f64::NAN), value(f64::INFINITY), value(3e-5)], ["NaN", "∞", "3.0e-5"]);
    }

    #[test]
    fn bars_and_sketches_are_as_wide_as_said() {
        assert_eq!([bar(0.0, 4), bar(0.5, 4), bar(1.0, 4)], ["····", "██··", "████"]);
        assert_eq!(bar(0.28, 4), "█▏··");
        assert_eq!(strokes(&[0.0, 1.0, f64::NAN, 0.5]), "▁█ ▅");
        assert_eq!(strokes(&[2.0, 2.0]), "▄▄");
        assert_eq!([brief_duration(7500.0), signed(1.5), signed(-2.0)], ["2h", "+1.50", "-2.00"]);
    }

    #[test]
    fn ticks_have_the_decimals_that_their_step_needs() {
        assert_eq!([tick(2.5, 0.5), tick(7.0, 1.0), tick(0.25, 0.25)], ["2.5", "7", "0.25"]);
        assert_eq!([tick(12_000.0, 2000.0), tick(500.0, 100.0)], ["12k", "500"]);
        assert_eq!([tick(3_500_000.0, 500_000.0), tick(7.5, 2.5)], ["3500k", "7.5"]);
        assert_eq!(tick(4_000_000.0, 2_000_000.0), "4M");
    }

    #[test]
    fn round_numbers_and_times_have_no_zeros_to_spare() {
        assert_eq!(
            [short_number(0.001), short_number(20.0), short_number(50_000.0)],
            ["0.001", "20", "50k"]
        );
        assert_eq!([short_number(1e-7), short_number(0.0)], ["1e-7", "0"]);
        assert_eq!(
            [tick_duration(0.0), tick_duration(30.0), tick_duration(300.0)],
            ["0", "30s", "5m"]
        );
        assert_eq!([tick_duration(5400.0), tick_duration(7200.0)], ["1h30m", "2h"]);
    }

    #[test]
    fn cut_text_says_so_and_counts_columns() {
        assert_eq!(fit("negatives", 9), "negatives");
        assert_eq!(fit("negatives", 6), "negat…");
        assert_eq!(fit("λ学習", 4), "λ学…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn names_of_runs_keep_their_ends() {
        let id = "an-experiment-whose-name-is-long-7226e2d3";
        assert_eq!(fit_id(id, 41), id);
        assert_eq!(fit_id(id, 16), "an-exp…-7226e2d3");
        assert_eq!(fit_id("proximal-7226e2d3.2", 16), "prox…-7226e2d3.2");
        assert_eq!(fit_id(id, 10), "7226e2d3");
        assert_eq!(fit_id(id, 5), "7226…");
        assert_eq!((fit_id("plain", 4).as_str(), fit_id("λ-1", 0).as_str()), ("pla…", ""));
    }

    #[test]
    fn long_lines_break_at_spaces() {
        assert_eq!(wrap("loss is NaN at step 812", 12, 3), ["loss is NaN", "  at step", "  812"]);
        assert_eq!(wrap("loss is NaN at step 812", 12, 2), ["loss is NaN", "  at step 8…"]);
        assert_eq!(wrap("  a b", 10, 3), ["  a b"]);
        assert_eq!(wrap("", 10, 3), [""]);
    }

    #[test]
    fn log_lines_lose_their_escapes() {
        assert_eq!(printable("\u{1b}[31merror\u{1b}[0m: no\u{7} data\n"), "error: no data");
        assert_eq!(printable("  1%\r 50%\r100%\n"), "100%");
    }
}
