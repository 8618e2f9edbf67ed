//! The ablation table: what an experiment varied, against what came out, beside what was published. Pure.
//!
//! A row is one setting of the factors; its seeds become mean ± sample standard deviation (n). Only finished runs count.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::setting::{Asked, Group, same};
use crate::config::keys::{self, KEYS};
use crate::config::{Reference, applies};
use crate::journal::event::{Better, METRICS};
use crate::journal::metric::{self, split};
use crate::store::{CurvePoint, ExperimentRecord, RunId, RunRow, State};

/// How to lay out an ablation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Factors of the rows; empty = all that vary. Runs are averaged over the others.
    pub rows: Vec<String>,
    /// Factor whose values become columns.
    pub cols: Option<String>,
    /// A run of the row that the others are compared with; else each with the first row of its setting.
    pub baseline: Option<RunId>,
    /// Count runs that are not finished, at their latest value.
    pub interim: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Ablation {
    pub experiment: String,
    pub question: String,
    /// With `.last` or `.best`.
    pub metric: String,
    pub unit: String,
    pub better: Better,
    /// Keys of the rows' factors, that of the columns last.
    pub factors: Vec<String>,
    /// The last factor is laid out in columns.
    pub two_way: bool,
    /// Those of the file's own setting first.
    pub rows: Vec<Row>,
    /// Settings other than that of the experiment's file, in the order in which their rows come: what differs.
    pub other_settings: Vec<Map<String, Value>>,
}

/// One setting of the factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// A factor that means nothing here is absent.
    pub factors: Map<String, Value>,
    pub variant: Option<String>,
    /// Runs with a value.
    pub n: usize,
    pub n_planned: usize,
    /// Runs that have finished, with a value or without.
    pub n_ended: usize,
    pub mean: Option<f64>,
    /// Of the sample; absent below two runs.
    pub std: Option<f64>,
    /// Mean minus the baseline's.
    pub delta: Option<f64>,
    pub is_baseline: bool,
    pub runs: Vec<RunId>,
    /// What its runs have that the experiment's file does not ask for by itself: another size, another `--set`.
    pub differs: Map<String, Value>,
    /// Which of [`Ablation::other_settings`]; none = the file's own.
    pub setting: Option<usize>,
    pub reference: Option<Reference>,
}

/// What cannot be tabulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AblationError {
    #[error("{experiment} does not vary {key}: found {key}, allowed: {}", .allowed.join(", "))]
    Factor { experiment: String, key: String, allowed: Vec<String> },

    #[error("no run of {experiment} has the metric {metric}: found {metric}, allowed: {}", .allowed.join(", "))]
    Metric { experiment: String, metric: String, allowed: Vec<String> },

    #[error("{name}.{suffix}: found .{suffix}, allowed: .last, .best")]
    Suffix { name: String, suffix: String },

    #[error("{name}.reach: found {name}, allowed: a metric of which more or less is better")]
    Reach { name: String },

    #[error("{run} is no run of {experiment}")]
    Baseline { experiment: String, run: RunId },
}

/// Tabulates `metric` (a name, or one with `.last` or `.best`) over the members of `experiment`.
///
/// `NAME.reach=X` is no metric that a run has by itself: `runs` come with it, as [`reached`] finds it.
///
/// Archived runs are left out. Of several runs of one specification (`--again`) the latest counts: a second run of the
/// same seed is no second sample.
pub fn ablation(
    experiment: &ExperimentRecord,
    runs: &[RunRow],
    metric: &str,
    options: &Options,
) -> Result<Ablation, AblationError> {
    let (name, best) = split(metric);
    let name = metric::canonical(name);
    let name = name.as_str();
    let members = members(experiment, runs);
    check_metric(experiment, &members, name)?;
    let factors = factors(experiment, &members, options)?;
    let asked = Asked::read(&experiment.text);
    let mut rows: Vec<(Row, Vec<&RunRow>)> = Vec::new();
    for (run, variant) in &members {
        let varied = point(run, &factors);
        match rows.iter_mut().find(|(row, _)| row.factors == varied) {
            Some((row, group)) => {
                // A row that mixes variants is none of them.
                row.variant = row.variant.take().filter(|name| Some(name) == variant.as_ref());
                group.push(run);
            }
            None => rows.push((Row::new(varied, variant.clone()), vec![run])),
        }
    }
    let counts = |run: &&&RunRow| options.interim || run.state == State::Finished;
    for (row, group) in &mut rows {
        let values: Vec<f64> =
            group.iter().filter(counts).filter_map(|run| value(run, name, best)).collect();
        (row.n, row.n_planned) = (values.len(), group.len());
        row.n_ended = group.iter().filter(|run| run.state == State::Finished).count();
        (row.mean, row.std) = mean_and_std(&values);
        row.runs = group.iter().map(|run| run.id.clone()).collect();
        for run in group.iter().rev() {
            row.differs.extend(asked.differs(run));
        }
        let stands = |reference: &&Reference| {
            metric::canonical(split(&reference.metric).0) == name && fits(reference, group)
        };
        row.reference = experiment.references.iter().find(stands).cloned();
        // In a folder may lie what the paper trained on; that it is one, its setting says.
        let in_folder = |run: &&RunRow| setting(run, "data.dataset") == Some("folder".into());
        if let Some(reference) = row.reference.as_mut().filter(|_| group.iter().all(in_folder)) {
            reference.on = None;
        }
    }
    let other_settings = settle(&mut rows);
    let mut rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
    // Stable: within a setting the experiment's order.
    rows.sort_by_key(|row| row.setting);
    compare(experiment, &mut rows, options)?;
    let described = members.iter().find_map(|(run, _)| run.metrics.get(name));
    let known = || metric::meaning(name).unwrap_or(("", Better::Neither));
    let (unit, better) = match described {
        Some(metric) => (metric.unit.clone(), metric.better),
        None => (known().0.to_owned(), known().1),
    };
    Ok(Ablation {
        experiment: experiment.name.clone(),
        question: experiment.question.clone(),
        metric: metric::suffixed(name, best),
        unit,
        better,
        factors,
        two_way: options.cols.is_some(),
        rows,
        other_settings,
    })
}

