//! `export RUN…`.

mod bank;
mod curves;
mod weights;

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use color_eyre::eyre::{Result, WrapErr};

use super::{Context, Exit, bad_input, print};
use crate::saved::Saved;
use crate::store::{RunRow, Store};

/// A name, and what the file holds.
type File = (String, Vec<u8>);

/// Write what a run has learned and measured into files for other programs.
///
/// Each run gets a folder of its own under --to.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: instdisc-lab export proximal-1a2b --what encoder,csv --to exported"
)]
pub struct Args {
    /// Run ids, or beginnings of them that fit no other.
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
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
    /// Step of the checkpoint; the newest without.
    #[arg(long)]
    step: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Weights under torchvision's names, as safetensors.
    Encoder,
    /// The backbone as torchvision's and Detectron2's detectors load it, and how.
    Detection,
    /// The memory bank and its labels, as safetensors.
    Bank,
    /// The same for NumPy.
    Npy,
    /// Where images lie beside each other, by t-SNE, as SVG and CSV.
    Map,
    /// Every point of every metric.
    Csv,
    /// The same for data frames.
    Parquet,
    /// The same as JSON.
    Json,
    /// The same as an event file of TensorBoard.
    Tensorboard,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        let store = Store::open_readonly(&context.home).await?;
        let mut written = String::new();
        for run in &self.runs {
            let id = store.resolve(run).await?;
            let run = store.run(&id).await?;
            let folder = context.cwd.join(&self.to).join(&id);
            let mut files = Vec::new();
            for what in &self.what {
                files.extend(self.files(*what, context, &store, &run).await?);
            }
            // Nothing is written before everything is at hand.
            fs::create_dir_all(&folder).wrap_err_with(|| folder.display().to_string())?;
            for (name, bytes) in files {
                let path = folder.join(name);
                put(&path, &bytes).wrap_err_with(|| path.display().to_string())?;
                written.push_str(&format!("{}\n", path.display()));
            }
        }
        print(&written)?;
        Ok(Exit::Done)
    }

    async fn files(
        &self,
        what: What,
        context: &Context,
        store: &Store,
        run: &RunRow,
    ) -> Result<Vec<File>> {
        let saved = || {
            Saved::open(&context.home.run(&run.id), self.step).map_err(|e| bad_input(e.to_string()))
        };
        Ok(match what {
            What::Encoder => vec![weights::encoder(context, run, &saved()?)?],
            What::Detection => weights::detection(context, run, &saved()?)?,
            What::Bank | What::Npy => bank::bank(what, context, run, &saved()?)?,
            What::Map => bank::map(context, run, &saved()?)?,
            What::Csv | What::Parquet | What::Json | What::Tensorboard => {
                vec![curves::curves(what, store, run).await?]
            }
        })
    }
}

/// Written beside its place and renamed, so that nobody reads half a file.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, bytes)?;
    fs::rename(&partial, path)
}
