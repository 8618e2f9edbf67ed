//! `data ls|fetch|verify`: which data sets there are, getting them, reading them through once.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use color_eyre::Result;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::{Context, Exit, FormatArg, bad_input};
use crate::config::spec::{BadImages, DataSpec, DatasetKind};
use crate::data::{self, cifar10, fetch};
use crate::lab::Home;
use crate::report::table::Table;

/// List, fetch and check data sets.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  instdisc-lab data fetch cifar10\n  instdisc-lab data verify folder --root ~/pictures --side 64"
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Data sets, and where each was found.
    Ls(FormatArg),
    /// Download a data set into the home; an interrupted download goes on where it stopped.
    #[command(after_help = "Example: instdisc-lab data fetch cifar10")]
    Fetch {
        #[arg(value_enum)]
        dataset: Fetchable,
        /// The Python version of the archive instead of the binary one.
        #[arg(long)]
        python: bool,
        /// A mirror of the archive; what it sends must still have the authors' md5.
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
    /// Read a data set through as a run would and print its fingerprint.
    #[command(after_help = "Example: instdisc-lab data verify cifar10 --root /data/cifar10")]
    Verify {
        #[arg(value_enum)]
        dataset: Name,
        /// Where its files lie, as `data.root`; else the home's `data/<dataset>`.
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// `folder`: the side that images are scaled to.
        #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=1024))]
        side: Option<u32>,
        #[command(flatten)]
        format: FormatArg,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fetchable {
    Cifar10,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Shapes,
    Cifar10,
    Folder,
}

impl Name {
    fn kind(self) -> DatasetKind {
        match self {
            Name::Shapes => DatasetKind::Shapes,
            Name::Cifar10 => DatasetKind::Cifar10,
            Name::Folder => DatasetKind::Folder,
        }
    }
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        match self.action {
            Action::Ls(format) => super::print(&list(&context.home).render(format.format))?,
            Action::Fetch { dataset: Fetchable::Cifar10, python, from } => {
                let version = if python { cifar10::PYTHON } else { cifar10::BINARY };
                let home = context.home.clone();
                let get = move || get(version, from.as_deref(), &home);
                tokio::task::spawn_blocking(get).await??;
            }
            Action::Verify { dataset, root, side, format } => {
                let root = root.map(|root| context.cwd.join(root));
                let spec = DataSpec { root, side, ..whole(dataset.kind()) };
                let home = context.home.clone();
                let table = tokio::task::spawn_blocking(move || verify(&spec, &home)).await??;
                super::print(&table.render(format.format))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// All of a data set, unreadable images left out and listed.
fn whole(dataset: DatasetKind) -> DataSpec {
    DataSpec { bad_images: Some(BadImages::Skip), ..DataSpec::whole(dataset) }
}

fn list(home: &Home) -> Table {
    let mut table = Table::new(["dataset", "images", "state", "where"]);
    let place = |kind| data::root(&whole(kind), home);
    table.push(["shapes", "10,000 + 2,000, 32×32", "built in", ""]);
    let root = place(DatasetKind::Cifar10);
    let (state, path) = cifar10_state(&root);
    table.push(["cifar10", "50,000 + 10,000, 32×32", &state, &path.display().to_string()]);
    let root = place(DatasetKind::Folder);
    let state = if root.join("train").is_dir() { "found" } else { "none here; set data.root" };
    table.push(["folder", "as found", state, &root.display().to_string()]);
    table
}

fn cifar10_state(root: &Path) -> (String, PathBuf) {
    if let Some(place) = cifar10::find(root) {
        let state = if place.packed { "found, packed" } else { "found, unpacked" };
        return (state.to_owned(), place.path);
    }
    for version in [cifar10::BINARY, cifar10::PYTHON] {
        let part = fetch::part_of(&root.join(version.archive));
        if let Ok(metadata) = part.metadata() {
            let done = HumanBytes(metadata.len());
            return (format!("{done} fetched; `data fetch cifar10` goes on"), part);
        }
    }
    ("missing; `data fetch cifar10` gets it (162 MB)".to_owned(), root.to_owned())
}

fn get(version: cifar10::Version, from: Option<&str>, home: &Home) -> Result<()> {
    let target = data::root(&whole(DatasetKind::Cifar10), home).join(version.archive);
    let url = from.unwrap_or(version.url);
    let bar = ProgressBar::new(0);
    let style = "{bytes:>10} of {total_bytes}  {wide_bar}  {binary_bytes_per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    let drawn = io::stderr().is_terminal();
    let mut tenths = 0;
    fetch::fetch(url, version.md5, &target, &mut |done, total| {
        if let Some(total) = total {
            bar.set_length(total);
            // In a log a line at every tenth.
            if !drawn && tenths < 10 * done / total.max(1) {
                tenths = 10 * done / total.max(1);
                eprintln!("{} of {}", HumanBytes(done), HumanBytes(total));
            }
        }
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    eprintln!("cifar10: {} is whole (md5 {})", target.display(), version.md5);
    Ok(())
}

fn verify(spec: &DataSpec, home: &Home) -> Result<Table> {
    let loaded = data::load(spec, home)?;
    for skipped in &loaded.skipped {
        eprintln!("{skipped}");
    }
    if !loaded.skipped.is_empty() {
        let found = format!("{} unreadable images (above)", loaded.skipped.len());
        let cure = "remove them, or train with data.bad_images = \"skip\"";
        return Err(bad_input(format!("data.root: found {found}, allowed: none; {cure}")));
    }
    let channels = |values: [f32; 3]| values.map(|v| format!("{v:.4}")).join(" ");
    let mut table =
        Table::new(["dataset", "train", "test", "classes", "side", "mean", "std", "fingerprint"])
            .right(&["train", "test", "classes", "side"]);
    table.push([
        loaded.name.clone(),
        loaded.train.len().to_string(),
        loaded.test.len().to_string(),
        loaded.classes.len().to_string(),
        loaded.side.to_string(),
        channels(loaded.mean),
        channels(loaded.std),
        loaded.fingerprint,
    ]);
    Ok(table)
}