/// Says of each row which setting it was measured at, and returns those that are not the file's own.
fn settle(rows: &mut [(Row, Vec<&RunRow>)]) -> Vec<Map<String, Value>> {
    let mut groups: Vec<Group> = Vec::new();
    for (row, runs) in rows {
        let Some(run) = runs.first().filter(|_| !row.differs.is_empty()) else { continue };
        let known = groups.iter_mut().position(|group| group.takes(&row.differs, run));
        row.setting = known.or(Some(groups.len()));
        if known.is_none() {
            groups.push(Group::new(row.differs.clone(), run));
        }
    }
    groups.into_iter().map(|group| group.differs).collect()
}

impl Row {
    fn new(factors: Map<String, Value>, variant: Option<String>) -> Self {
        Row {
            factors,
            variant,
            n: 0,
            n_planned: 0,
            n_ended: 0,
            mean: None,
            std: None,
            delta: None,
            is_baseline: false,
            runs: Vec::new(),
            differs: Map::new(),
            setting: None,
            reference: None,
        }
    }
}

/// The runs that count, in the experiment's order, each specification once.
fn members<'a>(
    experiment: &ExperimentRecord,
    runs: &'a [RunRow],
) -> Vec<(&'a RunRow, Option<String>)> {
    let by_id: HashMap<&str, &RunRow> = runs.iter().map(|run| (run.id.as_str(), run)).collect();
    let mut members: Vec<(&RunRow, Option<String>)> = Vec::new();
    for member in &experiment.members {
        let Some(&run) = by_id.get(member.run.as_str()) else { continue };
        if run.archived {
            continue;
        }
        let rank = |run: &RunRow| (run.state == State::Finished, run.queued_at);
        match members.iter_mut().find(|(known, _)| known.spec == run.spec) {
            Some((known, _)) if rank(known) <= rank(run) => *known = run,
            Some(_) => {}
            None => members.push((run, member.variant.clone())),
        }
    }
    members
}

fn check_metric(
    experiment: &ExperimentRecord,
    members: &[(&RunRow, Option<String>)],
    name: &str,
) -> Result<(), AblationError> {
    let mut known: Vec<String> =
        members.iter().flat_map(|(run, _)| run.metrics.keys().cloned()).collect();
    known.sort_unstable();
    known.dedup();
    // Which epoch reached a level is worked out of the metric itself.
    let measured = metric::reach(name).map_or(name, |(name, _)| name);
    if METRICS.contains(&measured) || known.iter().any(|metric| metric == measured) {
        return Ok(());
    }
    // A number may have a point in it, as in `finetune_top1/labels=0.2`; a word behind one is a suffix.
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic());
    if let Some((name, suffix)) = name.rsplit_once('.').filter(|(_, suffix)| is_word(suffix)) {
        let (name, suffix) = (name.to_owned(), suffix.to_owned());
        return Err(AblationError::Suffix { name, suffix });
    }
    // Before the first point nobody knows what there will be, and a failed run may have had no evaluation; but what is
    // almost a name of ours is a slip.
    let is_slip = || metric::meaning(name).is_none() && keys::nearest(name, METRICS).is_some();
    if known.is_empty() && !is_slip() {
        return Ok(());
    }
    let allowed = if known.is_empty() { METRICS.map(str::to_owned).to_vec() } else { known };
    let (experiment, metric) = (experiment.name.clone(), name.to_owned());
    Err(AblationError::Metric { experiment, metric, allowed })
}

