//! `data ls|fetch|verify`: which data sets there are, getting them, reading them through once.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};
use color_eyre::Result;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use super::{Context, Exit, FormatArg, bad_input, say};
use crate::config::applies;
use crate::config::keys;
use crate::config::spec::{BadImages, DataSpec, DatasetKind};
use crate::data::archive::Remote;
use crate::data::published::{self, Extent, State, Then};
use crate::data::{self, fetch};
use crate::lab::Home;
use crate::report::table::{Format, Table};

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
    #[command(after_help = "Example: instdisc-lab data ls --format json")]
    Ls(FormatArg),
    /// Download a data set into the home; an interrupted download goes on where it stopped.
    #[command(after_help = "Example: instdisc-lab data fetch cifar10")]
    Fetch {
        #[arg(value_enum)]
        dataset: Name,
        /// CIFAR: the Python version of the archive instead of the binary one.
        #[arg(long)]
        python: bool,
        /// A mirror: the file's address, or the folder's (ending in `/`) where there are several files. What it sends must
        /// still have the published md5.
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
        /// Sets of image files and STL-10: the side that images are scaled to.
        #[arg(long, value_name = "PIXELS")]
        side: Option<u32>,
        #[command(flatten)]
        format: FormatArg,
    },
}

/// Data sets as the command line names them: the same names as `data.dataset`.
#[derive(Clone, Copy, Debug)]
struct Name(DatasetKind);

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [Name; published::ALL.len()] = {
            let mut names = [Name(DatasetKind::Shapes); published::ALL.len()];
            let mut i = 0;
            while i < names.len() {
                names[i] = Name(published::ALL[i]);
                i += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(data::name(self.0)))
    }
}

impl Args {
    pub fn changes(&self) -> bool {
        matches!(self.action, Action::Fetch { .. })
    }

