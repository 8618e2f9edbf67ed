//! At which setting a row was measured: that of the experiment's file, or another size. Pure.
//!
//! A file's published values belong to what it asks for by itself. A run of `--size cpu`, or of another `--set`, differs from
//! that, and the published value beside it is not what it should have come to.

use serde_json::{Map, Value};

use super::ablation::setting;
use crate::config::elsewhere;
use crate::config::experiment::{self, Overrides};
use crate::config::keys::{self, KEYS};
use crate::config::ranges::Default;
use crate::config::{Experiment, default};
use crate::store::RunRow;

/// Keys whose value changes no number that a table shows. Where images are while a run trains is none of them: a crop is of
/// the whole file on disk, and of the square that it became in memory.
const IDLE: [&str; 6] =
    ["seed", "data.root", "train.threads", "train.checkpoint_every", "eval.finally", "eval.on"];

/// How often a run was evaluated: which value is the last it does not change, but which is the best, and when a level was
/// first seen to be reached.
const PACE: &str = "eval.every";

/// Every value that an experiment's file asks for by itself, key by key. What it varies is left out: that stands in each row,
/// and a size may take other values of it.
pub struct Asked(Vec<(&'static str, Vec<Value>)>);

impl Asked {
    /// Of a file's text, as far as it changes a number of a table; `paced`: with how often runs are evaluated. Where the text
    /// is no experiment nothing is known, and nothing differs from it.
    pub fn read(text: &str, paced: bool) -> Asked {
        let left_out: Vec<&str> = IDLE.into_iter().chain((!paced).then_some(PACE)).collect();
        let written = experiment::parse("", text, &Overrides::default());
        written.map_or(Asked(Vec::new()), |experiment| Self::without(&experiment, &left_out))
    }

    /// Of a file as it was read, at the size that it was read at, with what changes no number of a table: everything that a
    /// command has to say.
    pub fn wholly(experiment: &Experiment) -> Asked {
        Self::without(experiment, &["seed", "data.root"])
    }

    fn without(experiment: &Experiment, left_out: &[&str]) -> Asked {
        let varied = |name: &str| experiment.factors.iter().any(|factor| factor == name);
        let keys = KEYS.iter().filter(|key| !left_out.contains(&key.name) && !varied(key.name));
        Asked(keys.map(|key| (key.name, values(experiment, key))).collect())
    }

    /// What `run` has that the file does not ask for.
    pub fn differs(&self, run: &RunRow) -> Map<String, Value> {
        let mut differs = Map::new();
        for (key, asked) in &self.0 {
            let Some(value) = keys::effective(&run.spec, key) else { continue };
            if !asked.iter().any(|known| same(known, &value)) && setting(run, key).is_some() {
                differs.insert((*key).to_owned(), value);
            }
        }
        differs
    }
}

fn values(experiment: &Experiment, key: &keys::Key) -> Vec<Value> {
    match (experiment.base.get(key.name), key.default) {
        (Some(value), _) if key.name == "eval.on" => {
            elsewhere::identities(value).into_iter().collect()
        }
        (Some(value), _) => vec![value.clone()],
        (None, Default::Under(each)) => each.iter().map(|&(_, x)| x.into()).collect(),
        (None, _) => default(key, &experiment.base).into_iter().collect(),
    }
}

/// Equal as settings: whole numbers are floats too.
pub fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && b.is_number() && a.as_f64() == b.as_f64())
}

/// What a run differs in from the file, and the run.
pub type Differing<'a> = (&'a Map<String, Value>, &'a RunRow);

/// Whether two runs were measured at the same setting: a key that means nothing in one of them, as λ's first epoch at λ = 0,
/// tells them not apart.
pub fn alike(a: Differing, b: Differing) -> bool {
    let fits = |(differs, _): Differing, (others, other): Differing| {
        differs.iter().all(|(key, value)| match others.get(key) {
            Some(known) => same(value, known),
            None => setting(other, key).is_none(),
        })
    };
    fits(a, b) && fits(b, a)
}

/// Rows of one setting, told by what they differ in from the file.
pub struct Group<'a> {
    pub differs: Map<String, Value>,
    rows: Vec<Differing<'a>>,
}

impl<'a> Group<'a> {
    pub fn new(row: Differing<'a>) -> Self {
        Group { differs: row.0.clone(), rows: vec![row] }
    }

    /// Takes in a row with the same setting, and says whether it did.
    pub fn takes(&mut self, row: Differing<'a>) -> bool {
        let takes = self.rows.iter().all(|known| alike(*known, row));
        if takes {
            self.differs.extend(row.0.clone());
            self.rows.push(row);
        }
        takes
    }
}
