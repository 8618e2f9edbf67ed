//! Types and ranges of values: as a check, and in the words that a message uses.

use serde_json::Value;

use super::elsewhere;

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Bool,
    /// Both ends allowed.
    Int {
        low: u64,
        high: u64,
    },
    Float(Range),
    Choice(&'static [&'static str]),
    /// Some of these, or none; a specification holds them in this order, each once.
    Choices(&'static [&'static str]),
    Floats(Range),
    /// Names; at least one.
    Texts,
    /// Data sets, each with a place or without; a specification holds them in one order, each once.
    Sets,
    Path,
}

/// A range of finite numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    with_low: bool,
    with_high: bool,
}

/// (low, ∞)
pub const fn above(low: f64) -> Range {
    Range { low, high: f64::INFINITY, with_low: false, with_high: false }
}

/// [low, ∞)
pub const fn at_least(low: f64) -> Range {
    Range { low, high: f64::INFINITY, with_low: true, with_high: false }
}

/// [low, high)
pub const fn between(low: f64, high: f64) -> Range {
    Range { low, high, with_low: true, with_high: false }
}

/// (low, high]
pub const fn from_above(low: f64, high: f64) -> Range {
    Range { low, high, with_low: false, with_high: true }
}

impl Range {
    /// The same range with both its ends.
    pub const fn closed(self) -> Range {
        Range { low: self.low, high: self.high, with_low: true, with_high: true }
    }

    fn contains(self, x: f64) -> bool {
        let after_low = if self.with_low { self.low <= x } else { self.low < x };
        let before_high = if self.with_high { x <= self.high } else { x < self.high };
        x.is_finite() && after_low && before_high
    }

    fn words(self) -> String {
        let Range { low, high, with_low, with_high } = self;
        match (high.is_infinite(), with_low) {
            (true, true) => format!("a number of at least {low}"),
            (true, false) => format!("a number above {low}"),
            (false, _) => {
                let open = if with_low { '[' } else { '(' };
                let close = if with_high { ']' } else { ')' };
                format!("a number in {open}{low}, {high}{close}")
            }
        }
    }
}

impl Kind {
    /// The value as a specification holds it, or nothing where it is not allowed.
    pub fn check(self, value: &Value) -> Option<Value> {
        match self {
            Kind::Bool => value.is_boolean().then(|| value.clone()),
            Kind::Int { low, high } => {
                value.as_u64().filter(|x| (low..=high).contains(x)).map(Value::from)
            }
            Kind::Float(range) => number(value, range),
            Kind::Choice(names) => {
                value.as_str().filter(|name| names.contains(name)).map(Value::from)
            }
            Kind::Choices(names) => {
                let found: Option<Vec<&str>> =
                    value.as_array()?.iter().map(Value::as_str).collect();
                let found = found.filter(|found| found.iter().all(|name| names.contains(name)))?;
                Some(names.iter().copied().filter(|name| found.contains(name)).collect())
            }
            Kind::Floats(range) => value.as_array()?.iter().map(|x| number(x, range)).collect(),
            Kind::Texts => {
                let items = value.as_array()?;
                let named = |x: &Value| x.as_str().is_some_and(|name| !name.is_empty());
                (!items.is_empty() && items.iter().all(named)).then(|| value.clone())
            }
            Kind::Sets => serde_json::to_value(elsewhere::listed(value)?).ok(),
            Kind::Path => value.as_str().filter(|path| !path.is_empty()).map(Value::from),
        }
    }

    /// What is allowed, in words.
    pub fn words(self) -> String {
        match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Int { low, high } if 1_000_000 < high => format!("a whole number from {low}"),
            Kind::Int { low, high } => format!("a whole number from {low} to {high}"),
            Kind::Float(range) => range.words(),
            Kind::Choice(names) => names.join(", "),
            Kind::Choices(names) => format!("a list of {}", names.join(", ")),
            Kind::Floats(range) => format!("a list, each item {}", range.words()),
            Kind::Texts => "a list of one or more names".to_owned(),
            Kind::Sets => elsewhere::words(),
            Kind::Path => "a path".to_owned(),
        }
    }

    pub fn is_number(self) -> bool {
        matches!(self, Kind::Int { .. } | Kind::Float(_))
    }

    /// One word for the type.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int { .. } => "integer",
            Kind::Float(_) => "float",
            Kind::Choice(_) => "choice",
            Kind::Choices(_) => "choices",
            Kind::Floats(_) => "floats",
            Kind::Texts => "names",
            Kind::Sets => "data sets",
            Kind::Path => "path",
        }
    }
}

/// Whole numbers are floats too, and −0 is 0: a specification has one spelling for a value.
fn number(value: &Value, range: Range) -> Option<Value> {
    value.as_f64().filter(|&x| range.contains(x)).map(|x| Value::from(x + 0.0))
}

/// The value of a key that nothing sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    Absent,
    Bool(bool),
    Int(u64),
    Float(f64),
    Text(&'static str),
    Floats(&'static [f64]),
    /// A whole number that depends on `data.dataset`; "" stands for every other one.
    Under(&'static [(&'static str, u64)]),
}

impl Default {
    /// The value where `data.dataset` is `dataset`.
    pub fn under(self, dataset: &str) -> Option<Value> {
        let Default::Under(values) = self else { return self.value() };
        let of = |name: &str| values.iter().find(|(known, _)| *known == name);
        of(dataset).or_else(|| of("")).map(|&(_, value)| value.into())
    }

    /// The value, where it is one value for all data sets.
    pub fn value(self) -> Option<Value> {
        match self {
            Default::Absent | Default::Under(_) => None,
            Default::Bool(x) => Some(x.into()),
            Default::Int(x) => Some(x.into()),
            Default::Float(x) => Some(x.into()),
            Default::Text(x) => Some(x.into()),
            Default::Floats(xs) => Some(xs.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ranges_hold_their_ends_as_the_words_say() {
        let cases = [
            (above(0.0), "a number above 0", [false, true, true]),
            (at_least(0.0), "a number of at least 0", [true, true, true]),
            (between(0.0, 1.0), "a number in [0, 1)", [true, true, false]),
            (from_above(0.0, 1.0), "a number in (0, 1]", [false, true, true]),
            (between(0.0, 1.0).closed(), "a number in [0, 1]", [true, true, true]),
        ];
        for (range, words, expected) in cases {
            assert_eq!(range.words(), words);
            assert_eq!([0.0, 0.5, 1.0].map(|x| range.contains(x)), expected, "{words}");
            assert!(!range.contains(f64::NAN) && !range.contains(f64::INFINITY));
        }
    }

    #[test]
    fn choices_have_one_spelling() {
        let kind = Kind::Choices(&["a", "b", "c"]);
        assert_eq!(kind.check(&json!(["c", "a", "c"])), Some(json!(["a", "c"])));
        assert_eq!(kind.check(&json!([])), Some(json!([])));
        assert_eq!(
            [json!(["a", "d"]), json!("a"), json!([1])].map(|v| kind.check(&v)),
            [None, None, None]
        );
    }

    #[test]
    fn a_whole_number_serves_as_a_float_but_not_the_other_way() {
        let float = Kind::Float(at_least(0.0));
        assert_eq!(float.check(&json!(10)), Some(json!(10.0)));
        assert_eq!(float.check(&json!(-0.0)).unwrap().to_string(), "0.0");
        let int = Kind::Int { low: 1, high: 9 };
        assert_eq!(int.check(&json!(4)), Some(json!(4)));
        assert_eq!(
            [json!(4.0), json!(0), json!(-1), json!("4")].map(|v| int.check(&v)),
            [None, None, None, None]
        );
    }
}
