//! Everything a run has measured as files.

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use super::{File, What};
use crate::journal::event::Number;
use crate::report::parquet;
use crate::report::table::{Format, Table};
use crate::report::tensorboard::{self, Scalar};
use crate::store::{CurvePoint, RunRow, Store};

type Curves = [(String, Vec<CurvePoint>)];

/// Every point of every metric of `run`, in one form.
pub async fn curves(what: What, store: &Store, run: &RunRow) -> Result<File> {
    let mut curves = Vec::new();
    for metric in store.metrics(&run.id).await? {
        let points = store.curve(&run.id, &metric, None).await?;
        curves.push((metric, points));
    }
    Ok(match what {
        What::Parquet => ("metrics.parquet".to_owned(), parquet::points(&run.id, &curves)?),
        What::Json => ("metrics.json".to_owned(), format!("{:#}\n", as_json(&curves)).into_bytes()),
        What::Tensorboard => event_file(run, &curves),
        _ => ("metrics.csv".to_owned(), csv(&curves).into_bytes()),
    })
}

fn csv(curves: &Curves) -> String {
    let mut table = Table::new(["metric", "step", "epoch", "sec", "value"]);
    for (metric, points) in curves {
        for CurvePoint { step, epoch, sec, value } in points {
            let numbers = [step.to_string(), epoch.to_string(), sec.to_string(), value.to_string()];
            table.push([metric.clone()].into_iter().chain(numbers));
        }
    }
    table.render(Format::Csv)
}

fn as_json(curves: &Curves) -> Value {
    let point = |p: &CurvePoint| json!({"step": p.step, "epoch": p.epoch, "sec": p.sec, "value": Number(p.value)});
    let curves = curves.iter();
    Value::Object(curves.map(|(name, ps)| (name.clone(), ps.iter().map(point).collect())).collect())
}

fn event_file(run: &RunRow, curves: &Curves) -> File {
    let began = run.started_at.unwrap_or(run.queued_at) as f64 / 1e3;
    let scalars = curves.iter().flat_map(|(tag, points)| {
        let scalar =
            move |p: &CurvePoint| Scalar { tag, step: p.step, at: began + p.sec, value: p.value };
        points.iter().map(scalar)
    });
    let name = format!("events.out.tfevents.{}.{}", began as u64, run.id);
    (name, tensorboard::events(began, scalars))
}
