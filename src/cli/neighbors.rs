//! `neighbors RUN`.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use super::step::StepArg;
use super::verb::resolve;
use super::{Context, Exit, FormatArg, bad_input, print, unwritable};
use crate::config::RunSpec;
use crate::data::{self, Dataset};
use crate::report::sheet::{Cell, sheet};
use crate::report::table::{Format, Table};
use crate::saved::{Array, Neighbours, Saved, Standing, neighbours};
use crate::store::Store;

/// Search a run's memory bank by image: for each query the nearest other training images.
///
/// Without --query it shows the queries whose neighbours are most and least often of their own class, as the papers'
/// figures do. --sheet writes the images themselves, the query first; green frames are of its class.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: instdisc-lab neighbors proximal-1a2b --best 4 --worst 4 --sheet neighbours.png"
)]
pub struct Args {
    /// Run id, or a beginning of it that fits no other.
    run: String,
    /// Training images to search by, by their number in the run's data set.
    #[arg(long, value_delimiter = ',', value_name = "INDEX,…")]
    query: Vec<usize>,
    /// Read the numbers of training images from standard input, one a line, and answer each as it comes, out of an
    /// index that holds the bank at a quarter of its size.
    #[arg(long, conflicts_with_all = ["query", "best", "worst", "sheet"])]
    stdin: bool,
    /// How many of the best queries.
    #[arg(long, default_value_t = 5, conflicts_with = "query")]
    best: usize,
    /// How many of the worst.
    #[arg(long, default_value_t = 5, conflicts_with = "query")]
    worst: usize,
    /// Neighbours of each query.
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    k: u16,
    /// Write the images into this PNG.
    #[arg(long, value_name = "FILE.png")]
    sheet: Option<PathBuf>,
    #[command(flatten)]
    step: StepArg,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub async fn run(self, context: &Context) -> Result<Exit> {
        if let Some(path) = self.sheet.as_deref().filter(|path| !is_png(path)) {
            return Err(bad_input(format!(
                "--sheet: found {}, allowed: a name ending in .png",
                path.display()
            )));
        }
        let store = Store::open_readonly(&context.home).await?;
        let id = resolve(&context.home, &store, &self.run).await?;
        let run = store.run(&id).await?;
        let dir = context.home.run(&id);
        let step = self.step.of(&dir)?;
        let saved = Saved::open(&dir, step).map_err(|e| bad_input(e.to_string()))?;
        let bank = saved.bank()?;
        let spec: RunSpec = serde_json::from_str(run.spec.text())?;
        let data = data::load(&spec.data, &context.home).map_err(|e| bad_input(e.to_string()))?;
        if data.train.len() != bank.shape[0] {
            return Err(bad_input(format!(
                "{id}: found {} training images, allowed: {}, the rows of its memory bank",
                data.train.len(),
                bank.shape[0]
            )));
        }
        if self.stdin {
            let standing = Standing::new(&saved, &bank).map_err(|e| bad_input(e.to_string()))?;
            // The index is to stand alone in memory.
            drop((saved, bank));
            return self.answer(&standing, &data);
        }
        let found = self.find(&bank, &data)?;
        if let Some(path) = &self.sheet {
            let path = context.cwd.join(path);
            std::fs::write(&path, png(&found, &data)?).map_err(unwritable("--sheet", &path))?;
        }
        print(&match self.format.format {
            Format::Json => {
                format!("{:#}\n", Value::from_iter(found.iter().map(|f| as_json(f, &data))))
            }
            format => table(&found, &data).render(format),
        })?;
        Ok(Exit::Done)
    }

    /// Answers image numbers as they come.
    fn answer(&self, standing: &Standing, data: &Dataset) -> Result<Exit> {
        for line in std::io::stdin().lines() {
            let line = line?;
            let number = line.trim().parse::<usize>().ok();
            let Some(query) = number.filter(|query| *query < standing.len()) else {
                let most = standing.len() - 1;
                return Err(bad_input(format!("stdin: found {line:?}, allowed: 0 to {most}")));
            };
            let near = standing.near(query as u32, usize::from(self.k))?;
            let found = Neighbours::new(query, near, data);
            print(&match self.format.format {
                Format::Json => format!("{}\n", as_json(&found, data)),
                _ => format!("{query} {}: {}\n", class(data, query), listed(&found, data)),
            })?;
        }
        Ok(Exit::Done)
    }

    fn find(&self, bank: &Array, data: &Dataset) -> Result<Vec<Neighbours>> {
        let n = bank.shape[0];
        if let Some(beyond) = self.query.iter().find(|&&query| n <= query) {
            return Err(bad_input(format!("--query: found {beyond}, allowed: 0 to {}", n - 1)));
        }
        if !self.query.is_empty() {
            return Ok(neighbours(bank, data, &self.query, self.k.into()));
        }
        let all: Vec<usize> = (0..n).collect();
        let mut found = neighbours(bank, data, &all, self.k.into());
        found.sort_by(Neighbours::best_first);
        let worst = found.len().saturating_sub(self.worst).max(self.best.min(found.len()));
        let mut last = found.split_off(worst);
        last.sort_by(Neighbours::worst_first);
        found.truncate(self.best);
        found.extend(last);
        Ok(found)
    }
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("png"))
}

fn class(data: &Dataset, row: usize) -> &str {
    data.class(data.train.labels[row])
}

fn as_json(found: &Neighbours, data: &Dataset) -> Value {
    let near = found.near.iter().map(|other| {
        let row = other.row as usize;
        json!({"index": row, "similarity": other.similarity, "class": class(data, row)})
    });
    json!({
        "query": found.query, "class": class(data, found.query), "alike": found.alike,
        "neighbours": near.collect::<Vec<_>>(),
    })
}

/// The neighbours of one query on one line.
fn listed(found: &Neighbours, data: &Dataset) -> String {
    let near = found.near.iter().map(|other| {
        let row = other.row as usize;
        format!("{row} {} {:.2}", class(data, row), other.similarity)
    });
    near.collect::<Vec<_>>().join(", ")
}

fn table(found: &[Neighbours], data: &Dataset) -> Table {
    let mut table =
        Table::new(["query", "class", "alike", "neighbours"]).right(&["query", "alike"]);
    for f in found {
        table.push([
            f.query.to_string(),
            class(data, f.query).to_owned(),
            format!("{:.0} %", 100.0 * f.alike),
            listed(f, data),
        ]);
    }
    table
}

fn png(found: &[Neighbours], data: &Dataset) -> Result<Vec<u8>> {
    let bytes = data.side * data.side * 3;
    let shown = |f: &Neighbours| -> Vec<u32> {
        let near = f.near.iter().map(|other| other.row);
        std::iter::once(f.query as u32).chain(near).collect()
    };
    // Read, not borrowed: the images may be on disk.
    let mut strips = Vec::new();
    for f in found {
        let rows = shown(f);
        let mut pixels = vec![0; rows.len() * bytes];
        data.train.read(&rows, &mut pixels)?;
        strips.push(pixels);
    }
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for (f, pixels) in found.iter().zip(&strips) {
        let cells = shown(f).into_iter().zip(pixels.chunks_exact(bytes));
        let cell = |(row, pixels)| Cell { pixels, alike: data.alike(f.query, row as usize) };
        rows.push(cells.map(cell).collect());
    }
    let mut out = Cursor::new(Vec::new());
    sheet(data.side as u32, &rows).write_to(&mut out, image::ImageFormat::Png)?;
    Ok(out.into_inner())
}
