//! `table EXPERIMENT`: the ablation table.

use std::collections::BTreeSet;

use color_eyre::eyre::Result;

use super::verb::resolve;
use super::{Context, Exit, FormatArg, bad_input, print};
use crate::config::keys;
use crate::journal::event::{Better, Number};
use crate::journal::metric::{self, split};
use crate::report::ablation::{Ablation, AblationError, Options, ablation, reached};
use crate::report::beside::of_one;
use crate::report::declared::{METRIC, metrics_of, whole};
use crate::store::{ExperimentRecord, RunRow, Store, Summary};

/// Print an experiment's ablation table.
///
/// Its rows are what the experiment varied; a cell is mean ± sample standard deviation over the finished seeds, beside
/// it the difference to the baseline and the published value. Behind the difference stands ± the sample standard deviation of
/// the differences seed by seed, with the number of pairs where one of the two rows has other seeds too: runs of one seed see
/// the images in one order, so that it tells rows apart which their own ± does not. Of several copies of a run (--again)
/// one counts, the newest that has finished: it stands for its seed. The source stands below: a recalled value says so, and a
/// † marks one beside a row that was measured at another setting than the file's own, such as --size cpu. Of several metrics
/// each has a column, without the differences: those of --metric, else those that the experiment's file names under
/// `metrics`, as far as they have been measured, else k-NN.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: instdisc-lab table proximal --metric loss/roughness.last --cols seed --format md
         instdisc-lab table proximal --metric knn_top1 --metric loss/roughness"
)]
pub struct Args {
    /// Name of an experiment that was queued.
    experiment: String,
    /// A metric, with `.last` or `.best`, or `.reach=X` for the epoch at which it was first X or better; may come several
    /// times, for a column each.
    #[arg(long)]
    metric: Vec<String>,
    /// Factors of the rows, between commas, also `seed`; else all that vary. Other factors are averaged over.
    #[arg(long, value_name = "KEYS", value_delimiter = ',')]
    rows: Vec<String>,
    /// A factor whose values become columns; also `seed`.
    #[arg(long, value_name = "KEY")]
    cols: Option<String>,
    /// A run of the row that the others are compared with; else the first that has a value, at each size its own.
    #[arg(long, value_name = "RUN")]
    baseline: Option<String>,
    /// Count unfinished runs too, at their latest value.
    #[arg(long)]
    interim: bool,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        // `knn_top1` is `knn_top1.last`.
        let mut seen = BTreeSet::new();
        let asked: Vec<&String> =
            self.metric.iter().filter(|metric| seen.insert(whole(metric))).collect();
        if let (Some(cols), 2..) = (&self.cols, asked.len()) {
            return Err(bad_input(format!(
                "--cols {cols}: found {} metrics, allowed: one, as the columns are the metrics else",
                asked.len()
            )));
        }
        let store = Store::open_readonly(&context.home).await?;
        let baseline = match &self.baseline {
            Some(text) => Some(resolve(&context.home, &store, text).await?),
            None => None,
        };
        let (rows, cols, interim) = (self.rows, self.cols, self.interim);
        let paced = asked.iter().any(|metric| metric::is_paced(metric));
        let options = Options { rows, cols, baseline, interim, paced };
        let record = named(&store, &self.experiment).await?;
        let tables = if asked.is_empty() {
            declared(&store, &record, &options).await?
        } else {
            // Read once: every column has the same rows.
            let mut runs = store.runs().await?;
            let mut tables = Vec::new();
            for metric in asked {
                tables.push(of_runs(&store, &record, &mut runs, metric, &options).await?);
            }
            tables
        };
        print(&of_one(&tables, self.format.format))?;
        Ok(Exit::Done)
    }
}

/// The tables of the metrics that the experiment's file names, of those that a run has; of k-NN where none has any. With a
/// factor across there is room for one metric.
pub async fn declared(
    store: &Store,
    record: &ExperimentRecord,
    options: &Options,
) -> Result<Vec<Ablation>> {
    let mut runs = store.runs().await?;
    let mut tables = Vec::new();
    let metrics = metrics_of(record);
    let paced = metrics.iter().any(|metric| metric::is_paced(metric));
    let options = &Options { paced, ..options.clone() };
    for metric in metrics {
        // One that is measured at the end is no slip before.
        if let Ok(table) = of_runs(store, record, &mut runs, &metric, options).await
            && table.rows.iter().any(|row| row.mean.is_some())
        {
            tables.push(table);
        }
        if options.cols.is_some() && !tables.is_empty() {
            break;
        }
    }
    if tables.is_empty() {
        tables.push(of_runs(store, record, &mut runs, METRIC, options).await?);
    }
    Ok(tables)
}

/// The experiment of that name; else which there are.
pub async fn named(store: &Store, experiment: &str) -> Result<ExperimentRecord> {
    if let Some(record) = store.experiment(experiment).await? {
        return Ok(record);
    }
    let known = store.experiments().await?;
    let names: Vec<&str> = known.iter().map(|record| record.name.as_str()).collect();
    let hint = keys::nearest(experiment, names.iter().copied());
    let hint = hint.map(|name| format!(", nearest: {name}")).unwrap_or_default();
    let allowed = match names.as_slice() {
        [] => "none, as nothing was queued".to_owned(),
        names => names.join(", "),
    };
    Err(bad_input(format!("no experiment is called {experiment}: allowed: {allowed}{hint}")))
}

/// A metric of the experiment's runs as a table; `runs` are given what has to be worked out of their curves.
pub async fn of_runs(
    store: &Store,
    record: &ExperimentRecord,
    runs: &mut [RunRow],
    metric: &str,
    options: &Options,
) -> Result<Ablation> {
    if let Some((name, level)) = metric::reach(split(metric).0) {
        let is_member = |run: &&mut RunRow| record.members.iter().any(|it| it.run == run.id);
        for run in runs.iter_mut().filter(is_member) {
            note_reach(store, run, name, level).await?;
        }
    }
    Ok(ablation(record, runs, metric, options)?)
}

/// Gives the run the metric `NAME.reach=LEVEL`, where it got so far.
async fn note_reach(store: &Store, run: &mut RunRow, name: &str, level: f64) -> Result<()> {
    let Some(better) = run.metrics.get(name).map(|summary| summary.better) else { return Ok(()) };
    if better == Better::Neither {
        return Err(AblationError::Reach { name: name.to_owned() }.into());
    }
    let points = store.curve(&run.id, name, None).await?;
    let Some(first) = reached(&points, better, level) else { return Ok(()) };
    let summary = Summary {
        last: Number(first.epoch),
        last_step: first.step,
        best: Some(first.epoch),
        best_step: Some(first.step),
        unit: "epochs".to_owned(),
        better: Better::Lower,
    };
    run.metrics.insert(metric::canonical(&format!("{name}.reach={level}")), summary);
    Ok(())
}
