//! `report EXPERIMENT`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use color_eyre::eyre::Result;
use serde_json::Value;

use super::table::{named, of_runs};
use super::{Context, Exit, bad_input, print, say, unwritable};
use crate::config::experiment::{Overrides, parse};
use crate::journal::metric::split;
use crate::report::ablation::{Ablation, Options};
use crate::report::again::commands;
use crate::report::declared::{METRIC, metrics_of, whole};
use crate::report::figure::{Series, curves};
use crate::report::page::Page;
use crate::report::shown;
use crate::report::table::Format;
use crate::store::{CurvePoint, ExperimentRecord, RunRow, Store};

/// Write an experiment onto one page: question, tables, curves, environment, how to make it again.
///
/// There is a table for each metric that the experiment's file names or has a published value for, and one for k-NN.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: instdisc-lab report proximal --to proximal.html")]
pub struct Args {
    /// Name of an experiment that was queued.
    experiment: String,
    /// File to write, `.html` or `.md`; else Markdown on standard output.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// A metric for one more table, with `.last` or `.best`; may come several times.
    #[arg(long, value_name = "METRIC")]
    metric: Vec<String>,
}

/// Metrics whose curves are drawn.
const DRAWN: [(&str, &str); 2] =
    [("knn_top1", "k-NN (%)"), ("loss/instance", "instance loss (nats)")];
/// Points of a drawn curve; of more than that nothing is seen, and neighbours are drawn as their mean.
const DRAWN_POINTS: usize = 400;

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let is_html = match self.to.as_deref().map(extension) {
            None | Some("md") => false,
            Some("html") => true,
            Some(other) => {
                return Err(bad_input(format!(
                    "--to: found a file of kind `{other}`, allowed: .html, .md"
                )));
            }
        };
        let store = Store::open_readonly(&context.home).await?;
        let record = named(&store, &self.experiment).await?;
        let page = self.page(context, &store, &record).await?;
        let text = if is_html { page.html() } else { page.markdown() };
        match &self.to {
            None => print(&text)?,
            Some(path) => {
                let path = context.cwd.join(path);
                std::fs::write(&path, text).map_err(unwritable("--to", &path))?;
                print(&format!("{}\n", path.display()))?;
            }
        }
        Ok(Exit::Done)
    }

    async fn page(
        &self,
        context: &Context,
        store: &Store,
        record: &ExperimentRecord,
    ) -> Result<Page> {
        let published = record.references.iter().map(|reference| whole(&reference.metric));
        let published: BTreeSet<String> = published.collect();
        let asked_for = self.metric.iter().map(|metric| whole(metric));
        let mut metrics = metrics_of(record);
        metrics.extend([METRIC.to_owned()].into_iter().chain(published).chain(asked_for));
        let mut seen = BTreeSet::new();
        metrics.retain(|metric| seen.insert(metric.clone()));
        let mut runs = store.runs().await?;
        let (mut tables, mut rows) = (Vec::new(), None);
        for metric in metrics {
            let asked = self.metric.iter().find(|it| whole(it) == metric);
            let table = of_runs(store, record, &mut runs, &metric, &Options::default()).await;
            let table = match table {
                Ok(table) => table,
                Err(why) if asked.is_some() => return Err(why),
                // A metric that nobody has measured yet is no reason to write no page.
                Err(_) => continue,
            };
            if table.rows.iter().any(|row| row.mean.is_some()) {
                tables.push((metric, table.render(Format::Md)));
            } else if let Some(asked) = asked {
                say(format_args!(
                    "No finished run of {} has {asked}: its table is left out.",
                    record.name
                ));
            }
            rows = rows.or(Some(table));
        }
        let mut figures = Vec::new();
        for (metric, name) in DRAWN {
            let Some(table) = &rows else { continue };
            let series = series(store, table, metric).await?;
            if let Some(svg) = curves("epoch", name, &series)? {
                figures.push((metric.to_owned(), svg));
            }
        }
        let why = parse(&record.name, &record.text, &Overrides::default()).map(|e| e.why);
        Ok(Page {
            title: record.name.clone(),
            question: record.question.clone(),
            why: why.unwrap_or_default(),
            tables,
            figures,
            environment: environment(context, record),
            experiment: record.text.clone(),
            commands: again(record, rows.as_ref(), &runs),
        })
    }
}