/// The keys that rows (and columns) are told apart by.
///
/// An experiment that was queued at two sizes, or with another `--set`, holds runs that differ in more than its factors:
/// those keys become factors too, so that nothing is averaged over without being asked for.
fn factors(
    experiment: &ExperimentRecord,
    members: &[(&RunRow, Option<String>)],
    options: &Options,
) -> Result<Vec<String>, AblationError> {
    let mut varied = experiment.factors.clone();
    let differing = KEYS.iter().filter(|key| key.name != "seed" && key.name != "data.root");
    for key in differing.filter(|key| !experiment.factors.iter().any(|name| name == key.name)) {
        let mut values = members.iter().filter_map(|(run, _)| setting(run, key.name));
        let first = values.next();
        if values.any(|value| Some(&value) != first.as_ref()) {
            varied.push(key.name.to_owned());
        }
    }
    // Told apart by the seed only where that is asked for: else seeds are what a mean is over.
    let mut nameable = varied.clone();
    nameable.push("seed".to_owned());
    let full = |name: &String| {
        let leaf = |key: &&String| key.rsplit('.').next() == Some(name.as_str());
        let known = nameable.iter().find(|key| *key == name).or_else(|| nameable.iter().find(leaf));
        known.cloned().ok_or_else(|| AblationError::Factor {
            experiment: experiment.name.clone(),
            key: name.clone(),
            allowed: nameable.clone(),
        })
    };
    let cols = options.cols.as_ref().map(full).transpose()?;
    let mut rows = match options.rows.as_slice() {
        [] => varied.clone(),
        rows => rows.iter().map(full).collect::<Result<Vec<_>, _>>()?,
    };
    rows.retain(|key| Some(key) != cols.as_ref());
    rows.extend(cols);
    Ok(rows)
}

/// A key's value in a run where it means something.
pub fn setting(run: &RunRow, key: &str) -> Option<Value> {
    has(run, key).then(|| keys::effective(&run.spec, key)).flatten()
}

/// As [`setting`], where the specification itself says it.
pub fn written(run: &RunRow, key: &str) -> Option<Value> {
    has(run, key).then(|| keys::value(&run.spec, key).cloned()).flatten()
}

/// Whether `key` means anything to the run.
fn has(run: &RunRow, key: &str) -> bool {
    let Some(known) = keys::key(key) else { return false };
    let mut under = Map::new();
    for condition in known.applies {
        let Some(value) = keys::value(&run.spec, condition.key) else { return false };
        under.insert(condition.key.to_owned(), value.clone());
    }
    applies(known, &under)
}

fn point(run: &RunRow, factors: &[String]) -> Map<String, Value> {
    let value = |key: &String| Some((key.clone(), setting(run, key)?));
    factors.iter().filter_map(value).collect()
}

fn value(run: &RunRow, metric: &str, best: bool) -> Option<f64> {
    let summary = run.metrics.get(metric)?;
    if best { summary.best } else { Some(summary.last.0) }
}

/// At which epoch a curve was first at `level` or better.
pub fn reached(points: &[CurvePoint], better: Better, level: f64) -> Option<&CurvePoint> {
    points.iter().find(|point| match better {
        Better::Higher => level <= point.value,
        Better::Lower => point.value <= level,
        Better::Neither => false,
    })
}

/// Mean and standard deviation of a sample (divisor n − 1); no mean of nothing, no deviation below two values.
pub fn mean_and_std(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (Some(mean), (1 < values.len()).then(|| (squares / (n - 1.0)).sqrt()))
}

/// Whether every run of a row has what the reference was measured with.
pub fn fits(reference: &Reference, group: &[&RunRow]) -> bool {
    reference.where_.iter().all(|(key, wanted)| {
        group.iter().all(|run| setting(run, key).is_some_and(|value| same(&value, wanted)))
    })
}

/// Differences to the baseline: the row that was asked for, else the first of the same setting that has a value, as what
/// another size gains is no effect of the factors. In a two-way table too there is one baseline cell a setting.
fn compare(
    experiment: &ExperimentRecord,
    rows: &mut [Row],
    options: &Options,
) -> Result<(), AblationError> {
    let asked = match &options.baseline {
        None => None,
        Some(run) => {
            let at = rows.iter().position(|row| row.runs.contains(run));
            let (experiment, run) = (experiment.name.clone(), run.clone());
            Some(at.ok_or(AblationError::Baseline { experiment, run })?)
        }
    };
    for y in 0..rows.len() {
        let alike = |row: &Row| row.setting == rows[y].setting;
        let first = || rows.iter().position(|row| alike(row) && row.mean.is_some());
        let any = || rows.iter().position(alike);
        let Some(baseline) = asked.or_else(first).or_else(any) else { continue };
        let zero = rows[baseline].mean;
        let row = &mut rows[y];
        row.is_baseline = y == baseline;
        row.delta = row.mean.zip(zero).map(|(mean, zero)| mean - zero);
    }
    Ok(())
}

impl Ablation {
    /// Rows whose mean is the best, in the metric's direction.
    pub fn best(&self) -> Option<usize> {
        let means = self.rows.iter().enumerate().filter_map(|(i, row)| Some((i, row.mean?)));
        let means = means.filter(|(_, mean)| mean.is_finite());
        let by_mean = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
        match self.better {
            Better::Higher => means.max_by(by_mean),
            Better::Lower => means.min_by(by_mean),
            Better::Neither => None,
        }
        .map(|(i, _)| i)
    }
}
