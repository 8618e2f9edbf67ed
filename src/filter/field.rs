//! What a filter can name, what a run has there, and how the two are compared.

use serde_json::Value;

use crate::config::keys::{self, KEYS};
use crate::config::ranges::Kind;
use crate::journal::event::METRICS;
use crate::store::{RunRow, State, is_whole_id};

/// A thing that runs have.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field {
    State,
    Tag,
    Experiment,
    Id,
    Device,
    Note,
    Reason,
    Warning,
    Attempt,
    Priority,
    Epoch,
    Pinned,
    Archived,
    /// Dotted spec key.
    Key(&'static str),
    Metric {
        name: String,
        best: bool,
    },
}

const PLAIN: [(&str, Field); 13] = [
    ("state", Field::State),
    ("tag", Field::Tag),
    ("experiment", Field::Experiment),
    ("id", Field::Id),
    ("device", Field::Device),
    ("note", Field::Note),
    ("reason", Field::Reason),
    ("warning", Field::Warning),
    ("attempt", Field::Attempt),
    ("priority", Field::Priority),
    ("epoch", Field::Epoch),
    ("pinned", Field::Pinned),
    ("archived", Field::Archived),
];

/// What a run has in a field.
pub(super) enum Seen {
    Texts(Vec<String>),
    Number(f64),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Has,
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// A comparison with what a person wrote.
#[derive(Clone, Debug)]
pub(super) struct Test {
    op: Op,
    /// Lower case.
    text: String,
    number: Option<f64>,
    look: Look,
}

/// How a text is held against what a person wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// All of it, as one of the alternatives between commas.
    Whole,
    /// Anywhere inside.
    Inside,
    /// Anywhere inside, as one of the alternatives; a whole id means that run and not its `--again` copies.
    Id,
}

impl Op {
    fn sign(self) -> &'static str {
        match self {
            Op::Has => ":",
            Op::Equal => "=",
            Op::Unequal => "!=",
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::More => ">",
            Op::AtLeast => ">=",
        }
    }

    fn orders(self) -> bool {
        matches!(self, Op::Less | Op::AtMost | Op::More | Op::AtLeast)
    }
}

impl Field {
    /// The field called `name`, or what may be meant.
    pub fn parse(name: &str) -> Result<Field, String> {
        let lower = name.to_lowercase();
        if let Some((_, field)) = PLAIN.into_iter().find(|(known, _)| *known == lower) {
            return Ok(field);
        }
        if let Some((metric, which)) = name.rsplit_once('.')
            && matches!(which, "last" | "best")
            && !metric.is_empty()
        {
            return Ok(Field::Metric { name: metric.to_owned(), best: which == "best" });
        }
        // Others are open-ended and need `.last` or `.best` to be known as metrics.
        if METRICS.contains(&name) {
            return Ok(Field::Metric { name: name.to_owned(), best: false });
        }
        let leaf = |known: &str| known.rsplit('.').next() == Some(&lower);
        let key = KEYS.iter().find(|key| key.name == lower || leaf(key.name));
        if let Some(key) = key {
            return Ok(Field::Key(key.name));
        }
        let plain = PLAIN.iter().map(|(name, _)| *name);
        let known = plain.chain(METRICS).chain(KEYS.iter().map(|key| key.name));
        Err(match keys::nearest(&lower, known) {
            Some(nearest) => format!("nothing is called {name}; {nearest} is"),
            None => format!("nothing is called {name}; metrics are METRIC.last and METRIC.best"),
        })
    }

    pub fn of(&self, run: &RunRow) -> Seen {
        let text = |text: &Option<String>| Seen::Texts(text.iter().cloned().collect());
        match self {
            Field::State => Seen::Texts(vec![run.state.as_str().to_owned()]),
            Field::Tag => Seen::Texts(run.tags.clone()),
            Field::Experiment => Seen::Texts(run.experiments.clone()),
            Field::Id => Seen::Texts(vec![run.id.clone()]),
            Field::Device => text(&run.device),
            Field::Note => Seen::Texts(vec![run.note.clone()]),
            Field::Reason => text(&run.reason),
            Field::Warning => text(&run.warning),
            Field::Attempt => Seen::Number(run.attempt.into()),
            Field::Priority => Seen::Number(run.priority as f64),
            Field::Epoch => Seen::Number(run.progress.epoch),
            Field::Pinned => Seen::Texts(vec![run.pinned.to_string()]),
            Field::Archived => Seen::Texts(vec![run.archived.to_string()]),
            Field::Key(key) => keys::effective(&run.spec, key).as_ref().map_or(Seen::Nothing, seen),
            Field::Metric { name, best } => match run.metrics.get(name) {
                None => Seen::Nothing,
                Some(metric) if *best => metric.best.map_or(Seen::Nothing, Seen::Number),
                Some(metric) => Seen::Number(metric.last.0),
            },
        }
    }

