//! `report EXPERIMENT`.

use std::collections::BTreeSet;
use std::fmt::Write;
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
use crate::report::figure::{Series, axis, curves, file_stem, over_epochs};
use crate::report::page::Page;
use crate::report::raster::Kind;
use crate::report::shown;
use crate::report::table::Format;
use crate::store::{ExperimentRecord, RunRow, Store};

/// Write an experiment onto one page: question, tables, curves, environment, how to make it again.
///
/// There is a table for each metric that the experiment's file names or has a published value for, and one for k-NN.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: instdisc-lab report proximal --to proximal.html --figures figures"
)]
pub struct Args {
    /// Name of an experiment that was queued.
    experiment: String,
    /// File to write, `.html` or `.md`; else Markdown on standard output.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// A metric for one more table, with `.last` or `.best`, and for its curves; may come several times.
    #[arg(long, value_name = "METRIC")]
    metric: Vec<String>,
    /// Also write each figure of the page into this folder, as SVG and as PNG.
    #[arg(long, value_name = "DIR")]
    figures: Option<PathBuf>,
}

/// Metrics whose curves are drawn.
const DRAWN: [&str; 2] = ["knn_top1", "loss/instance"];

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
        let mut written = String::new();
        if let Some(folder) = &self.figures {
            written = save(&page.figures, &context.cwd.join(folder))?;
        }
        match &self.to {
            // The page alone goes to where it may be piped on.
            None => {
                print(&text)?;
                written.lines().for_each(|path| say(format_args!("Wrote {path}")));
            }
            Some(path) => {
                let path = context.cwd.join(path);
                std::fs::write(&path, text).map_err(unwritable("--to", &path))?;
                print(&format!("{}\n{written}", path.display()))?;
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
                tables.push((metric.clone(), table.render(Format::Md)));
            } else if let Some(asked) = asked {
                say(format_args!(
                    "No finished run of {} has {asked}: its table is left out.",
                    record.name
                ));
            }
            // The curves are drawn beside what was published of k-NN.
            if rows.is_none() || metric == METRIC {
                rows = Some(table);
            }
        }
        let mut figures = Vec::new();
        let asked: BTreeSet<&str> = self.metric.iter().map(|metric| split(metric).0).collect();
        let asked = asked.into_iter().filter(|metric| !DRAWN.contains(metric));
        for metric in DRAWN.into_iter().chain(asked) {
            let Some(table) = &rows else { continue };
            let series = series(store, table, metric).await?;
            // Of one point a run there is a table, and no curve.
            let is_curve = series.iter().flat_map(|one| &one.lines).any(|line| 1 < line.len());
            if let (true, Some(svg)) = (is_curve, curves("epoch", &axis(metric), &series)?) {
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

/// Writes each figure as SVG and as PNG; their paths, a line each.
fn save(figures: &[(String, String)], folder: &Path) -> Result<String> {
    let mut written = String::new();
    std::fs::create_dir_all(folder).map_err(unwritable("--figures", folder))?;
    for (metric, svg) in figures {
        for kind in Kind::ALL {
            let path = folder.join(format!("curve-{}.{}", file_stem(metric), kind.extension()));
            let bytes = kind.bytes(svg)?;
            std::fs::write(&path, bytes).map_err(unwritable("--figures", &path))?;
            let _ = writeln!(written, "{}", path.display());
        }
    }
    Ok(written)
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
            lines.push(over_epochs(&points));
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
