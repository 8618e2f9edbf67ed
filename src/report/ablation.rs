//! The ablation table: what an experiment varied, against what came out, beside what was published. Pure.
//!
//! A row is one setting of the factors; its seeds become mean ± sample standard deviation (n). Only finished runs count.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::setting::{Asked, Differing, Group, alike, same};
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
    /// How often runs were evaluated tells settings apart, as it does for a metric that is [`metric::is_paced`]. To be said
    /// of all tables that stand together where it holds for one of them: they have the same rows.
    pub paced: bool,
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
    /// The same seed by seed; absent where there is nothing to compare with, or no seed that both rows have.
    pub paired: Option<Paired>,
    pub is_baseline: bool,
    pub runs: Vec<RunId>,
    /// What its runs have that the experiment's file does not ask for by itself: another size, another `--set`.
    pub differs: Map<String, Value>,
    /// Which of [`Ablation::other_settings`]; none = the file's own.
    pub setting: Option<usize>,
    pub reference: Option<Reference>,
}

/// Differences between runs of one seed. They have the order, the views and the negatives in common, so that these scatter
/// far less than the two means do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    /// Seeds that both rows have.
    pub n: usize,
    /// Of the sample of differences; absent below two seeds.
    pub std: Option<f64>,
    /// Neither row has a seed that the other lacks: the mean of the differences is the difference of the means.
    pub is_whole: bool,
}

/// What cannot be tabulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AblationError {
    #[error("{experiment} does not vary {key}: found {key}, allowed: {}", .allowed.join(", "))]
    Factor { experiment: String, key: String, allowed: Vec<String> },

    #[error("no run of {experiment} has the metric {metric}: found {metric}, allowed: {}", .allowed.join(", "))]
    Metric { experiment: String, metric: String, allowed: Vec<String> },

    #[error("--metric {name}.{suffix}: found .{suffix}, allowed: .last, .best, .reach=X")]
    Suffix { name: String, suffix: String },

    #[error(
        "--metric {name}.reach={level}: found {level:?}, allowed: a number, as in {name}.reach=60"
    )]
    Level { name: String, level: String },

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
    let asked = Asked::read(&experiment.text, options.paced || metric::is_paced(metric));
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
    let counts = |run: &RunRow| options.interim || run.state == State::Finished;
    let measured = |run: &RunRow| value(run, name, best).filter(|_| counts(run));
    for (row, group) in &mut rows {
        let values: Vec<f64> = group.iter().filter_map(|run| measured(run)).collect();
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
        if let Some(reference) = row.reference.as_mut()
            && group.iter().all(|run| may_be(run, reference.on.as_deref()))
        {
            reference.on = None;
        }
    }
    let other_settings = settle(&mut rows);
    // Stable: within a setting the experiment's order.
    rows.sort_by_key(|(row, _)| row.setting);
    compare(experiment, &mut rows, options, &measured)?;
    let rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
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
    let settings: Vec<Option<usize>> = rows
        .iter()
        .map(|row| {
            let differing = differing(row).filter(|(differs, _)| !differs.is_empty())?;
            let known = groups.iter_mut().position(|group| group.takes(differing));
            if known.is_none() {
                groups.push(Group::new(differing));
            }
            known.or(groups.len().checked_sub(1))
        })
        .collect();
    let differs = groups.into_iter().map(|group| group.differs).collect();
    for ((row, _), setting) in rows.iter_mut().zip(settings) {
        row.setting = setting;
    }
    differs
}

/// What a row differs in, with a run of it.
fn differing<'a>((row, runs): &'a (Row, Vec<&RunRow>)) -> Option<Differing<'a>> {
    Some((&row.differs, runs.first()?))
}