/// What makes the runs of the table again: a command for each setting that they were queued at.
fn again(record: &ExperimentRecord, table: Option<&Ablation>, runs: &[RunRow]) -> Vec<String> {
    let mut settings: Vec<(Option<usize>, Vec<&RunRow>)> = Vec::new();
    for row in table.into_iter().flat_map(|table| &table.rows) {
        let of_row = runs.iter().filter(|run| row.runs.contains(&run.id));
        match settings.iter_mut().find(|(setting, _)| *setting == row.setting) {
            Some((_, known)) => known.extend(of_row),
            None => settings.push((row.setting, of_row.collect())),
        }
    }
    let settings: Vec<Vec<&RunRow>> = settings.into_iter().map(|(_, runs)| runs).collect();
    commands(&record.name, &record.text, &settings)
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|kind| kind.to_str()).unwrap_or("")
}

/// The seeds of each row, under its factors, with what was published of it.
async fn series(store: &Store, table: &Ablation, metric: &str) -> Result<Vec<Series>> {
    let mut series = Vec::new();
    for row in &table.rows {
        let short = |key: &String| key.rsplit('.').next().unwrap_or(key).to_owned();
        let name = row
            .factors
            .iter()
            .map(|(key, value)| format!("{} = {}", short(key), shown(Some(value))));
        let mut lines = Vec::new();
        for run in &row.runs {
            let points = store.curve(run, metric, None).await?;
            lines.push(thinned(&points));
        }
        let reference = row.reference.as_ref().filter(|it| split(&it.metric).0 == metric);
        let curve = reference.map(|it| it.curve.as_slice()).unwrap_or_default();
        // Two hundred published epochs beside twenty of ours would leave ours no room.
        let end = lines.iter().flatten().map(|point| point.0).fold(0.0, f64::max);
        let published = curve.iter().copied().filter(|point| point.0 <= end).collect();
        series.push(Series { name: name.collect::<Vec<_>>().join(", "), lines, published });
    }
    Ok(series)
}

/// (epoch, value), at most [`DRAWN_POINTS`] of them.
fn thinned(points: &[CurvePoint]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(DRAWN_POINTS).max(1);
    let mean = |of: &dyn Fn(&CurvePoint) -> f64, group: &[CurvePoint]| {
        group.iter().map(of).sum::<f64>() / group.len() as f64
    };
    let groups = points.chunks(size);
    groups.map(|group| (mean(&|p| p.epoch, group), mean(&|p| p.value, group))).collect()
}

/// What the runs were made with, each difference once.
fn environment(context: &Context, record: &ExperimentRecord) -> Vec<String> {
    let read = |id: &str| -> Option<Value> {
        serde_json::from_slice(&std::fs::read(context.home.run(id).env()).ok()?).ok()
    };
    let line = |env: &Value| {
        let text = |key: &str| env[key].as_str().unwrap_or("unknown").to_owned();
        let dirty = if env["dirty"] == true { ", with changes beside it" } else { "" };
        format!(
            "instdisc-lab {} at {}{dirty}; libtorch {}; {}, {} thread(s), {} on {}; data {}",
            text("instdisc_lab"),
            text("revision"),
            text("libtorch"),
            text("processor"),
            env["threads"],
            text("precision"),
            env["accelerator"].as_str().map_or_else(|| text("device"), str::to_owned),
            text("data_fingerprint").chars().take(12).collect::<String>(),
        )
    };
    let lines: BTreeSet<String> = record
        .members
        .iter()
        .filter_map(|member| read(&member.run))
        .map(|env| line(&env))
        .collect();
    lines.into_iter().collect()
}
