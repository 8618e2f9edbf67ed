//! Everything a run has measured as files, and drawn.

use color_eyre::eyre::Result;
use serde_json::{Value, json};

use super::File;
use super::subject::Curves;
use crate::cli::{bad_input, curve};
use crate::journal::event::Number;
use crate::report::exact;
use crate::report::figure::{self, Series, axis, file_stem, over_epochs};
use crate::report::parquet;
use crate::report::raster::Kind;
use crate::report::table::{Format, Table};
use crate::report::tensorboard::{self, Scalar};
use crate::store::{CurvePoint, RunRow};

pub fn csv(curves: &Curves) -> File {
    let mut table = Table::new(["metric", "step", "epoch", "sec", "value"]);
    for (metric, points) in curves {
        for CurvePoint { step, epoch, sec, value } in points {
            let numbers = [step.to_string(), epoch.to_string(), sec.to_string(), exact(*value)];
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

/// A drawing of each curve, of the `wanted` metrics or of all. What was measured once is a number and no curve.
pub fn drawn(run: &RunRow, curves: &Curves, wanted: &[String], kind: Kind) -> Result<Vec<File>> {
    let id = &run.id;
    let names: Vec<String> = curves.iter().map(|(metric, _)| metric.clone()).collect();
    if let Some(missing) = wanted.iter().find(|metric| !names.contains(metric)) {
        return Err(curve::unknown(id, missing, &names));
    }
    let mut files = Vec::new();
    for (metric, points) in curves.iter().filter(|(_, points)| 1 < points.len()) {
        if !wanted.is_empty() && !wanted.contains(metric) {
            continue;
        }
        let (name, lines) = (id.clone(), vec![over_epochs(points)]);
        let series = [Series { name, lines, published: Vec::new() }];
        // Nothing but NaN is no drawing either.
        if let Some(svg) = figure::curves("epoch", &axis(metric), &series)? {
            let file = format!("curve-{}.{}", file_stem(metric), kind.extension());
            files.push((file, kind.bytes(&svg)?));
        }
    }
    if files.is_empty() {
        let of =
            if wanted.is_empty() { String::new() } else { format!(" of {}", wanted.join(", ")) };
        let allowed = "a metric that was measured twice or more";
        return Err(bad_input(format!("{id}: found no curve{of}, allowed: {allowed}")));
    }
    Ok(files)
}