    /// Where `:` looks: long texts are searched, names are compared.
    fn look(&self) -> Look {
        match (self, self.kind()) {
            (Field::Id, _) => Look::Id,
            (Field::Device | Field::Note | Field::Reason | Field::Warning, _)
            | (_, Some(Kind::Texts | Kind::Sets | Kind::Path)) => Look::Inside,
            _ => Look::Whole,
        }
    }

    fn is_number(&self) -> bool {
        match self {
            Field::Attempt | Field::Priority | Field::Epoch | Field::Metric { .. } => true,
            Field::Key(_) => self.kind().is_some_and(Kind::is_number),
            _ => false,
        }
    }

    /// Whether there is a more and a less of it: also where a run has several numbers there.
    fn is_ordered(&self) -> bool {
        self.is_number() || matches!(self.kind(), Some(Kind::Floats(_)))
    }

    /// Every word that a run can have there, where those are few.
    fn words(&self) -> Option<&'static [&'static str]> {
        match (self, self.kind()) {
            (Field::Pinned | Field::Archived, _) | (_, Some(Kind::Bool)) => {
                Some(&["true", "false"])
            }
            (_, Some(Kind::Choice(names) | Kind::Choices(names))) => Some(names),
            _ => None,
        }
    }

    fn kind(&self) -> Option<Kind> {
        match self {
            Field::Key(key) => keys::key(key).map(|key| key.kind),
            _ => None,
        }
    }
}

fn seen(value: &Value) -> Seen {
    match value {
        Value::Number(number) => number.as_f64().map_or(Seen::Nothing, Seen::Number),
        Value::Array(items) => Seen::Texts(items.iter().map(plain).collect()),
        other => Seen::Texts(vec![plain(other)]),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Test {
    /// A test that makes sense for `field`.
    pub fn new(field: &Field, op: Op, written: &str) -> Result<Test, String> {
        let number = written.parse::<f64>().ok();
        if field.is_number() && number.is_none() {
            return Err(format!("found {written}, allowed: a number"));
        }
        if op.orders() && !field.is_ordered() {
            return Err(format!("found {} before a word, allowed: :, =, !=", op.sign()));
        }
        if *field == Field::State {
            for name in written.split(',') {
                name.to_lowercase().parse::<State>()?;
            }
        }
        let look = if op == Op::Has { field.look() } else { Look::Whole };
        let test = |text: &str| Test { op, text: text.to_lowercase(), number, look };
        // A word that no run can have is a slip; the list would be empty, or with != everything.
        if let Some(words) = field.words() {
            let fits = |part: &&str| words.iter().any(|word| test(part).is(word));
            if let Some(slip) = written.split(',').find(|part| !fits(part)) {
                return Err(format!("found {slip}, allowed: {}", words.join(", ")));
            }
        }
        Ok(test(written))
    }

    pub fn holds(&self, seen: &Seen) -> bool {
        match seen {
            Seen::Nothing => self.op == Op::Unequal,
            Seen::Number(x) => self.number.is_some_and(|y| self.compare(*x, y)),
            Seen::Texts(texts) if self.op == Op::Unequal => !texts.iter().any(|x| self.is(x)),
            Seen::Texts(texts) => texts.iter().any(|text| match self.op {
                Op::Has | Op::Equal => self.is(text),
                _ => match (text.parse::<f64>(), self.number) {
                    (Ok(x), Some(y)) => self.compare(x, y),
                    _ => self.compare(text.to_lowercase().as_str(), self.text.as_str()),
                },
            }),
        }
    }

    fn compare<T: PartialOrd>(&self, x: T, y: T) -> bool {
        // NaN is what is not even itself: `loss.last:NaN` finds it.
        let equal = x == y || (x.partial_cmp(&x).is_none() && y.partial_cmp(&y).is_none());
        match self.op {
            Op::Has | Op::Equal => equal,
            Op::Unequal => !equal,
            Op::Less => x < y,
            Op::AtMost => x <= y,
            Op::More => x > y,
            Op::AtLeast => x >= y,
        }
    }

    /// `*` stands for anything.
    fn is(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let within = |part: &str| glob(&format!("*{part}*"), &text);
        let mut parts = self.text.split(',');
        match self.look {
            Look::Whole => self.text == text || parts.any(|part| glob(part, &text)),
            Look::Inside => within(&self.text),
            Look::Id => {
                parts.any(|part| if is_whole_id(part) { part == text } else { within(part) })
            }
        }
    }
}

/// Whether all of `text` fits `pattern`. Greedy matching of the parts between the stars suffices.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether `word` (lower case) stands anywhere that a person reads.
pub(super) fn mentions(run: &RunRow, word: &str) -> bool {
    let word = format!("*{word}*");
    let has = |text: &str| glob(&word, &text.to_lowercase());
    let varied = || run.varied.iter().any(|(key, value)| has(&format!("{key}={}", plain(value))));
    has(&run.id)
        || has(run.state.as_str())
        || has(&run.note)
        || run.experiments.iter().chain(&run.tags).any(|text| has(text))
        || [&run.device, &run.reason, &run.warning].into_iter().flatten().any(|text| has(text))
        || varied()
}
