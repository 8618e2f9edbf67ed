//! Data sets that a run is evaluated on beside its own, as `eval.on` names them: `cifar100`, or `cifar100=/data/cifar` where
//! its files are not in the home's `data/cifar100`. A run leaves out what is its own set, so that of an axis of data sets
//! each has the others.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Problem;
use super::experiment::Plan;
use super::keys::DATASETS;
use super::layer::Found;
use super::resolve::effective;
use super::spec::{DataSpec, DatasetKind};

/// Another data set than the run's own, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Elsewhere {
    pub dataset: DatasetKind,
    /// Where its files lie; absent = the home's `data/<dataset>`.
    pub root: Option<PathBuf>,
}

impl Elsewhere {
    /// All of it, as it comes.
    pub fn spec(&self) -> DataSpec {
        DataSpec { root: self.root.clone(), ..DataSpec::whole(self.dataset) }
    }

    /// Whether it is what `data` names, of which a folder is only what lies there.
    pub fn is_own(&self, data: &DataSpec) -> bool {
        self.dataset == data.dataset
            && (self.dataset != DatasetKind::Folder || self.root == data.root)
    }

    /// What tells two runs apart: where the files of a published set lie does not.
    pub fn identity(&self) -> Elsewhere {
        let root = self.root.clone().filter(|_| self.dataset == DatasetKind::Folder);
        Elsewhere { dataset: self.dataset, root }
    }

    /// A relative place is meant from `folder`.
    pub fn from_folder(&mut self, folder: &Path) {
        if let Some(root) = self.root.as_mut().filter(|root| root.is_relative()) {
            *root = folder.join(&root);
        }
    }
}

impl TryFrom<String> for Elsewhere {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (name, root) = match text.split_once('=') {
            Some((name, root)) => (name.trim(), Some(root.trim())),
            None => (text.trim(), None),
        };
        let dataset = serde_json::from_value(name.into()).map_err(|why| why.to_string())?;
        match root {
            Some("") => Err(format!("{text}: found no folder behind the =")),
            root => Ok(Elsewhere { dataset, root: root.map(PathBuf::from) }),
        }
    }
}

impl From<Elsewhere> for String {
    fn from(it: Elsewhere) -> String {
        it.to_string()
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = serde_json::to_value(self.dataset).unwrap_or_default();
        write!(f, "{}", name.as_str().unwrap_or_default())?;
        match &self.root {
            Some(root) => write!(f, "={}", root.display()),
            None => Ok(()),
        }
    }
}

/// A list of data sets as a specification holds it, in the order of [`DATASETS`]; nothing where it is none, or one comes
/// twice: their metrics would have one name.
pub(super) fn listed(value: &Value) -> Option<Vec<Elsewhere>> {
    let one = |item: &Value| Elsewhere::try_from(item.as_str()?.to_owned()).ok();
    let mut found: Vec<Elsewhere> = value.as_array()?.iter().map(one).collect::<Option<_>>()?;
    found.sort_by_key(|it| it.dataset as usize);
    let twice = found.windows(2).any(|pair| pair[0].dataset == pair[1].dataset);
    (!twice).then_some(found)
}

/// A list of data sets as a specification holds it, with what tells runs apart alone.
pub fn identities(value: &Value) -> Option<Value> {
    Some(listed(value)?.iter().map(|it| Value::from(it.identity().to_string())).collect())
}

/// What is allowed, in words.
pub(super) fn words() -> String {
    format!("a list of data sets, each once, as NAME or NAME=DIR, of {}", DATASETS.join(", "))
}

/// Height and width of a set's images, in pixels, where the set has them of one size; else they are brought to any.
fn side(dataset: DatasetKind) -> Option<u64> {
    match dataset {
        DatasetKind::Shapes | DatasetKind::Cifar10 | DatasetKind::Cifar100 => Some(32),
        DatasetKind::Mnist | DatasetKind::FashionMnist | DatasetKind::Kmnist => Some(28),
        _ => None,
    }
}

