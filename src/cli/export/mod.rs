//! `export RUN…`.

mod bank;
mod curves;
mod subject;
mod weights;

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use color_eyre::eyre::Result;

use self::subject::Subject;
use super::step::StepArg;
use super::verb::Runs;
use super::{Context, Exit, print, unwritable};
use crate::files::{PARTIAL, replace};
use crate::report::raster::Kind;
use crate::saved::Method;
use crate::store::Store;

/// A name, and what the file holds.
type File = (String, Vec<u8>);

/// Write what a run has learned and measured into files for other programs.
///
/// Each run gets a folder of its own under --to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  instdisc-lab export proximal-1a2b --what encoder,csv --to exported\n  \
                  instdisc-lab export proximal-1a2b --what svg,png --metric knn_top1,loss"
)]
pub struct Args {
    #[command(flatten)]
    runs: Runs,
    /// What to write.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "WHAT,…",
        default_value = "encoder"
    )]
    what: Vec<What>,
    /// Folder to write into.
    #[arg(long, value_name = "DIR", default_value = "exported")]
    to: PathBuf,
    #[command(flatten)]
    step: StepArg,
    /// Of `svg` and `png`: these metrics; every one with a curve without.
    #[arg(long, value_name = "METRIC,…", value_delimiter = ',')]
    metric: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Weights under torchvision's names, as safetensors.
    Encoder,
    /// Backbone for torchvision's and Detectron2's detectors, with instructions.
    Detection,
    /// Memory bank and labels, as safetensors.
    Bank,
    /// Memory bank and labels, for NumPy.
    Npy,
    /// Where images lie beside each other, by t-SNE, as SVG, PNG and CSV.
    Map,
    /// The same by two principal components, without the wait.
    Pca,
    /// Learning curves, one drawing a metric, as SVG.
    Svg,
    /// Learning curves, one picture a metric, as PNG.
    Png,
    /// Every point of every metric, as CSV.
    Csv,
    /// Every point of every metric, for data frames.
    Parquet,
    /// Every point of every metric, as JSON.
    Json,
    /// Every point of every metric, as an event file of TensorBoard.
    Tensorboard,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let store = Store::open_readonly(&context.home).await?;
        let mut written = String::new();
        for id in self.runs.ids(&context.home, &store).await? {
            let run = store.run(&id).await?;
            let folder = context.cwd.join(&self.to).join(&run.id);
            let subject = Subject::new(context, &store, run, self.step);
            let mut files = Vec::new();
            for what in &self.what {
                files.extend(self.files(*what, &subject).await?);
            }
            // Nothing is written before everything is at hand.
            fs::create_dir_all(&folder).map_err(unwritable("--to", &folder))?;
            for (name, bytes) in files {
                let path = folder.join(name);
                replace(&path, PARTIAL, &bytes).map_err(unwritable("--to", &path))?;
                written.push_str(&format!("{}\n", path.display()));
            }
        }
        print(&written)?;
        Ok(Exit::Done)
    }

    async fn files(&self, what: What, subject: &Subject<'_>) -> Result<Vec<File>> {
        let run = &subject.run;
        Ok(match what {
            What::Encoder => vec![weights::encoder(subject)?],
            What::Detection => weights::detection(subject)?,
            What::Bank => vec![bank::safetensors(subject)?],
            What::Npy => bank::numpy(subject)?,
            What::Map => bank::map(subject, Method::Tsne)?,
            What::Pca => bank::map(subject, Method::Pca)?,
            What::Svg => curves::drawn(run, subject.curves().await?, &self.metric, Kind::Svg)?,
            What::Png => curves::drawn(run, subject.curves().await?, &self.metric, Kind::Png)?,
            What::Csv => vec![curves::csv(subject.curves().await?)],
            What::Parquet => vec![curves::parquet(run, subject.curves().await?)?],
            What::Json => vec![curves::json(subject.curves().await?)],
            What::Tensorboard => vec![curves::event_file(run, subject.curves().await?)],
        })
    }
}
