//! Everything a run has measured as files.

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use super::File;
use super::subject::Curves;
use crate::journal::event::Number;
use crate::report::parquet;
use crate::report::table::{Format, Table};
use crate::report::tensorboard::{self, Scalar};
use crate::store::{CurvePoint, RunRow};

pub fn csv(curves: &Curves) -> File {
    let mut table = Table::new(["metric", "step", "epoch", "sec", "value"]);
    for (metric, points) in curves {
        for CurvePoint { step, epoch, sec, value } in points {
            let numbers = [step.to_string(), epoch.to_string(), sec.to_string(), value.to_string()];
            table.push([metric.clone()].into_iter().chain(numbers));
        }
    }
    ("metrics.csv".to_owned(), table.render(Format::Csv).into_bytes())
}

pub fn parquet(run: &RunRow, curves: &Curves) -> Result<File> {
    Ok(("metrics.parquet".to_owned(), parquet::points(&run.id, curves)?))
}

pub fn json(curves: &Curves) -> File {
    let point = |p: &CurvePoint| json!({"step": p.step, "epoch": p.epoch, "sec": p.sec, "value": Number(p.value)});
    let of = |(name, points): &(String, Vec<CurvePoint>)| {
        (name.clone(), points.iter().map(point).collect())
    };
    let all = Value::Object(curves.iter().map(of).collect());
    ("metrics.json".to_owned(), format!("{all:#}\n").into_bytes())
}

pub fn event_file(run: &RunRow, curves: &Curves) -> File {
    let began = run.started_at.unwrap_or(run.queued_at) as f64 / 1e3;
    let scalars = curves.iter().flat_map(|(tag, points)| {
        let scalar =
            move |p: &CurvePoint| Scalar { tag, step: p.step, at: began + p.sec, value: p.value };
        points.iter().map(scalar)
    });
    let name = format!("events.out.tfevents.{}.{}", began as u64, run.id);
    (name, tensorboard::events(began, scalars))
}