/// Reports what `eval.on` names that no run of `plan` can be evaluated on: its own set in every run, or images of another
/// size than the network takes. `found` is where the key was written.
pub(super) fn check(plan: &Plan, found: &[&Found], problems: &mut Vec<Problem>) {
    if found.is_empty() {
        return;
    }
    let mut settings = vec![Map::new()];
    for key in ["data.dataset", "data.root", "data.side"] {
        let values = plan.values(key);
        let with = |of: Map<String, Value>| {
            values.iter().map(move |value| {
                let mut of = of.clone();
                // Nothing where nothing sets it, so that the default holds.
                value.iter().for_each(|value| drop(of.insert(key.to_owned(), value.clone())));
                of
            })
        };
        settings = settings.into_iter().flat_map(with).collect();
    }
    for found in found {
        for it in listed(&found.value).unwrap_or_default() {
            let own = |of: &Map<String, Value>| {
                let dataset = serde_json::from_value(effective(of, "data.dataset"));
                let root = effective(of, "data.root").as_str().map(PathBuf::from);
                let dataset = dataset.unwrap_or(DatasetKind::Cifar10);
                DataSpec { root, ..DataSpec::whole(dataset) }
            };
            let others: Vec<_> = settings.iter().filter(|of| !it.is_own(&own(of))).collect();
            if others.is_empty() {
                let allowed = "another data set than the run's own, data.dataset";
                problems.push(found.place.problem("eval.on", it.to_string(), allowed));
                continue;
            }
            let of_own = |of: &Map<String, Value>| {
                side(own(of).dataset).or_else(|| effective(of, "data.side").as_u64())
            };
            let fits = |of: &&Map<String, Value>| {
                side(it.dataset).zip(of_own(of)).is_none_or(|(its, own)| its == own)
            };
            if let (false, Some(its)) = (others.iter().any(fits), side(it.dataset)) {
                let own = others.first().and_then(|of| of_own(of)).unwrap_or_default();
                let what = format!("{it}, whose images have {its}×{its} pixels");
                let allowed =
                    format!("sets of {own}×{own} pixels, as data.dataset has, or of any size");
                problems.push(found.place.problem("eval.on", what, allowed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::experiment::{Overrides, parse};

    #[test]
    fn a_list_has_one_spelling_and_reads_back() {
        let found = listed(&json!(["stl10", "cifar100=/a b"])).unwrap();
        assert_eq!(json!(found), json!(["cifar100=/a b", "stl10"]));
        assert_eq!(serde_json::from_value::<Vec<Elsewhere>>(json!(found)).unwrap(), found);
        assert_eq!(listed(&json!([])), Some(Vec::new()));
        for wrong in [
            json!(["cifar"]),
            json!(["cifar100="]),
            json!("cifar100"),
            json!([3]),
            json!(["cifar100", "cifar100=/elsewhere"]),
        ] {
            assert_eq!(listed(&wrong), None, "{wrong}");
        }
    }

    fn wrong(base: &str, grid: &str) -> String {
        let text = format!("name = 'x'\n[base]\n{base}\n[grid]\nseed = [0]\n{grid}");
        parse("x.toml", &text, &Overrides::default())
            .map_err(|why| why.to_string())
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn what_no_run_can_be_evaluated_on_is_named_with_its_line() {
        let ask = |on: &str| format!("eval.finally = ['linear']\neval.on = [{on}]");
        assert_eq!(wrong(&ask("'cifar100', 'shapes'"), ""), "");
        assert_eq!(
            wrong(&ask("'cifar10=/x'"), ""),
            "x.toml:4: eval.on: found cifar10=/x, allowed: another data set than the run's own, data.dataset"
        );
        // Each of two sets has the other one.
        let both = "data.dataset = ['cifar10', 'cifar100']";
        assert_eq!(wrong(&ask("'cifar10', 'cifar100'"), both), "");
        assert_eq!(
            wrong(&ask("'mnist'"), ""),
            "x.toml:4: eval.on: found mnist, whose images have 28×28 pixels, allowed: sets of 32×32 \
             pixels, as data.dataset has, or of any size"
        );
        let folder = |on: &str| {
            let more = "data.dataset = 'folder'\ndata.root = '/a'\ndata.side = 28\n";
            wrong(&format!("{more}{}", ask(on)), "")
        };
        assert_eq!(folder("'folder=/b', 'mnist', 'stl10'"), "");
        assert!(folder("'folder=/a'").contains("another data set"));
        assert!(folder("'cifar10'").contains("sets of 28×28 pixels"));
        // Nobody would look at it.
        assert_eq!(
            wrong("eval.on = ['shapes']", ""),
            "x.toml:3: eval.on: found ['shapes'], allowed: nothing, unless eval.finally names something"
        );
        assert!(
            wrong(&ask("'cifar'"), "")
                .starts_with("x.toml:4: eval.on: found ['cifar'], allowed: a list of data sets")
        );
    }
}
