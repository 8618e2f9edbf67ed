//! `export RUN…`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use color_eyre::eyre::{Result, WrapErr};
use serde_json::{Value, json};

use super::{Context, Exit, bad_input, print};
use crate::config::RunSpec;
use crate::data;
use crate::journal::event::Number;
use crate::report::table::{Format, Table};
use crate::report::tensorboard::{self, Scalar};
use crate::saved::{self, Saved};
use crate::store::{CurvePoint, RunId, RunRow, Store};

/// Write what a run has learned and measured into files for other programs.
///
/// Each run gets a folder of its own under --to. encoder: weights under torchvision's names, as safetensors; bank:
/// the memory bank and its labels, as safetensors; npy: the same for NumPy; csv, json: every point of every metric;
/// tensorboard: an event file.
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
    Encoder,
    Bank,
    Npy,
    Csv,
    Json,
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
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let saved = || {
            Saved::open(&context.home.run(&run.id), self.step).map_err(|e| bad_input(e.to_string()))
        };
        Ok(match what {
            What::Encoder => {
                let saved = saved()?;
                let notes = notes(context, run, &saved)?;
                vec![("encoder.safetensors".to_owned(), saved::encoder(&saved, notes)?)]
            }
            What::Bank | What::Npy => bank(what, context, run, &saved()?)?,
            What::Csv | What::Json | What::Tensorboard => {
                let curves = curves(store, &run.id).await?;
                vec![match what {
                    What::Csv => ("metrics.csv".to_owned(), csv(&curves).into_bytes()),
                    What::Json => (
                        "metrics.json".to_owned(),
                        format!("{:#}\n", as_json(&curves)).into_bytes(),
                    ),
                    _ => event_file(run, &curves),
                }]
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

/// What whoever loads the encoder has to know.
fn notes(context: &Context, run: &RunRow, saved: &Saved) -> Result<HashMap<String, String>> {
    let of = |key: &str| crate::report::shown(crate::config::keys::value(&run.spec, key));
    let spec: RunSpec = serde_json::from_str(run.spec.text())?;
    // The images may be elsewhere by now, which is no reason to keep the weights back.
    let (mean, std) = match data::load(&spec.data, &context.home) {
        Ok(data) => (format!("{:?}", data.mean), format!("{:?}", data.std)),
        Err(why) => (format!("unknown: {why}"), format!("unknown: {why}")),
    };
    Ok(HashMap::from([
        ("run".to_owned(), run.id.clone()),
        ("step".to_owned(), saved.step.to_string()),
        ("backbone".to_owned(), of("model.backbone")),
        ("width".to_owned(), of("model.width")),
        ("dim".to_owned(), of("model.dim")),
        ("dataset".to_owned(), of("data.dataset")),
        ("mean".to_owned(), mean),
        ("std".to_owned(), std),
        ("embedding".to_owned(), "the output of fc, scaled to length 1".to_owned()),
    ]))
}

fn bank(
    what: What,
    context: &Context,
    run: &RunRow,
    saved: &Saved,
) -> Result<Vec<(String, Vec<u8>)>> {
    let bank = saved.bank()?;
    let spec: RunSpec = serde_json::from_str(run.spec.text())?;
    let data = data::load(&spec.data, &context.home).map_err(|e| bad_input(e.to_string()))?;
    let labels: Vec<i64> = data.train.labels.iter().map(|&label| label.into()).collect();
    if labels.len() != bank.shape[0] {
        let (found, allowed) = (labels.len(), bank.shape[0]);
        return Err(bad_input(format!(
            "{}: found {found} training images, allowed: {allowed}, the rows of its memory bank",
            run.id
        )));
    }
    let rows: Vec<u8> = bank.numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let label_bytes: Vec<u8> = labels.iter().flat_map(|x| x.to_le_bytes()).collect();
    if what == What::Npy {
        return Ok(vec![
            ("bank.npy".to_owned(), npy("<f4", &bank.shape, rows)),
            ("labels.npy".to_owned(), npy("<i8", &[labels.len()], label_bytes)),
        ]);
    }
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    let views = [
        ("bank", TensorView::new(Dtype::F32, bank.shape.clone(), &rows)?),
        ("labels", TensorView::new(Dtype::I64, vec![labels.len()], &label_bytes)?),
    ];
    let classes = HashMap::from([("classes".to_owned(), data.classes.join("\n"))]);
    Ok(vec![("bank.safetensors".to_owned(), safetensors::serialize(views, Some(classes))?)])
}

/// NumPy's format, version 1.0: magic, version, the header's length, a Python dictionary padded to 64 bytes, the data.
fn npy(kind: &str, shape: &[usize], data: Vec<u8>) -> Vec<u8> {
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    let unpadded = 10 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.into_bytes());
    out.extend(data);
    out
}

async fn curves(store: &Store, id: &RunId) -> Result<Vec<(String, Vec<CurvePoint>)>> {
    let mut curves = Vec::new();
    for metric in store.metrics(id).await? {
        let points = store.curve(id, &metric, None).await?;
        curves.push((metric, points));
    }
    Ok(curves)
}

fn csv(curves: &[(String, Vec<CurvePoint>)]) -> String {
    let mut table = Table::new(["metric", "step", "epoch", "sec", "value"]);
    for (metric, points) in curves {
        for CurvePoint { step, epoch, sec, value } in points {
            let numbers = [step.to_string(), epoch.to_string(), sec.to_string(), value.to_string()];
            table.push([metric.clone()].into_iter().chain(numbers));
        }
    }
    table.render(Format::Csv)
}

fn as_json(curves: &[(String, Vec<CurvePoint>)]) -> Value {
    let point = |p: &CurvePoint| json!({"step": p.step, "epoch": p.epoch, "sec": p.sec, "value": Number(p.value)});
    let curves = curves.iter();
    Value::Object(curves.map(|(name, ps)| (name.clone(), ps.iter().map(point).collect())).collect())
}

fn event_file(run: &RunRow, curves: &[(String, Vec<CurvePoint>)]) -> (String, Vec<u8>) {
    let began = run.started_at.unwrap_or(run.queued_at) as f64 / 1e3;
    let scalars = curves.iter().flat_map(|(tag, points)| {
        let scalar =
            move |p: &CurvePoint| Scalar { tag, step: p.step, at: began + p.sec, value: p.value };
        points.iter().map(scalar)
    });
    let name = format!("events.out.tfevents.{}.{}", began as u64, run.id);
    (name, tensorboard::events(began, scalars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_npy_header_is_padded_to_64_bytes_and_says_what_follows() {
        let file = npy("<f4", &[3, 2], vec![0; 24]);
        assert_eq!(file.len() % 64, 24);
        let header = String::from_utf8_lossy(&file[10..file.len() - 24]).into_owned();
        assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2,), }"));
        assert!(header.ends_with('\n'));
    }
}