    pub async fn run(self, context: &Context) -> Result<Exit> {
        match self.action {
            Action::Ls(FormatArg { format }) => {
                super::print(&list(&context.home, format).render(format))?;
            }
            Action::Fetch { dataset: Name(kind), python, from } => {
                let home = context.home.clone();
                let get = move || get_all(kind, python, from.as_deref(), &home);
                tokio::task::spawn_blocking(get).await??;
            }
            Action::Verify { dataset: Name(kind), root, side, format } => {
                if let Some(root) = &root {
                    judge(kind, "data.root", "--root", root.to_string_lossy().as_ref().into())?;
                }
                if let Some(side) = side {
                    judge(kind, "data.side", "--side", side.into())?;
                }
                let root = root.map(|root| context.cwd.join(root));
                let spec = DataSpec { root, side, ..whole(kind) };
                let home = context.home.clone();
                let table = tokio::task::spawn_blocking(move || verify(&spec, &home)).await??;
                super::print(&table.render(format.format))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Holds an option to what its key of a specification may be for this data set.
fn judge(kind: DatasetKind, key: &str, option: &str, value: Value) -> Result<()> {
    let Some(known) = keys::key(key) else { return Ok(()) };
    let found = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let name = data::name(kind);
    let settings = Map::from_iter([("data.dataset".to_owned(), name.into())]);
    let allowed = if !applies(known, &settings) {
        format!("no {option} with {name}")
    } else if known.kind.check(&value).is_none() {
        known.kind.words()
    } else {
        return Ok(());
    };
    Err(bad_input(format!("{option}: found {found}, allowed: {allowed}")))
}

/// All of a data set, unreadable images left out and listed.
fn whole(dataset: DatasetKind) -> DataSpec {
    DataSpec { bad_images: Some(BadImages::Skip), ..DataSpec::whole(dataset) }
}

/// Programs also get as numbers what people read in sentences: `megabytes` is what `data fetch` gets in all, and `fetched` how
/// many bytes of that it has begun with.
fn list(home: &Home, format: Format) -> Table {
    const NUMBERS: [&str; 5] = ["train", "test", "side", "megabytes", "fetched"];
    let numbers = NUMBERS.into_iter().filter(|_| format.is_for_programs());
    let names = ["dataset", "images", "state", "where"].into_iter();
    let mut table = Table::new(names.chain(numbers)).right(&NUMBERS);
    for kind in published::ALL {
        let (name, root) = (data::name(kind), data::root(&whole(kind), home));
        let megabytes: u32 = published::remotes(kind).iter().map(|remote| remote.megabytes).sum();
        let mut fetched = None;
        let (state, path) = match published::state(kind, &root) {
            State::BuiltIn => ("built in".to_owned(), PathBuf::new()),
            State::Found(path) => {
                let state = if path.is_dir() { "found, unpacked" } else { "found, packed" };
                (state.to_owned(), path)
            }
            State::Packed(path) => (format!("packed; {}", published::unpacking(kind)), path),
            State::Missing => match published::unfinished(kind, &root) {
                Some((bytes, part)) => {
                    fetched = Some(bytes);
                    let done = HumanBytes(bytes);
                    (format!("{done} fetched; `data fetch {name}` goes on"), part)
                }
                None if megabytes == 0 => ("none here; set data.root".to_owned(), root),
                None => (format!("missing; `data fetch {name}` gets it ({megabytes} MB)"), root),
            },
        };
        let words = [name, published::images(kind), &state, &path.display().to_string()];
        let Extent { train, test, side } = published::extent(kind);
        let download = (0 < megabytes).then_some(megabytes);
        let numbers = [train, test, side, download].map(|n| n.map(u64::from)).into_iter();
        let numbers = numbers.chain([fetched]).filter(|_| format.is_for_programs());
        let cells = numbers.map(|n| n.map_or_else(String::new, |n| n.to_string()));
        table.push(words.map(str::to_owned).into_iter().chain(cells));
    }
    table
}

/// Every file of a data set, then whatever makes them readable.
fn get_all(kind: DatasetKind, python: bool, from: Option<&str>, home: &Home) -> Result<()> {
    let name = data::name(kind);
    let remotes = match (python, published::python(kind)) {
        (true, Some(remote)) => vec![remote],
        (true, None) => {
            let allowed = "cifar10 and cifar100, which have a Python version";
            return Err(bad_input(format!("--python: found {name}, allowed: {allowed}")));
        }
        (false, _) => published::remotes(kind),
    };
    if remotes.is_empty() {
        let why = match kind {
            DatasetKind::Shapes => "it is built in",
            DatasetKind::Cars196 => {
                "its authors' site is gone; unpack a copy of car_ims.tgz (md5 d5c8f0aa497503f355e17dc7886c3f14) and \
                 put cars_annos.mat (md5 b407c6086d669747186bd1d764ff9dbc) beside it, then set data.root"
            }
            _ => "it is your own; set data.root",
        };
        return Err(bad_input(format!(
            "data fetch: found {name}, allowed: what is published; {why}"
        )));
    }
    let several = 1 < remotes.len();
    if several && from.is_some_and(|from| !from.ends_with('/')) {
        let allowed = format!("a folder's address, ending in `/`: {name} has several files");
        return Err(bad_input(format!("--from: found {}, allowed: {allowed}", from.unwrap_or(""))));
    }
    let root = data::root(&whole(kind), home);
    for remote in &remotes {
        let url = match from {
            Some(folder) if folder.ends_with('/') => format!("{folder}{}", remote.file),
            Some(url) => url.to_owned(),
            None => remote.url(),
        };
        let target = root.join(remote.file);
        get(name, &url, remote, &target)?;
        match published::settle(kind, &target)? {
            Then::Nothing => {}
            Then::Unpack => say(format_args!("{name}: unpacked in {}", root.display())),
            Then::Unzip => {
                say(format_args!("{name}: now `unzip {} -d {}`", target.display(), root.display()));
            }
        }
    }
    Ok(())
}

fn get(name: &str, url: &str, remote: &Remote, target: &Path) -> Result<()> {
    let bar = ProgressBar::new(0);
    let style = "{bytes:>10} of {total_bytes}  {wide_bar}  {binary_bytes_per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style)?);
    let drawn = io::stderr().is_terminal();
    let mut tenths = 0;
    fetch::fetch(url, remote.md5, target, &mut |done, total| {
        if let Some(total) = total {
            bar.set_length(total);
            // In a log a line at every tenth.
            if !drawn && tenths < 10 * done / total.max(1) {
                tenths = 10 * done / total.max(1);
                say(format_args!("{} of {}", HumanBytes(done), HumanBytes(total)));
            }
        }
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    say(format_args!("{name}: {} is whole (md5 {})", target.display(), remote.md5));
    Ok(())
}

fn verify(spec: &DataSpec, home: &Home) -> Result<Table> {
    let loaded = data::load(spec, home)?;
    for skipped in &loaded.skipped {
        say(skipped);
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