/// Whether the run may have trained on `published`, the data of a published value: in a folder may lie what the paper had,
/// as nothing but the folder says. Images of that size alone are taken for it; small ones are another set in files.
fn may_be(run: &RunRow, published: Option<&str>) -> bool {
    const LARGE: u64 = 128;
    let side = || setting(run, "data.side").and_then(|side| side.as_u64());
    published == Some("ImageNet")
        && setting(run, "data.dataset") == Some("folder".into())
        && side().is_some_and(|side| LARGE <= side)
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
            paired: None,
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
    if let Some((name, level)) = name.split_once(".reach=").filter(|_| measured == name) {
        let (name, level) = (name.to_owned(), level.to_owned());
        return Err(AblationError::Level { name, level });
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
    rows: &mut [(Row, Vec<&RunRow>)],
    options: &Options,
    measured: &dyn Fn(&RunRow) -> Option<f64>,
) -> Result<(), AblationError> {
    let baselines = match &options.baseline {
        None => baselines(rows),
        Some(run) => {
            let at = rows.iter().position(|(row, _)| row.runs.contains(run));
            let (experiment, run) = (experiment.name.clone(), run.clone());
            vec![at.ok_or(AblationError::Baseline { experiment, run })?; rows.len()]
        }
    };
    let seeds: Vec<BTreeMap<u64, f64>> =
        rows.iter().map(|(_, runs)| by_seed(runs, measured)).collect();
    for (y, baseline) in baselines.into_iter().enumerate() {
        let zero = rows[baseline].0.mean;
        let row = &mut rows[y].0;
        row.is_baseline = y == baseline;
        row.delta = row.mean.zip(zero).map(|(mean, zero)| mean - zero);
        row.paired = paired(&seeds[y], &seeds[baseline]).filter(|_| !row.is_baseline);
    }
    Ok(())
}

/// Of each row which one it is compared with. Of those that were measured alike it is the first that has a value, else the
/// first: a key that differs and means nothing in it, as a number of transformations where there is one image a class, makes
/// no second baseline.
fn baselines(rows: &[(Row, Vec<&RunRow>)]) -> Vec<usize> {
    let is_alike = |x: usize, y: usize| {
        differing(&rows[x]).zip(differing(&rows[y])).is_some_and(|(x, y)| alike(x, y))
    };
    let mut of: Vec<usize> = (0..rows.len()).collect();
    let mut firsts: Vec<usize> = Vec::new();
    let (valued, bare): (Vec<usize>, Vec<usize>) =
        (0..rows.len()).partition(|&y| rows[y].0.mean.is_some());
    for y in valued.into_iter().chain(bare) {
        match firsts.iter().find(|&&first| is_alike(first, y)) {
            Some(&first) => of[y] = first,
            None => firsts.push(y),
        }
    }
    of
}

/// The value of each seed: the mean where a row averages over more than seeds.
fn by_seed(runs: &[&RunRow], measured: &dyn Fn(&RunRow) -> Option<f64>) -> BTreeMap<u64, f64> {
    let mut seeds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for run in runs {
        seeds.entry(run.seed).or_default().extend(measured(run));
    }
    let mean = |(seed, values): (u64, Vec<f64>)| Some((seed, mean_and_std(&values).0?));
    seeds.into_iter().filter_map(mean).collect()
}

/// How far the seeds that two rows have in common lie apart.
fn paired(here: &BTreeMap<u64, f64>, there: &BTreeMap<u64, f64>) -> Option<Paired> {
    let both = here.iter().filter_map(|(seed, x)| Some(x - there.get(seed)?));
    let differences: Vec<f64> = both.collect();
    let n = differences.len();
    let is_whole = n == here.len() && n == there.len();
    let (_, std) = mean_and_std(&differences);
    (0 < n).then_some(Paired { n, std, is_whole })
}

impl Ablation {
    /// Rows whose mean is the best, in the metric's direction; of several that come to the same all of them, and none where
    /// no row is worse.
    pub fn best(&self) -> Vec<usize> {
        let means: Vec<(usize, f64)> = self.means().collect();
        let values = means.iter().map(|(_, mean)| *mean);
        let best = match self.better {
            Better::Higher => values.reduce(f64::max),
            Better::Lower => values.reduce(f64::min),
            Better::Neither => None,
        };
        let Some(best) = best else { return Vec::new() };
        // The same numbers in another order add up to almost the same.
        let ties = |mean: f64| (mean - best).abs() <= 1e-12 * best.abs();
        let found: Vec<usize> =
            means.iter().filter(|(_, mean)| ties(*mean)).map(|(y, _)| *y).collect();
        if found.len() < means.len() { found } else { Vec::new() }
    }

    /// The finite ones, each with its row.
    fn means(&self) -> impl Iterator<Item = (usize, f64)> {
        let means = self.rows.iter().enumerate().filter_map(|(y, row)| Some((y, row.mean?)));
        means.filter(|(_, mean)| mean.is_finite())
    }
}
